//! The content of files that differ.
//!
//! In: changed entries, and the content of files by digest. Out: what differs in each, put beside
//! its entry; and the normaliser after which nothing would.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::Which;
use super::kind::{self, Budget};
use super::report::{EntryChange, Finding, Object};
use crate::canon::{Digest, EntryPath};
use crate::layer::Kind;
use crate::normal;

/// Largest file that is opened, in bytes; a larger one is compared as it passes by.
const LARGEST: u64 = 64 << 20;

/// Where the content of files comes from.
pub trait Contents {
    /// Opens the content of that digest, as one of the two has it.
    fn open(&self, which: Which, digest: &Digest) -> io::Result<Box<dyn Read + '_>>;
}

/// A content by its digest, and its size.
pub type Content = (Digest, u64);

/// The files that [`contents`] opens: those of whom both have the content, and not the same one.
pub fn opened(changes: &[EntryChange]) -> impl Iterator<Item = (&EntryPath, [Content; 2])> {
    changes
        .iter()
        .filter_map(|change| Some((&change.path, pair(change)?)))
}

/// Both contents of an entry that is a file for both, and not the same.
fn pair(change: &EntryChange) -> Option<[Content; 2]> {
    let file = |object: &Option<Object>| match object.as_ref()?.kind {
        Kind::File { size, digest } => Some((digest, size)),
        _ => None,
    };
    let pair = [file(&change.before)?, file(&change.after)?];
    (pair[0] != pair[1]).then_some(pair)
}

/// Looks into the content of every changed file.
pub fn contents(changes: &mut [EntryChange], from: &dyn Contents) -> io::Result<()> {
    let mut budget = Budget::default();
    // Hard links are told at each of their names, and opened once.
    let mut known: BTreeMap<[Digest; 2], Finding> = BTreeMap::new();
    for change in changes {
        let Some([(first, size), (second, other_size)]) = pair(change) else {
            let is_alone = change.before.is_none() || change.after.is_none();
            change.pass = normal::removing(&change.path).filter(|_| is_alone);
            continue;
        };
        let name = change.path.name().unwrap_or_default();
        let is_linked = [&change.before, &change.after].iter().any(|object| {
            object
                .as_ref()
                .is_some_and(|object| object.first_name.is_some())
        });
        let finding = match known.get(&[first, second]).filter(|_| is_linked) {
            Some(finding) => finding.clone(),
            None => {
                let mut before = from.open(Which::Before, &first)?;
                let mut after = from.open(Which::After, &second)?;
                if size.max(other_size) > LARGEST {
                    kind::streams(&mut before, &mut after)?
                } else {
                    let whole = |source: &mut dyn Read, size: u64| {
                        let mut bytes = Vec::with_capacity(size as usize);
                        source.take(LARGEST).read_to_end(&mut bytes).map(|_| bytes)
                    };
                    let before = whole(&mut before, size)?;
                    let after = whole(&mut after, other_size)?;
                    budget.next_file();
                    let pass = normal::same_after(&change.path, [&before, &after]);
                    if !is_linked {
                        change.pass = pass;
                    }
                    kind::compare(None, name, [&before, &after], &mut budget)
                }
            }
        };
        if is_linked {
            known.insert([first, second], finding.clone());
        }
        change.content = Some(finding);
    }
    Ok(())
}
