//! Images as data: configs, manifests, indexes.
//!
//! In: JSON documents of a base image, layers. Out: JSON documents of the new one, canonical.
//! Pure. The types are cairn's own and not `oci-spec`'s, for these drop the fields that they
//! don't know (Docker's `Healthcheck` and `OnBuild` among them), which a base image's config must
//! keep on its way into ours.

pub mod account;
pub mod config;
pub mod manifest;

pub use config::ImageConfig;
pub use manifest::{Descriptor, Document, Index, Manifest};
