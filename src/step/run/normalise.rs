//! What a command left, without what tells when and where it ran.
//!
//! In: the listing of what it left, the digest of each content, and which normaliser goes for it.
//! Out: the same, with what the normalisers say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use super::error::Error;
use super::left::{Below, Left, Looked};
use crate::canon::{Digest, EntryPath};
use crate::layer::{Kind, Rootfs};
use crate::normal::{Action, Done, File, LARGEST, Times, Verdict};
use crate::sandbox::{Found, FoundKind};
use crate::step;

/// Has what the command left as the normalisers say, in `left` and in `looked`, which has what is
/// known of each content by its number.
pub(super) fn normalise(
    rootfs: &Rootfs,
    left: &mut Left,
    looked: &mut BTreeMap<usize, Looked>,
    times: &Times,
    below: &Below<'_>,
) -> Result<Vec<Done>, Error> {
    let mut done = Vec::new();
    let numbers: Vec<usize> = looked.keys().copied().collect();
    for number in numbers {
        let Some(known) = looked.get_mut(&number) else {
            continue;
        };
        let path = left.found[number].path.clone();
        let Some(normaliser) = known.normaliser else {
            continue;
        };
        // What was only touched is what was there.
        if is_below(rootfs, &path, &known.digest) {
            continue;
        }
        let content = match normaliser.reads() {
            true => content(left, number)?,
            false => Some(Vec::new()),
        };
        let Some(content) = content else {
            continue;
        };
        let before = normaliser.reads_below().and_then(below);
        let file = File {
            content: &content,
            below: before.as_deref(),
            times,
        };
        let names = names(left, number);
        let action = match normaliser.judge(&file) {
            // Under its other names it would still be there.
            Verdict::Remove if names.len() == 1 => {
                left.found[number].kind = FoundKind::Whiteout;
                looked.remove(&number);
                Action::Removed
            }
            Verdict::Keep | Verdict::Remove => continue,
            Verdict::Rewrite(bytes) => {
                if Digest::of(&bytes) == known.digest {
                    continue;
                }
                known.digest = Digest::of(&bytes);
                let action = match bytes.is_empty() {
                    true => Action::Emptied,
                    false => Action::Rewritten,
                };
                for name in names {
                    left.found[name].kind = FoundKind::File {
                        size: bytes.len() as u64,
                    };
                }
                left.rewrite(number, bytes)?;
                action
            }
        };
        done.push(Done {
            path: path.to_string(),
            normaliser: normaliser.name.to_owned(),
            action,
        });
    }
    Ok(done)
}

/// Whether the file at `path` had that content before.
pub(super) fn is_below(rootfs: &Rootfs, path: &EntryPath, content: &Digest) -> bool {
    let below = rootfs.get(path);
    below.is_some_and(|node| matches!(node.kind, Kind::File { digest, .. } if digest == *content))
}

/// The content of that number; none where it is too large to be changed in memory.
pub(super) fn content(left: &Left, number: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let file = left.read(number);
    let read = file.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|source| step::Error::Io {
        path: left.found[number].path.clone(),
        source,
    })?;
    Ok((bytes.len() as u64 <= LARGEST).then_some(bytes))
}

/// The numbers of all names of a file.
fn names(left: &Left, number: usize) -> BTreeSet<usize> {
    let Found { inode, links, .. } = left.found[number];
    if links == 1 {
        return BTreeSet::from([number]);
    }
    let found = left.found.iter().enumerate();
    let names = found
        .filter(|(_, found)| found.inode == inode && matches!(found.kind, FoundKind::File { .. }));
    names.map(|(number, _)| number).collect()
}
