//! What a lock names, as blobs of the store.
//!
//! In: a lock, the store. Out: [`Inputs`], sorted; an error where the store lacks one.

use std::collections::BTreeMap;

use super::{BLOB_TYPE, Error};
use crate::canon::{Digest, TreeDigest};
use crate::image::Document;
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::inputs::Layer;
use crate::layer::Codec;
use crate::lock::Lock;
use crate::step::pack;
use crate::store::Store;

/// Blobs that a lock names.
#[derive(Debug, Default)]
pub struct Inputs {
    /// By digest: the media type.
    pub blobs: BTreeMap<Digest, String>,
    /// The files of commits.
    pub layers: BTreeMap<TreeDigest, Layer>,
}

/// What `lock` names.
pub fn list(lock: &Lock, store: &Store) -> Result<Inputs, Error> {
    let mut inputs = Inputs::default();
    for (url, file) in &lock.http {
        inputs.add(url, &file.sha256, BLOB_TYPE, store)?;
    }
    for (name, commit) in &lock.git {
        let tree = TreeDigest(commit.tree);
        let layer = pack::find(store, &tree, Codec::default());
        let layer = layer.ok_or_else(|| Error::Missing {
            name: name.clone(),
            digest: commit.tree,
        })?;
        inputs.layers.insert(tree, layer);
    }
    for of in lock.platforms.values() {
        for (name, image) in &of.images {
            for digest in image.index.iter().chain([&image.manifest]) {
                inputs.document(name, digest, store)?;
            }
        }
        for asked in &of.packages {
            for package in &asked.answer.packages {
                inputs.add(&package.url, &package.sha256, BLOB_TYPE, store)?;
            }
        }
        for asked in &of.commands {
            for exchange in &asked.answer.exchanges {
                if let Some(body) = &exchange.response.body {
                    inputs.add(&exchange.request.url, &body.sha256, BLOB_TYPE, store)?;
                }
            }
        }
    }
    Ok(inputs)
}

impl Inputs {
    fn add(
        &mut self,
        name: &str,
        digest: &Digest,
        media_type: &str,
        store: &Store,
    ) -> Result<(), Error> {
        if store.blob(digest).is_none() {
            return Err(Error::Missing {
                name: name.to_owned(),
                digest: *digest,
            });
        }
        self.blobs.insert(*digest, media_type.to_owned());
        Ok(())
    }

    /// A document, and of a manifest what is under it; the other members of an index are other
    /// platforms' business.
    fn document(&mut self, name: &str, digest: &Digest, store: &Store) -> Result<(), Error> {
        self.add(name, digest, BLOB_TYPE, store)?;
        let bytes = store.read(digest, LARGEST_DOCUMENT)?;
        let document = Document::parse(&bytes).map_err(|error| Error::NoArtifact {
            digest: *digest,
            reason: error.to_string(),
        })?;
        self.add(name, digest, document.media_type(), store)?;
        if let Document::Manifest(manifest) = document {
            for under in [manifest.config].iter().chain(&manifest.layers) {
                self.add(name, &under.digest, &under.media_type, store)?;
            }
        }
        Ok(())
    }
}
