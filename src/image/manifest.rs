//! Manifests and indexes: image-spec, manifest.md and image-index.md, and Docker's schema 2 of
//! both, which has the same fields.
//!
//! In: JSON of at most [`LARGEST_DOCUMENT`] bytes. Out: [`Document`], checked: the schema version,
//! media types, and numbers of layers that agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::Foreign;
use crate::canon::Digest;

/// Largest manifest, index or config that is read, in bytes: what distribution-spec asks of
/// registries ("Pushing Manifests").
pub const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Media types, by image-spec, media-types.md.
pub mod media_type {
    /// A manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image config.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A tar.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A tar in gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A tar in zstd.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's index.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's image config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker's layer, a tar in gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's layer, a tar.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker's layer, a tar in zstd, as some tools write it.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
}

/// Points at a blob or document (image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// By key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Of an index's member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformObject>,
    /// `urls`, `data`, `artifactType` and whatever else.
    #[serde(flatten)]
    pub foreign: Foreign,
}

/// The `platform` object (image-spec, image-index.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformObject {
    /// Go's GOARCH.
    pub architecture: String,
    /// Go's GOOS.
    pub os: String,
    /// Of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `os.version`, `os.features` and whatever else.
    #[serde(flatten)]
    pub foreign: Foreign,
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// Bottom first.
    pub layers: Vec<Descriptor>,
    /// By key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// `subject`, `artifactType` and whatever else.
    #[serde(flatten)]
    pub foreign: Foreign,
}

/// An image index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// One per platform, and other documents.
    pub manifests: Vec<Descriptor>,
    /// By key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// `subject`, `artifactType` and whatever else.
    #[serde(flatten)]
    pub foreign: Foreign,
}

/// What an image's digest can name.
#[expect(clippy::large_enum_variant, reason = "few of them ever exist at once")]
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Images for several platforms.
    Index(Index),
}

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON, or not of this shape.
    #[error("it is no image manifest or index: {0}")]
    Json(#[from] serde_json::Error),
    /// Schema 1, or something unheard of.
    #[error("its schemaVersion is {0}, and cairn reads 2")]
    SchemaVersion(u64),
    /// Neither manifest nor index.
    #[error("its media type is `{0}`, which is neither an image manifest nor an index")]
    MediaType(String),
}

impl Document {
    /// Reads a document. Where it doesn't say its media type, `layers` or `manifests` tell.
    pub fn parse(bytes: &[u8]) -> Result<Document, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            schema_version: u64,
            media_type: Option<String>,
            layers: Option<serde::de::IgnoredAny>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let probe: Probe = serde_json::from_slice(bytes)?;
        if probe.schema_version != 2 {
            return Err(Error::SchemaVersion(probe.schema_version));
        }
        let is_index = match probe.media_type.as_deref() {
            Some(media_type::MANIFEST | media_type::DOCKER_MANIFEST) => false,
            Some(media_type::INDEX | media_type::DOCKER_INDEX) => true,
            Some(other) => return Err(Error::MediaType(other.to_owned())),
            None => probe.manifests.is_some() && probe.layers.is_none(),
        };
        // A document that is both would be read in two ways by two readers (CVE-2021-41190).
        if probe.manifests.is_some() && probe.layers.is_some() {
            return Err(Error::MediaType("both layers and manifests".to_owned()));
        }
        Ok(if is_index {
            Document::Index(serde_json::from_slice(bytes)?)
        } else {
            Document::Manifest(serde_json::from_slice(bytes)?)
        })
    }

    /// The media type to name it by.
    pub fn media_type(&self) -> &str {
        let (named, default) = match self {
            Document::Manifest(manifest) => (&manifest.media_type, media_type::MANIFEST),
            Document::Index(index) => (&index.media_type, media_type::INDEX),
        };
        named.as_deref().unwrap_or(default)
    }

    /// Every blob and document that it points at.
    pub fn descriptors(&self) -> Vec<&Descriptor> {
        match self {
            Document::Manifest(manifest) => std::iter::once(&manifest.config)
                .chain(&manifest.layers)
                .collect(),
            Document::Index(index) => index.manifests.iter().collect(),
        }
    }
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: None,
            platform: None,
            foreign: Foreign::new(),
        }
    }

    /// Whether it points at a manifest or index.
    pub fn is_document(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            media_type::MANIFEST
                | media_type::INDEX
                | media_type::DOCKER_MANIFEST
                | media_type::DOCKER_INDEX
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_both_is_refused() {
        let digest = Digest::of(b"");
        let config = format!(
            r#"{{"mediaType":"{}","digest":"{digest}","size":0}}"#,
            media_type::CONFIG
        );
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);
        assert!(Document::parse(both.as_bytes()).is_err());
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        assert!(matches!(
            Document::parse(manifest.as_bytes()),
            Ok(Document::Manifest(_))
        ));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(
            Document::parse(index.as_bytes()),
            Ok(Document::Index(_))
        ));
        let old = r#"{"schemaVersion":1,"manifests":[]}"#;
        assert!(matches!(
            Document::parse(old.as_bytes()),
            Err(Error::SchemaVersion(1))
        ));
    }
}
