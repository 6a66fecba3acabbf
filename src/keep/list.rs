//! What a lock names, as blobs of the store.
//!
//! In: a lock, the store. Out: [`Inputs`], sorted; an error where the store lacks one.

use std::collections::BTreeMap;

use super::lacking::{Kind, Lack, Lacking};
use super::{BLOB_TYPE, Error};
use crate::canon::{Digest, Platform, TreeDigest};
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
///
/// # Errors
/// [`Error::Missing`] with all that the store lacks.
pub fn list(lock: &Lock, store: &Store) -> Result<Inputs, Error> {
    let mut listing = Listing {
        inputs: Inputs::default(),
        lacking: Vec::new(),
        platform: None,
        store,
    };
    for (url, file) in &lock.http {
        listing.add(Kind::File, url, &file.sha256, BLOB_TYPE);
    }
    for (name, commit) in &lock.git {
        let tree = TreeDigest(commit.tree);
        match pack::find(store, &tree, Codec::default()) {
            Some(layer) => drop(listing.inputs.layers.insert(tree, layer)),
            None => listing.lacks(Kind::Commit, name, &commit.tree),
        }
    }
    for (platform, of) in &lock.platforms {
        listing.platform = Some(platform);
        for (name, image) in &of.images {
            for digest in image.index.iter().chain([&image.manifest]) {
                listing.document(name, digest)?;
            }
        }
        for asked in &of.packages {
            for package in &asked.answer.packages {
                listing.add(Kind::Package, &package.url, &package.sha256, BLOB_TYPE);
            }
        }
        for asked in &of.commands {
            for exchange in &asked.answer.exchanges {
                if let Some(body) = &exchange.response.body {
                    let url = &exchange.request.url;
                    listing.add(Kind::Fetched, url, &body.sha256, BLOB_TYPE);
                }
            }
        }
    }
    match listing.lacking.is_empty() {
        true => Ok(listing.inputs),
        false => Err(Error::Missing(Lacking(listing.lacking))),
    }
}

/// Inputs as they are listed.
struct Listing<'a> {
    inputs: Inputs,
    lacking: Vec<Lack>,
    /// Which they are of; none is all.
    platform: Option<&'a Platform>,
    store: &'a Store,
}

impl Listing<'_> {
    fn lacks(&mut self, kind: Kind, name: &str, digest: &Digest) {
        self.lacking.push(Lack {
            platform: self.platform.cloned(),
            kind,
            name: name.to_owned(),
            digest: *digest,
        });
    }

    fn add(&mut self, kind: Kind, name: &str, digest: &Digest, media_type: &str) {
        match self.store.blob(digest) {
            Some(_) => drop(self.inputs.blobs.insert(*digest, media_type.to_owned())),
            None => self.lacks(kind, name, digest),
        }
    }

    /// A document, and of a manifest what is under it; the other members of an index are other
    /// platforms' business.
    fn document(&mut self, name: &str, digest: &Digest) -> Result<(), Error> {
        if self.store.blob(digest).is_none() {
            self.lacks(Kind::Image, name, digest);
            return Ok(());
        }
        let bytes = self.store.read(digest, LARGEST_DOCUMENT)?;
        let document = Document::parse(&bytes).map_err(|error| Error::NoArtifact {
            digest: *digest,
            reason: error.to_string(),
        })?;
        self.add(Kind::Image, name, digest, document.media_type());
        if let Document::Manifest(manifest) = document {
            for under in [manifest.config].iter().chain(&manifest.layers) {
                self.add(Kind::Image, name, &under.digest, &under.media_type);
            }
        }
        Ok(())
    }
}
