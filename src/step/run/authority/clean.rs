//! What a command left, as it would be without the authority.
//!
//! In: the listing of the upper folder, and the contents in which the authority was found. Out: the
//! same without it. What is no more is a whiteout of something that isn't below, which is nothing.

use std::collections::BTreeSet;

use super::{NAME, Placed, edk2, pem};
use crate::canon::{Digest, EntryPath};
use crate::layer::{Kind, Rootfs};
use crate::normal::keystore::{jks, pkcs12};
use crate::sandbox::{Found, FoundKind};

/// Largest file that the authority is cut out of, in bytes: it is done in memory, and the largest
/// bundles have less than one MB. It is looked for in files of any size, as all are read anyway.
pub(in crate::step::run) const LARGEST: u64 = 64 << 20;

/// By its coming a package of anchors is known: those of Debian and Alpine have it.
const UPDATER: &[u8] = b"usr/sbin/update-ca-certificates";

/// What is left of a file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::step::run) enum Cleaned {
    /// That there is a file is our doing.
    Gone,
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Placed {
    /// What would be in a file that holds `bytes`; none where that can't be told.
    pub(in crate::step::run) fn cleaned(&self, bytes: &[u8]) -> Option<Cleaned> {
        if let Some(original) = self.known.get(&Digest::of(bytes)) {
            return Some(match original {
                Some(original) => Cleaned::Bytes(original.to_vec()),
                None => Cleaned::Gone,
            });
        }
        let authority = &self.authority;
        if bytes == authority.der {
            return Some(Cleaned::Gone);
        }
        let cleaned = if jks::is_one(bytes) {
            jks::remove(bytes, &authority.der)?
        } else if bytes.first() == Some(&super::SEQUENCE) {
            pkcs12::remove(bytes, &authority.der)?
        } else if edk2::is_one(bytes) {
            edk2::remove(bytes, &authority.der)?
        } else {
            pem::cut(bytes, &authority.base64)
        };
        if authority.marks.are_in(&cleaned) {
            return None;
        }
        Some(match cleaned.trim_ascii().is_empty() {
            true => Cleaned::Gone,
            false => Cleaned::Bytes(cleaned),
        })
    }

    /// Adds to `found`, which is sorted, directories that the command found there and would have
    /// made: those of a package of anchors.
    pub(in crate::step::run) fn add_directories(
        &self,
        base: &Rootfs,
        found: &mut Vec<Found>,
        now: (i64, u32),
    ) {
        if !self.has_got_updater(base, found) {
            return;
        }
        let directories = self.extra.iter();
        for (path, _) in directories.filter(|(_, kind)| **kind == Kind::Directory) {
            // What it did with them shows there; that it removed them, too.
            let Err(at) = found.binary_search_by(|found| found.path.cmp(path)) else {
                continue;
            };
            let directory = Found {
                path: path.clone(),
                kind: FoundKind::Directory { opaque: false },
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: now,
                inode: u64::MAX,
                links: 1,
                xattrs: Default::default(),
            };
            found.insert(at, directory);
        }
    }

    fn has_got_updater(&self, base: &Rootfs, found: &[Found]) -> bool {
        found.iter().any(|found| {
            found.path.as_bytes() == UPDATER
                && matches!(found.kind, FoundKind::File { .. })
                && base.get(&found.path).is_none()
        })
    }

    /// Removes from `found` links to what is gone, and directories that are there for it alone.
    /// `gone` are files that are: their names in `found` are whiteouts already.
    pub(in crate::step::run) fn clear(
        &self,
        base: &Rootfs,
        found: &mut [Found],
        mut gone: BTreeSet<EntryPath>,
        now: (i64, u32),
    ) {
        let extra = self.extra.iter();
        let extra = extra.filter(|(_, kind)| **kind != Kind::Directory);
        gone.extend(extra.map(|(path, _)| path.clone()));
        let mut is_done = false;
        while !is_done {
            is_done = true;
            for found in found.iter_mut() {
                let FoundKind::Symlink(target) = &found.kind else {
                    continue;
                };
                if is_ours(target) || gone.contains(&followed(&found.path, target)) {
                    found.kind = FoundKind::Whiteout;
                    gone.insert(found.path.clone());
                    is_done = false;
                }
            }
        }
        let has_updater = self.has_got_updater(base, found);
        // What a directory holds stands after it.
        let mut held: BTreeSet<EntryPath> = BTreeSet::new();
        for found in found.iter_mut().rev() {
            let is_extra = self.extra.get(&found.path) == Some(&Kind::Directory);
            let is_directory = matches!(found.kind, FoundKind::Directory { .. });
            if is_extra && is_directory {
                let is_as_made = (found.mode, found.uid, found.gid) == (0o755, 0, 0);
                if is_as_made && !has_updater && !held.contains(&found.path) {
                    found.kind = FoundKind::Whiteout;
                }
                // Made when the command ran.
                found.mtime = now;
            }
            if found.kind != FoundKind::Whiteout
                && let Some(parent) = found.path.parent()
            {
                held.insert(parent);
            }
        }
    }
}

/// Whether a link leads to a file that bears our name.
fn is_ours(target: &[u8]) -> bool {
    let name = target.rsplit(|&byte| byte == b'/').next();
    let name = name.unwrap_or_default();
    let name = name.strip_prefix(b"ca-cert-").unwrap_or(name);
    let rest = name.strip_prefix(NAME.as_bytes());
    matches!(rest, Some(b".pem" | b".crt"))
}

/// Where a link at `path` leads, by its text alone.
fn followed(path: &EntryPath, target: &[u8]) -> EntryPath {
    let from = match target.first() {
        Some(b'/') => EntryPath::root(),
        _ => path.parent().unwrap_or_default(),
    };
    let mut parts: Vec<&[u8]> = from.components().collect();
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    EntryPath::new(&parts.join(&b'/')).unwrap_or_default()
}

#[cfg(test)]
#[path = "clean_tests.rs"]
mod tests;
