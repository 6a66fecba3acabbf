//! What a plan names, as digests and bytes.
//!
//! In: the operations of a plan that have no inputs, and the folders, layouts and registries that
//! they name. Out: [`Files`], sets of files to copy from, and [`Stack`], layers to build on. All
//! that is read here comes from outside and is hostile.

pub mod access;
pub mod base;
pub mod beneath;
pub mod context;
pub mod debian;
pub mod files;
pub mod git;
pub mod host_file;
pub mod http;
pub mod image;
pub mod installed;
pub mod layers;
pub mod layout;
mod layout_archive;
pub mod pins;
pub mod select;
pub mod stage;
pub mod stat;
mod stat_cache;
mod walk;
pub mod whole_folder;

pub use access::Access;
pub use context::{Context, Selected};
pub use files::{Files, Holder, Kept, Origin, Pick, Unread};
pub use image::BaseImage;
pub use layers::{Layer, Stack};
pub use pins::Pins;
