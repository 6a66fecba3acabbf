//! What each layer of an image holds, and what it weighs. Pure.
//!
//! In: the tables of layers, bottom first. Out: which layers touched a path, and how; how many bytes
//! each brought, and how many of them nobody sees any more; what is largest.

use std::collections::{BTreeMap, BTreeSet};

use crate::canon::EntryPath;
use crate::layer::{Entry, Kind, Node, Rootfs, Tree};

/// What a layer did to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It wasn't there.
    Added,
    /// It was there.
    Changed,
    /// It is there no more.
    Removed,
}

/// A layer that touched a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Its number from the bottom, from 0.
    pub layer: usize,
    /// What it did.
    pub change: Change,
    /// What is there since; none where it was removed.
    pub node: Option<Node>,
}

/// What a layer weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Regular files that it brings.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of them that a layer above replaced or removed: they are in the image, and nobody sees them.
    pub hidden: u64,
}

/// A layer's table, and its opaque directories.
pub type Table<'a> = (&'a Tree, &'a [EntryPath]);

/// The layers that touched `path`, from the bottom.
pub fn touches(layers: &[Table<'_>], path: &EntryPath) -> Vec<Touch> {
    let mut rootfs = Rootfs::default();
    let mut touches = Vec::new();
    for (layer, (tree, opaque)) in layers.iter().enumerate() {
        // That the root is there says no layer.
        let found = |rootfs: &Rootfs| rootfs.get(path).filter(|it| it.inode.is_some()).cloned();
        let before = found(&rootfs);
        rootfs.push(tree, opaque);
        let node = found(&rootfs);
        let change = match (&before, &node) {
            (None, Some(_)) => Change::Added,
            (Some(_), None) => Change::Removed,
            (Some(before), Some(node)) if before != node => Change::Changed,
            _ => continue,
        };
        touches.push(Touch {
            layer,
            change,
            node,
        });
    }
    touches
}

/// What each layer weighs, from the bottom.
pub fn weights(layers: &[Table<'_>]) -> Vec<Weight> {
    let mut weights: Vec<_> = layers.iter().map(|(tree, _)| own(tree)).collect();
    let mut seen = BTreeSet::new();
    let mut shown: BTreeMap<usize, u64> = BTreeMap::new();
    let rootfs = merged(layers);
    for (_, node) in rootfs.below(&EntryPath::root()) {
        if let (Kind::File { size, .. }, Some(inode)) = (&node.kind, node.inode)
            && seen.insert(inode)
        {
            *shown.entry(inode.layer as usize).or_default() += size;
        }
    }
    for (number, weight) in weights.iter_mut().enumerate() {
        let shown = shown.get(&number).copied().unwrap_or(0);
        weight.hidden = weight.bytes.saturating_sub(shown);
    }
    weights
}

/// The file system that the layers are together.
pub fn merged(layers: &[Table<'_>]) -> Rootfs {
    let mut rootfs = Rootfs::default();
    for (tree, opaque) in layers {
        rootfs.push(tree, opaque);
    }
    rootfs
}

/// The largest files of all layers, largest first, with the numbers of their layers; of equal ones the
/// lowest, then the first.
pub fn largest<'a>(layers: &[Table<'a>], count: usize) -> Vec<(usize, &'a Entry, u64)> {
    let mut files: Vec<_> = layers
        .iter()
        .enumerate()
        .flat_map(|(layer, (tree, _))| {
            let sized = move |entry: &'a Entry| size(entry).map(|size| (layer, entry, size));
            tree.entries().iter().filter_map(sized)
        })
        .collect();
    files.sort_by(|a, b| (b.2, a.0, &a.1.path).cmp(&(a.2, b.0, &b.1.path)));
    files.truncate(count);
    files
}

fn size(entry: &Entry) -> Option<u64> {
    match entry.kind {
        Kind::File { size, .. } => Some(size),
        _ => None,
    }
}

fn own(tree: &Tree) -> Weight {
    let mut weight = Weight::default();
    for size in tree.entries().iter().filter_map(size) {
        weight.files += 1;
        weight.bytes += size;
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;
    use crate::layer::Meta;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    fn tree(entries: &[(&str, Option<u64>)]) -> Tree {
        let entry = |(name, size): &(&str, Option<u64>)| match size {
            Some(size) => Entry {
                path: path(name),
                kind: Kind::File {
                    size: *size,
                    digest: Digest::of(name.as_bytes()),
                },
                meta: Meta::plain(0o644, 0),
            },
            None => Entry {
                path: path(name),
                kind: Kind::Whiteout,
                meta: Meta::WHITEOUT,
            },
        };
        Tree::new(entries.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn each_layer_that_touched_a_path_is_told() {
        let trees = [
            tree(&[("d/a", Some(10)), ("d/b", Some(4))]),
            tree(&[("c", Some(1))]),
            tree(&[("d/a", Some(20))]),
            tree(&[("d", None)]),
            tree(&[("d/a", Some(30))]),
        ];
        let layers: Vec<Table<'_>> = trees.iter().map(|tree| (tree, &[][..])).collect();
        let told = |name: &str| -> Vec<_> {
            let touches = touches(&layers, &path(name)).into_iter();
            touches.map(|touch| (touch.layer, touch.change)).collect()
        };
        use Change::{Added, Changed, Removed};
        assert_eq!(
            told("d/a"),
            [(0, Added), (2, Changed), (3, Removed), (4, Added)]
        );
        assert_eq!(told("d/b"), [(0, Added), (3, Removed)]);
        assert_eq!(told("c"), [(1, Added)]);
        assert_eq!(told("none"), []);
    }

    #[test]
    fn what_is_hidden_still_weighs() {
        let trees = [
            tree(&[("a", Some(10)), ("b", Some(4))]),
            tree(&[("a", Some(20)), ("b", None), ("z", Some(20))]),
        ];
        let layers: Vec<Table<'_>> = trees.iter().map(|tree| (tree, &[][..])).collect();
        let weight = |files, bytes, hidden| Weight {
            files,
            bytes,
            hidden,
        };
        assert_eq!(weights(&layers), [weight(2, 14, 14), weight(2, 40, 0)]);
        let largest: Vec<_> = largest(&layers, 3)
            .into_iter()
            .map(|(layer, entry, size)| (layer, entry.path.to_string(), size))
            .collect();
        assert_eq!(
            largest,
            [
                (1, "/a".to_owned(), 20),
                (1, "/z".to_owned(), 20),
                (0, "/a".to_owned(), 10)
            ]
        );
    }
}
