//! A layer in the making.
//!
//! In: what should be where, over a file system. Out: [`Change`]: what differs from what is there
//! already, parents that had to be made among it, and every directory above what differs. These
//! are there because engines whose layers are overlays (Docker's overlay2, Podman's overlay) make
//! a directory that a layer doesn't name themselves, 0755 and root's, and that one hides the
//! directory of the layer below: `/tmp` would lose its sticky bit, `/root` its privacy.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use super::Error;
use super::above::directories_above;
use crate::canon::{EntryPath, Epoch};
use crate::inputs::Origin;
use crate::layer::entry::FirstNames;
use crate::layer::rootfs::Node;
use crate::layer::view::resolve;
use crate::layer::{Entry, Kind, Meta, Rootfs, Tree, tree};

/// A layer in the making.
pub struct Draft<'a> {
    base: &'a Rootfs,
    epoch: Epoch,
    /// Owner of parents that have to be made.
    owner: (u32, u32),
    entries: BTreeMap<EntryPath, Item>,
    /// Files that got a second name: all their names go by number, so that none is the first
    /// before all are known.
    inodes: Vec<Object>,
    /// A directory that is there.
    last_parent: Option<EntryPath>,
    /// Whether a file takes the place of a directory, and a directory that of a file.
    replaces: bool,
}

enum Item {
    Own(Object),
    /// A name of the inode of that number.
    Name(usize),
}

impl Item {
    /// No directory has a second name.
    fn is_directory(&self) -> bool {
        matches!(self, Item::Own(object) if object.kind == Kind::Directory)
    }
}

/// Something other than a hard link.
#[derive(Clone)]
struct Object {
    kind: Kind,
    meta: Meta,
    origin: Origin,
}

/// What a step changes.
pub struct Change {
    /// The layer's table.
    pub tree: Tree,
    /// Where the content of each entry is, in the table's order.
    pub origins: Vec<Origin>,
}

