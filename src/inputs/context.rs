//! A context: a folder of the host that a build may copy from.
//!
//! In: a folder and its ignore rules. Out: [`Files`] of a selection, their metadata brought to
//! what git keeps (format 1, "Mode and owner"), their digests read from the content or the stat
//! cache. The folder is walked once, when it is first needed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::beneath::Folder;
use super::files::{Files, Origin, Pick};
use super::host_file::HostFile;
use super::select::{self, Chosen};
use super::stat::{Time, now};
use super::stat_cache::StatCache;
use super::walk::{Found, FoundKind, walk};
use crate::canon::event::Work;
use crate::canon::pattern::Rules;
use crate::canon::{Digest, EntryPath, Epoch};
use crate::layer::view::{Seen, View};
use crate::layer::{Entry, Kind, Meta, Tree, tree};
use crate::plan::Selection;
use crate::store::{RecordKind, Store};

/// A folder that was walked.
pub struct Context {
    folder: Folder,
    path: PathBuf,
    found: Vec<Found>,
    /// By number in `found`: what the stat cache knows, and what was read.
    digests: Vec<OnceLock<Digest>>,
    /// Before the walk, by the clock of the store's file system.
    started: Time,
    store: Store,
    /// Whether its stat cache is kept: a folder that goes with the build will not be met again.
    is_lasting: bool,
}

