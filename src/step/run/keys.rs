//! Private keys among what a command left.
//!
//! In: the contents in which there may be one, and what the command had. Out: where there are keys
//! that it made (`crate::normal::keys`).

use std::collections::BTreeSet;

use super::error::Error;
use super::left::Left;
use super::normalise::content;
use super::{Fetching, Input};
use crate::canon::{Digest, EntryPath};
use crate::layer::codec::Expansion;
use crate::layer::{Kind, Rootfs};
use crate::normal::keys::{self, Key};
use crate::proxy::Finished;
use crate::store::Store;

/// Contents that a command had, and didn't make: files below, those that it mounts, what it fetched.
pub(super) struct Had<'a> {
    pub(super) rootfs: &'a Rootfs,
    pub(super) inputs: &'a [Input<'a>],
    pub(super) fetching: Fetching<'a>,
    pub(super) fetched: Option<&'a Finished>,
    pub(super) store: &'a Store,
    pub(super) expansion: Expansion,
}

impl Had<'_> {
    /// Which of `wanted` are among them.
    fn among(&self, wanted: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, Error> {
        let mut found = BTreeSet::new();
        let mut look = |digest: &Digest| {
            if wanted.contains(digest) {
                found.insert(*digest);
            }
        };
        let mut look_below = |rootfs: &Rootfs| {
            for (_, node) in rootfs.below(&EntryPath::root()) {
                if let Kind::File { digest, .. } = &node.kind {
                    look(digest);
                }
            }
        };
        look_below(self.rootfs);
        for input in self.inputs {
            if let Input::Layers(stack) = input {
                look_below(&*stack.rootfs(self.store, self.expansion)?);
            }
        }
        let files = self.inputs.iter().filter_map(|input| match input {
            Input::Files(files) => Some(&files.picks),
            Input::Layers(_) => None,
        });
        for pick in files.flatten() {
            pick.tree.entries().iter().for_each(|entry| {
                if let Kind::File { digest, .. } = &entry.kind {
                    look(digest);
                }
            });
        }
        let recorded = self.fetched.and_then(|fetched| fetched.record.as_ref());
        let replayed = match self.fetching {
            Fetching::Replayed(record) => Some(record),
            _ => None,
        };
        let records = recorded.into_iter().chain(replayed);
        for exchange in records.flat_map(|record| &record.exchanges) {
            if let Some(body) = &exchange.response.body {
                look(&body.sha256);
            }
        }
        Ok(found)
    }
}

/// The keys among the contents of these numbers, each with its digest.
pub(super) fn find(
    left: &Left,
    suspected: &[(usize, Digest)],
    had: &Had<'_>,
) -> Result<Vec<Key>, Error> {
    let mut found = Vec::new();
    for &(number, digest) in suspected {
        let path = &left.found[number].path;
        if keys::is_of_others(path) {
            continue;
        }
        let kind = content(left, number)?.and_then(|content| keys::find(&content));
        if let Some(kind) = kind {
            found.push((path.clone(), kind, digest));
        }
    }
    let wanted: BTreeSet<Digest> = found.iter().map(|(.., digest)| *digest).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let had = had.among(&wanted)?;
    let made = found
        .into_iter()
        .filter(|(.., digest)| !had.contains(digest));
    let named = made.map(|(path, kind, _)| Key {
        path: path.to_string(),
        kind,
    });
    Ok(named.collect())
}
