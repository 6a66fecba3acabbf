//! Many blobs that come into the store together, or not at all.
//!
//! In: streams whose digests nobody knows yet. Out: their digests at once, blobs when the batch is
//! kept: syncing each by itself would take longer than fetching thousands of small ones.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{Error, Store, io_error, sync_folder};
use crate::canon::Digest;
use crate::canon::digest::Hasher;

/// Blobs under way into the store. Dropped, it leaves nothing.
pub struct Batch(Arc<Inner>);

struct Inner {
    store: Store,
    folder: tempfile::TempDir,
    /// Held, so that nobody takes the folder for abandoned.
    _held: File,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    begun: u64,
    /// Sizes by digest.
    ended: BTreeMap<Digest, u64>,
}

/// Bytes that are held in memory: most blobs are smaller, and need no file while they come.
const SMALL: usize = 64 << 10;

/// Bytes of a large one that are written before the disk is told to begin: what it has by the end
/// need not be waited for.
const EARLY: u64 = 32 << 20;

/// How many are synced each by itself: of more, all that the file system has yet to write is sooner
/// written.
const FEW: usize = 50;

/// One blob of a batch. Dropped unfinished, it leaves nothing.
pub struct BatchWriter {
    batch: Arc<Inner>,
    held: Vec<u8>,
    /// None while it is held.
    file: Option<File>,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
    /// What has the disk begin, at work on what came until then.
    early: Option<JoinHandle<io::Result<()>>>,
    /// Bytes that came since then.
    since: u64,
    is_done: bool,
}

impl Store {
    /// Begins a batch of blobs.
    pub fn write_blobs(&self) -> Result<Batch, Error> {
        let (folder, held) = self.temporary_folder()?;
        Ok(Batch(Arc::new(Inner {
            store: self.clone(),
            folder,
            _held: held,
            state: Mutex::default(),
        })))
    }
}

impl Batch {
    /// Begins a blob.
    pub fn begin(&self) -> BatchWriter {
        let number = {
            let mut state = self.0.state();
            state.begun += 1;
            state.begun
        };
        let path = self.0.folder.path().join(number.to_string());
        BatchWriter {
            batch: Arc::clone(&self.0),
            held: Vec::new(),
            file: None,
            path,
            hasher: Hasher::new(),
            size: 0,
            early: None,
            since: 0,
            is_done: false,
        }
    }

    /// Puts the blobs that are finished into the store.
    #[expect(clippy::disallowed_methods, reason = "all was synced before")]
    pub fn keep(&self) -> Result<(), Error> {
        let ended = std::mem::take(&mut self.0.state().ended);
        if ended.is_empty() {
            return Ok(());
        }
        let folder = self.0.folder.path();
        let synced = match ended.len() <= FEW {
            true => ended.keys().try_for_each(|digest| {
                File::open(folder.join(digest.hex())).and_then(|file| file.sync_data())
            }),
            false => File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?)),
        };
        synced.map_err(io_error("sync", folder))?;
        for digest in ended.keys() {
            let to = self.0.store.root().join("blobs/sha256").join(digest.hex());
            let from = folder.join(digest.hex());
            std::fs::rename(from, &to).map_err(io_error("write", &to))?;
        }
        sync_folder(&self.0.store.root().join("blobs/sha256"))
    }
}

impl BatchWriter {
    /// Takes bytes.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if self.file.is_none() && self.held.len() + bytes.len() <= SMALL {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        self.write(bytes)
            .map_err(|error| io_error("write", &self.path)(error))
    }

    /// Writes what is held, and `bytes`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create_new(&self.path)?),
        };
        file.write_all(&std::mem::take(&mut self.held))?;
        file.write_all(bytes)?;
        self.since += bytes.len() as u64;
        if self.since >= EARLY && self.early.as_ref().is_none_or(JoinHandle::is_finished) {
            let file = file.try_clone()?;
            self.end_early()?;
            self.since = 0;
            self.early = Some(std::thread::spawn(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits for what has the disk begin. An error is told once only, so it must not be lost here.
    fn end_early(&mut self) -> io::Result<()> {
        let ended = self.early.take().map(JoinHandle::join);
        ended
            .transpose()
            .map_err(|_| io::Error::other("a thread that syncs has ended"))?
            .unwrap_or(Ok(()))
    }

    /// Ends the blob: its digest and size.
    #[expect(clippy::disallowed_methods, reason = "within a temporary folder")]
    pub fn finish(mut self) -> Result<(Digest, u64), Error> {
        let digest = self.hasher.clone().finish();
        if self.file.is_none() {
            let written = self.write(&[]);
            written.map_err(|error| io_error("write", &self.path)(error))?;
        }
        let ended = self.end_early();
        ended.map_err(|error| io_error("sync", &self.path)(error))?;
        let to = self.batch.folder.path().join(digest.hex());
        let mut state = self.batch.state();
        std::fs::rename(&self.path, &to).map_err(io_error("write", &to))?;
        state.ended.insert(digest, self.size);
        self.is_done = true;
        drop(state);
        Ok((digest, self.size))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BatchWriter {
    fn drop(&mut self) {
        if self.file.is_some() && !self.is_done {
            // It goes with the folder if not now.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_of_a_batch_are_there_once_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for (is_kept, many) in [(false, 0), (true, 0), (true, 60)] {
            let batch = store.write_blobs().unwrap();
            for _ in 0..2 {
                let mut writer = batch.begin();
                writer.add(b"abc").unwrap();
                assert_eq!(writer.finish().unwrap(), (Digest::of(b"abc"), 3));
            }
            batch.begin().add(b"half").unwrap();
            for number in 0..many {
                let mut writer = batch.begin();
                writer.add(&[number]).unwrap();
                writer.finish().unwrap();
            }
            let large = vec![b'x'; SMALL];
            let mut writer = batch.begin();
            writer.add(b"1").unwrap();
            writer.add(&large).unwrap();
            writer.add(b"2").unwrap();
            let (digest, size) = writer.finish().unwrap();
            assert_eq!(digest, Digest::of(&[b"1", &large[..], b"2"].concat()));
            assert_eq!(size, SMALL as u64 + 2);
            let mut half = batch.begin();
            half.add(&large).unwrap();
            half.add(&large).unwrap();
            drop(half);
            if is_kept {
                batch.keep().unwrap();
            }
            for digest in [digest, Digest::of(b"abc")] {
                assert_eq!(store.checked_blob(&digest).is_some(), is_kept);
            }
            let last = store.checked_blob(&Digest::of(&[59]));
            assert_eq!(last.is_some(), many > 0);
        }
        assert_eq!(&*store.read(&Digest::of(b"abc"), 3).unwrap(), b"abc");
        assert_eq!(store.blob(&Digest::of(b"half")), None);
    }
}
