//! Addresses of what is fetched: by `ADD`, and for contexts of the caller's.
//!
//! In: a source of `ADD`, a named context, the build's own context. Out: [`Address`], where it is
//! one (BuildKit, `dfgitutil`; Dockerfile reference, "Adding files from a Git repository", "Query
//! parameters"). Who asks is a [`Login`] beside the address, and no part of it.

use std::collections::BTreeMap;

use super::toml::address;
use crate::canon::login::{self, decoded, redacted};
use crate::canon::path::joined;
use crate::canon::{Login, truth};
use crate::plan::step::{GitExtras, MovingRef, Revision};

/// Something to fetch.
#[derive(Debug, Clone, PartialEq)]
pub enum Address {
    /// One file.
    Http(Http),
    /// A repository.
    Git(Box<Git>),
}

/// A file that a server has.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Where.
    pub url: String,
    /// Who asks for it.
    pub login: Option<Login>,
}

/// A repository, and what of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Git {
    /// What git fetches from.
    pub url: String,
    /// Who asks for it.
    pub login: Option<Login>,
    /// A branch, a tag, a commit or a whole ref; else the server's `HEAD`.
    pub name: Option<String>,
    /// The beginning of the commit that it must be.
    pub checksum: Option<String>,
    /// A folder of it.
    pub folder: Option<String>,
    /// `keep-git-dir`
    pub keep_git_dir: Option<bool>,
    /// `submodules`
    pub submodules: Option<bool>,
    /// `mtime=commit`
    pub commit_times: bool,
    /// `fetch-by-commit`: nobody looks whether the name still means that commit.
    pub fetch_by_commit: bool,
}

impl Git {
    /// Which commit it is.
    pub fn revision(&self) -> Revision {
        let checksum = self.checksum.clone();
        let pinned = checksum.as_ref().filter(|checksum| is_commit(checksum));
        match (&self.name, pinned) {
            (Some(name), _)
                if is_commit(name) && checksum.as_ref().is_none_or(|sum| name.starts_with(sum)) =>
            {
                Revision::Commit(name.clone())
            }
            (None, Some(commit)) => Revision::Commit(commit.clone()),
            (Some(_), Some(commit)) if self.fetch_by_commit => Revision::Commit(commit.clone()),
            (name, _) => Revision::Ref(MovingRef {
                name: name.clone(),
                checksum,
            }),
        }
    }

    /// What is wanted beside a commit's own files.
    pub fn extras(&self) -> GitExtras {
        GitExtras {
            keep_git_dir: self.keep_git_dir.unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
            commit_times: self.commit_times,
            kept_ref: None,
        }
    }
}

/// Reads an address in a recipe; none where the text is a path. BuildKit takes a scheme that it
/// doesn't know for the beginning of a path: what nobody has files at would be told with a login
/// that no longer looks like one.
pub fn read(text: &str) -> Result<Option<Address>, String> {
    let Some((scheme, rest)) = scheme(text) else {
        return match is_login(text) {
            true => Ok(Some(git_address(text)?)),
            false if redacted(text) != text => Err(format!(
                "`{}` holds a login and is no address: it lacks its scheme, such as `https`",
                redacted(text).escape_debug()
            )),
            false => Ok(None),
        };
    };
    let text = &format!("{scheme}://{rest}");
    match scheme.as_str() {
        "http" | "https" => {
            let plain = text.split(['#', '?']).next().unwrap_or(text);
            if plain.ends_with(".git") {
                return Ok(Some(git_address(text)?));
            }
            let (url, login) = login::split(text);
            let url = address::http_url(&url).map_err(|fault| redacted(&fault.message))?;
            Ok(Some(Address::Http(Http { url, login })))
        }
        "git" | "ssh" => Ok(Some(git_address(text)?)),
        _ => Err(format!(
            "`{}` can't be fetched: an address begins with `https://`, `http://`, `ssh://` or \
             `git://`, and a path that looks like one with `./`",
            redacted(text).escape_debug()
        )),
    }
}

