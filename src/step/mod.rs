//! One step's inputs to the layer that it makes.
//!
//! In: the file system below, files to copy from, what the recipe says. Out: [`Change`]: a table
//! of entries with the origin of each content. Steps that only place files are pure: they look at
//! tables, never at disks.

mod above;
pub mod copy;
pub mod diff;
pub mod draft;
pub mod owner;
pub mod pack;
pub mod packages;
pub mod place;
pub mod run;
pub mod unpack;

pub use draft::{Change, Draft};

use crate::canon::EntryPath;
use crate::layer::{tree, view};

/// Why a step can't be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parent that is no directory.
    #[error("`{path}` can't be made: `{parent}` is no directory")]
    NoDirectory {
        /// What should be made.
        path: EntryPath,
        /// What is in the way.
        parent: EntryPath,
    },
    /// A directory over something else.
    #[error("`{0}` is there and no directory, so no directory can be copied to it")]
    DirectoryOver(EntryPath),
    /// Something else over a directory.
    #[error(
        "`{0}` is a directory, so no file can be put in its place\nhint: with a slash at its end it names the directory to put files into"
    )]
    FileOver(EntryPath),
    /// Something to remove that isn't there.
    #[error(
        "nothing matches `{0}`, so there is nothing to remove\nhint: with `missing-ok = true` that is no error"
    )]
    NothingToRemove(String),
    /// The root.
    #[error("the root can't be removed or replaced")]
    Root,
    /// A pattern that is none.
    #[error("`{pattern}` is no pattern: {reason}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// A user or group that the image doesn't have.
    #[error(
        "the image has no {kind} `{name}`\nhint: give its number, or make it in an earlier step"
    )]
    Owner {
        /// `user` or `group`.
        kind: &'static str,
        /// As it was written.
        name: String,
    },
    /// A path that is none.
    #[error("`{0}` is no path: {1}")]
    Path(EntryPath, crate::canon::path::Error),
    /// A path that leads nowhere.
    #[error(transparent)]
    View(#[from] view::Error),
    /// Something that is no archive.
    #[error("`{0}` is no archive that cairn reads: a tar, plain or in gzip, zstd, xz or bzip2")]
    NoArchive(EntryPath),
    /// An archive that is refused.
    #[error("`{path}` is refused: {source}")]
    Archive {
        /// Which.
        path: EntryPath,
        /// Why.
        source: crate::layer::scan::Error,
    },
    /// Reading.
    #[error("can't read `{path}`: {source}")]
    Io {
        /// What.
        path: EntryPath,
        /// Why.
        source: std::io::Error,
    },
    /// Packing.
    #[error(transparent)]
    Pack(#[from] crate::layer::pack::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A table that is none.
    #[error(transparent)]
    Tree(#[from] tree::Error),
}
