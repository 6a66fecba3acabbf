//! What a command changed.
//!
//! In: the file system below, and the listing of the overlay's upper directory after the command.
//! Out: [`Change`], the same for the same change whatever the overlay wrote down of it:
//! - what is removed becomes one whiteout each, also where the overlay has a directory that hides
//!   all that is below it (`opaque`);
//! - what is there but as it was below is left out: files that were only touched, directories
//!   whose time alone moved because of what they hold;
//! - times that the command made, which lie between its begin and its end, become the epoch; times
//!   that it set (as `tar -x` does) stay, in whole seconds, also those to come;
//! - names of one inode are hard links of each other;
//! - what was made only to mount something on is left out, as are sockets and the overlay's own
//!   attributes.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::draft::{Change, Draft};
use crate::canon::{Digest, EntryPath, Epoch};
use crate::inputs::Origin;
use crate::layer::entry::Xattrs;
use crate::layer::rootfs::Node;
use crate::layer::{Kind, Meta, Rootfs};
use crate::normal::Times;
use crate::sandbox::{Found, FoundKind};

/// The content of a regular file.
#[derive(Clone)]
pub struct Content {
    /// Of all of it.
    pub digest: Digest,
    /// Where it is.
    pub origin: Origin,
}

/// What is known of the command beside what it left.
pub struct Circumstances<'a> {
    /// The time of all that it made.
    pub epoch: Epoch,
    /// When it began, by the clock of the file system, as [`Found::mtime`] has it: no time from
    /// that second to the one in which it ended was set, as far as can be told.
    pub began: (i64, u32),
    /// When it had ended, by the same clock.
    pub ended: (i64, u32),
    /// When it began by a clock of its own, in seconds since 1970, if it had one: of that, too, no time
    /// from there on was set, for as long as the command took.
    pub clock: Option<i64>,
    /// What was made to mount something on, and the directories above that.
    pub stubs: &'a [EntryPath],
    /// Whether the upper directory holds all of the layers below, too.
    pub is_copy: bool,
}

impl Circumstances<'_> {
    /// Which times the command made. Programs also set the present one, in whole seconds (utime(2)),
    /// by a clock that may be a tick (10 ms) behind the file system's, or ahead of it: all of the
    /// seconds in which the command began and ended are the present.
    pub fn times(&self) -> Times {
        const TICK: u32 = 10_000_000;
        const LAST_TICK: u32 = 1_000_000_000 - TICK;
        let ((began, after), (ended, before)) = (self.began, self.ended);
        let first = began.saturating_sub(i64::from(after < TICK));
        let last = ended.saturating_add(i64::from(before >= LAST_TICK));
        let took = ended.saturating_sub(began);
        Times {
            epoch: self.epoch.seconds(),
            ran: first..=last,
            // It ends within a second.
            own: self
                .clock
                .map(|clock| clock..=clock.saturating_add(took).saturating_add(1)),
        }
    }
}

/// What a command changed, and what of it can't be kept.
pub struct Difference {
    /// The layer.
    pub change: Change,
    /// Sockets, which no layer can hold.
    pub sockets: Vec<EntryPath>,
}

/// What the command changed over `base`. `upper` is sorted by path; `content` gives the content
/// of the regular file of that number.
pub fn diff(
    base: &Rootfs,
    upper: &[Found],
    content: &dyn Fn(usize) -> Result<Content, Error>,
    circumstances: &Circumstances,
) -> Result<Difference, Error> {
    let kept = kept(base, upper, circumstances);
    let differ = Differ {
        base,
        circumstances,
        times: circumstances.times(),
        kept,
    };
    differ.difference(upper, content)
}

/// Which regular files of `upper` may be in the layer, one name of each: the contents that
/// [`diff`] asks for.
pub fn contents_needed(
    base: &Rootfs,
    upper: &[Found],
    circumstances: &Circumstances,
) -> Vec<usize> {
    let kept = kept(base, upper, circumstances);
    let mut seen = BTreeSet::new();
    let files = upper.iter().enumerate().filter(|(number, found)| {
        let is_file = matches!(found.kind, FoundKind::File { .. });
        is_file && kept[*number] && seen.insert(found.inode)
    });
    files.map(|(number, _)| number).collect()
}

