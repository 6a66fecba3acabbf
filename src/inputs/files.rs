//! Sets of files to copy from.
//!
//! In: what contexts, stages, downloads and recipes give. Out: [`Files`]: tables of entries, and
//! where the content of each is.

use std::io::{self, Read};
use std::sync::Arc;

use super::context::Context;
use super::layers::{LayerContent, Unpacked};
use crate::canon::{Digest, EntryPath};
use crate::layer::Tree;
use crate::layer::pack::Contents;
use crate::store::Blob;

/// Files to copy from, by source.
#[derive(Clone, Default)]
pub struct Files {
    /// In the recipe's order, wildcards expanded.
    pub picks: Vec<Pick>,
}

/// One source.
#[derive(Clone)]
pub struct Pick {
    /// Its path, whose last component names it at its destination.
    pub name: EntryPath,
    /// Its entries by their path below it: the root entry is the source itself, a directory or
    /// whatever it is.
    pub tree: Tree,
    /// Where the content of each entry is, in the tree's order.
    pub origins: Vec<Origin>,
}

/// Where the content of a file is.
#[derive(Clone)]
pub enum Origin {
    /// It has none: a directory, a link.
    None,
    /// In a context: the number of the object in its walk.
    Context(Arc<Context>, u32),
    /// In a layer: the number of the entry in its table.
    Layer(Arc<LayerContent>, u32),
    /// In an archive: the number of the entry in its table.
    Archive(Arc<Unpacked>, u32),
    /// In the store. Boxed, as there is an origin for every file of a context.
    Blob(Box<Blob>),
    /// Here.
    Bytes(Arc<[u8]>),
}

impl Origin {
    /// Opens the content.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Origin::None => Ok(Box::new(io::empty())),
            Origin::Context(context, index) => Ok(Box::new(context.content(*index)?)),
            Origin::Layer(layer, entry) => Ok(Box::new(layer.open(*entry)?)),
            Origin::Archive(archive, entry) => Ok(Box::new(archive.open(*entry)?)),
            Origin::Blob(blob) => Ok(Box::new(blob.open().map_err(io::Error::other)?)),
            Origin::Bytes(bytes) => Ok(Box::new(&bytes[..])),
        }
    }
}

impl Files {
    /// Digest of names and tables: what a step that copies them depends on.
    pub fn digest(&self) -> Digest {
        let lines = self.picks.iter().map(|pick| {
            let name = crate::canon::path::escape(pick.name.as_bytes());
            format!("{} {name}\n", pick.tree.digest())
        });
        Digest::of(lines.collect::<String>().as_bytes())
    }
}

/// Origins in the order of a tree's entries.
impl Contents for Vec<Origin> {
    fn open(&self, index: usize, _: &crate::layer::Entry) -> io::Result<Box<dyn Read + '_>> {
        self[index].open()
    }
}
