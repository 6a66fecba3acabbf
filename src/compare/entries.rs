//! Two file systems, path by path.
//!
//! In: two merged file systems. Out: every path at which they differ, in the order of paths.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::report::{EntryChange, Object};
use crate::canon::EntryPath;
use crate::layer::Rootfs;
use crate::layer::entry::{FirstNames, Kind};
use crate::layer::rootfs::Node;

/// The paths at which the two differ, of those at or below `paths`, where any are given.
pub fn entries(before: &Rootfs, after: &Rootfs, paths: &[EntryPath]) -> Vec<EntryChange> {
    let root = EntryPath::root();
    let (first, second) = (Names::new(before), Names::new(after));
    let mut changes = Vec::new();
    let mut change = |path: &EntryPath, before: Option<&Node>, after: Option<&Node>| {
        let is_meant = paths.is_empty() || paths.iter().any(|above| path.below(above).is_some());
        if !is_meant {
            return;
        }
        let (before, after) = (
            before.map(|node| first.object(path, node)),
            after.map(|node| second.object(path, node)),
        );
        if before != after {
            changes.push(EntryChange {
                path: path.clone(),
                before,
                after,
                content: None,
                pass: None,
            });
        }
    };
    change(&root, before.get(&root), after.get(&root));
    let mut left = before.below(&root).peekable();
    let mut right = after.below(&root).peekable();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let before = (order != Ordering::Greater).then(|| left.next()).flatten();
        let after = (order != Ordering::Less).then(|| right.next()).flatten();
        if let Some((path, _)) = before.or(after) {
            change(
                path,
                before.map(|(_, node)| node),
                after.map(|(_, node)| node),
            );
        }
    }
    changes
}

/// The first names of files that have several.
struct Names(BTreeMap<EntryPath, EntryPath>);

impl Names {
    fn new(rootfs: &Rootfs) -> Names {
        let root = EntryPath::root();
        let mut first = FirstNames::default();
        let mut names = BTreeMap::new();
        for (path, node) in rootfs.below(&root) {
            if let (Kind::File { .. }, Some(inode)) = (&node.kind, node.inode)
                && let Some(Kind::Hardlink(target)) = first.link(inode, path)
            {
                names.insert(path.clone(), target);
            }
        }
        Names(names)
    }

    fn object(&self, path: &EntryPath, node: &Node) -> Object {
        Object {
            kind: node.kind.clone(),
            meta: node.meta.clone(),
            first_name: self.0.get(path).cloned(),
        }
    }
}
