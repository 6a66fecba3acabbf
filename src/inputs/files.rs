//! Sets of files to copy from.
//!
//! In: what contexts, stages, downloads and recipes give. Out: [`Files`]: tables of entries, and
//! where the content of each is.

use std::io::{self, Read};
use std::sync::Arc;

use super::context::Context;
use super::layers::{LayerContent, Unpacked};
use super::select;
use crate::canon::{Digest, EntryPath, Epoch};
use crate::layer::pack::Contents;
use crate::layer::{Entry, Kind, Meta, Tree, tree};
use crate::store::Blob;

/// Files to copy from, by source.
#[derive(Clone, Default)]
pub struct Files {
    /// In the recipe's order, wildcards expanded.
    pub picks: Vec<Pick>,
}

/// Files of which some contents were not read yet, so that their tables can't say what these are:
/// to be placed, and packed, but to be named by nothing that follows from them.
pub struct Unread(pub(super) Files);

impl Unread {
    /// To be placed.
    pub fn files(&self) -> &Files {
        &self.0
    }
}

/// One source.
#[derive(Clone)]
pub struct Pick {
    /// Its path, whose last component names it at its destination.
    pub name: EntryPath,
    /// What more of its path is kept there, where that was asked for.
    pub kept: Option<Kept>,
    /// Its entries by their path below it: the root entry is the source itself, a directory or
    /// whatever it is.
    pub tree: Tree,
    /// Where the content of each entry is, in the tree's order.
    pub origins: Vec<Origin>,
}

/// Where a source is below its destination, with directories of its own above it.
#[derive(Clone)]
pub struct Kept {
    /// Its path there.
    pub path: EntryPath,
    /// The directories above it, the destination left out, by their paths there.
    pub above: Tree,
}

impl Kept {
    /// As `chosen` has it; `meta` is that of a directory of the source's.
    pub fn new(
        chosen: &select::Kept,
        meta: impl Fn(&EntryPath) -> Meta,
    ) -> Result<Kept, tree::Error> {
        let above = chosen.path.ancestors().skip(1).zip(&chosen.above);
        let above = above.map(|(path, place)| Entry {
            path,
            kind: Kind::Directory,
            meta: meta(place),
        });
        Ok(Kept {
            path: chosen.path.clone(),
            above: Tree::new(above.collect())?,
        })
    }
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
    /// With somebody who numbers what it has.
    Held(Arc<dyn Holder>, u32),
}

/// Somebody who has contents that nobody else can open: those of a command's file system.
pub trait Holder: Send + Sync {
    /// Opens the content of that number.
    fn open(&self, number: u32) -> io::Result<Box<dyn Read + '_>>;
}

impl Origin {
    /// The digest of a content that was learnt when it was read.
    pub fn learnt(&self) -> Option<Digest> {
        match self {
            Origin::Context(context, index) => context.digest(*index),
            _ => None,
        }
    }

    /// Opens the content.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Origin::None => Ok(Box::new(io::empty())),
            Origin::Context(context, index) => Ok(Box::new(context.content(*index)?)),
            Origin::Layer(layer, entry) => Ok(Box::new(layer.open(*entry)?)),
            Origin::Archive(archive, entry) => Ok(Box::new(archive.open(*entry)?)),
            Origin::Blob(blob) => Ok(Box::new(blob.open().map_err(io::Error::other)?)),
            Origin::Bytes(bytes) => Ok(Box::new(&bytes[..])),
            Origin::Held(holder, number) => holder.open(*number),
        }
    }
}

impl Pick {
    /// Gives everything in it the same time.
    pub fn set_times(&mut self, time: Epoch) -> Result<(), tree::Error> {
        let timed = |tree: &Tree| {
            let mut entries = tree.entries().to_vec();
            for entry in &mut entries {
                entry.meta.mtime = time.seconds();
            }
            Tree::new(entries)
        };
        self.tree = timed(&self.tree)?;
        if let Some(kept) = &mut self.kept {
            kept.above = timed(&kept.above)?;
        }
        Ok(())
    }
}

impl Files {
    /// Digest of names and tables: what a step that copies them depends on.
    pub fn digest(&self) -> Digest {
        let lines = self.picks.iter().map(|pick| {
            let kept = pick.kept.as_ref();
            let kept = kept.map(|kept| format!(" {} {}", kept.above.digest(), escape(&kept.path)));
            let kept = kept.unwrap_or_default();
            format!("{} {}{kept}\n", pick.tree.digest(), escape(&pick.name))
        });
        Digest::of(lines.collect::<String>().as_bytes())
    }
}

fn escape(path: &EntryPath) -> String {
    crate::canon::path::escape(path.as_bytes())
}

/// Origins in the order of a tree's entries.
impl Contents for Vec<Origin> {
    fn open(&self, index: usize, _: &crate::layer::Entry) -> io::Result<Box<dyn Read + '_>> {
        self[index].open()
    }

    fn learnt(&self, index: usize) -> Option<Digest> {
        self[index].learnt()
    }
}
