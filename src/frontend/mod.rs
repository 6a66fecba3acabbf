//! The text of a recipe to a plan.
//!
//! In: a recipe's text (`Source`) and what the caller chose (`Options`). Out: a
//! [`crate::plan::Plan`], or every problem of the recipe at once (`Problem`), sorted by place.
//! Pure: never reads a file, a network or the environment.

pub mod address;
pub mod device;
pub mod dockerfile;
pub mod suggest;
pub mod toml;

use std::collections::BTreeMap;

use self::address::Address;
use crate::canon::{Digest, Reference};
pub use crate::canon::{Platform, Problem, Source};
use crate::plan::command::{Network, Ulimit};

/// What the caller chose for this build.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The stage that is the image; else the recipe's own end.
    pub target: Option<String>,
    /// When not empty, in place of the recipe's platforms.
    pub platforms: Vec<Platform>,
    /// Where neither caller nor recipe names a platform.
    pub default_platform: Platform,
    /// Named contexts; they add to the recipe's, or replace them. In a Dockerfile they also take
    /// the place of stages and images of their names.
    pub contexts: BTreeMap<String, NamedContext>,
    /// Values of `ARG`.
    pub build_args: BTreeMap<String, String>,
    /// The name of the host that every command is on, if not the sandbox's own.
    pub hostname: Option<String>,
    /// Lines of every command's `/etc/hosts`: a name, an address.
    pub hosts: Vec<(String, String)>,
    /// Limits of every command.
    pub ulimits: Vec<Ulimit>,
    /// Bytes that every command's `/dev/shm` may hold.
    pub shm_size: Option<u64>,
    /// What commands reach that don't say it themselves.
    pub network: Network,
    /// Labels on top of the recipe's.
    pub labels: BTreeMap<String, String>,
    /// Annotations on top of the recipe's.
    pub annotations: BTreeMap<String, String>,
}

/// What a named context is (`docker buildx build --build-context`).
#[derive(Debug, Clone, PartialEq)]
pub enum NamedContext {
    /// An absolute folder.
    Folder(String),
    /// An image (`docker-image://`).
    Image(Reference),
    /// An image of an OCI image layout (`oci-layout://`).
    Layout {
        /// Absolute, a folder or an archive.
        path: String,
        /// Its name in the index, or its digest, where there are several.
        name: Option<String>,
    },
    /// Nothing (`docker-image://scratch`).
    Scratch,
    /// Files of a commit.
    Git(Box<address::Git>),
    /// What an HTTP server has: one file, called `context`, also where it is an archive.
    Http(address::Http),
}

impl NamedContext {
    /// The context that `text` names: `docker-image://NAME`, `oci-layout://PATH[:TAG][@DIGEST]`, an
    /// address of git or HTTP, or a folder; the error is what is wrong with it.
    pub fn parse(text: &str) -> Result<NamedContext, String> {
        if let Some(name) = text.strip_prefix("docker-image://") {
            if name == "scratch" {
                return Ok(NamedContext::Scratch);
            }
            let reference = name.parse::<Reference>();
            return reference
                .map(NamedContext::Image)
                .map_err(|error| error.to_string());
        }
        if let Some(path) = text.strip_prefix("oci-layout://") {
            let (path, digest) = match path.rsplit_once('@') {
                Some((path, digest)) if digest.parse::<Digest>().is_ok() => (path, Some(digest)),
                _ => (path, None),
            };
            let (path, tag) = match path.rsplit_once(':') {
                Some((path, tag)) if !tag.is_empty() && !tag.contains('/') => (path, Some(tag)),
                _ => (path, None),
            };
            // What a digest says, no tag can say otherwise.
            let name = digest.or(tag).map(str::to_owned);
            let path = path.to_owned();
            return Ok(NamedContext::Layout { path, name });
        }
        Ok(match address::read_context(text)? {
            Some(Address::Git(git)) => NamedContext::Git(git),
            Some(Address::Http(http)) => NamedContext::Http(http),
            None => NamedContext::Folder(text.to_owned()),
        })
    }
}

impl Options {
    /// Nothing chosen; `platform` where the recipe names none.
    pub fn new(platform: Platform) -> Options {
        Options {
            target: None,
            platforms: Vec::new(),
            default_platform: platform,
            contexts: BTreeMap::new(),
            build_args: BTreeMap::new(),
            hostname: None,
            hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
            network: Network::Default,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_cut_at_tag_and_digest() {
        let digest = Digest::of(b"");
        for (text, path, name) in [
            ("a/b", "a/b", None),
            ("/a:b/c", "/a:b/c", None),
            ("/a:v1", "/a", Some("v1".to_owned())),
            ("/a@b", "/a@b", None),
            (&format!("/a@{digest}"), "/a", Some(digest.to_string())),
            (&format!("/a:v1@{digest}"), "/a", Some(digest.to_string())),
            (
                &format!("/a@b:v1@{digest}"),
                "/a@b",
                Some(digest.to_string()),
            ),
        ] {
            let path = path.to_owned();
            let expected = Ok(NamedContext::Layout { path, name });
            let parsed = NamedContext::parse(&format!("oci-layout://{text}"));
            assert_eq!(parsed, expected, "{text}");
        }
        let scratch = NamedContext::parse("docker-image://scratch");
        assert_eq!(scratch, Ok(NamedContext::Scratch));
    }
}
