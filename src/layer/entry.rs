//! One file-system object in a layer.
//!
//! In: what a walk, an archive or a recipe says of it. Out: [`Entry`], the row of a
//! [`super::Tree`] and of a tar.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;

use crate::canon::{Digest, EntryPath};

/// One file-system object: what it is, where, and its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where; of a [`Kind::Whiteout`] the path that it removes.
    pub path: EntryPath,
    /// What it is.
    pub kind: Kind,
    /// Its metadata; of a whiteout [`Meta::WHITEOUT`], of a hard link its target's.
    pub meta: Meta,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
        /// Of its content.
        digest: Digest,
    },
    /// A directory.
    Directory,
    /// A symbolic link; any bytes without NUL, never empty.
    Symlink(Box<[u8]>),
    /// Another name for a regular file that stands before it in the same layer.
    Hardlink(EntryPath),
    /// A character device.
    CharacterDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// The path is gone (image-spec, layer.md, "Whiteouts").
    Whiteout,
}

/// Numbers of a device, each below 2²¹ (what seven octal digits of ustar hold).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Driver.
    pub major: u32,
    /// Device of that driver.
    pub minor: u32,
}

/// An entry's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission, setuid, setgid and sticky bits: the low twelve.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970; negative before.
    pub mtime: i64,
    /// Extended attributes by name; boxed, as hardly any entry has one.
    pub xattrs: Option<Box<Xattrs>>,
}

/// Extended attributes: name to value, both any bytes, the name without NUL and `=`.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

impl Meta {
    /// Of every whiteout, so that removing is removing and no more.
    pub const WHITEOUT: Meta = Meta {
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: None,
    };

    /// `mode` and `mtime`, owned by 0:0, without xattrs.
    pub fn plain(mode: u16, mtime: i64) -> Meta {
        Meta {
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: None,
        }
    }
}

impl Entry {
    /// Removes `path` from the layers below.
    pub fn whiteout(path: EntryPath) -> Entry {
        Entry {
            path,
            kind: Kind::Whiteout,
            meta: Meta::WHITEOUT,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// Whether it is a whiteout.
    pub fn is_whiteout(&self) -> bool {
        matches!(self.kind, Kind::Whiteout)
    }

    /// Bytes of content that follow its header in a tar.
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// The order of format 1: by path, whiteouts before everything else in their directory.
    pub fn order(&self, other: &Entry) -> Ordering {
        if !self.is_whiteout() && !other.is_whiteout() {
            return self.path.cmp(&other.path);
        }
        self.units().cmp(other.units())
    }

    /// The path as units that compare as the order wants: 0 ends a component, 1 marks the last
    /// component of a whiteout, bytes follow from 2 on.
    fn units(&self) -> impl Iterator<Item = u16> + '_ {
        let bytes = self.path.as_bytes();
        let name_at = bytes
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |at| at + 1);
        let mark_at = self.is_whiteout().then_some(name_at);
        bytes.iter().enumerate().flat_map(move |(at, &byte)| {
            let mark = (mark_at == Some(at)).then_some(1);
            let unit = if byte == b'/' { 0 } else { u16::from(byte) + 2 };
            mark.into_iter().chain(std::iter::once(unit))
        })
    }
}

/// Files that have several names: the first in the order of paths stands for the content, and
/// each later one is a hard link to it.
pub struct FirstNames<Inode>(BTreeMap<Inode, EntryPath>);

impl<Inode> Default for FirstNames<Inode> {
    fn default() -> FirstNames<Inode> {
        FirstNames(BTreeMap::new())
    }
}

impl<Inode: Ord> FirstNames<Inode> {
    /// The hard link that `path` is, unless it is the first that is asked for of its inode.
    pub fn link(&mut self, inode: Inode, path: &EntryPath) -> Option<Kind> {
        match self.0.entry(inode) {
            MapEntry::Occupied(first) => Some(Kind::Hardlink(first.get().clone())),
            MapEntry::Vacant(none) => {
                none.insert(path.clone());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let path = |text: &str| EntryPath::new(text.as_bytes()).unwrap();
        match text.strip_prefix('!') {
            Some(removed) => Entry::whiteout(path(removed)),
            None => Entry {
                path: path(text),
                kind: Kind::Fifo,
                meta: Meta::plain(0o644, 0),
            },
        }
    }

    #[test]
    fn whiteouts_stand_before_their_siblings() {
        let sorted = ["a", "!a/z", "a/\u{1}", "a/b", "!a/b/c", "a/b/a", "a-b"];
        let mut entries: Vec<_> = sorted.iter().rev().map(|text| entry(text)).collect();
        entries.sort_by(Entry::order);
        let expected: Vec<_> = sorted.iter().map(|text| entry(text)).collect();
        assert_eq!(entries, expected);
    }
}
