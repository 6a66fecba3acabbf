//! An image to an archive, a folder or an engine.
//!
//! In: an image of the store, its names, where it should go. Out: files, or what an engine has
//! loaded. Archives are canonical: the same image under the same names is the same file.

pub mod archive;
pub mod engine;
pub mod files;
pub mod folder;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::canon::{Digest, Reference};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Index, manifest};
use crate::inputs::{image, stage};
use crate::store::{Blob, Store};

/// Why an image can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Where it should go.
    #[error("can't write `{}`: {source}{}", path.display(), way_out(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A blob of the store that has changed where it lies.
    #[error("{source}\nhint: remove `{}`, and build or pull again", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What it should be, and is.
        source: crate::store::Error,
    },
    /// A document.
    #[error("{digest} can't be used: {source}")]
    Document {
        /// Of the document.
        digest: Digest,
        /// Why.
        source: manifest::Error,
    },
    /// The image.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Its files.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// Packing its files.
    #[error(transparent)]
    Pack(#[from] crate::layer::pack::Error),
    /// JSON.
    #[error(transparent)]
    Json(#[from] crate::canon::json::Error),
    /// A form that holds one image only.
    #[error(
        "{0} holds one image, and this one is for several platforms\nhint: choose one with `--platform`"
    )]
    Several(&'static str),
    /// No engine.
    #[error(
        "neither docker, podman nor containerd answers\n{0}hint: start one, or write an archive with `-o type=docker,dest=FILE`"
    )]
    NoEngine(String),
    /// An engine that doesn't take it.
    #[error("{engine} can't load the image: {reason}")]
    Engine {
        /// Which.
        engine: &'static str,
        /// Its last words.
        reason: String,
    },
}

/// What can be done when an output can't be written, as a line of its own.
pub fn way_out(error: &io::Error) -> &'static str {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "\nhint: free some space there, or write it elsewhere"
        }
        ErrorKind::NotFound => "\nhint: make the folder, or write it elsewhere",
        ErrorKind::BrokenPipe => "\nhint: see why nobody reads it any more",
        _ => "\nhint: see what is there and whether you may change it, or write it elsewhere",
    }
}

/// Everything that an image is made of: its documents and blobs, once each, by digest.
pub(crate) fn blobs(
    store: &Store,
    descriptor: &Descriptor,
) -> Result<BTreeMap<Digest, Blob>, Error> {
    let mut found = BTreeMap::new();
    let mut todo = vec![descriptor.clone()];
    while let Some(descriptor) = todo.pop() {
        let digest = descriptor.digest;
        if found.contains_key(&digest) {
            continue;
        }
        found.insert(digest, store.require_blob(&digest)?);
        if descriptor.is_document() {
            todo.extend(document(store, &digest)?.descriptors().into_iter().cloned());
        }
    }
    Ok(found)
}

/// Lets `copy` have the file of a blob, and sees meanwhile that it is what its digest says: the
/// kernel may copy it without showing it to us. The inner error is of writing.
fn copy_checked(
    blob: &Blob,
    copy: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<io::Result<()>, Error> {
    let mut file = blob.open()?;
    let (copied, checked) = std::thread::scope(|scope| {
        let checking = scope.spawn(|| blob.check());
        let copied = copy(&mut file);
        (copied, checking.join())
    });
    let checked = checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    checked.map_err(|error| match error {
        source @ crate::store::Error::DigestMismatch { .. } => Error::Damaged {
            path: blob.path().to_owned(),
            source,
        },
        other => Error::Store(other),
    })?;
    Ok(copied)
}

/// A manifest or index of the store.
pub(crate) fn document(store: &Store, digest: &Digest) -> Result<Document, Error> {
    let bytes = store.read(digest, LARGEST_DOCUMENT)?;
    Document::parse(&bytes).map_err(|source| Error::Document {
        digest: *digest,
        source,
    })
}

/// The `index.json` of a layout that holds one image under these names.
fn layout_index(descriptor: &Descriptor, names: &[Reference]) -> Index {
    let member = |annotations| Descriptor {
        annotations,
        ..descriptor.clone()
    };
    let named = |name: &Reference| {
        let tag = name.tag.clone().unwrap_or_else(|| "latest".to_owned());
        let annotations = [
            ("io.containerd.image.name".to_owned(), name.to_string()),
            ("org.opencontainers.image.ref.name".to_owned(), tag),
        ];
        member(Some(annotations.into_iter().collect()))
    };
    let manifests = if names.is_empty() {
        vec![member(None)]
    } else {
        names.iter().map(named).collect()
    };
    Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        manifests,
        annotations: None,
        foreign: BTreeMap::new(),
    }
}

const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
