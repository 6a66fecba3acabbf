//! An artifact to inputs.
//!
//! In: a manifest whose blobs are in the store. Out: everything that it holds, in the store under
//! its own digest. Every byte is checked: an artifact comes from outside.

use std::io::copy;
use std::sync::Arc;

use super::{ARTIFACT_TYPE, DIFF_ID, Error, LOCK_TYPE, PACK_TYPE};
use crate::canon::{DiffId, Digest};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Manifest};
use crate::inputs::Layer;
use crate::inputs::layers::LayerContent;
use crate::layer::codec::Expansion;
use crate::layer::{Codec, Kind};
use crate::step::pack;
use crate::store::Store;

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The text of the lock.
    pub lock: Vec<u8>,
    /// Blobs that are there now.
    pub blobs: usize,
}

/// Removes what the store has of the artifact `digest` and is damaged; says whether anything was.
pub fn discard_damaged(digest: &Digest, store: &Store) -> Result<bool, Error> {
    let mut any = false;
    for descriptor in &manifest(digest, store)?.layers {
        any |= store.discard_damaged(&descriptor.digest)?;
    }
    Ok(any)
}

/// Puts what the artifact `digest` holds into the store.
pub fn restore(digest: &Digest, store: &Store, limit: Expansion) -> Result<Restored, Error> {
    let none = |reason: &str| none(digest, reason);
    let manifest = manifest(digest, store)?;
    let mut restored = Restored {
        lock: Vec::new(),
        blobs: 0,
    };
    for descriptor in &manifest.layers {
        let diff_id = annotation(descriptor);
        match (descriptor.media_type.as_str(), diff_id) {
            (LOCK_TYPE, _) => {
                restored.lock = store
                    .read(&descriptor.digest, crate::lock::LARGEST as u64)?
                    .to_vec();
            }
            (PACK_TYPE, Some(diff_id)) => {
                restored.blobs += unpack(descriptor, diff_id, store, limit)?
            }
            (PACK_TYPE, None) => return Err(none("a pack doesn't say what is in it")),
            (media_type::LAYER_GZIP, Some(diff_id)) => {
                let layer = layer(descriptor, diff_id);
                let table = layer.table(store, limit)?;
                pack::adopt(store, &layer, &table.tree, Codec::Gzip)?;
                restored.blobs += 1;
            }
            _ => restored.blobs += 1,
        }
    }
    match restored.lock.is_empty() {
        true => Err(none("it has no lock")),
        false => Ok(restored),
    }
}

fn none(digest: &Digest, reason: &str) -> Error {
    Error::NoArtifact {
        digest: *digest,
        reason: reason.to_owned(),
    }
}

fn manifest(digest: &Digest, store: &Store) -> Result<Manifest, Error> {
    let none = |reason: &str| none(digest, reason);
    let bytes = store.read(digest, LARGEST_DOCUMENT)?;
    let document = Document::parse(&bytes).map_err(|error| none(&error.to_string()))?;
    let Document::Manifest(manifest) = document else {
        return Err(none("it is an index"));
    };
    let kind = manifest.foreign.get("artifactType");
    match kind.and_then(|kind| kind.as_str()) {
        Some(ARTIFACT_TYPE) => Ok(manifest),
        _ => Err(none(&format!("its type is not `{ARTIFACT_TYPE}`"))),
    }
}

fn annotation(descriptor: &Descriptor) -> Option<DiffId> {
    let text = descriptor.annotations.as_ref()?.get(DIFF_ID)?;
    text.parse().ok().map(DiffId)
}

fn layer(descriptor: &Descriptor, diff_id: DiffId) -> Layer {
    Layer {
        diff_id,
        descriptor: Descriptor {
            annotations: None,
            ..descriptor.clone()
        },
        tree: None,
    }
}

/// Puts the files of a pack into the store, each of which is named by its digest.
fn unpack(
    descriptor: &Descriptor,
    diff_id: DiffId,
    store: &Store,
    limit: Expansion,
) -> Result<usize, Error> {
    let layer = layer(descriptor, diff_id);
    let table = layer.table(store, limit)?;
    let content = LayerContent::new(Arc::new(layer), store, limit);
    let mut count = 0;
    for (number, entry) in (0..).zip(table.tree.entries()) {
        let Kind::File { digest, .. } = entry.kind else {
            continue;
        };
        let name = entry.path.lossy().into_owned();
        if name != format!("sha256/{}", digest.hex()) {
            return Err(Error::Other { name, got: digest });
        }
        count += 1;
        if store.checked_blob(&digest).is_some() {
            continue;
        }
        let failed = crate::store::io_error("read", name.as_ref());
        let mut writer = store.write_blob()?;
        let mut from = match content.open(number) {
            Ok(from) => from,
            Err(error) => return Err(failed(error).into()),
        };
        copy(&mut from, &mut writer).map_err(failed)?;
        writer.finish_as(&name, &digest)?;
    }
    Ok(count)
}
