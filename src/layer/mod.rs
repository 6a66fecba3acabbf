//! Layers: a table of entries to a canonical tar and its compressed blob, and back.
//!
//! In: entries with their content. Out: a diff ID, a blob, and the table itself. Format 1 is
//! written down in [`tar`] (the stream) and [`chunk`] (its compression) so exactly that somebody
//! else can write it. Never does I/O but through the readers and writers that it is given.

pub mod chunk;
pub mod codec;
pub mod entry;
pub mod gzip;
pub mod pack;
mod pipeline;
pub mod read;
pub mod reuse;
pub mod rootfs;
pub mod scan;
mod stream;
pub mod tar;
pub mod tree;
pub mod view;

pub use chunk::Codec;
pub use entry::{Entry, Kind, Meta};
pub use rootfs::{Node, Rootfs};
pub use tree::Tree;
