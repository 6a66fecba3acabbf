//! Inputs to an artifact.
//!
//! In: a lock, what it names. Out: a manifest in the store, and the packs of small
//! blobs. The same inputs give the same bytes.

use std::collections::BTreeMap;

use super::{ARTIFACT_TYPE, CREATED, DIFF_ID, EMPTY_TYPE, Error, Inputs, LOCK_TYPE, PACK_TYPE};
use crate::canon::{DiffId, Digest, EntryPath, Epoch, json};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, Manifest};
use crate::inputs::Origin;
use crate::layer::chunk::{Compressed, KnownChunks};
use crate::layer::pack::{Packing, pack};
use crate::layer::{Codec, Entry, Kind, Meta, Tree};
use crate::lock::{Lock, write};
use crate::store::{Blob, Store};

/// Blobs of fewer bytes are packed together: a registry is asked for each blob by itself.
const SMALL: u64 = 1 << 20;
/// Bytes that one pack holds, before compression.
const PACK: u64 = 64 << 20;

/// Makes the artifact of `lock`; `subject` is the image that it belongs to.
pub fn make(
    lock: &Lock,
    inputs: &Inputs,
    subject: Option<&Descriptor>,
    store: &Store,
) -> Result<Descriptor, Error> {
    let text = store.put(write::write(lock)?.as_bytes())?;
    let mut layers = vec![Descriptor::new(LOCK_TYPE, text.digest, text.size)];
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for (digest, kind) in &inputs.blobs {
        let blob = store.require_blob(digest)?;
        match blob.size < SMALL {
            true => small.push(blob),
            false => large.push(Descriptor::new(kind, blob.digest, blob.size)),
        }
    }
    for part in parts(small, |blob| blob.size) {
        layers.push(packed(&part, store)?);
    }
    layers.append(&mut large);
    for layer in inputs.layers.values() {
        layers.push(annotated(layer.descriptor.clone(), &layer.diff_id));
    }
    let empty = store.put(b"{}")?;
    let mut foreign = BTreeMap::from([("artifactType".to_owned(), ARTIFACT_TYPE.into())]);
    if let Some(subject) = subject {
        let subject = Descriptor::new(&subject.media_type, subject.digest, subject.size);
        let subject = serde_json::to_value(subject).map_err(json::Error::from)?;
        foreign.insert("subject".to_owned(), subject);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::MANIFEST.to_owned()),
        config: Descriptor::new(EMPTY_TYPE, empty.digest, empty.size),
        layers,
        annotations: newest(lock).map(|time| BTreeMap::from([(CREATED.to_owned(), time)])),
        foreign,
    };
    let blob = store.put(&json::to_vec(&manifest)?)?;
    let mut descriptor = Descriptor::new(media_type::MANIFEST, blob.digest, blob.size);
    let kind = ("artifactType".to_owned(), ARTIFACT_TYPE.into());
    descriptor.foreign.extend([kind]);
    Ok(descriptor)
}

/// When the newest of what was recorded was: RFC 3339. None where nothing was.
fn newest(lock: &Lock) -> Option<String> {
    let instants = lock.platforms.values().flat_map(|of| {
        let packages = of.packages.iter().map(|asked| asked.answer.instant);
        let commands = of.commands.iter().map(|asked| asked.answer.instant);
        packages.chain(commands)
    });
    let epoch = instants.max()?.to_string().parse::<Epoch>().ok()?;
    Some(epoch.to_string())
}

/// Blobs in their order, so many together as go into one pack.
fn parts<T>(blobs: Vec<T>, size_of: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let mut parts = Vec::<Vec<T>>::new();
    let mut size = PACK;
    for blob in blobs {
        size = size.saturating_add(size_of(&blob));
        match parts.last_mut() {
            Some(last) if size <= PACK => last.push(blob),
            _ => {
                size = size_of(&blob);
                parts.push(vec![blob]);
            }
        }
    }
    parts
}

fn packed(blobs: &[Blob], store: &Store) -> Result<Descriptor, Error> {
    let entries = blobs.iter().map(|blob| {
        let path = EntryPath::new(format!("sha256/{}", blob.digest.hex()).as_bytes());
        Ok(Entry {
            path: path.map_err(|error| Error::NoArtifact {
                digest: blob.digest,
                reason: error.to_string(),
            })?,
            kind: Kind::File {
                size: blob.size,
                digest: blob.digest,
            },
            meta: Meta::plain(0o644, 0),
        })
    });
    let tree = Tree::new(entries.collect::<Result<_, Error>>()?)?;
    let origins = blobs
        .iter()
        .map(|blob| Origin::Blob(Box::new(blob.clone())));
    let origins: Vec<_> = origins.collect();
    let packing = Packing {
        codec: Codec::Gzip,
        known: &Nothing,
        previous: None,
        threads: 2,
        moved: &|_| {},
    };
    let mut writer = store.write_blob()?;
    let packed = pack(&tree, &origins, &packing, &mut writer)?;
    let blob = writer.finish()?;
    let descriptor = Descriptor::new(PACK_TYPE, blob.digest, blob.size);
    Ok(annotated(descriptor, &packed.diff_id))
}

fn annotated(descriptor: Descriptor, diff_id: &DiffId) -> Descriptor {
    let annotation = (DIFF_ID.to_owned(), diff_id.0.to_string());
    Descriptor {
        annotations: Some(BTreeMap::from([annotation])),
        ..descriptor
    }
}

struct Nothing;

impl KnownChunks for Nothing {
    fn get(&self, _: &Digest) -> Option<Compressed> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_holds_no_more_than_it_may_and_blobs_stay_in_order() {
        let sizes = |sizes: &[u64]| parts(sizes.to_vec(), |size| *size);
        assert_eq!(sizes(&[]), Vec::<Vec<u64>>::new());
        assert_eq!(sizes(&[PACK, 1]), [vec![PACK], vec![1]]);
        assert_eq!(sizes(&[1, PACK - 1, 0, 2]), [vec![1, PACK - 1, 0], vec![2]]);
    }
}
