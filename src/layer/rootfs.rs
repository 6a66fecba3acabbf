//! A stack of layers as one file system.
//!
//! In: the tables of layers, bottom first. Out: [`Rootfs`], which resolves paths as a process in
//! the image would, and says which layer each file comes from.

use std::collections::BTreeMap;

use super::Tree;
use super::entry::{Entry, Kind, Meta};
use crate::canon::EntryPath;

/// A merged file system. The root and every parent are there, if need be as directories that no
/// layer has: 0755, 0:0, time 0.
#[derive(Debug, Clone, Default)]
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

/// A path that can't be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As ELOOP: more than 40 links (Linux, `MAXSYMLINKS`).
    #[error("`{0}` leads through too many symbolic links")]
    Loop(EntryPath),
    /// A link's target is no path.
    #[error("`{0}` leads to a path that is too long")]
    TooLong(EntryPath),
}

impl Rootfs {
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

    /// What is directly in the directory at `path`, in order.
    pub fn children<'a>(
        &'a self,
        path: &'a EntryPath,
    ) -> impl Iterator<Item = (&'a EntryPath, &'a Node)> {
        let depth = path.components().count() + 1;
        self.below(path)
            .filter(move |(other, _)| other.components().count() == depth)
    }

    /// Where `path` leads when links on the way are followed, within this file system: the last
    /// component's link only with `follow_last`. What doesn't exist leads to itself.
    pub fn resolve(&self, path: &EntryPath, follow_last: bool) -> Result<EntryPath, Error> {
        const MOST_LINKS: usize = 40;
        let mut links = 0;
        let mut done: Vec<Vec<u8>> = Vec::new();
        let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        while let Some(component) = todo.pop() {
            if component == b".." {
                done.pop();
                continue;
            }
            done.push(component);
            let here =
                EntryPath::new(&done.join(&b'/')).map_err(|_| Error::TooLong(path.clone()))?;
            let Some(Node {
                kind: Kind::Symlink(target),
                ..
            }) = self.get(&here)
            else {
                continue;
            };
            if todo.is_empty() && !follow_last {
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(Error::Loop(path.clone()));
            }
            if target.starts_with(b"/") {
                done.clear();
            } else {
                done.pop();
            }
            let components = target.split(|&byte| byte == b'/');
            let components = components.filter(|component| !matches!(*component, b"" | b"."));
            todo.extend(components.rev().map(<[u8]>::to_vec));
        }
        EntryPath::new(&done.join(&b'/')).map_err(|_| Error::TooLong(path.clone()))
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
mod tests {
    use super::*;
    use crate::canon::Digest;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    /// `name/` is a directory, `name>target` a symlink, `name=target` a hard link, `!name` a
    /// whiteout, else a file.
    fn tree(texts: &[&str]) -> Tree {
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

    #[test]
    fn links_are_followed_within_the_root() {
        let mut rootfs = Rootfs::default();
        rootfs.push(
            &tree(&[
                "usr/",
                "usr/bin/",
                "bin>usr/bin",
                "out>../../usr",
                "abs>/usr/bin",
                "l1>l2",
                "l2>l1",
                "usr/up>..",
            ]),
            &[],
        );
        for (asked, expected) in [
            ("bin/sh", "/usr/bin/sh"),
            ("out/x", "/usr/x"),
            ("abs/x", "/usr/bin/x"),
            ("usr/up/bin/x", "/usr/bin/x"),
            ("none/x", "/none/x"),
            ("bin", "/usr/bin"),
        ] {
            assert_eq!(
                rootfs.resolve(&path(asked), true).unwrap().to_string(),
                expected
            );
        }
        assert_eq!(rootfs.resolve(&path("bin"), false), Ok(path("bin")));
        assert_eq!(
            rootfs.resolve(&path("l1/x"), true),
            Err(Error::Loop(path("l1/x")))
        );
        assert_eq!(rootfs.children(&path("usr")).count(), 2);
    }
}
