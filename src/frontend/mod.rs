//! The text of a recipe to a plan.
//!
//! In: a recipe's text (`Source`) and what the caller chose (`Options`). Out: a
//! [`crate::plan::Plan`], or every problem of the recipe at once (`Problem`), sorted by place.
//! Pure: never reads a file, a network or the environment.

pub mod dockerfile;
pub mod suggest;
pub mod toml;

use std::collections::BTreeMap;

pub use crate::canon::{Platform, Problem, Source};

/// What the caller chose for this build.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The stage that is the image; else the recipe's own end.
    pub target: Option<String>,
    /// When not empty, in place of the recipe's platforms.
    pub platforms: Vec<Platform>,
    /// Where neither caller nor recipe names a platform.
    pub default_platform: Platform,
    /// Absolute folders of named contexts; they add to the recipe's, or replace them.
    pub contexts: BTreeMap<String, String>,
    /// Labels on top of the recipe's.
    pub labels: BTreeMap<String, String>,
    /// Annotations on top of the recipe's.
    pub annotations: BTreeMap<String, String>,
}

impl Options {
    /// Nothing chosen; `platform` where the recipe names none.
    pub fn new(platform: Platform) -> Options {
        Options {
            target: None,
            platforms: Vec::new(),
            default_platform: platform,
            contexts: BTreeMap::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}
