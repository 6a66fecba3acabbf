//! Steps: the nodes of a plan.
//!
//! In: an operation and its inputs. Out: [`Step`], whose canonical JSON, without names and places
//! in the recipe, is the part of its key that doesn't come from its inputs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Command, Mode, Packages};
use crate::canon::{Digest, EntryPath, Platform, Reference};

/// A step of one plan: its place in [`super::Plan::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(pub usize);

/// One node of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does.
    pub operation: Operation,
    /// What it works on; what each means, [`Operation`] says.
    pub inputs: Vec<StepId>,
    /// For people, and the image's history: `copy src → /app`.
    pub name: String,
    /// The stage that it belongs to, for people.
    pub stage: Option<String>,
    /// Bytes `start..end` of the recipe that say so, for messages.
    pub span: std::ops::Range<usize>,
}

/// What a step does. A step gives either *layers* (a file system) or *files* (a set to copy from).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum Operation {
    /// No layers. No inputs.
    Scratch,
    /// An image's layers. No inputs.
    Image {
        /// Where it is.
        source: Source,
        /// Which of an index.
        platform: Platform,
    },
    /// Files of a context folder. No inputs.
    Context {
        /// Which context: `context` is the build's own.
        name: String,
        /// Which files.
        selection: Selection,
    },
    /// Files of a stage or image. Input: layers.
    Select {
        /// Which files.
        selection: Selection,
    },
    /// One file from an HTTP server. No inputs.
    Http {
        /// `http:` or `https:`.
        url: String,
        /// What it must have; without one it is whatever the server gives, and has the time that
        /// the server says.
        #[serde(skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
        /// Its name among the files.
        file_name: String,
    },
    /// Files of a commit. No inputs.
    Git {
        /// Anything that git fetches from.
        url: String,
        /// Which commit.
        #[serde(flatten)]
        revision: Revision,
        /// Which files.
        selection: Selection,
        /// What else.
        #[serde(flatten)]
        extras: GitExtras,
    },
    /// One file that the recipe holds, 0644. No inputs.
    Inline {
        /// Its name among the files.
        name: String,
        /// All of it.
        content: String,
    },
    /// Adds a layer with copied files, as `COPY` does. Inputs: layers, then files, one or more.
    Copy {
        /// Where to.
        to: Destination,
        /// Whether a source that is an archive is unpacked into the destination (`ADD`); the mode
        /// asked for is not for what it holds.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        unpack: bool,
        /// Metadata in place of the files' own.
        #[serde(flatten)]
        ownership: Ownership,
    },
    /// Adds a layer with what archives hold; format and compression are told by their bytes.
    /// Inputs: layers, the archives.
    Unpack {
        /// The folder that it is unpacked into.
        to: Destination,
        /// How many leading components of each member's path are dropped.
        #[serde(skip_serializing_if = "is_zero")]
        strip: u32,
        /// Metadata in place of the members' own.
        #[serde(flatten)]
        ownership: Ownership,
    },
    /// Adds a layer with one file. Input: layers.
    File {
        /// Where.
        path: EntryPath,
        /// Its name, should `path` be a directory or a link to one: then it goes in there, and any
        /// other link is followed, as `COPY` has it. Without one it takes the place of a link.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// All of it.
        content: String,
        /// Else 0644, 0:0.
        #[serde(flatten)]
        ownership: Ownership,
    },
    /// Adds a layer with a directory and those above it that don't exist. Input: layers.
    Directory {
        /// Where.
        path: EntryPath,
        /// Whether one that is there stays as it is (`WORKDIR`).
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        keep: bool,
        /// Else 0755, 0:0.
        #[serde(flatten)]
        ownership: Ownership,
    },
    /// Adds a layer with a symbolic link. Input: layers.
    Symlink {
        /// Where.
        path: EntryPath,
        /// What it says, as it is.
        target: String,
    },
    /// Adds a layer that removes paths. Input: layers.
    Remove {
        /// Patterns.
        paths: Vec<String>,
        /// Whether it is fine that a pattern matches nothing.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        missing_ok: bool,
    },
    /// Adds a layer with what a command changes. Inputs: layers, then the sources of its mounts
    /// that have one ([`super::command::MountKind::has_input`]), layers or files, in their order.
    Run(Box<Command>),
    /// Adds a layer with packages of a distribution, and what configuring them made. Input: layers.
    Packages(Box<Packages>),
    /// The layers of the second over those of the first, which they do not depend on
    /// (`COPY --link`). Inputs: layers, layers.
    Merge,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A registry, or the store.
    #[serde(serialize_with = "as_text")]
    Registry(Reference),
    /// An OCI image layout: a folder, or an archive of one (also `docker save`'s).
    Layout {
        /// Relative to the recipe's folder.
        path: String,
        /// Its name in the layout's index, where there are several.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// Where copied files go: Docker's rules need the trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Destination {
    /// Where.
    pub path: EntryPath,
    /// Whether it was written with a trailing slash, so that it is a directory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_directory: bool,
}

