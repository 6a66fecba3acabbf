//! The inputs of a lock as one OCI artifact, and back: a build needs then nothing else.
//!
//! In: a lock, and the store that a build with it has filled. Out: an artifact in the store, for a
//! registry or a folder; or the bytes of one in another store.
//!
//! The artifact is an image manifest (image-spec, manifest.md, "Guidelines for Artifact Usage"):
//!
//! | member | what |
//! | --- | --- |
//! | `artifactType` | [`ARTIFACT_TYPE`] |
//! | `config` | the empty object, [`EMPTY_TYPE`] |
//! | `annotations` | [`CREATED`], where the lock has records: when the newest was made |
//! | `subject` | the image that was built with them, where it is pushed beside one |
//! | `layers[0]` | the text of the lock, [`LOCK_TYPE`] |
//! | `layers[…]` of [`PACK_TYPE`] | small blobs: a tar with a file `sha256/HEX` for each, sorted |
//! | other `layers` | large blobs as they are, under their own media type or [`BLOB_TYPE`]; the files of a commit are a layer with its diff ID in the annotation [`DIFF_ID`] |
//!
//! What is there is what the lock names: indexes, manifests, configs and layers of images, the files
//! of commits, downloads, packages, and whatever commands fetched.

mod artifact;
mod lacking;
mod list;
mod restore;

pub use artifact::make;
pub use lacking::Lacking;
pub use list::{Inputs, list};
pub use restore::Artifact;

use crate::canon::Digest;

/// What the artifact is.
pub const ARTIFACT_TYPE: &str = "application/vnd.cairn.inputs.v1";
/// The lock's text.
pub const LOCK_TYPE: &str = "application/vnd.cairn.lock.v1+toml";
/// The annotation that says when something was made (image-spec, annotations.md): RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// Small blobs.
pub const PACK_TYPE: &str = "application/vnd.cairn.inputs.pack.v1.tar+gzip";
/// A blob that has no media type of its own.
pub const BLOB_TYPE: &str = "application/octet-stream";
/// `{}` (image-spec, manifest.md).
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The annotation of a layer, or pack, that says what is in it without its compression.
pub const DIFF_ID: &str = "dev.cairn.diff-id";

fn none_or(names: &str) -> &str {
    if names.is_empty() { "nothing" } else { names }
}

/// Why inputs can't be kept or had back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store has not all of it.
    #[error("the store lacks what the lock names:{0}\nhint: {way_out}", way_out = .0.way_out())]
    Missing(Lacking),
    /// The artifact has not all of it.
    #[error(
        "the inputs {artifact} lack what their lock names:{lacking}\nhint: have them sent again: `cairn push --inputs`"
    )]
    Lacks {
        /// Of the artifact.
        artifact: Digest,
        /// What.
        lacking: Lacking,
    },
    /// Files of a commit that are others than the lock's.
    #[error(
        "layer {layer} of the inputs holds the files {got}, which no commit of their lock has\n  the lock has commits of {}\nhint: whoever made these inputs, or had them since, changed them: have them sent again",
        none_or(names)
    )]
    OtherFiles {
        /// Of its blob.
        layer: Digest,
        /// Of its table.
        got: Digest,
        /// What the lock calls its commits.
        names: String,
    },
    /// The artifact is none.
    #[error("{digest} holds no inputs: {reason}")]
    NoArtifact {
        /// Of its manifest.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// A blob is not what it is named.
    #[error("`{name}` of the inputs is not what it is named: it has {got}")]
    Other {
        /// Its name there.
        name: String,
        /// What it is.
        got: Digest,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A layer.
    #[error(transparent)]
    Layers(#[from] crate::inputs::layers::Error),
    /// A pack that can't be written.
    #[error(transparent)]
    Pack(#[from] crate::layer::pack::Error),
    /// A table that is none: a bug.
    #[error(transparent)]
    Tree(#[from] crate::layer::tree::Error),
    /// JSON.
    #[error(transparent)]
    Json(#[from] crate::canon::json::Error),
    /// The lock's text.
    #[error(transparent)]
    Lock(#[from] crate::lock::write::Error),
    /// The step that packed it.
    #[error(transparent)]
    Step(#[from] crate::step::Error),
}
