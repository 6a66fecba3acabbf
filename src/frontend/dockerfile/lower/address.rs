//! Addresses of what `ADD` fetches.
//!
//! In: a source of `ADD`, or a context of the caller's. Out: [`Address`], where it is one (BuildKit,
//! `dfgitutil`; Dockerfile reference, "Adding files from a Git repository", "Query parameters").

use std::collections::BTreeMap;

use crate::frontend::toml::address;
use crate::plan::step::{MovingRef, Revision};

/// Something to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// One file.
    Http(String),
    /// A repository.
    Git(Git),
}

/// A repository, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Git {
    /// What git fetches from.
    pub url: String,
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
}

impl Git {
    /// Which commit it is.
    pub fn revision(&self) -> Revision {
        let name = self.name.clone().or_else(|| self.checksum.clone());
        match (name, &self.checksum) {
            (Some(name), checksum)
                if is_commit(&name)
                    && checksum.as_ref().is_none_or(|sum| name.starts_with(sum)) =>
            {
                Revision::Commit(name)
            }
            (name, checksum) => Revision::Ref(MovingRef {
                name,
                checksum: checksum.clone(),
            }),
        }
    }
}

/// Reads an address; none where the text is a path.
pub fn read(text: &str) -> Result<Option<Address>, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let is_login = scheme.is_none()
        && text
            .split_once(':')
            .is_some_and(|(login, _)| login.contains('@') && !login.contains('/'));
    match scheme {
        Some("http" | "https") => {
            let plain = text.split(['#', '?']).next().unwrap_or(text);
            if plain.ends_with(".git") {
                return git(text).map(|git| Some(Address::Git(git)));
            }
            let url = address::http_url(text).map_err(|fault| fault.message)?;
            Ok(Some(Address::Http(url)))
        }
        Some("git" | "ssh") => git(text).map(|git| Some(Address::Git(git))),
        _ if is_login => git(text).map(|git| Some(Address::Git(git))),
        _ => Ok(None),
    }
}

/// All 40 hex digits of a commit.
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
    let url = address::git_url(url).map_err(|fault| fault.message)?;
    let mut git = Git {
        url,
        ..Git::default()
    };
    if let Some(fragment) = fragment {
        let (name, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        git.name = Some(decoded(name)).filter(|name| !name.is_empty());
        git.folder = Some(decoded(folder)).filter(|folder| !folder.is_empty());
    }
    if let Some(query) = query {
        queried(&mut git, query)?;
    }
    if let Some(folder) = &mut git.folder {
        let clean = super::stage::joined("/", folder);
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
    Ok(git)
}

fn queried(git: &mut Git, query: &str) -> Result<(), String> {
    let mut values = BTreeMap::new();
    for item in query.split('&').filter(|item| !item.is_empty()) {
        let (key, value) = item.split_once('=').unwrap_or((item, ""));
        if values.insert(key.to_owned(), decoded(value)).is_some() {
            return Err(format!(
                "`{}` is there twice in the address",
                key.escape_debug()
            ));
        }
    }
    let is_switch = |key: &str| matches!(key, "submodules" | "keep-git-dir");
    let switch = |key: &str, value: &str| match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!(
            "`{}` is no value of `{key}`: `true` or `false`",
            other.escape_debug()
        )),
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
            _ => {
                let known = "ref, tag, branch, subdir, checksum, keep-git-dir, submodules";
                return Err(format!(
                    "`{}` says nothing in an address: it may be {known}",
                    key.escape_debug()
                ));
            }
        }
    }
    names.dedup();
    match &names[..] {
        [] => {}
        [name] => git.name = Some(name.clone()),
        [one, other, ..] => return Err(format!("the address names both `{one}` and `{other}`")),
    }
    Ok(())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        rest = tail;
        match tail {
            [a, b, after @ ..] if *first == b'%' && digit(a).is_some() && digit(b).is_some() => {
                let value = digit(a).unwrap_or(0) * 16 + digit(b).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or_default());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
