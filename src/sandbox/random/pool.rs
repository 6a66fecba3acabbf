//! What who opens `/dev/urandom` reads.
//!
//! In: where in it a reader begins. Out: descriptors. It is a file and no pipe: a reader gets as much
//! as it asks for, in one piece, as from the device, where a pipe would give what is in it just then.
//! So it has an end, and that a reader came to it is an error in the end: it got less than it wanted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::Seed;
use super::streams::Stream;
use crate::sandbox::Error;
use crate::sandbox::notify::{in_memory, seal};

/// Where readers begin: below this.
const BEGINNINGS: u64 = 1 << 24;
/// Bytes that each of them can read at least.
pub const PROMISED: u64 = 32 << 20;
/// Most readers that are looked after; of more at once the first is looked at one last time.
const READERS: usize = 64;

/// The pool of one step, made when the first reader comes.
#[derive(Debug, Default)]
pub struct Pool {
    file: Option<File>,
    /// What readers were given.
    readers: VecDeque<File>,
    has_ended: bool,
}

impl Pool {
    /// A descriptor for a reader that begins at a place of its own.
    pub fn open(&mut self, seed: &Seed, place: [u8; 16]) -> std::io::Result<OwnedFd> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(filled(seed)?),
        };
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // Of its own: else all readers would go on from one place.
        let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut opened = File::from(opened);
        let place = (u128::from_le_bytes(place) % u128::from(BEGINNINGS)) as u64;
        opened.seek(SeekFrom::Start(place))?;
        if self.readers.len() == READERS {
            self.has_ended |= self.readers.pop_front().is_some_and(has_ended);
        }
        self.readers.push_back(opened.try_clone()?);
        Ok(opened.into())
    }

    /// Whether nobody wanted more than there was.
    pub fn finish(self) -> Result<(), Error> {
        match self.has_ended || self.readers.into_iter().any(has_ended) {
            false => Ok(()),
            true => Err(Error::Refused(format!(
                "a program of this step read more than {} MiB of `/dev/urandom`, which holds no more here: make large files of chance in another way (`openssl enc -aes-256-ctr`)",
                PROMISED >> 20
            ))),
        }
    }
}

/// It shares its place with the reader's own.
fn has_ended(mut reader: File) -> bool {
    reader
        .stream_position()
        .is_ok_and(|place| place >= BEGINNINGS + PROMISED)
}

fn filled(seed: &Seed) -> std::io::Result<File> {
    let mut file = in_memory("random")?;
    let mut stream = Stream::of(seed, b"pool", b"", 0);
    let mut piece = vec![0; 1 << 20];
    for _ in 0..(BEGINNINGS + PROMISED) >> 20 {
        stream.fill(&mut piece);
        file.write_all(&piece)?;
    }
    seal(&file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn each_reads_from_its_own_place_and_none_to_the_end() {
        let mut pool = Pool::default();
        let seed = Seed([3; 32]);
        let mut read = |place: u64, length: usize| {
            let file = pool.open(&seed, u128::from(place).to_le_bytes()).unwrap();
            let mut bytes = vec![0; length];
            File::from(file).read_exact(&mut bytes).unwrap();
            bytes
        };
        let first = read(0, 64);
        assert_eq!(read(BEGINNINGS, 64), first);
        assert_eq!(read(32, 32), first[32..]);
        let promised = usize::try_from(PROMISED).unwrap();
        assert_eq!(read(BEGINNINGS - 1, promised).len(), promised);
        pool.finish().unwrap();
    }

    #[test]
    fn who_reads_to_the_end_is_found() {
        let mut pool = Pool::default();
        let file = pool.open(&Seed::default(), [0; 16]).unwrap();
        std::io::copy(&mut File::from(file), &mut std::io::sink()).unwrap();
        for _ in 0..READERS {
            drop(pool.open(&Seed::default(), [0; 16]).unwrap());
        }
        assert!(matches!(pool.finish(), Err(Error::Refused(_))));
    }
}
