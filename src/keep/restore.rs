//! An artifact to inputs.
//!
//! In: a manifest whose blobs are in the store. Out: everything that it holds, in the store under
//! its own digest. An artifact comes from outside: every byte is checked, also those that the store
//! has already, and what the store knows by something else than the digest of its bytes, as the
//! layers of commits, it makes itself of what it read.

use std::io::copy;
use std::sync::Arc;

use super::{ARTIFACT_TYPE, CREATED, DIFF_ID, Error, Inputs, LOCK_TYPE, PACK_TYPE, list};
use crate::canon::event::Events;
use crate::canon::{DiffId, Digest};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Manifest};
use crate::inputs::layers::LayerContent;
use crate::inputs::{Layer, Origin};
use crate::layer::codec::Expansion;
use crate::layer::{Codec, Kind};
use crate::lock::Lock;
use crate::step::Change;
use crate::step::pack::Packer;
use crate::store::{Store, Verified};

/// An artifact of inputs.
#[derive(Debug)]
pub struct Artifact {
    digest: Digest,
    manifest: Manifest,
}

impl Artifact {
    /// The artifact whose manifest is `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Artifact, Error> {
        let digest = Digest::of(bytes);
        let none = |reason: String| Error::NoArtifact { digest, reason };
        let document = Document::parse(bytes).map_err(|error| none(error.to_string()))?;
        let Document::Manifest(manifest) = document else {
            return Err(none("it is an index".to_owned()));
        };
        let kind = manifest.foreign.get("artifactType");
        if kind.and_then(|kind| kind.as_str()) != Some(ARTIFACT_TYPE) {
            return Err(none(format!("its type is not `{ARTIFACT_TYPE}`")));
        }
        Ok(Artifact { digest, manifest })
    }

    /// The artifact `digest` of the store.
    pub fn read(digest: &Digest, store: &Store) -> Result<Artifact, Error> {
        Artifact::parse(&store.read(digest, LARGEST_DOCUMENT)?)
    }

    /// When the newest record of its lock was made, RFC 3339; empty where it has none.
    pub fn created(&self) -> &str {
        let annotations = self.manifest.annotations.as_ref();
        annotations
            .and_then(|annotations| annotations.get(CREATED))
            .map_or("", String::as_str)
    }

    /// Of its manifest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The digest of the text of its lock.
    pub fn lock(&self) -> Result<&Digest, Error> {
        match self.manifest.layers.first() {
            Some(first) if first.media_type == LOCK_TYPE => Ok(&first.digest),
            _ => Err(Error::NoArtifact {
                digest: self.digest,
                reason: "it has no lock".to_owned(),
            }),
        }
    }

    /// The text of its lock, which the store has.
    pub fn lock_text(&self, store: &Store) -> Result<Verified, Error> {
        Ok(store.read(self.lock()?, crate::lock::LARGEST as u64)?)
    }

    /// Puts what it holds of `lock`, which is its own, into the store.
    ///
    /// # Errors
    /// Where it has something that is not what it is named, or lacks something of the lock.
    pub fn restore(&self, lock: &Lock, store: &Store, limit: Expansion) -> Result<Inputs, Error> {
        for descriptor in &self.manifest.layers {
            let kind = descriptor.media_type.as_str();
            match (kind, annotation(descriptor)) {
                (PACK_TYPE, Some(diff_id)) => unpack(descriptor, diff_id, store, limit)?,
                (PACK_TYPE, None) => {
                    return Err(Error::NoArtifact {
                        digest: self.digest,
                        reason: "a pack doesn't say what is in it".to_owned(),
                    });
                }
                (media_type::LAYER_GZIP, Some(diff_id)) => {
                    commit(descriptor, diff_id, lock, store, limit)?;
                }
                _ => store.require_blob(&descriptor.digest)?.check()?,
            }
        }
        list(lock, store).map_err(|error| match error {
            Error::Missing(lacking) => Error::Lacks {
                artifact: self.digest,
                lacking,
            },
            error => error,
        })
    }
}

/// Takes in the files of a commit, packed anew: the layer of a table is what cairn makes of it, and
/// nothing that somebody else says.
fn commit(
    descriptor: &Descriptor,
    diff_id: DiffId,
    lock: &Lock,
    store: &Store,
    limit: Expansion,
) -> Result<(), Error> {
    let layer = layer(descriptor, diff_id);
    let table = layer.table(store, limit)?;
    let got = table.tree.digest();
    let is_named = lock.git.values().any(|commit| commit.tree == got.0);
    if !is_named || !table.opaque.is_empty() {
        let names: Vec<_> = lock.git.keys().map(|name| format!("`{name}`")).collect();
        return Err(Error::OtherFiles {
            layer: descriptor.digest,
            got: got.0,
            names: names.join(", "),
        });
    }
    let content = Arc::new(LayerContent::new(Arc::new(layer), store, limit));
    let origins = (0..).zip(table.tree.entries());
    let origins = origins.map(|(number, entry)| match entry.kind {
        Kind::File { .. } => Origin::Layer(content.clone(), number),
        _ => Origin::None,
    });
    let change = Change {
        origins: origins.collect(),
        tree: table.tree,
    };
    let packer = Packer {
        store,
        codec: Codec::default(),
        threads: 2,
        work: &Events::none().start("the files of a commit"),
    };
    packer.pack_again(&change)?;
    Ok(())
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
) -> Result<(), Error> {
    let layer = layer(descriptor, diff_id);
    let table = layer.table(store, limit)?;
    let content = LayerContent::new(Arc::new(layer), store, limit);
    for (number, entry) in (0..).zip(table.tree.entries()) {
        let Kind::File { digest, .. } = entry.kind else {
            continue;
        };
        let name = entry.path.lossy().into_owned();
        if name != format!("sha256/{}", digest.hex()) {
            return Err(Error::Other { name, got: digest });
        }
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
    Ok(())
}