/// What is not there for mounts alone.
fn kept(base: &Rootfs, upper: &[Found], circumstances: &Circumstances) -> Vec<bool> {
    let stubs = circumstances.stubs.iter();
    let stubs: BTreeSet<&EntryPath> = stubs.filter(|path| base.get(path).is_none()).collect();
    let mut kept = vec![true; upper.len()];
    let mut needed: BTreeSet<EntryPath> = BTreeSet::new();
    // What a directory holds stands after it.
    for (number, found) in upper.iter().enumerate().rev() {
        let is_bare = match found.kind {
            FoundKind::File { size } => size == 0,
            FoundKind::Directory { .. } => !needed.contains(&found.path),
            _ => false,
        };
        let is_stub = is_bare && stubs.contains(&found.path);
        let removes_nothing = found.kind == FoundKind::Whiteout && base.get(&found.path).is_none();
        kept[number] = !is_stub && !removes_nothing;
        // A directory above another one's parents is only asked for when it is a stub itself.
        let is_in_the_layer = kept[number] && found.kind != FoundKind::Socket;
        if is_in_the_layer
            && let Some(parent) = found.path.parent()
            && stubs.contains(&parent)
        {
            needed.insert(parent);
        }
    }
    kept
}

struct Differ<'a> {
    base: &'a Rootfs,
    circumstances: &'a Circumstances<'a>,
    times: Times,
    kept: Vec<bool>,
}

