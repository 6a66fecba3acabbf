//! What a command left, and what of it is a change.
//!
//! In: its upper folder, listed. Out: [`Ran`], whose contents are read from there as long as anybody
//! needs them, the command's certificate authority taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::Ran;
use super::authority::{self, Cleaned, Placed, Searcher};
use super::error::{Error, LARGEST_CHANGE};
use crate::canon::Digest;
use crate::canon::digest::Hashed;
use crate::inputs::{Holder, Origin};
use crate::layer::Rootfs;
use crate::sandbox::{Found, FoundKind, Session};
use crate::step;
use crate::step::diff::{Circumstances, Content, contents_needed, diff};

/// What a command left, until nobody needs it any more.
pub(super) struct Left {
    pub(super) session: Arc<Session>,
    pub(super) folder: PathBuf,
    pub(super) upper: PathBuf,
    pub(super) found: Vec<Found>,
    /// By number: contents other than those that are there.
    pub(super) cleaned: BTreeMap<usize, Vec<u8>>,
    /// Held, so that nobody takes the folder for abandoned.
    pub(super) _held: (tempfile::TempDir, File),
}

impl Left {
    fn read(&self, number: usize) -> io::Result<Box<dyn Read + '_>> {
        if let Some(bytes) = self.cleaned.get(&number) {
            return Ok(Box::new(bytes.as_slice()));
        }
        let found = self.found.get(number).ok_or(io::ErrorKind::NotFound)?;
        let file = self.session.read(&self.upper, &found.path);
        Ok(Box::new(file.map_err(io::Error::other)?))
    }
}

impl Holder for Left {
    fn open(&self, number: u32) -> io::Result<Box<dyn Read + '_>> {
        self.read(number as usize)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        // Whoever opens the store next tidies up what stays.
        let _ = self.session.remove(&self.folder);
    }
}

/// What the command that left `left` changed over `rootfs`, but for the authority that was `placed`.
pub(super) fn difference(
    rootfs: &Rootfs,
    mut left: Left,
    circumstances: &Circumstances,
    placed: Option<&Placed>,
) -> Result<Ran, Error> {
    if let Some(placed) = placed {
        placed.add_directories(rootfs, &mut left.found, circumstances.began);
    }
    let needed = contents_needed(rootfs, &left.found, circumstances);
    check_size(needed.iter().map(|&number| &left.found[number]))?;
    let digest = |&number: &usize| {
        let path = || left.found[number].path.clone();
        let failed = |source| step::Error::Io {
            path: path(),
            source,
        };
        let mut file = Hashed::new(left.read(number).map_err(failed)?);
        let mut searcher = Searcher::new(placed.map(Placed::authority));
        io::copy(&mut file, &mut searcher).map_err(failed)?;
        Ok((number, (file.finish().0, searcher.has_found())))
    };
    let digests: Result<BTreeMap<usize, (Digest, bool)>, step::Error> =
        needed.par_iter().map(digest).collect();
    let mut digests = digests?;
    if let Some(placed) = placed {
        let held = digests.iter().filter(|(_, (_, has_it))| *has_it);
        let held: Vec<usize> = held.map(|(number, _)| *number).collect();
        for (number, digest) in clean(rootfs, &mut left, placed, &held, circumstances)? {
            digests.insert(number, (digest, false));
        }
    }
    let left = Arc::new(left);
    let held: Arc<dyn Holder> = left.clone();
    let content = |number: usize| {
        let digest = digests.get(&number).map(|(digest, _)| *digest);
        let digest = digest.ok_or_else(|| step::Error::Io {
            path: left.found[number].path.clone(),
            source: io::ErrorKind::NotFound.into(),
        })?;
        let origin = Origin::Held(held.clone(), number as u32);
        Ok(Content { digest, origin })
    };
    let difference = diff(rootfs, &left.found, &content, circumstances)?;
    Ok(Ran {
        change: difference.change,
        sockets: difference.sockets,
        fetched: None,
    })
}

/// Takes what was `placed` out of what the command left: `held` are the files that hold it. Gives
/// the digests of those that are still there.
fn clean(
    rootfs: &Rootfs,
    left: &mut Left,
    placed: &Placed,
    held: &[usize],
    circumstances: &Circumstances,
) -> Result<Vec<(usize, Digest)>, Error> {
    let mut digests = Vec::new();
    let mut gone = BTreeSet::new();
    for &number in held {
        let (path, inode) = (left.found[number].path.clone(), left.found[number].inode);
        let mut bytes = Vec::new();
        let file = left.read(number);
        let read = file.and_then(|file| file.take(authority::LARGEST + 1).read_to_end(&mut bytes));
        read.map_err(|source| step::Error::Io {
            path: path.clone(),
            source,
        })?;
        let cleaned = match bytes.len() as u64 {
            ..=authority::LARGEST => placed.cleaned(&bytes),
            _ => None,
        };
        let cleaned = match cleaned.ok_or(Error::Authority(path.clone()))? {
            Cleaned::Bytes(bytes) => Some(bytes),
            // An empty file that was there before is there still.
            Cleaned::Gone => rootfs.get(&path).map(|_| Vec::new()),
        };
        let kind = match &cleaned {
            Some(bytes) => FoundKind::File {
                size: bytes.len() as u64,
            },
            None => FoundKind::Whiteout,
        };
        let names = left
            .found
            .iter_mut()
            .filter(|found| found.inode == inode && matches!(found.kind, FoundKind::File { .. }));
        for name in names {
            name.kind = kind.clone();
            if cleaned.is_none() {
                gone.insert(name.path.clone());
            }
        }
        if let Some(bytes) = cleaned {
            digests.push((number, Digest::of(&bytes)));
            left.cleaned.insert(number, bytes);
        }
    }
    placed.clear(rootfs, &mut left.found, gone, circumstances.began);
    Ok(digests)
}

/// Refuses files that together are larger than a layer may be.
fn check_size<'a>(files: impl Iterator<Item = &'a Found>) -> Result<(), Error> {
    let sizes = files.filter_map(|found| match found.kind {
        FoundKind::File { size } => Some((size, &found.path)),
        _ => None,
    });
    let (mut total, mut largest) = (0_u64, None);
    for file in sizes {
        total = total.saturating_add(file.0);
        largest = largest.max(Some(file));
    }
    match largest.filter(|_| total > LARGEST_CHANGE) {
        None => Ok(()),
        Some((size, path)) => Err(Error::TooLarge {
            total,
            path: path.clone(),
            size,
        }),
    }
}
