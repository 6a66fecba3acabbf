//! What inputs are called in a policy.
//!
//! In: an image, a file, a repository, a folder. Out: an [`Input`], named as BuildKit names the
//! source that it would fetch (`client/llb/source.go`, `solver/pb/attr.go`).

use std::collections::BTreeMap;

use super::{File, Repository};
use crate::canon::{Digest, Reference};

/// What a file must be: `sha256:…`.
pub const HTTP_CHECKSUM: &str = "http.checksum";
/// What a file is called where it is put.
pub(super) const HTTP_FILENAME: &str = "http.filename";
/// What git fetches from.
pub(super) const GIT_FULL_URL: &str = "git.fullurl";
/// `true` where `.git` is kept.
pub(super) const GIT_KEEP_DIR: &str = "git.keepgitdir";
/// The commit that a ref must name, or its beginning.
pub(super) const GIT_CHECKSUM: &str = "git.checksum";

/// An input of a build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// `docker-image://docker.io/library/alpine:3.20`, `https://example.org/file`,
    /// `git://example.org/repository.git#main`, `local://context`, `oci-layout://folder`.
    pub identifier: String,
    /// What else is asked of it, by BuildKit's names.
    pub attrs: BTreeMap<String, String>,
}

impl Input {
    /// One of which nothing else is asked.
    pub fn new(identifier: impl Into<String>) -> Input {
        Input {
            identifier: identifier.into(),
            attrs: BTreeMap::new(),
        }
    }

    /// An image of a registry.
    pub fn image(reference: &Reference) -> Input {
        Input::new(format!("docker-image://{reference}"))
    }

    /// An image of a registry whose name meant `digest`.
    pub fn resolved_image(reference: &Reference, digest: Digest) -> Input {
        Input::image(&Reference {
            digest: Some(digest),
            ..reference.clone()
        })
    }

    /// An image of a layout, at a path as the recipe or the caller has it.
    pub fn layout(path: &str, name: Option<&str>) -> Input {
        let name = name.map(|name| format!(":{name}")).unwrap_or_default();
        Input::new(format!("oci-layout://{path}{name}"))
    }

    /// A folder of this machine, by the name of the context.
    pub fn local(name: &str) -> Input {
        Input::new(format!("local://{name}"))
    }

    /// A file of an HTTP server.
    pub fn file(file: &File, name: &str) -> Input {
        let mut input = Input::new(&*file.url);
        input.put(HTTP_CHECKSUM, file.sha256.map(|digest| digest.to_string()));
        input.put(HTTP_FILENAME, Some(name.to_owned()));
        input
    }

    /// Files of a repository: in `folder` of it, if they are not all of them.
    pub fn repository(repository: &Repository, folder: Option<&str>, keeps_git_dir: bool) -> Input {
        let Repository {
            url,
            name,
            checksum,
        } = repository;
        let place = git_place(url);
        let name = name.as_deref().unwrap_or_default();
        let mut input = Input::new(match folder {
            Some(folder) => format!("git://{place}#{name}:{folder}"),
            None if name.is_empty() => format!("git://{place}"),
            None => format!("git://{place}#{name}"),
        });
        input.put(GIT_FULL_URL, Some(url.clone()));
        input.put(GIT_CHECKSUM, checksum.clone());
        input.put(GIT_KEEP_DIR, keeps_git_dir.then(|| "true".to_owned()));
        input
    }

    fn put(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.attrs.insert(key.to_owned(), value);
        }
    }
}

/// Host and path of a repository, whatever it is fetched by: `example.org/repository.git`.
pub fn git_place(url: &str) -> String {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        // As ssh has it: `git@example.org:repository.git`.
        None => url.split_once(':').unwrap_or(("", url)),
    };
    let host = host.rsplit('@').next().unwrap_or(host);
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    std::iter::once(host)
        .chain(parts)
        .collect::<Vec<_>>()
        .join("/")
}