impl Differ<'_> {
    fn difference(
        &self,
        upper: &[Found],
        content: &dyn Fn(usize) -> Result<Content, Error>,
    ) -> Result<Difference, Error> {
        let linked = self.linked(upper);
        let mut draft = Draft::new(self.base, self.circumstances.epoch, (0, 0));
        let mut sockets = Vec::new();
        let mut opaque = BTreeSet::new();
        // None where all names of a file are as they were.
        let mut first_names: BTreeMap<u64, Option<EntryPath>> = BTreeMap::new();
        for (number, found) in upper.iter().enumerate() {
            let path = &found.path;
            if !self.kept[number] {
                continue;
            }
            let kind = match &found.kind {
                FoundKind::Whiteout => {
                    draft.remove(path)?;
                    continue;
                }
                FoundKind::Socket => {
                    sockets.push(path.clone());
                    // What was there before is not any more.
                    if self.base.get(path).is_some() {
                        draft.remove(path)?;
                    }
                    continue;
                }
                FoundKind::Directory { opaque: hides } => {
                    let above = path.parent();
                    let hides = *hides
                        || self.circumstances.is_copy
                        || above.is_some_and(|parent| opaque.contains(&parent));
                    if hides {
                        self.remove_hidden(&mut draft, path, upper)?;
                        opaque.insert(path.clone());
                    }
                    Kind::Directory
                }
                FoundKind::Symlink(target) => Kind::Symlink(target.clone()),
                FoundKind::CharacterDevice(device) => Kind::CharacterDevice(*device),
                FoundKind::BlockDevice(device) => Kind::BlockDevice(*device),
                FoundKind::Fifo => Kind::Fifo,
                FoundKind::File { size } => {
                    let links = linked.get(&found.inode);
                    if let Some(first) = first_names.get(&found.inode) {
                        if let Some(first) = first {
                            draft.replace_with_link(path, first)?;
                        }
                        continue;
                    }
                    let Content { digest, origin } = content(number)?;
                    let kind = Kind::File {
                        size: *size,
                        digest,
                    };
                    let names = links.map_or(std::slice::from_ref(&number), Vec::as_slice);
                    let names = names.iter().map(|&name| &upper[name]);
                    let is_changed = !self.is_as_it_was(names, &kind);
                    if links.is_some() {
                        first_names.insert(found.inode, is_changed.then(|| path.clone()));
                    }
                    if is_changed {
                        let below = self.base.get(path);
                        draft.replace(path, kind, self.meta(found, below), origin)?;
                    }
                    continue;
                }
            };
            let below = self.base.get(path);
            if !below.is_some_and(|below| self.is_same(found, &kind, below)) {
                draft.replace(path, kind, self.meta(found, below), Origin::None)?;
            }
        }
        Ok(Difference {
            change: draft.finish()?,
            sockets,
        })
    }

    /// The numbers of the names of each inode that has several.
    fn linked(&self, upper: &[Found]) -> BTreeMap<u64, Vec<usize>> {
        let mut names: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (number, found) in upper.iter().enumerate() {
            let is_file = matches!(found.kind, FoundKind::File { .. });
            if is_file && self.kept[number] {
                names.entry(found.inode).or_default().push(number);
            }
        }
        names.retain(|_, names| names.len() > 1);
        names
    }

    /// Whether the names of one file, which is `kind`, are below what they are above: one file
    /// there, too.
    fn is_as_it_was<'a>(
        &self,
        names: impl Iterator<Item = &'a Found> + Clone,
        kind: &Kind,
    ) -> bool {
        let mut below = names.clone().map(|found| self.base.get(&found.path));
        let first = below.next().flatten();
        let inode = first.and_then(|node| node.inode);
        let is_one = below.all(|node| node.is_some_and(|node| node.inode == inode));
        is_one
            && names.clone().all(|found| {
                let below = self.base.get(&found.path);
                below.is_some_and(|below| self.is_same(found, kind, below))
            })
    }

    /// Removes what `base` has in a directory of which only what is above is seen.
    fn remove_hidden(
        &self,
        draft: &mut Draft,
        directory: &EntryPath,
        upper: &[Found],
    ) -> Result<(), Error> {
        let is_directory = self.base.get(directory).is_some_and(Node::is_directory);
        if !is_directory {
            return Ok(());
        }
        let is_above = |path: &EntryPath| {
            let at = upper.binary_search_by(|found| found.path.cmp(path));
            at.is_ok_and(|at| self.kept[at])
        };
        let below = self.base.below(directory).map(|(path, _)| path);
        for path in below.filter(|path| path.is_in(directory) && !is_above(path)) {
            draft.remove(path)?;
        }
        Ok(())
    }

    /// Whether `found`, which is `kind`, is what is `below`.
    fn is_same(&self, found: &Found, kind: &Kind, below: &Node) -> bool {
        let meta = &below.meta;
        // A link's mode means nothing, and of a directory that no layer names nothing is known.
        let has_mode = !matches!(kind, Kind::Symlink(_));
        let is_time_known = below.inode.is_some();
        let was_set = self.was_set(found);
        *kind == below.kind
            && (!has_mode || found.mode == meta.mode)
            && (found.uid, found.gid) == (meta.uid, meta.gid)
            && (!was_set || !is_time_known || found.mtime.0 == meta.mtime)
            && kept_xattrs(&found.xattrs).eq(meta.xattrs.iter().flat_map(|all| kept_xattrs(all)))
    }

    /// Whether the time of `found` was set to one before or after the command.
    fn was_set(&self, found: &Found) -> bool {
        !self.times.made(found.mtime.0)
    }

    fn meta(&self, found: &Found, below: Option<&Node>) -> Meta {
        let was_set = self.was_set(found);
        let is_unknown = |below: &Node| below.inode.is_none() && below.is_directory();
        let mtime = match was_set && !below.is_some_and(is_unknown) {
            true => found.mtime.0,
            false => self.circumstances.epoch.seconds(),
        };
        let xattrs: Xattrs = kept_xattrs(&found.xattrs)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Meta {
            mode: match found.kind {
                FoundKind::Symlink(_) => 0o777,
                _ => found.mode,
            },
            uid: found.uid,
            gid: found.gid,
            mtime,
            xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)),
        }
    }
}

/// The attributes that a layer holds: those of users, and file capabilities. The others are the
/// overlay's, or the host's (labels, signatures, what a folder of the host hands down).
fn kept_xattrs(xattrs: &Xattrs) -> impl Iterator<Item = (&Box<[u8]>, &Box<[u8]>)> {
    xattrs.iter().filter(|(name, _)| {
        let is_users = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        is_users || ***name == *b"security.capability"
    })
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
