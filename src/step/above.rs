//! The directories above what a layer has.
//!
//! In: a layer's entries and the file system below. Out: entries of the directories on the way to
//! them, as they are below, for engines that would make their own.

use std::collections::BTreeSet;

use crate::canon::EntryPath;
use crate::layer::{Entry, Kind, Rootfs};

/// The directories above `entries`, which are sorted by path, as they are in `base`.
pub fn directories_above(entries: &[Entry], base: &Rootfs) -> Vec<Entry> {
    let mut above: BTreeSet<EntryPath> = BTreeSet::new();
    let mut last: Option<EntryPath> = None;
    for entry in entries {
        if last.as_ref().is_some_and(|last| entry.path.is_in(last)) {
            continue;
        }
        last = entry.path.parent();
        let mut parent = last.clone();
        while let Some(path) = parent.take_if(|path| !path.is_root() && !above.contains(path)) {
            parent = path.parent();
            above.insert(path);
        }
    }
    let is_there = |path: &EntryPath| {
        entries
            .binary_search_by(|entry| entry.path.cmp(path))
            .is_ok()
    };
    let missing = above.into_iter().filter(|path| !is_there(path));
    // Of a directory that no layer names nothing is known to keep.
    let known = missing.filter_map(|path| {
        let node = base.get(&path).filter(|node| node.inode.is_some())?;
        let (kind, meta) = (Kind::Directory, node.meta.clone());
        Some(Entry { path, kind, meta })
    });
    known.collect()
}
