//! Images to build on.
//!
//! In: a descriptor in the store, and a platform. Out: [`BaseImage`]: config, manifest and
//! layers, checked against each other.

use std::collections::BTreeSet;

use super::layers::{Layer, Stack};
use crate::canon::{Digest, Platform};
use crate::image::manifest::{self, LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, ImageConfig, Index, Manifest};
use crate::registry::resolve;
use crate::store::Store;

/// An image that others begin with.
#[derive(Clone)]
pub struct BaseImage {
    /// Of its manifest.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers.
    pub stack: Stack,
}

/// Why an image can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A document of it.
    #[error("{digest} can't be used: {source}")]
    Document {
        /// Of the document.
        digest: Digest,
        /// Why.
        source: manifest::Error,
    },
    /// Its config.
    #[error("the config {digest} can't be read: {source}")]
    Config {
        /// Of the config.
        digest: Digest,
        /// Why.
        source: serde_json::Error,
    },
    /// Something that is no container image.
    #[error("{digest} is no container image: its config is of type `{media_type}`")]
    NoImage {
        /// Of the manifest.
        digest: Digest,
        /// Of the config.
        media_type: String,
    },
    /// A layer of a kind that cairn doesn't read.
    #[error("layer {digest} is of type `{media_type}`, which cairn does not read")]
    LayerType {
        /// Of the layer.
        digest: Digest,
        /// What it says.
        media_type: String,
    },
    /// Manifest and config that don't belong together.
    #[error(
        "the manifest {digest} and its config don't belong together: they have {layers} and {diff_ids} layers"
    )]
    Layers {
        /// Of the manifest.
        digest: Digest,
        /// In the manifest.
        layers: usize,
        /// In the config.
        diff_ids: usize,
    },
    /// An index without the platform.
    #[error("the image has nothing for {wanted}\nhint: it has {}", .has.join(", "))]
    Platform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        has: Vec<String>,
    },
    /// Indexes within indexes.
    #[error("{0} is an index in an index in an index")]
    Nested(Digest),
}

impl BaseImage {
    /// Reads the image that `descriptor` names, of an index the one for `platform`.
    pub fn read(
        store: &Store,
        descriptor: &Descriptor,
        platform: &Platform,
    ) -> Result<BaseImage, Error> {
        let (descriptor, manifest) = find_manifest(store, descriptor, platform, 0)?;
        let digest = descriptor.digest;
        if !matches!(
            manifest.config.media_type.as_str(),
            media_type::CONFIG | media_type::DOCKER_CONFIG
        ) {
            return Err(Error::NoImage {
                digest,
                media_type: manifest.config.media_type,
            });
        }
        let bytes = store.read(&manifest.config.digest, LARGEST_DOCUMENT)?;
        let config: ImageConfig =
            serde_json::from_slice(&bytes).map_err(|source| Error::Config {
                digest: manifest.config.digest,
                source,
            })?;
        let has = config.platform();
        let is_other = (&has.os, &has.architecture) != (&platform.os, &platform.architecture);
        // Some tools leave it out, and then nobody can tell.
        if is_other && !config.architecture.is_empty() {
            return Err(Error::Platform {
                wanted: platform.clone(),
                has: vec![has.to_string()],
            });
        }
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (layers, diff_ids) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::Layers {
                digest,
                layers,
                diff_ids,
            });
        }
        let layers = manifest
            .layers
            .iter()
            .zip(diff_ids)
            .map(|(descriptor, &diff_id)| {
                Ok(Layer {
                    diff_id,
                    descriptor: as_oci(descriptor)?,
                    tree: None,
                })
            });
        let stack = Stack::new(layers.collect::<Result<_, Error>>()?);
        Ok(BaseImage {
            descriptor,
            manifest,
            config,
            stack,
        })
    }
}

fn find_manifest(
    store: &Store,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: u32,
) -> Result<(Descriptor, Manifest), Error> {
    let digest = descriptor.digest;
    let bytes = store.read(&digest, LARGEST_DOCUMENT)?;
    let document = Document::parse(&bytes).map_err(|source| Error::Document { digest, source })?;
    match document {
        Document::Manifest(manifest) => Ok((descriptor.clone(), manifest)),
        Document::Index(_) if depth == 2 => Err(Error::Nested(digest)),
        Document::Index(index) => {
            let member = choose(&index, platform)?;
            find_manifest(store, member, platform, depth + 1)
        }
    }
}

/// The member of an index for `platform`; one without a platform, where it is the only one.
fn choose<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Descriptor, Error> {
    if let Some(member) = resolve::choose(index, platform) {
        return Ok(member);
    }
    if let [only] = &index.manifests[..]
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let has = index.manifests.iter().filter_map(resolve::platform_of);
    let has: BTreeSet<_> = has
        .filter(|has| has.os != "unknown")
        .map(|has| has.to_string())
        .collect();
    let mut has: Vec<_> = has.into_iter().collect();
    if has.is_empty() {
        has.push("no image at all".to_owned());
    }
    Err(Error::Platform {
        wanted: platform.clone(),
        has,
    })
}

/// The descriptor with OCI's media type for Docker's; the bytes that it names are the same.
fn as_oci(descriptor: &Descriptor) -> Result<Descriptor, Error> {
    let media_type = match descriptor.media_type.as_str() {
        media_type::LAYER | media_type::DOCKER_LAYER => media_type::LAYER,
        media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        media_type::LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD => media_type::LAYER_ZSTD,
        other => {
            let media_type = other.to_owned();
            return Err(Error::LayerType {
                digest: descriptor.digest,
                media_type,
            });
        }
    };
    Ok(Descriptor {
        media_type: media_type.to_owned(),
        ..descriptor.clone()
    })
}
