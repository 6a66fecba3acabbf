//! A context: a folder of the host that a build may copy from.
//!
//! In: a folder and its ignore rules. Out: [`Files`] of a selection, their metadata brought to
//! what git keeps (format 1, "Mode and owner"), their digests read from the content or the stat
//! cache. The folder is walked once, when it is first needed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::beneath::Folder;
use super::files::{Files, Kept, Origin, Pick, Unread};
use super::host_file::{Content, HostFile};
use super::select::{self, Chosen};
use super::stat::{Stat, Time, now};
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
    /// Whether there are digests that the stat cache doesn't have.
    has_news: AtomicBool,
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
        let digests = found.par_iter().map(digest).collect();
        Ok(Context {
            folder,
            path,
            found,
            digests,
            has_news: AtomicBool::new(false),
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

    /// What `selection` means.
    pub fn select(self: &Arc<Context>, selection: &Selection) -> Result<Selected, Error> {
        let numbered = |chosen: Chosen| {
            let numbers = self.numbers(&chosen.members);
            (chosen, numbers)
        };
        let chosen = select::select(&**self, selection)?;
        Ok(Selected {
            context: self.clone(),
            chosen: chosen.into_iter().map(numbered).collect(),
        })
    }

    /// The files that `selection` means.
    pub fn files(
        self: &Arc<Context>,
        selection: &Selection,
        epoch: Epoch,
        work: &Work,
    ) -> Result<Files, Error> {
        self.select(selection)?.files(epoch, work)
    }

    /// The digest of a file, where its content is known.
    pub(super) fn digest(&self, number: u32) -> Option<Digest> {
        self.digests.get(number as usize)?.get().copied()
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
                let digest = self.digests[number].get().copied().unwrap_or(UNREAD);
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
    fn read_digests(&self, unknown: &[(usize, Stat)], work: &Work) -> Result<(), Error> {
        if unknown.is_empty() {
            return Ok(());
        }
        self.has_news.store(true, Ordering::Relaxed);
        let total = unknown.iter().map(|(_, stat)| stat.size).sum();
        let done = AtomicU64::new(0);
        unknown.par_iter().try_for_each_init(
            || vec![0; 128 << 10],
            |buffer, (number, stat)| {
                let path = &self.found[*number].path;
                let content = Content::Unknown(&self.digests[*number]);
                HostFile::open(&self.folder, path, *stat, content)
                    .and_then(|file| file.read_through(buffer))
                    .map_err(|source| Error::Read {
                        path: path.clone(),
                        source,
                    })?;
                let before = done.fetch_add(stat.size, Ordering::Relaxed);
                work.progress(before + stat.size, Some(total));
                Ok(())
            },
        )
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
    pub(super) fn content(&self, number: u32) -> io::Result<HostFile<'_>> {
        let number = number as usize;
        let FoundKind::File(stat) = &self.found[number].kind else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let digest = &self.digests[number];
        let content = match digest.get() {
            Some(digest) if stat.is_racy(self.started) => Content::Expected(*digest),
            Some(_) => Content::Told,
            None => {
                self.has_news.store(true, Ordering::Relaxed);
                Content::Unknown(digest)
            }
        };
        HostFile::open(&self.folder, &self.found[number].path, *stat, content)
    }

    /// As [`Context::number`] of each of `paths`, which are in order.
    fn numbers(&self, paths: &[EntryPath]) -> Vec<Option<usize>> {
        let first = paths.first();
        let mut at = first.map_or(0, |first| {
            self.found.partition_point(|found| found.path < *first)
        });
        let number = |path: &EntryPath| {
            let before = self.found[at..].iter();
            at += before.take_while(|found| found.path < *path).count();
            let found = self.found.get(at).filter(|found| found.path == *path);
            found.map(|_| at)
        };
        paths.iter().map(number).collect()
    }

    fn number(&self, path: &EntryPath) -> Option<usize> {
        self.found
            .binary_search_by(|found| found.path.cmp(path))
            .ok()
    }
}

/// Files of a context that a selection means.
pub struct Selected {
    context: Arc<Context>,
    /// With the number in the walk of each member.
    chosen: Vec<(Chosen, Vec<Option<usize>>)>,
}

/// What stands in tables for the digest of a content that was not read yet.
const UNREAD: Digest = Digest::from_bytes([0; 32]);

impl Selected {
    /// The files, all of which are read unless the stat cache knows them.
    pub fn files(&self, epoch: Epoch, work: &Work) -> Result<Files, Error> {
        self.context.read_digests(&self.unknown(), work)?;
        if self.context.has_news.swap(false, Ordering::Relaxed) {
            self.context.write_cache()?;
        }
        self.tables(epoch)
    }

    /// Whether most of what there is to read would have to be read for its digest, and again for
    /// its content.
    pub fn is_mostly_unread(&self) -> bool {
        let sum = |files: &mut dyn Iterator<Item = Stat>| files.map(|stat| stat.size).sum::<u64>();
        let unknown = sum(&mut self.unknown().into_iter().map(|(_, stat)| stat));
        unknown > sum(&mut self.stats().map(|(_, stat)| stat)) / 2
    }

    /// The files, with tables that don't tell what the contents are: these are learnt while they
    /// are read, once. Files that changed so lately that `stat` can't tell are read now.
    pub fn unread_files(&self, epoch: Epoch, work: &Work) -> Result<Unread, Error> {
        let mut racy = self.unknown();
        racy.retain(|(_, stat)| stat.is_racy(self.context.started));
        self.context.read_digests(&racy, work)?;
        Ok(Unread(self.tables(epoch)?))
    }

    fn tables(&self, epoch: Epoch) -> Result<Files, Error> {
        let pick = |(chosen, numbers): &(Chosen, Vec<_>)| self.pick(chosen, numbers, epoch);
        let picks = self.chosen.iter().map(pick);
        Ok(Files {
            picks: picks.collect::<Result<_, _>>()?,
        })
    }

    fn pick(
        &self,
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
                Some(number) => self.context.entry(path, *number)?,
            };
            entries.push(Entry {
                path: relative,
                kind,
                meta: Meta::plain(mode, epoch.seconds()),
            });
            origins.push(origin);
        }
        // Members are in the order of paths, which is that of a table without whiteouts.
        let plain = |_: &EntryPath| Meta::plain(0o755, epoch.seconds());
        let kept = chosen.kept.as_ref().map(|kept| Kept::new(kept, plain));
        Ok(Pick {
            name: chosen.name.clone(),
            kept: kept.transpose()?,
            tree: Tree::new(entries)?,
            origins,
        })
    }

    fn stats(&self) -> impl Iterator<Item = (usize, Stat)> {
        let numbers = self.chosen.iter().flat_map(|(_, numbers)| numbers.iter());
        numbers
            .flatten()
            .filter_map(|&number| match &self.context.found[number].kind {
                FoundKind::File(stat) => Some((number, *stat)),
                _ => None,
            })
    }

    /// Files that nobody has read yet.
    fn unknown(&self) -> Vec<(usize, Stat)> {
        let is_unknown = |(number, _): &(usize, _)| self.context.digests[*number].get().is_none();
        self.stats().filter(is_unknown).collect()
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
