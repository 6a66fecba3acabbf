//! What a policy makes of an input, as a build can fetch it.
//!
//! In: an image, a file, a repository, a folder. Out: what is to be fetched in its place, or a
//! [`Refusal`]: also where the policy makes something of it that can't stand in its place.

use super::input::{GIT_CHECKSUM, GIT_FULL_URL, HTTP_CHECKSUM};
use super::{Input, Policy, Refusal, git_place};
use crate::canon::{Digest, Reference, login};

/// A file of an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is; without a login.
    pub url: String,
    /// What it must be.
    pub sha256: Option<Digest>,
}

/// A repository, and a commit of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What git fetches from; without a login.
    pub url: String,
    /// A commit or a name of one; else the server's `HEAD`.
    pub name: Option<String>,
    /// The beginning of the commit that the name must mean.
    pub checksum: Option<String>,
}

impl Policy {
    /// The image that is taken in place of `reference`.
    pub fn image(&self, reference: &Reference) -> Result<Reference, Refusal> {
        let asked = || Input::image(reference);
        self.usable(asked, reference, |input| {
            let name = input.identifier.strip_prefix("docker-image://");
            let name = name.ok_or("only another image can take the place of an image")?;
            name.parse().map_err(|error| format!("{error}"))
        })
    }

    /// Whether an image's name may mean `digest`.
    pub fn resolved_image(&self, reference: &Reference, digest: Digest) -> Result<(), Refusal> {
        match self.is_empty() {
            true => Ok(()),
            false => self.judge_resolved(
                &Input::image(reference),
                &Input::resolved_image(reference, digest),
            ),
        }
    }

    /// The file that is taken in place of `file`, which is put under `name`.
    pub fn file(&self, file: &File, name: &str) -> Result<File, Refusal> {
        let asked = || Input::file(file, name);
        self.usable(asked, file, |input| {
            let sha256 = match input.attrs.get(HTTP_CHECKSUM) {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    format!("`{HTTP_CHECKSUM}` has to be `sha256:` and 64 hex digits")
                })?),
            };
            let url = address(&input.identifier, &["https://", "http://"])?;
            Ok(File { url, sha256 })
        })
    }

    /// Whether a file may be the one with that digest.
    pub fn resolved_file(&self, file: &File, name: &str, digest: Digest) -> Result<(), Refusal> {
        let resolved = File {
            sha256: Some(digest),
            ..file.clone()
        };
        match self.is_empty() {
            true => Ok(()),
            false => self.judge_resolved(&Input::file(file, name), &Input::file(&resolved, name)),
        }
    }

    /// The repository that is taken in place of `repository`.
    pub fn repository(
        &self,
        repository: &Repository,
        folder: Option<&str>,
        keeps_git_dir: bool,
    ) -> Result<Repository, Refusal> {
        let asked = || Input::repository(repository, folder, keeps_git_dir);
        self.usable(asked, repository, |input| {
            let place = input.identifier.strip_prefix("git://");
            let place = place.ok_or("only another commit can take the place of a commit")?;
            let (place, fragment) = place.split_once('#').unwrap_or((place, ""));
            let (name, other) = match fragment.split_once(':') {
                Some((name, folder)) => (name, Some(folder)),
                None => (fragment, None),
            };
            if other != folder {
                return Err("the folder of a repository can't be another".to_owned());
            }
            let url = input.attrs.get(GIT_FULL_URL);
            let url = url.map_or(repository.url.as_str(), String::as_str);
            if url == repository.url && place != git_place(url) {
                return Err(format!(
                    "BuildKit still fetches it from `{url}`\nhint: say in `attrs`, too, where it is fetched from: `{GIT_FULL_URL}`"
                ));
            }
            let url = match url == repository.url {
                true => url.to_owned(),
                false => address(url, &["https://", "http://", "ssh://", "git://"])?,
            };
            let is_strange = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
            if name.starts_with('-') || name.contains(is_strange) || name.contains("..") {
                return Err(format!("`{name}` names no commit"));
            }
            let checksum = input.attrs.get(GIT_CHECKSUM).cloned();
            let is_sum = |text: &String| {
                (7..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit())
            };
            if !checksum.iter().all(is_sum) {
                return Err(format!("`{GIT_CHECKSUM}` has to be the hex digits of a commit"));
            }
            Ok(Repository {
                url,
                name: Some(name.to_owned()).filter(|name| !name.is_empty()),
                checksum,
            })
        })
    }

    /// Whether the name of a commit may mean `commit`.
    pub fn resolved_commit(
        &self,
        repository: &Repository,
        folder: Option<&str>,
        keeps_git_dir: bool,
        commit: &str,
    ) -> Result<(), Refusal> {
        let resolved = Repository {
            name: Some(commit.to_owned()),
            ..repository.clone()
        };
        let input = |repository| Input::repository(repository, folder, keeps_git_dir);
        match self.is_empty() {
            true => Ok(()),
            false => self.judge_resolved(&input(repository), &input(&resolved)),
        }
    }

    /// Whether a folder, or another input that nothing can take the place of, may be had.
    pub fn permits(&self, asked: &Input) -> Result<(), Refusal> {
        let asked = || asked.clone();
        let reason = "nothing can take the place of what this machine has";
        self.usable(asked, &(), |_| Err(reason.to_owned()))
    }

    /// What `asked` comes to: `unchanged`, or what `read` makes of what a rule made of it.
    fn usable<T: Clone>(
        &self,
        asked: impl Fn() -> Input,
        unchanged: &T,
        read: impl Fn(&Input) -> Result<T, String>,
    ) -> Result<T, Refusal> {
        if self.is_empty() {
            return Ok(unchanged.clone());
        }
        let asked = asked();
        match self.converted(&asked)? {
            (_, None) => Ok(unchanged.clone()),
            (input, Some(place)) => {
                read(&input).map_err(|reason| self.unusable(&asked, &input, place, reason))
            }
        }
    }
}

/// An address that begins as one of `schemes`, and holds no login.
fn address(url: &str, schemes: &[&str]) -> Result<String, String> {
    let is_known = schemes.iter().any(|scheme| {
        let rest = url.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    if !is_known || url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(format!(
            "`{}` is no address that begins with `{}`",
            login::redacted(url),
            schemes.join("` or `")
        ));
    }
    let authority = url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let is_http = url.starts_with("http");
    if is_http && authority.is_some_and(|authority| authority.contains('@')) {
        return Err("an address in a policy holds no login".to_owned());
    }
    Ok(url.to_owned())
}