/// Which files of a folder or stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Selection {
    /// Patterns from the folder's root, as Go's `filepath.Match` has them; `.` is all of it.
    pub sources: Vec<String>,
    /// Whether the directories above a source are kept below its destination (`COPY --parents`):
    /// those that follow the first `/./` in its pattern, else all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parents: bool,
    /// When not empty, only files that match one of these, relative to the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Files that match one of these are left out, relative to the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether it is fine that nothing is selected at all; what has no wildcard must be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_be_empty: bool,
}

/// Which commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revision {
    /// 40 hex digits, or 64 in a repository of SHA-256.
    Commit(String),
    /// A name that may come to mean another commit.
    Ref(MovingRef),
}

/// A name of a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MovingRef {
    /// A branch, a tag, the beginning of a commit, or all of a ref; else what the server's `HEAD`
    /// names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The beginning of the commit that it must mean: hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// What of a repository is wanted beside a commit's own files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct GitExtras {
    /// Whether `.git` is among the files: the commit alone, so that git tells what it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_git_dir: bool,
    /// Whether the files of its submodules are among them, each at its commit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub submodules: bool,
    /// Whether the files' time is the commit's (`mtime=commit`), in place of the epoch.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub commit_times: bool,
    /// What `.git` has a name for, known once a name was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_ref: Option<KeptRef>,
}

/// A ref of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KeptRef {
    /// All of it: `refs/tags/v1`.
    pub name: String,
    /// What it names: a commit, or the object of a tag.
    pub object: String,
}

/// Metadata that the recipe sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Ownership {
    /// Permission bits of files and directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// `user[:group]`, by number, or by name as the image's `/etc/passwd` and `/etc/group` have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl Operation {
    /// Whether its output is layers, not files.
    pub fn gives_layers(&self) -> bool {
        !matches!(
            self,
            Operation::Context { .. }
                | Operation::Select { .. }
                | Operation::Http { .. }
                | Operation::Git { .. }
                | Operation::Inline { .. }
        )
    }

    /// Whether it adds a layer to those of its first input.
    pub fn adds_layer(&self) -> bool {
        self.gives_layers() && !matches!(self, Operation::Scratch | Operation::Image { .. })
    }

    /// Whether its key alone decides its output. Where it doesn't, the key names a question whose
    /// answer may change: the step is resolved in every build, and only what it came out as
    /// enters the keys of the steps after it.
    pub fn is_decided_by_key(&self) -> bool {
        match self {
            Operation::Context { .. } => false,
            Operation::Http { sha256, .. } => sha256.is_some(),
            Operation::Git { revision, .. } => matches!(revision, Revision::Commit(_)),
            Operation::Image { source, .. } => {
                matches!(source, Source::Registry(reference) if reference.digest.is_some())
            }
            Operation::Packages(packages) => packages.solved.is_some(),
            _ => true,
        }
    }

    /// Whether it gives entries whose time is the epoch, so that the epoch enters its key.
    pub fn writes_times(&self) -> bool {
        match self {
            Operation::Scratch
            | Operation::Image { .. }
            | Operation::Select { .. }
            | Operation::Remove { .. }
            | Operation::Merge => false,
            // Their own entries, and the directories above them that aren't there yet.
            Operation::Context { .. }
            | Operation::Http { .. }
            | Operation::Git { .. }
            | Operation::Inline { .. }
            | Operation::Copy { .. }
            | Operation::Unpack { .. }
            | Operation::File { .. }
            | Operation::Directory { .. }
            | Operation::Symlink { .. }
            | Operation::Run(_)
            | Operation::Packages(_) => true,
        }
    }

    /// Its canonical members, for keys and for people who read JSON.
    pub fn members(&self) -> Result<BTreeMap<String, serde_json::Value>, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(self)?)
    }
}

/// The pattern of a [`Selection`] that means this path alone.
pub fn pattern_of(path: &EntryPath) -> String {
    if path.is_root() {
        return ".".to_owned();
    }
    let mut pattern = String::new();
    for character in path.lossy().chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn as_text<S: serde::Serializer>(value: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
