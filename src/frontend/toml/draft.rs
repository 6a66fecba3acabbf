//! A recipe understood, before platforms and target are chosen.
//!
//! In: [`super::lower_step`], [`super::lower_config`]. Out: stages whose names are resolved, each
//! step with its operation, for [`super::lower`]. Every stage is in it, needed or not.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::canon::Platform;
use crate::plan::{ConfigChange, Operation, Selection, Source};

/// A recipe.
#[derive(Debug, Default)]
pub struct Draft {
    /// As the recipe names them; may be none.
    pub platforms: Vec<Platform>,
    /// The platform that the config names in parts, and where.
    pub config_platform: Option<(PlatformParts, Range<usize>)>,
    /// Folders of contexts by name, as the recipe has them.
    pub contexts: BTreeMap<String, String>,
    /// The named stages, and last the recipe's own end.
    pub stages: Vec<Stage>,
}

/// A platform in parts, as the config has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlatformParts {
    /// `linux` where it isn't said.
    pub os: Option<String>,
    /// `amd64`, …
    pub architecture: Option<String>,
    /// `v7`, …
    pub variant: Option<String>,
}

/// A stage.
#[derive(Debug, Default)]
pub struct Stage {
    /// None for the recipe's own end.
    pub name: Option<String>,
    /// What it begins with, and where that is said.
    pub base: Option<(Layers, Range<usize>)>,
    /// In order.
    pub steps: Vec<Step>,
    /// What it changes in the config.
    pub config: ConfigChange,
}

/// Layers to begin with or to copy from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layers {
    /// None.
    Scratch,
    /// An image's.
    Image(Source),
    /// A stage's, by its place.
    Stage(usize),
}

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// For people.
    pub name: String,
    /// Where it stands.
    pub span: Range<usize>,
    /// What it adds to the layers.
    pub operation: Operation,
    /// What it copies, or its mounts need: its inputs after the first.
    pub files: Vec<Files>,
    /// Whether its layer doesn't depend on those below (`COPY --link`).
    pub is_linked: bool,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Files {
    /// By an operation without inputs.
    Source(Operation),
    /// Of layers.
    Of(Layers, Selection),
    /// Layers themselves.
    Whole(Layers),
}
