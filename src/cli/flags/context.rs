//! What a context may be: a folder, or something that is fetched.
//!
//! In: the last argument of `cairn build`. Out: [`ContextValue`] (docs.docker.com, "Build
//! context").

use std::path::PathBuf;

/// What a context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextValue {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A commit's files, or a folder of them.
    Git {
        /// Without what follows `#`.
        url: String,
        /// A branch, tag or commit; else the one that the server begins with.
        reference: Option<String>,
        /// Of the repository.
        folder: Option<String>,
    },
    /// A file that a server has: a tar, or a Dockerfile.
    Http(String),
    /// The same on standard input.
    Stdin,
}

impl ContextValue {
    /// What `text` means.
    pub fn new(text: &str) -> ContextValue {
        if text == "-" {
            return ContextValue::Stdin;
        }
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        if let Some(url) = git_url(address) {
            let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let folder = some(folder.trim_matches('/'));
            return ContextValue::Git {
                url,
                reference: some(reference),
                folder,
            };
        }
        match text.starts_with("http://") || text.starts_with("https://") {
            true => ContextValue::Http(text.to_owned()),
            false => ContextValue::Folder(text.into()),
        }
    }
}

/// The URL for git, if that is what has it.
fn git_url(address: &str) -> Option<String> {
    let has_scheme = |schemes: &[&str]| schemes.iter().any(|scheme| address.starts_with(scheme));
    if has_scheme(&["git://", "ssh://", "git+ssh://"]) {
        return Some(address.to_owned());
    }
    if has_scheme(&["http://", "https://", "file://"]) {
        let path = address.split('?').next().unwrap_or(address);
        return path.ends_with(".git").then(|| address.to_owned());
    }
    // `git@host:path`, as git has it.
    let is_scp = address
        .split_once('@')
        .is_some_and(|(user, rest)| !user.is_empty() && !user.contains('/') && rest.contains(':'));
    if is_scp {
        return Some(address.to_owned());
    }
    // Docker's short form for one host.
    address
        .starts_with("github.com/")
        .then(|| format!("https://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(url: &str, reference: Option<&str>, folder: Option<&str>) -> ContextValue {
        ContextValue::Git {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
            folder: folder.map(str::to_owned),
        }
    }

    #[test]
    fn a_context_is_known_by_its_form() {
        for (text, expected) in [
            (".", ContextValue::Folder(".".into())),
            ("a#b", ContextValue::Folder("a#b".into())),
            ("-", ContextValue::Stdin),
            (
                "https://a.test/b.git",
                git("https://a.test/b.git", None, None),
            ),
            (
                "https://a.test/b.git#main",
                git("https://a.test/b.git", Some("main"), None),
            ),
            (
                "https://a.test/b.git#main:c/d",
                git("https://a.test/b.git", Some("main"), Some("c/d")),
            ),
            (
                "https://a.test/b.git#:/c",
                git("https://a.test/b.git", None, Some("c")),
            ),
            (
                "git@a.test:b.git#v1",
                git("git@a.test:b.git", Some("v1"), None),
            ),
            ("ssh://a.test/b", git("ssh://a.test/b", None, None)),
            ("github.com/a/b", git("https://github.com/a/b", None, None)),
            (
                "https://a.test/b.tar.gz",
                ContextValue::Http("https://a.test/b.tar.gz".to_owned()),
            ),
            ("a@b", ContextValue::Folder("a@b".into())),
            ("dir/a@b:c", ContextValue::Folder("dir/a@b:c".into())),
        ] {
            assert_eq!(ContextValue::new(text), expected, "{text}");
        }
    }
}