/// Reads the address of a context: the caller may also name a repository of this machine.
pub fn read_context(text: &str) -> Result<Option<Address>, String> {
    match scheme(text) {
        Some((scheme, rest)) if scheme == "file" => {
            Ok(Some(git_address(&format!("file://{rest}"))?))
        }
        Some((scheme, rest)) if scheme == "git+ssh" => {
            Ok(Some(git_address(&format!("ssh://{rest}"))?))
        }
        _ => read(text),
    }
}

/// The scheme of an address, in lower case, and what stands behind its `://`.
fn scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_scheme && scheme.chars().all(is_part)).then(|| (scheme.to_ascii_lowercase(), rest))
}

fn git_address(text: &str) -> Result<Address, String> {
    git(text).map(|git| Address::Git(Box::new(git)))
}

/// Whether it is `user@host:path`.
fn is_login(text: &str) -> bool {
    let Some((login, _)) = text.split_once(':') else {
        return false;
    };
    let is_word = |text: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !text.is_empty() && text.chars().all(is_plain)
    };
    login
        .split_once('@')
        .is_some_and(|(user, host)| is_word(user) && is_word(host))
}

/// All hex digits of a commit: 40 of SHA-1, 64 of SHA-256.
pub fn is_commit(text: &str) -> bool {
    address::commit(text).is_ok()
}

/// What a download is called.
pub fn file_name(url: &str) -> String {
    address::url_file_name(url).unwrap_or_else(|| "__unnamed__".to_owned())
}

/// Reads the address of a repository: `URL[?QUERY][#REF[:FOLDER]]`.
pub fn git(text: &str) -> Result<Git, String> {
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (text, None),
    };
    let (url, query) = match rest.split_once('?') {
        Some((url, query)) => (url, Some(query)),
        None => (rest, None),
    };
    let (url, login) = login::split(url);
    if redacted(&url) != url {
        return Err(
            "nobody is asked for the password in this address: ssh asks an agent".to_owned(),
        );
    }
    let url = address::git_url(&url).map_err(|fault| redacted(&fault.message))?;
    let mut git = Git {
        url,
        login,
        ..Git::default()
    };
    if let Some(fragment) = fragment.map(decoded) {
        let (name, folder) = fragment.split_once(':').unwrap_or((&fragment, ""));
        git.name = Some(name.to_owned()).filter(|name| !name.is_empty());
        git.folder = Some(folder.to_owned()).filter(|folder| !folder.is_empty());
    }
    if let Some(query) = query {
        queried(&mut git, query)?;
    }
    if let Some(folder) = &mut git.folder {
        let clean = joined("/", folder);
        *folder = clean.trim_start_matches('/').to_owned();
    }
    git.folder = git.folder.filter(|folder| !folder.is_empty());
    if let Some(name) = git.name.as_ref().filter(|name| {
        name.starts_with('-') || name.chars().any(|c| c.is_control() || c.is_whitespace())
    }) {
        return Err(format!("`{}` is no ref", name.escape_debug()));
    }
    if let Some(checksum) = &git.checksum
        && !checksum.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Err(format!("`{}` is no commit", checksum.escape_debug()));
    }
    let has_commit = matches!(git.revision(), Revision::Commit(_));
    if git.fetch_by_commit && !has_commit {
        return Err("`fetch-by-commit` needs all hex digits of a commit: `checksum=…`".to_owned());
    }
    Ok(git)
}

