//! Blobs: bytes by the digest that they have.
//!
//! In: streams, with the digest and size that they should have. Out: [`Verified`] bytes and
//! [`Blob`]s, which exist only once their bytes were checked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Error, Store, io_error, publish};
use crate::canon::Digest;
use crate::canon::digest::{Hashed, Hasher};

/// A blob in the store: its bytes were checked when they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    path: PathBuf,
}

impl Blob {
    /// Opens it for reading.
    pub fn open(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(io_error("read", &self.path))
    }

    /// Reads all of it, and compares it with its digest.
    pub fn check(&self) -> Result<(), Error> {
        let file = io::BufReader::with_capacity(256 << 10, self.open()?);
        let mut file = Hashed::new(file);
        io::copy(&mut file, &mut io::sink()).map_err(io_error("read", &self.path))?;
        let (got, _) = file.finish();
        match got == self.digest {
            true => Ok(()),
            false => Err(Error::DigestMismatch {
                what: format!("blob {}", self.digest),
                expected: self.digest,
                got,
            }),
        }
    }

    /// The file that holds it: never to be written to.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Bytes that have just been checked against their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified(Vec<u8>);

impl Verified {
    /// Checks `bytes` against `digest`; `what` names them in the error.
    pub fn new(what: &str, bytes: Vec<u8>, digest: &Digest) -> Result<Verified, Error> {
        let got = Digest::of(&bytes);
        if got != *digest {
            return Err(Error::DigestMismatch {
                what: what.to_owned(),
                expected: *digest,
                got,
            });
        }
        Ok(Verified(bytes))
    }
}

impl std::ops::Deref for Verified {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A blob under way into the store. Dropped unfinished, it leaves nothing.
pub struct BlobWriter {
    file: tempfile::NamedTempFile,
    hasher: Hasher,
    size: u64,
    store: Store,
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BlobWriter {
    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes in all of `source`, which has to bring the blob to `expected` bytes where that is
    /// known.
    pub fn fill(
        &mut self,
        what: &str,
        source: &mut impl Read,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(io_error("read", Path::new(what))(error)),
            };
            self.write_all(&buffer[..read])
                .map_err(io_error("write", self.file.path()))?;
            if expected.is_some_and(|expected| self.size > expected) {
                break;
            }
        }
        match expected {
            Some(expected) if expected != self.size => Err(Error::SizeMismatch {
                what: what.to_owned(),
                expected,
                got: self.size,
            }),
            _ => Ok(()),
        }
    }

    /// Ends the blob, which must have `digest`, and puts it into the store.
    pub fn finish_as(self, what: &str, digest: &Digest) -> Result<Blob, Error> {
        let got = self.hasher.clone().finish();
        if got != *digest {
            return Err(Error::DigestMismatch {
                what: what.to_owned(),
                expected: *digest,
                got,
            });
        }
        self.finish()
    }

    /// Ends the blob and puts it into the store under the digest that it has, in place of one
    /// that may be there: these bytes are known to be right.
    pub fn finish(self) -> Result<Blob, Error> {
        let digest = self.hasher.finish();
        let path = self.store.blob_path(&digest);
        self.file
            .as_file()
            .sync_data()
            .map_err(io_error("sync", self.file.path()))?;
        publish(self.file, &path)?;
        Ok(Blob {
            digest,
            size: self.size,
            path,
        })
    }
}

impl Store {
    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The blob of that digest, where the store has it.
    pub fn blob(&self, digest: &Digest) -> Option<Blob> {
        let path = self.blob_path(digest);
        let size = std::fs::metadata(&path)
            .ok()
            .filter(std::fs::Metadata::is_file)?
            .len();
        Some(Blob {
            digest: *digest,
            size,
            path,
        })
    }

    /// As [`Store::blob`], an error when it isn't there.
    pub fn require_blob(&self, digest: &Digest) -> Result<Blob, Error> {
        self.blob(digest)
            .ok_or_else(|| Error::Missing(format!("blob {digest}")))
    }

    /// The blob of that digest and size. A small one is read and checked again, so that one that
    /// was damaged is had anew; of larger ones the size has to do, unless the store is
    /// [thorough](Store::thorough).
    pub fn whole_blob(&self, digest: &Digest, size: u64) -> Option<Blob> {
        const SMALL: u64 = 1 << 20;
        let blob = self.blob(digest).filter(|blob| blob.size == size)?;
        match size > SMALL && !self.is_thorough {
            true => Some(blob),
            false => blob.check().is_ok().then_some(blob),
        }
    }

