//! The text of a recipe to a plan.
//!
//! In: a recipe's text (`Source`) and what the caller chose (`Options`). Out: a
//! [`crate::plan::Plan`], or every problem of the recipe at once (`Problem`), sorted by place.
//! Pure: never reads a file, a network or the environment.

pub mod device;
pub mod dockerfile;
pub mod suggest;
pub mod toml;

use std::collections::BTreeMap;

use crate::canon::Reference;
pub use crate::canon::{Platform, Problem, Source};
use crate::plan::command::{Network, Ulimit};
use crate::plan::step::Revision;

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
        /// Its name in the index, where there are several.
        name: Option<String>,
    },
    /// Files of a commit.
    Git {
        /// What git fetches from.
        url: String,
        /// Which commit.
        revision: Revision,
        /// A folder of it.
        folder: Option<String>,
    },
    /// What an HTTP server has: one file, called `context`, also where it is an archive.
    Http {
        /// Where.
        url: String,
    },
}

impl NamedContext {
    /// The context that `text` names: `docker-image://NAME`, `oci-layout://PATH[:NAME]`, an address
    /// of git or HTTP, or a folder; the error is what is wrong with it.
    pub fn parse(text: &str) -> Result<NamedContext, String> {
        if let Some(name) = text.strip_prefix("docker-image://") {
            let reference = name.parse::<Reference>();
            return reference
                .map(NamedContext::Image)
                .map_err(|error| error.to_string());
        }
        if let Some(path) = text.strip_prefix("oci-layout://") {
            let (path, name) = match path.rsplit_once(['@', ':']) {
                Some((path, name)) if !name.contains('/') => (path, Some(name.to_owned())),
                _ => (path, None),
            };
            let path = path.to_owned();
            return Ok(NamedContext::Layout { path, name });
        }
        dockerfile::remote_context(text)
            .map(|remote| remote.unwrap_or_else(|| NamedContext::Folder(text.to_owned())))
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