fn queried(git: &mut Git, query: &str) -> Result<(), String> {
    let mut values = BTreeMap::new();
    for item in query.split('&').filter(|item| !item.is_empty()) {
        let (key, value) = item.split_once('=').unwrap_or((item, ""));
        let value = decoded(&value.replace('+', " "));
        if values.insert(key.to_owned(), value).is_some() {
            return Err(format!(
                "`{}` is there twice in the address",
                key.escape_debug()
            ));
        }
    }
    let is_switch = |key: &str| matches!(key, "submodules" | "keep-git-dir" | "fetch-by-commit");
    let switch = |key: &str, value: &str| {
        // The key alone is enough.
        let is_so = truth(value).or(value.is_empty().then_some(true));
        is_so.ok_or_else(|| {
            let value = value.escape_debug();
            format!("`{value}` is no value of `{key}`: `true` or `false`")
        })
    };
    let mut names: Vec<String> = git.name.take().into_iter().collect();
    for (key, value) in values {
        if value.is_empty() && !is_switch(&key) {
            return Err(format!(
                "`{}` has no value in the address",
                key.escape_debug()
            ));
        }
        match key.as_str() {
            "ref" => names.push(value),
            "tag" => names.push(format!(
                "refs/tags/{}",
                value.trim_start_matches("refs/tags/")
            )),
            "branch" => {
                let branch = value.trim_start_matches("refs/heads/");
                names.push(format!("refs/heads/{branch}"));
            }
            "subdir" => match &git.folder {
                Some(folder) if *folder != value => {
                    return Err(format!(
                        "the address names two folders: `{folder}` and `{value}`"
                    ));
                }
                _ => git.folder = Some(value),
            },
            "checksum" | "commit" => git.checksum = Some(value.to_ascii_lowercase()),
            "keep-git-dir" => git.keep_git_dir = Some(switch(&key, &value)?),
            "submodules" => git.submodules = Some(switch(&key, &value)?),
            "fetch-by-commit" => git.fetch_by_commit = switch(&key, &value)?,
            // What `checkout` would give is the time of the build: that is the epoch here.
            "mtime" => match value.as_str() {
                "commit" => git.commit_times = true,
                "checkout" => git.commit_times = false,
                other => {
                    let other = other.escape_debug();
                    return Err(format!(
                        "`{other}` is no value of `mtime`: commit or checkout"
                    ));
                }
            },
            _ => {
                let known = "ref, tag, branch, subdir, checksum, keep-git-dir, submodules, mtime, \
                             fetch-by-commit";
                return Err(format!(
                    "`{}` says nothing in an address: it may be {known}",
                    key.escape_debug()
                ));
            }
        }
    }
    names.dedup();
    match &names[..] {
        // As BuildKit has it: what a query alone names as a checksum is also what is asked for.
        [] => git.name.clone_from(&git.checksum),
        [name] => git.name = Some(name.clone()),
        [one, other, ..] => return Err(format!("the address names both `{one}` and `{other}`")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn repository(text: &str) -> Result<Git, String> {
        match read_context(text)? {
            Some(Address::Git(git)) => Ok(*git),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn fragments_and_queries_say_the_same() {
        let some = |name: &str, folder: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            (some(name), some(folder))
        };
        for (rest, name, folder) in [
            ("", "", ""),
            ("#main", "main", ""),
            ("#main:c/d", "main", "c/d"),
            ("#:/c/", "", "c"),
            ("#a%2Fb:c%20d", "a/b", "c d"),
            ("?ref=v1&subdir=c", "v1", "c"),
            ("?tag=v1", "refs/tags/v1", ""),
            ("?branch=refs/heads/a#:b", "refs/heads/a", "b"),
            ("?ref=a#a:b", "a", "b"),
            ("?ref=pull%2F1%2Fhead", "pull/1/head", ""),
            ("?checksum=0123", "0123", ""),
        ] {
            for url in ["https://a.test/b.git", "file:///srv/b.git", "git@a.test:b"] {
                let git = repository(&format!("{url}{rest}")).unwrap();
                assert_eq!((git.name, git.folder), some(name, folder), "{url}{rest}");
                assert_eq!(git.url, url);
            }
        }
        for rest in [
            "?ref=a#b",
            "?ref=a&ref=a",
            "?tag=a&branch=a",
            "?subdir=a#:b",
            "?depth=1",
            "?ref=",
            "?submodules=maybe",
            "?mtime=now",
            "?fetch-by-commit=true",
            "?fetch-by-commit=true&checksum=0123",
            "#-a",
            "?checksum=x",
        ] {
            let read = repository(&format!("https://a.test/b.git{rest}"));
            assert!(read.is_err(), "{rest}");
        }
    }

    #[test]
    fn extras_are_asked_for_in_the_query() {
        let query = "?submodules=false&keep-git-dir&mtime=commit";
        let git = repository(&format!("https://a.test/b.git{query}")).unwrap();
        let expected = GitExtras {
            keep_git_dir: true,
            submodules: false,
            commit_times: true,
            kept_ref: None,
        };
        assert_eq!(git.extras(), expected);
        let plain = repository("https://a.test/b.git?mtime=checkout").unwrap();
        let expected = GitExtras {
            submodules: true,
            ..GitExtras::default()
        };
        assert_eq!(plain.extras(), expected);
    }

    #[test]
    fn a_whole_commit_needs_nobody_to_be_asked() {
        let is_pinned = |rest: &str| {
            let git = repository(&format!("https://a.test/b.git{rest}")).unwrap();
            matches!(git.revision(), Revision::Commit(commit) if commit == COMMIT)
        };
        for rest in ["#{}", "?ref={}", "?commit={}", "?ref={}&checksum=0123"] {
            assert!(is_pinned(&rest.replace("{}", COMMIT)), "{rest}");
        }
        let by_commit = format!("?ref=main&checksum={COMMIT}");
        assert!(!is_pinned(&by_commit));
        assert!(is_pinned(&format!("{by_commit}&fetch-by-commit=true")));
        assert!(!is_pinned(&format!("?ref={COMMIT}&checksum=99")));
    }

    #[test]
    fn what_is_no_address_is_a_path() {
        for text in [
            ".",
            "a@b",
            "dir/a@b:c",
            "./ftp://a/b",
            "@a:b",
            "a#b",
            "://a",
        ] {
            assert_eq!(read_context(text), Ok(None), "{text}");
        }
        // A recipe can't name repositories of the machine that it is built on.
        assert!(read("file:///srv/b.git").is_err());
    }

    #[test]
    fn schemes_have_no_case_and_unknown_ones_are_no_paths() {
        for (text, plain) in [
            ("HTTP://me:pw@a.test/b", "http://me:pw@a.test/b"),
            ("Https://a.test/b.git#C", "https://a.test/b.git#C"),
            ("SSH://git@a.test/b", "ssh://git@a.test/b"),
            ("File:///srv/b.git", "file:///srv/b.git"),
            ("GIT+ssh://a.test/b", "git+ssh://a.test/b"),
        ] {
            let read = read_context(text);
            assert!(matches!(read, Ok(Some(_))), "{read:?}");
            assert_eq!(read, read_context(plain));
        }
        for text in [
            "ftp://me:secret@a.test/b",
            "S3://me:secret@a",
            "://me:secret@a",
        ] {
            let told = read_context(text).unwrap_err();
            assert!(
                told.contains("xxxxx@a") && !told.contains("secret"),
                "{told}"
            );
        }
    }

    #[test]
    fn logins_are_no_part_of_an_address() {
        let git = repository("https://me:secret@a.test/b.git#v1").unwrap();
        assert_eq!(git.url, "https://a.test/b.git");
        assert_eq!(git.login.unwrap().pair(), "me:secret");
        let http = read("http://me:secret@a.test/b?c").unwrap();
        let Some(Address::Http(http)) = http else {
            panic!("{http:?}");
        };
        assert_eq!(http.url, "http://a.test/b?c");
        for text in [
            "https://me:secret@/x",
            "ssh://me:secret@a/b",
            "http://me:secret@a b/",
        ] {
            let told = read(text).unwrap_err();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
