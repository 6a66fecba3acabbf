//! Files of a stage or image.
//!
//! In: a stack of layers and a selection. Out: [`Files`], with the metadata that the layers have;
//! names of one file within a source stay hard links of each other.

use std::sync::Arc;

use super::files::{Files, Kept, Origin, Pick};
use super::layers::{self, LayerContent, Stack};
use super::select::{self, Chosen, select};
use crate::canon::EntryPath;
use crate::layer::codec::Expansion;
use crate::layer::entry::FirstNames;
use crate::layer::rootfs::{Inode, Rootfs};
use crate::layer::{Entry, Kind, Meta, Tree, tree};
use crate::plan::Selection;
use crate::store::Store;

/// Why a stage has no such files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer.
    #[error(transparent)]
    Layers(#[from] layers::Error),
    /// The selection.
    #[error(transparent)]
    Select(#[from] select::Error),
    /// A table that is none: a bug.
    #[error(transparent)]
    Tree(#[from] tree::Error),
}

/// The content of each layer of a stack, opened when it is needed.
pub struct StackContent(Vec<Arc<LayerContent>>);

impl StackContent {
    /// Of `stack`.
    pub fn new(stack: &Stack, store: &Store, limit: Expansion) -> StackContent {
        let content = |layer: &Arc<_>| Arc::new(LayerContent::new(Arc::clone(layer), store, limit));
        StackContent(stack.layers().iter().map(content).collect())
    }

    /// Where the content of an inode is.
    pub fn origin(&self, inode: Inode) -> Origin {
        match self.0.get(inode.layer as usize) {
            Some(layer) => Origin::Layer(layer.clone(), inode.entry),
            None => Origin::None,
        }
    }
}

/// The files of `stack` that `selection` means.
pub fn files(
    stack: &Stack,
    selection: &Selection,
    store: &Store,
    limit: Expansion,
) -> Result<Files, Error> {
    let rootfs = stack.rootfs(store, limit)?;
    let content = StackContent::new(stack, store, limit);
    let chosen = select(&*rootfs, selection)?;
    let picks = chosen.iter().map(|chosen| pick(&rootfs, chosen, &content));
    Ok(Files {
        picks: picks.collect::<Result<_, _>>()?,
    })
}

fn pick(rootfs: &Rootfs, chosen: &Chosen, content: &StackContent) -> Result<Pick, Error> {
    let mut first_names = FirstNames::default();
    let (mut entries, mut origins) = (Vec::new(), Vec::new());
    for member in &chosen.members {
        let Some(node) = rootfs.get(member) else {
            continue;
        };
        let path = member.below(&chosen.root).unwrap_or_default();
        let mut kind = node.kind.clone();
        let mut origin = Origin::None;
        if let (Kind::File { .. }, Some(inode)) = (&node.kind, node.inode) {
            match first_names.link(inode, &path) {
                Some(link) => kind = link,
                None => origin = content.origin(inode),
            }
        }
        entries.push(Entry {
            path,
            kind,
            meta: node.meta.clone(),
        });
        origins.push(origin);
    }
    let meta = |place: &EntryPath| match rootfs.get(place) {
        Some(node) => node.meta.clone(),
        None => Meta::plain(0o755, 0),
    };
    let kept = chosen.kept.as_ref().map(|kept| Kept::new(kept, meta));
    Ok(Pick {
        name: chosen.name.clone(),
        kept: kept.transpose()?,
        tree: Tree::new(entries)?,
        origins,
    })
}
