//! A stack of layers as one file system.
//!
//! In: the tables of layers, bottom first. Out: [`Rootfs`], which resolves paths as a process in
//! the image would, and says which layer each file comes from.

use std::collections::BTreeMap;

use super::Tree;
use super::entry::{Entry, Kind, Meta};
use super::view::{Seen, View};
use crate::canon::EntryPath;

/// A merged file system. The root and every parent are there, if need be as directories that no
/// layer has: 0755, 0:0, time 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rootfs {
    nodes: BTreeMap<EntryPath, Node>,
    layers: u32,
}

/// An object of the merged file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Never [`Kind::Hardlink`] nor [`Kind::Whiteout`].
    pub kind: Kind,
    /// As its layer has it.
    pub meta: Meta,
    /// Which file it is: names of one inode are hard links of each other. None for what no layer
    /// has.
    pub inode: Option<Inode>,
}

/// An entry of a layer's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode {
    /// Number of the layer from the bottom, from 0.
    pub layer: u32,
    /// Index of the entry in its table.
    pub entry: u32,
}

impl Rootfs {
    /// How many layers it is made of.
    pub fn layers(&self) -> usize {
        self.layers as usize
    }

    /// Puts a layer on top. Below the directories `opaque` nothing of the lower ones is seen.
    pub fn push(&mut self, tree: &Tree, opaque: &[EntryPath]) {
        let layer = self.layers;
        self.layers += 1;
        for directory in opaque {
            self.remove_below(directory);
        }
        for entry in tree.entries().iter().filter(|entry| entry.is_whiteout()) {
            self.remove(&entry.path);
        }
        for (index, entry) in tree.entries().iter().enumerate() {
            let (index, kind) = match &entry.kind {
                Kind::Whiteout => continue,
                Kind::Hardlink(target) => match tree.position(target) {
                    Some(at) => (at, tree.entries()[at].kind.clone()),
                    // A table with a link to nothing can't be made.
                    None => continue,
                },
                kind => (index, kind.clone()),
            };
            self.make_parents(&entry.path);
            let inode = Some(Inode {
                layer,
                entry: index as u32,
            });
            let node = Node {
                kind,
                meta: entry.meta.clone(),
                inode,
            };
            let is_directory = node.is_directory();
            let old = self.nodes.insert(entry.path.clone(), node);
            if !is_directory && old.is_some_and(|old| old.is_directory()) {
                self.remove_below(&entry.path);
            }
        }
    }

    fn make_parents(&mut self, path: &EntryPath) {
        let Some(parent) = path.parent() else { return };
        match self.nodes.get(&parent) {
            Some(node) if node.is_directory() => return,
            _ => {}
        }
        self.make_parents(&parent);
        self.nodes.insert(parent, Node::implicit());
    }

    fn remove(&mut self, path: &EntryPath) {
        self.nodes.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, path: &EntryPath) {
        let below: Vec<_> = self.below(path).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// The object at `path`, links not followed. The root is always there.
    pub fn get(&self, path: &EntryPath) -> Option<&Node> {
        static ROOT: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::implicit);
        self.nodes
            .get(path)
            .or_else(|| path.is_root().then_some(&*ROOT))
    }

    /// Everything below `path`, in order, itself left out.
    pub fn below<'a>(
        &'a self,
        path: &'a EntryPath,
    ) -> impl Iterator<Item = (&'a EntryPath, &'a Node)> {
        let from = (std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded);
        self.nodes
            .range(from)
            .take_while(move |(other, _)| other.below(path).is_some())
    }
}

impl View for Rootfs {
    fn seen(&self, path: &EntryPath) -> Option<Seen<'_>> {
        self.get(path).map(Node::seen)
    }

    fn seen_below<'a>(
        &'a self,
        path: &'a EntryPath,
    ) -> Box<dyn Iterator<Item = (&'a EntryPath, Seen<'a>)> + 'a> {
        Box::new(self.below(path).map(|(path, node)| (path, node.seen())))
    }
}

impl Node {
    fn implicit() -> Node {
        Node {
            kind: Kind::Directory,
            meta: Meta::plain(0o755, 0),
            inode: None,
        }
    }

    fn seen(&self) -> Seen<'_> {
        match &self.kind {
            Kind::File { .. } => Seen::File,
            Kind::Directory => Seen::Directory,
            Kind::Symlink(target) => Seen::Symlink(target),
            _ => Seen::Other,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// Whether `entry` would change nothing here.
    pub fn is_same(&self, entry: &Entry) -> bool {
        self.kind == entry.kind && self.meta == entry.meta
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::canon::Digest;

    pub(in crate::layer) fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    /// `name/` is a directory, `name>target` a symlink, `name=target` a hard link, `!name` a
    /// whiteout, else a file.
    pub(in crate::layer) fn tree(texts: &[&str]) -> Tree {
        let entry = |text: &&str| {
            let meta = Meta::plain(0o700, 0);
            if let Some(removed) = text.strip_prefix('!') {
                return Entry::whiteout(path(removed));
            }
            if let Some((name, target)) = text.split_once('>') {
                return Entry {
                    path: path(name),
                    kind: Kind::Symlink(target.as_bytes().into()),
                    meta,
                };
            }
            if let Some((name, target)) = text.split_once('=') {
                return Entry {
                    path: path(name),
                    kind: Kind::Hardlink(path(target)),
                    meta,
                };
            }
            let kind = match text.strip_suffix('/') {
                Some(_) => Kind::Directory,
                None => Kind::File {
                    size: 1,
                    digest: Digest::of(text.as_bytes()),
                },
            };
            Entry {
                path: path(text),
                kind,
                meta,
            }
        };
        Tree::new(texts.iter().map(entry).collect()).unwrap()
    }

    fn paths(rootfs: &Rootfs) -> Vec<String> {
        rootfs
            .below(&EntryPath::root())
            .map(|(path, _)| path.to_string())
            .collect()
    }

    #[test]
    fn upper_layers_hide_what_they_replace_or_remove() {
        let mut rootfs = Rootfs::default();
        rootfs.push(
            &tree(&["a/", "a/1", "a/2", "b/", "b/1", "c", "d/", "d/1", "e>a"]),
            &[],
        );
        rootfs.push(
            &tree(&["!a/1", "b", "c/", "c/1", "d/", "d/2", "e/1"]),
            &[path("d")],
        );
        let expected = ["/a", "/a/2", "/b", "/c", "/c/1", "/d", "/d/2", "/e", "/e/1"];
        assert_eq!(paths(&rootfs), expected);
        assert_eq!(rootfs.get(&path("a/2")).unwrap().inode.unwrap().layer, 0);
        assert_eq!(rootfs.get(&path("e")).unwrap().inode, None);
    }

    #[test]
    fn a_hard_link_outlives_its_first_name() {
        let mut rootfs = Rootfs::default();
        rootfs.push(&tree(&["a", "b=a", "c=a"]), &[]);
        let inode = |rootfs: &Rootfs, name| rootfs.get(&path(name)).unwrap().inode;
        assert_eq!(inode(&rootfs, "b"), inode(&rootfs, "a"));
        rootfs.push(&tree(&["!a"]), &[]);
        assert_eq!(inode(&rootfs, "b"), inode(&rootfs, "c"));
        assert!(matches!(
            rootfs.get(&path("b")).unwrap().kind,
            Kind::File { .. }
        ));
    }
}
