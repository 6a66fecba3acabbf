//! What a command left, and what of it is a change.
//!
//! In: its upper folder, listed. Out: [`Ran`], whose contents are read from there as long as anybody
//! needs them, the command's certificate authority taken out, and what tells when it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::Ran;
use super::authority::{self, Cleaned, Placed, Searcher};
use super::error::{Error, LARGEST_CHANGE};
use super::keys::{self, Had};
use super::normalise::normalise;
use crate::canon::Digest;
use crate::canon::digest::Hashed;
use crate::inputs::{Holder, Origin};
use crate::layer::Rootfs;
use crate::normal::{self, Glance, Normaliser, Without};
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
    /// Those of which such a content is a file of its own.
    pub(super) rewritten: BTreeSet<usize>,
    /// Held, so that nobody takes the folder for abandoned.
    pub(super) _held: (tempfile::TempDir, File),
}

impl Left {
    pub(super) fn read(&self, number: usize) -> io::Result<Box<dyn Read + '_>> {
        if self.rewritten.contains(&number) {
            return Ok(Box::new(File::open(self.rewritten_path(number))?));
        }
        if let Some(bytes) = self.cleaned.get(&number) {
            return Ok(Box::new(bytes.as_slice()));
        }
        let found = self.found.get(number).ok_or(io::ErrorKind::NotFound)?;
        let file = self.session.read(&self.upper, &found.path);
        Ok(Box::new(file.map_err(io::Error::other)?))
    }

    /// Puts another content in place of that which is there.
    pub(super) fn rewrite(&mut self, number: usize, bytes: Vec<u8>) -> Result<(), Error> {
        if bytes.len() < LARGE {
            self.cleaned.insert(number, bytes);
            return Ok(());
        }
        let path = self.rewritten_path(number);
        std::fs::write(&path, bytes).map_err(crate::store::io_error("write", &path))?;
        self.rewritten.insert(number);
        Ok(())
    }

    fn rewritten_path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("rewritten-{number}"))
    }
}

/// Bytes from which on a content isn't held in memory until the layer is packed.
const LARGE: usize = 1 << 16;

/// Reads a file of the layers below, as far as it is small; none where there is none.
pub(super) type Below<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// What is known of a content once it was read.
pub(super) struct Looked {
    pub(super) digest: Digest,
    /// Whether it may hold the authority.
    has_authority: bool,
    /// What looks at it.
    pub(super) normaliser: Option<&'static Normaliser>,
    /// Whether it may be a private key that the command made.
    may_be_key: bool,
}

/// What the caller knows of a command, and says of what it left.
pub(super) struct Judging<'a> {
    pub(super) circumstances: &'a Circumstances<'a>,
    pub(super) placed: Option<&'a Placed>,
    pub(super) without: &'a Without,
    pub(super) below: &'a Below<'a>,
    pub(super) had: &'a Had<'a>,
}

/// Two sinks as one.
struct Both<A, B>(A, B);

impl<A: Write, B: Write> Write for Both<A, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

/// What the command that left `left` changed over `rootfs`, but for the authority that was placed and
/// what the normalisers look at.
pub(super) fn difference(
    rootfs: &Rootfs,
    mut left: Left,
    judging: &Judging<'_>,
) -> Result<Ran, Error> {
    let Judging {
        circumstances,
        placed,
        without,
        below,
        had,
    } = *judging;
    if let Some(placed) = placed {
        placed.add_directories(rootfs, &mut left.found, circumstances.began);
    }
    let needed = contents_needed(rootfs, &left.found, circumstances);
    check_size(needed.iter().map(|&number| &left.found[number]))?;
    let times = circumstances.times();
    let look = |&number: &usize| {
        let found = &left.found[number];
        let failed = |source| step::Error::Io {
            path: found.path.clone(),
            source,
        };
        let mut file = Hashed::new(left.read(number).map_err(failed)?);
        let searcher = Searcher::new(placed.map(Placed::authority));
        let mut sinks = Both(searcher, Glance::default());
        io::copy(&mut file, &mut sinks).map_err(failed)?;
        let Both(searcher, glance) = sinks;
        // What came with its time, from an archive or from below, the command didn't make.
        let is_made = times.made(found.mtime.0);
        let looks = is_made.then(|| normal::find(&found.path, glance.head(), without));
        let looked = Looked {
            digest: file.finish().0,
            has_authority: searcher.has_found(),
            normaliser: looks.flatten(),
            may_be_key: is_made && glance.may_hold_key(),
        };
        Ok((number, looked))
    };
    let looked: Result<BTreeMap<usize, Looked>, step::Error> =
        needed.par_iter().map(look).collect();
    let mut looked = looked?;
    if let Some(placed) = placed {
        let held = looked.iter().filter(|(_, looked)| looked.has_authority);
        let held: Vec<usize> = held.map(|(number, _)| *number).collect();
        for (number, digest) in clean(rootfs, &mut left, placed, &held, circumstances)? {
            if let Some(looked) = looked.get_mut(&number) {
                looked.digest = digest;
            }
        }
        looked.retain(|&number, _| left.found[number].kind != FoundKind::Whiteout);
    }
    let normalised = normalise(rootfs, &mut left, &mut looked, &times, below)?;
    let suspected = looked.iter().filter(|(_, looked)| looked.may_be_key);
    let suspected = suspected.map(|(number, looked)| (*number, looked.digest));
    let keys = keys::find(&left, &suspected.collect::<Vec<_>>(), had)?;
    let left = Arc::new(left);
    let held: Arc<dyn Holder> = left.clone();
    let content = |number: usize| {
        let digest = looked.get(&number).map(|looked| looked.digest);
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
        normalised,
        keys,
        fetched: None,
        trace: None,
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
