//! Content of files of the host: read whole and unchanged, or not at all.
//!
//! In: an open folder, a path, what `stat` said during the walk. Out: a reader that fails
//! at its end when the file is not the one of the walk any more: what changed at any time since
//! then has another ctime.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

use super::beneath::Folder;
use super::stat::Stat;
use crate::canon::digest::Hasher;
use crate::canon::{Digest, EntryPath};

/// What is known of a content before it is read.
pub enum Content<'a> {
    /// Enough: what `stat` says tells it from any other.
    Told,
    /// Its digest, and it changed so lately that `stat` can't tell: what must come out.
    Expected(Digest),
    /// Nothing: what comes out is learnt here.
    Unknown(&'a OnceLock<Digest>),
}

/// Reads one file of the host.
pub struct HostFile<'a> {
    file: File,
    expected: Stat,
    content: Content<'a>,
    hasher: Hasher,
}

impl<'a> HostFile<'a> {
    /// Opens the file at `path`, of which the walk learnt `expected`.
    pub fn open(
        folder: &Folder,
        path: &EntryPath,
        expected: Stat,
        content: Content<'a>,
    ) -> io::Result<HostFile<'a>> {
        Ok(HostFile {
            file: folder.open_file(path)?,
            expected,
            content,
            hasher: Hasher::new(),
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

    /// Reads all of it.
    pub fn read_through(mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut left = self.expected.size;
        loop {
            let read = self.read(buffer)?;
            if read == 0 {
                return Ok(());
            }
            left = left.checked_sub(read as u64).ok_or_else(changed)?;
        }
    }

    /// At the end, when it is known to be the file of the walk.
    fn settle(&mut self) -> io::Result<()> {
        let content = std::mem::replace(&mut self.content, Content::Told);
        let got = match content {
            Content::Told => return Ok(()),
            _ => std::mem::take(&mut self.hasher).finish(),
        };
        let expected = match content {
            Content::Expected(digest) => digest,
            // Somebody else may have read the same file.
            Content::Unknown(digest) => *digest.get_or_init(|| got),
            Content::Told => got,
        };
        if got == expected {
            Ok(())
        } else {
            Err(changed())
        }
    }
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was read\nhint: build again when nothing writes to it")
}

impl Read for HostFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if !matches!(self.content, Content::Told) {
            self.hasher.update(&buffer[..read]);
        }
        if read == 0 && !buffer.is_empty() {
            self.check()?;
            self.settle()?;
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
        let open = |content| HostFile::open(&folder, &path, stat, content);
        let read = |mut file: HostFile| io::copy(&mut file, &mut io::sink());
        assert_eq!(read(open(Content::Told).unwrap()).unwrap(), 6);
        assert!(read(open(Content::Expected(Digest::of(b"other"))).unwrap()).is_err());
        let learnt = OnceLock::new();
        read(open(Content::Unknown(&learnt)).unwrap()).unwrap();
        assert_eq!(learnt.get(), Some(&Digest::of(b"before")));
        let mut half = open(Content::Told).unwrap();
        half.read_exact(&mut [0; 3]).unwrap();
        File::options()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b" and after")
            .unwrap();
        assert!(read(half).is_err());
        let unlearnt = OnceLock::new();
        assert!(read(open(Content::Unknown(&unlearnt)).unwrap()).is_err());
        assert_eq!(unlearnt.get(), None);
    }
}
