//! What differs between two images, layers, folders or files.
//!
//! In: their documents, their layers by digest, their merged file systems, and the content of
//! files by digest through [`Contents`]. Out: a [`Report`]: a [`Verdict`] and every difference, in
//! one order, as values. Pure but for the readers that it is given; how a report looks is
//! somebody else's matter. All of it is hostile: whatever is opened has limits ([`kind::Budget`]),
//! and what can't be understood is compared as bytes, and never an error.

mod contents;
mod entries;
mod image;
pub mod kind;
mod layers;
mod report;
mod verdict;

pub use contents::{Contents, contents, opened};
pub use entries::entries;
pub use image::{document, manifest};
pub use layers::layers;
pub use report::{
    Aspect, Detail, EntryChange, Finding, LayerChange, LayerSide, LayerState, Line, Object, Report,
    Side, Sign, What,
};
pub use verdict::{Facts, Verdict};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The one named first.
    Before,
    /// The one named second.
    After,
}