    /// This store, which takes no blob for [whole](Store::whole_blob) that it hasn't read again:
    /// for those who come to mend it.
    pub fn thorough(&self) -> Store {
        Store {
            is_thorough: true,
            ..self.clone()
        }
    }

    /// The blob of that digest, read whole and checked again.
    pub fn checked_blob(&self, digest: &Digest) -> Option<Blob> {
        self.blob(digest).filter(|blob| blob.check().is_ok())
    }

    /// Begins a blob.
    pub fn write_blob(&self) -> Result<BlobWriter, Error> {
        let file = self.temporary()?;
        Ok(BlobWriter {
            file,
            hasher: Hasher::new(),
            size: 0,
            store: self.clone(),
        })
    }

    /// Puts `bytes` into the store, unless it has them, undamaged.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob, Error> {
        let digest = Digest::of(bytes);
        if let Some(blob) = self.whole_blob(&digest, bytes.len() as u64) {
            return Ok(blob);
        }
        let mut writer = self.write_blob()?;
        writer
            .write_all(bytes)
            .map_err(io_error("write", writer.file.path()))?;
        writer.finish()
    }

    /// Reads a small blob (a document) of at most `limit` bytes and checks it again.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Verified, Error> {
        let blob = self.require_blob(digest)?;
        let what = format!("blob {digest}");
        if blob.size > limit {
            return Err(Error::TooLarge(what, limit));
        }
        let bytes = std::fs::read(&blob.path).map_err(io_error("read", &blob.path))?;
        Verified::new(&what, bytes, digest)
    }

    /// Removes a blob; the caller holds the store alone.
    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.blob_path(digest);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_of_another_digest_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = store.write_blob().unwrap();
        writer.write_all(b"abc").unwrap();
        let wanted = Digest::of(b"abd");
        let error = writer.finish_as("it", &wanted).unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { expected, .. } if expected == wanted));
        for folder in ["tmp", "blobs/sha256"] {
            assert_eq!(walk(&store.root.join(folder)), 0);
        }
        assert_eq!(store.put(b"abc").unwrap().size, 3);
        assert_eq!(&*store.read(&Digest::of(b"abc"), 3).unwrap(), b"abc");
        assert!(matches!(
            store.read(&Digest::of(b"abc"), 2),
            Err(Error::TooLarge(..))
        ));
    }

    #[test]
    fn what_comes_in_again_heals_a_damaged_blob() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let path = store.put(b"abc").unwrap().path;
        for damaged in [&b"abd"[..], b"ab", b""] {
            std::fs::write(&path, damaged).unwrap();
            store.put(b"abc").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abc");
            std::fs::write(&path, damaged).unwrap();
            let digest = Digest::of(b"abc");
            assert_eq!(store.whole_blob(&digest, 3), None);
            assert_eq!(store.checked_blob(&digest), None);
            let mut writer = store.write_blob().unwrap();
            writer.write_all(b"abc").unwrap();
            let blob = writer.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abc");
            assert_eq!(store.whole_blob(&digest, 3), Some(blob.clone()));
            assert_eq!(store.checked_blob(&digest), Some(blob));
        }
    }

    #[test]
    fn a_large_blob_that_was_damaged_is_found_by_a_thorough_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let bytes = vec![0; (1 << 20) + 1];
        let blob = store.put(&bytes).unwrap();
        let is_whole = |store: &Store| store.whole_blob(&blob.digest, blob.size).is_some();
        assert!(is_whole(&store) && is_whole(&store.thorough()));
        std::fs::write(&blob.path, vec![1; bytes.len()]).unwrap();
        assert!(is_whole(&store) && !is_whole(&store.thorough()));
    }

    #[test]
    fn a_stream_of_another_length_than_announced_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = store.write_blob().unwrap();
        let error = writer.fill("it", &mut io::repeat(0), Some(10)).unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { expected: 10, .. }));
        let mut writer = store.write_blob().unwrap();
        let error = writer.fill("it", &mut &b"abc"[..], Some(10)).unwrap_err();
        assert!(matches!(
            error,
            Error::SizeMismatch {
                expected: 10,
                got: 3,
                ..
            }
        ));
    }

    #[test]
    fn what_a_dead_writer_left_is_removed_and_what_a_live_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let live = store.write_blob().unwrap();
        std::fs::write(folder.path().join("tmp/left"), b"x").unwrap();
        std::fs::create_dir_all(folder.path().join("tmp/checkout/tree")).unwrap();
        Store::open(folder.path()).unwrap();
        assert!(live.file.path().exists());
        assert_eq!(walk(&folder.path().join("tmp")), 1);
    }

    #[expect(clippy::disallowed_methods, reason = "only counts")]
    fn walk(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }
}
