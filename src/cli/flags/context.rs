//! What a context may be: a folder, or something that is fetched.
//!
//! In: the last argument of `cairn build`. Out: [`ContextValue`] (docs.docker.com, "Build
//! context").

use std::path::PathBuf;

use crate::frontend::address::{self, Address, Git, Http};

/// What a context is.
#[derive(Debug, Clone, PartialEq)]
pub enum ContextValue {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A commit's files, or a folder of them.
    Git(Box<Git>),
    /// A file that a server has: a tar, or a Dockerfile.
    Http(Http),
    /// The same on standard input.
    Stdin,
}

impl ContextValue {
    /// What `text` means, or what is wrong with it.
    pub fn new(text: &str) -> Result<ContextValue, String> {
        if text == "-" {
            return Ok(ContextValue::Stdin);
        }
        // Docker's short form for one host.
        let read = match text.starts_with("github.com/") {
            true => address::git(&format!("https://{text}"))
                .map(|git| Some(Address::Git(Box::new(git)))),
            false => address::read_context(text),
        };
        Ok(match read? {
            Some(Address::Git(git)) => ContextValue::Git(git),
            Some(Address::Http(http)) => ContextValue::Http(http),
            None => ContextValue::Folder(text.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_known_by_its_form() {
        for (text, expected) in [
            (".", "folder ."),
            ("a#b", "folder a#b"),
            ("-", "stdin"),
            (
                "https://a.test/b.git?ref=c&subdir=d",
                "git https://a.test/b.git c d",
            ),
            (
                "https://a.test/b.git#c%2Fd:e",
                "git https://a.test/b.git c/d e",
            ),
            ("file:///a/b.git", "git file:///a/b.git"),
            ("git@a.test:b.git#v1", "git git@a.test:b.git v1"),
            ("git+ssh://a.test/b", "git ssh://a.test/b"),
            ("github.com/a/b#c", "git https://github.com/a/b c"),
            ("https://a.test/b.tar.gz", "http https://a.test/b.tar.gz"),
            ("a@b", "folder a@b"),
            ("dir/a@b:c", "folder dir/a@b:c"),
        ] {
            let shown = match ContextValue::new(text).unwrap() {
                ContextValue::Folder(path) => format!("folder {}", path.display()),
                ContextValue::Http(http) => format!("http {}", http.url),
                ContextValue::Stdin => "stdin".to_owned(),
                ContextValue::Git(git) => {
                    let words = [Some("git".to_owned()), Some(git.url), git.name, git.folder];
                    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
                }
            };
            assert_eq!(shown, expected, "{text}");
        }
        assert!(ContextValue::new("https://a.test/b.git?depth=1").is_err());
    }
}