/// Why a context can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder itself.
    #[error("can't read the context `{}`: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it.
    #[error("can't read `{path}` of the context: {source}")]
    Read {
        /// Below the folder.
        path: EntryPath,
        /// Why.
        source: io::Error,
    },
    /// A socket, a device, a pipe.
    #[error(
        "`{path}` of the context is {what}, which no image can hold\nhint: name it in `.dockerignore`, or exclude it from the copy"
    )]
    Special {
        /// Below the folder.
        path: EntryPath,
        /// In words.
        what: &'static str,
    },
    /// A name that means something else in a layer.
    #[error(
        "`{0}` of the context can't be copied: in a layer a name that begins with `.wh.` removes a file\nhint: rename it, or exclude it from the copy"
    )]
    WhiteoutName(EntryPath),
    /// A selection that means nothing.
    #[error(transparent)]
    Select(#[from] select::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A table that is none: a bug, as walks are sorted.
    #[error(transparent)]
    Tree(#[from] tree::Error),
}

impl Context {
    /// Walks the folder at `path`, leaving out what `ignored` says.
    pub fn open(path: &Path, ignored: &Rules, store: &Store) -> Result<Context, Error> {
        let failed = |source| Error::Folder {
            path: path.to_owned(),
            source,
        };
        let started = now(store)?;
        let folder = Folder::open(path).map_err(failed)?;
        let found = walk(&folder, ignored);
        let path = path.canonicalize().map_err(failed)?;
        let cache = store.record_bytes(RecordKind::Context, &cache_name(&path), "");
        let cache = cache.map(StatCache::read).unwrap_or_default();
        // All at once, so that the rows, which are many, don't stay.
        let digest = |found: &Found| match &found.kind {
            FoundKind::File(stat) => cache.get(stat).map(OnceLock::from).unwrap_or_default(),
            _ => OnceLock::new(),
        };
        let digests = found.iter().map(digest).collect();
        Ok(Context {
            folder,
            path,
            found,
            digests,
            started,
            store: store.clone(),
            is_lasting: true,
        })
    }

    /// As [`Context::open`], of all of a folder that goes with the build.
    pub fn open_passing(path: &Path, store: &Store) -> Result<Context, Error> {
        let context = Context::open(path, &Rules::default(), store)?;
        Ok(Context {
            is_lasting: false,
            ..context
        })
    }

    /// The files that `selection` means.
    pub fn files(
        self: &Arc<Context>,
        selection: &Selection,
        epoch: Epoch,
        work: &Work,
    ) -> Result<Files, Error> {
        let chosen = select::select(&**self, selection)?;
        let numbers = |chosen: &Chosen| -> Vec<Option<usize>> {
            chosen
                .members
                .iter()
                .map(|path| self.number(path))
                .collect()
        };
        let numbered: Vec<_> = chosen
            .iter()
            .map(|chosen| (chosen, numbers(chosen)))
            .collect();
        self.read_digests(
            numbered
                .iter()
                .flat_map(|(_, numbers)| numbers.iter().flatten().copied()),
            work,
        )?;
        let picks = numbered
            .into_iter()
            .map(|(chosen, numbers)| self.pick(chosen, &numbers, epoch));
        Ok(Files {
            picks: picks.collect::<Result<_, _>>()?,
        })
    }

    fn pick(
        self: &Arc<Context>,
        chosen: &Chosen,
        numbers: &[Option<usize>],
        epoch: Epoch,
    ) -> Result<Pick, Error> {
        let mut entries = Vec::with_capacity(numbers.len());
        let mut origins = Vec::with_capacity(numbers.len());
        for (path, number) in chosen.members.iter().zip(numbers) {
            let relative = path.below(&chosen.root).unwrap_or_default();
            let (kind, mode, origin) = match number {
                None => (Kind::Directory, 0o755, Origin::None),
                Some(number) => self.entry(path, *number)?,
            };
            entries.push(Entry {
                path: relative,
                kind,
                meta: Meta::plain(mode, epoch.seconds()),
            });
            origins.push(origin);
        }
        // Members are in the order of paths, which is that of a table without whiteouts.
        Ok(Pick {
            name: chosen.name.clone(),
            tree: Tree::new(entries)?,
            origins,
        })
    }

    fn entry(
        self: &Arc<Context>,
        path: &EntryPath,
        number: usize,
    ) -> Result<(Kind, u16, Origin), Error> {
        if path.name().is_some_and(|name| name.starts_with(b".wh.")) {
            return Err(Error::WhiteoutName(path.clone()));
        }
        Ok(match &self.found[number].kind {
            FoundKind::File(stat) => {
                let digest = self.digests[number].get().copied();
                let digest = digest.ok_or_else(|| Error::Read {
                    path: path.clone(),
                    source: io::ErrorKind::Other.into(),
                })?;
                let executable = if stat.mode & 0o100 != 0 { 0o755 } else { 0o644 };
                let special = (stat.mode & 0o7000) as u16;
                let kind = Kind::File {
                    size: stat.size,
                    digest,
                };
                (
                    kind,
                    executable | special,
                    Origin::Context(self.clone(), number as u32),
                )
            }
            FoundKind::Directory => (Kind::Directory, 0o755, Origin::None),
            FoundKind::Symlink(target) => (Kind::Symlink(target.clone()), 0o777, Origin::None),
            FoundKind::Special(what) => {
                return Err(Error::Special {
                    path: path.clone(),
                    what,
                });
            }
            FoundKind::Unreadable(error) => {
                let source = io::Error::new(error.kind(), error.to_string());
                return Err(Error::Read {
                    path: path.clone(),
                    source,
                });
            }
        })
    }

    /// Learns the digests of these objects, by reading those that the stat cache doesn't know.
    fn read_digests(&self, numbers: impl Iterator<Item = usize>, work: &Work) -> Result<(), Error> {
        let mut unknown = Vec::new();
        for number in numbers {
            let FoundKind::File(stat) = &self.found[number].kind else {
                continue;
            };
            if self.digests[number].get().is_none() {
                unknown.push((number, *stat));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let total = unknown.iter().map(|(_, stat)| stat.size).sum();
        let done = std::sync::atomic::AtomicU64::new(0);
        unknown.par_iter().try_for_each_init(
            || vec![0; 128 << 10],
            |buffer, (number, stat)| {
                let path = &self.found[*number].path;
                let digest = HostFile::open(&self.folder, path, *stat, None)
                    .and_then(|file| file.digest(buffer))
                    .map_err(|source| Error::Read {
                        path: path.clone(),
                        source,
                    })?;
                let _ = self.digests[*number].set(digest);
                let before = done.fetch_add(stat.size, std::sync::atomic::Ordering::Relaxed);
                work.progress(before + stat.size, Some(total));
                Ok::<(), Error>(())
            },
        )?;
        self.write_cache()
    }

    fn write_cache(&self) -> Result<(), Error> {
        if !self.is_lasting {
            return Ok(());
        }
        let known = self
            .found
            .iter()
            .zip(&self.digests)
            .filter_map(|(found, digest)| {
                let FoundKind::File(stat) = &found.kind else {
                    return None;
                };
                Some((stat, digest.get().copied()?))
            });
        let bytes = StatCache::write(known, self.started);
        Ok(self
            .store
            .put_record_bytes(RecordKind::Context, &cache_name(&self.path), "", &bytes)?)
    }

    /// Opens the content of an object, as the walk found it.
    pub(super) fn content(&self, number: u32) -> io::Result<HostFile> {
        let number = number as usize;
        let FoundKind::File(stat) = &self.found[number].kind else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let racy = stat
            .is_racy(self.started)
            .then(|| self.digests[number].get().copied());
        HostFile::open(
            &self.folder,
            &self.found[number].path,
            *stat,
            racy.flatten(),
        )
    }

    fn number(&self, path: &EntryPath) -> Option<usize> {
        self.found
            .binary_search_by(|found| found.path.cmp(path))
            .ok()
    }
}

impl View for Context {
    fn seen(&self, path: &EntryPath) -> Option<Seen<'_>> {
        match self.number(path) {
            Some(number) => Some(self.found[number].seen()),
            None => path.is_root().then_some(Seen::Directory),
        }
    }

    fn seen_below<'a>(
        &'a self,
        path: &'a EntryPath,
    ) -> Box<dyn Iterator<Item = (&'a EntryPath, Seen<'a>)> + 'a> {
        let from = self.found.partition_point(|found| found.path <= *path);
        let below = self.found[from..]
            .iter()
            .take_while(|found| found.path.below(path).is_some());
        Box::new(below.map(|found| (&found.path, found.seen())))
    }
}

impl Found {
    fn seen(&self) -> Seen<'_> {
        match &self.kind {
            FoundKind::File(_) => Seen::File,
            FoundKind::Directory => Seen::Directory,
            FoundKind::Symlink(target) => Seen::Symlink(target),
            FoundKind::Special(_) | FoundKind::Unreadable(_) => Seen::Other,
        }
    }
}

fn cache_name(path: &Path) -> Digest {
    Digest::of(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}
