//! Content of files of the host: read whole and unchanged, or not at all.
//!
//! In: an open folder, a path, what `stat` said during the walk. Out: a reader that fails
//! at its end when the file is not the one of the walk any more: what changed at any time since
//! then has another ctime.

use std::fs::File;
use std::io::{self, Read};

use super::beneath::Folder;
use super::stat::Stat;
use crate::canon::digest::Hasher;
use crate::canon::{Digest, EntryPath};

/// Reads one file of the host.
pub struct HostFile {
    file: File,
    expected: Stat,
    /// For files that changed so lately that `stat` can't tell: what must come out.
    digest: Option<(Hasher, Digest)>,
}

impl HostFile {
    /// Opens the file at `path`, of which the walk learnt `expected`. With a digest the content is
    /// checked against it.
    pub fn open(
        folder: &Folder,
        path: &EntryPath,
        expected: Stat,
        digest: Option<Digest>,
    ) -> io::Result<HostFile> {
        let file = folder.open_file(path)?;
        let digest = digest.map(|digest| (Hasher::new(), digest));
        Ok(HostFile {
            file,
            expected,
            digest,
        })
    }

    fn check(&self) -> io::Result<()> {
        let now: Stat = rustix::fs::fstat(&self.file)?.into();
        if now == self.expected {
            Ok(())
        } else {
            Err(changed())
        }
    }

    /// Digest of all of it.
    pub fn digest(mut self, buffer: &mut [u8]) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        let mut left = self.expected.size;
        loop {
            let read = self.read(buffer)?;
            if read == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&buffer[..read]);
            // Somebody who writes as fast as we read must not keep us here.
            left = left.checked_sub(read as u64).ok_or_else(changed)?;
        }
    }
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was read\nhint: build again when nothing writes to it")
}

impl Read for HostFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some((hasher, _)) = &mut self.digest {
            hasher.update(&buffer[..read]);
        }
        if read == 0 && !buffer.is_empty() {
            self.check()?;
            if self
                .digest
                .take()
                .is_some_and(|(hasher, expected)| hasher.finish() != expected)
            {
                return Err(changed());
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_change_during_the_reading_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "before").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let path = EntryPath::new(b"file").unwrap();
        let stat = Stat::from(rustix::fs::stat(&file).unwrap());
        let open = |digest| HostFile::open(&folder, &path, stat, digest);
        let read = |mut file: HostFile| io::copy(&mut file, &mut io::sink());
        assert_eq!(read(open(None).unwrap()).unwrap(), 6);
        assert!(read(open(Some(Digest::of(b"other"))).unwrap()).is_err());
        let mut half = open(None).unwrap();
        half.read_exact(&mut [0; 3]).unwrap();
        File::options()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b" and after")
            .unwrap();
        assert!(read(half).is_err());
        assert!(read(open(None).unwrap()).is_err());
    }
}