impl<'a> Draft<'a> {
    /// Nothing changed over `base`. Parents that have to be made belong to `owner`.
    pub fn new(base: &'a Rootfs, epoch: Epoch, owner: (u32, u32)) -> Draft<'a> {
        Draft {
            base,
            epoch,
            owner,
            entries: BTreeMap::new(),
            inodes: Vec::new(),
            last_parent: None,
            replaces: false,
        }
    }

    /// Whether from now on a file takes the place of a directory and a directory that of a file,
    /// and links on the way to what is put are followed: as an archive is unpacked by Docker.
    pub fn set_replaces(&mut self, replaces: bool) {
        self.replaces = replaces;
    }

    /// The file system below.
    pub fn base(&self) -> &Rootfs {
        self.base
    }

    /// Where `path` is when links to directories are followed: its last component's link too,
    /// where it leads to a directory.
    pub fn place(&self, path: &EntryPath) -> Result<EntryPath, Error> {
        match resolve(self.base, path, true) {
            Ok(followed) if self.base.get(&followed).is_some_and(Node::is_directory) => {
                Ok(followed)
            }
            // A link to itself leads to none.
            _ => Ok(resolve(self.base, path, false)?),
        }
    }

    /// Where `path` is when links to directories above it are followed.
    pub fn itself(&self, path: &EntryPath) -> Result<EntryPath, Error> {
        Ok(resolve(self.base, path, false)?)
    }

    /// Where `path` is when links are followed, the last component's too, wherever it leads.
    pub fn target(&self, path: &EntryPath) -> Result<EntryPath, Error> {
        match resolve(self.base, path, true) {
            Ok(followed) => Ok(followed),
            // A link to itself leads to none.
            Err(_) => Ok(resolve(self.base, path, false)?),
        }
    }

    /// Where `path` is put: itself, or where links above it lead, when those are followed.
    pub fn followed(&self, path: EntryPath) -> Result<EntryPath, Error> {
        let (true, Some(parent), Some(name)) = (self.replaces, path.parent(), path.name()) else {
            return Ok(path);
        };
        if self.is_directory(&parent) {
            return Ok(path);
        }
        let refuse = |error| Error::Path(path.clone(), error);
        let name = EntryPath::new(name).map_err(refuse)?;
        resolve(self.base, &parent, true)?
            .join(&name)
            .map_err(refuse)
    }

    /// What this layer has at `path`; a whiteout, where it removes what is there.
    fn own_kind(&self, path: &EntryPath) -> Option<&Kind> {
        match self.entries.get(path)? {
            Item::Own(object) => Some(&object.kind),
            Item::Name(inode) => Some(&self.inodes[*inode].kind),
        }
    }

    /// What is at `path`.
    fn kind(&self, path: &EntryPath) -> Option<&Kind> {
        match self.own_kind(path) {
            Some(kind) => Some(kind).filter(|kind| !matches!(kind, Kind::Whiteout)),
            None => self.base.get(path).map(|node| &node.kind),
        }
    }

    /// Whether a directory is at `path`.
    pub fn is_directory(&self, path: &EntryPath) -> bool {
        matches!(self.kind(path), Some(Kind::Directory))
    }

    /// Puts something other than a directory or a hard link at `path`, in place of what is there.
    pub fn put(
        &mut self,
        path: &EntryPath,
        kind: Kind,
        meta: Meta,
        origin: Origin,
    ) -> Result<(), Error> {
        let object = Object { kind, meta, origin };
        self.put_item(path, Item::Own(object))
    }

    /// Puts anything but a hard link at `path`, whatever is there: a file takes the place of a
    /// directory and of all that it holds, as commands may have it.
    pub fn replace(
        &mut self,
        path: &EntryPath,
        kind: Kind,
        meta: Meta,
        origin: Origin,
    ) -> Result<(), Error> {
        self.make_parents(path)?;
        self.last_parent = None;
        let object = Object { kind, meta, origin };
        self.entries.insert(path.clone(), Item::Own(object));
        Ok(())
    }

    /// As [`Draft::put_link`], whatever is at `path`.
    pub fn replace_with_link(&mut self, path: &EntryPath, target: &EntryPath) -> Result<(), Error> {
        self.make_parents(path)?;
        self.last_parent = None;
        let item = self.name_of(path, target)?;
        self.entries.insert(path.clone(), item);
        Ok(())
    }

    /// Makes `path` another name of the file that this layer has at `target`.
    pub fn put_link(&mut self, path: &EntryPath, target: &EntryPath) -> Result<(), Error> {
        let item = self.name_of(path, target)?;
        self.put_item(path, item)
    }

    /// What makes `path` a name of the file that this layer has at `target`.
    fn name_of(&mut self, path: &EntryPath, target: &EntryPath) -> Result<Item, Error> {
        let no_file = || tree::Error::Hardlink {
            path: path.clone(),
            target: target.clone(),
        };
        let item = self.entries.get_mut(target).ok_or_else(no_file)?;
        let inode = match item {
            Item::Name(inode) => *inode,
            Item::Own(object) => {
                self.inodes.push(object.clone());
                *item = Item::Name(self.inodes.len() - 1);
                self.inodes.len() - 1
            }
        };
        Ok(Item::Name(inode))
    }

    fn put_item(&mut self, path: &EntryPath, item: Item) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::Root);
        }
        self.make_parents(path)?;
        match self.entries.entry(path.clone()) {
            Place::Occupied(there) if there.get().is_directory() && !self.replaces => {
                return Err(Error::FileOver(path.clone()));
            }
            Place::Occupied(mut there) if there.get().is_directory() => {
                there.insert(item);
                self.last_parent = None;
                let is_below = |other: &EntryPath| other != path && other.below(path).is_some();
                self.entries.retain(|other, _| !is_below(other));
            }
            Place::Occupied(mut there) => drop(there.insert(item)),
            Place::Vacant(_)
                if !self.replaces && self.base.get(path).is_some_and(Node::is_directory) =>
            {
                return Err(Error::FileOver(path.clone()));
            }
            Place::Vacant(place) => drop(place.insert(item)),
        }
        Ok(())
    }

    fn insert(&mut self, path: EntryPath, kind: Kind, meta: Meta) {
        let origin = Origin::None;
        let object = Object { kind, meta, origin };
        self.entries.insert(path, Item::Own(object));
    }

    /// Puts a directory at `path`, or gives the one that is there this metadata.
    pub fn put_directory(&mut self, path: &EntryPath, meta: Meta) -> Result<(), Error> {
        let is_other = matches!(self.kind(path), Some(kind) if *kind != Kind::Directory);
        if is_other && !self.replaces {
            return Err(Error::DirectoryOver(path.clone()));
        }
        self.make_parents(path)?;
        self.insert(path.clone(), Kind::Directory, meta);
        Ok(())
    }

    /// Makes a directory at `path` unless one is there.
    pub fn make_directory(&mut self, path: &EntryPath, meta: Meta) -> Result<(), Error> {
        if self.is_directory(path) {
            Ok(())
        } else {
            self.put_directory(path, meta)
        }
    }

    /// Metadata of a directory that nobody described.
    pub fn plain_directory(&self) -> Meta {
        let (uid, gid) = self.owner;
        Meta {
            uid,
            gid,
            ..Meta::plain(0o755, self.epoch.seconds())
        }
    }

    /// Makes the directories above `path` that aren't there. Above one that is, all are.
    fn make_parents(&mut self, path: &EntryPath) -> Result<(), Error> {
        // What comes one after the other is mostly in one directory.
        if self
            .last_parent
            .as_ref()
            .is_some_and(|last| path.is_in(last))
        {
            return Ok(());
        }
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(parent) = next.take_if(|parent| !self.is_directory(parent)) {
            if self.kind(&parent).is_some() {
                let path = path.clone();
                return Err(Error::NoDirectory { path, parent });
            }
            next = parent.parent();
            missing.push(parent);
        }
        for parent in missing {
            let meta = self.plain_directory();
            self.insert(parent, Kind::Directory, meta);
        }
        self.last_parent = path.parent();
        Ok(())
    }

    /// Removes what is at `path` in the file system below.
    pub fn remove(&mut self, path: &EntryPath) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::Root);
        }
        self.last_parent = None;
        self.insert(path.clone(), Kind::Whiteout, Meta::WHITEOUT);
        Ok(())
    }

    /// The layer: what differs from the file system below, and the directories above that. Hard
    /// links always count as different, as it doesn't tell them from files; and so do the files
    /// that they name, since a link needs its file in the same layer.
    pub fn finish(self) -> Result<Change, Error> {
        let base = self.base;
        let mut names = vec![0_u32; self.inodes.len()];
        for item in self.entries.values() {
            if let Item::Name(inode) = item {
                names[*inode] += 1;
            }
        }
        let mut first_names = FirstNames::default();
        // Of a million entries there is no room for one list more than needed.
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut origins = Vec::with_capacity(self.entries.len());
        for (path, item) in self.entries {
            let (object, is_linked) = match item {
                Item::Own(object) => (object, false),
                Item::Name(inode) => {
                    let mut object = self.inodes[inode].clone();
                    if let Some(link) = first_names.link(inode, &path) {
                        (object.kind, object.origin) = (link, Origin::None);
                    }
                    (object, names[inode] > 1)
                }
            };
            let Object { kind, meta, origin } = object;
            let entry = Entry { path, kind, meta };
            let below = base.get(&entry.path);
            if is_linked || below.is_none_or(|node| !node.is_same(&entry)) {
                entries.push(entry);
                origins.push(origin);
            }
        }
        for entry in directories_above(&entries, base) {
            entries.push(entry);
            origins.push(Origin::None);
        }
        if !entries.is_sorted_by(|a, b| a.order(b).is_lt()) {
            let mut pairs: Vec<(Entry, Origin)> = entries.into_iter().zip(origins).collect();
            pairs.sort_by(|(a, _), (b, _)| a.order(b));
            (entries, origins) = pairs.into_iter().unzip();
        }
        Ok(Change {
            tree: Tree::new(entries)?,
            origins,
        })
    }
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
