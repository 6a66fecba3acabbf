//! Reading directories: each by its names, in whatever order the file system has them.
//!
//! In: calls of getdents(2). Out: the names in order, from a [`Listings`]. What a directory holds is read when
//! a reader is at its beginning, all at once: what is made or removed before the reader is at the end
//! it may see or not, as POSIX has it. Left to the kernel are `/proc`, which has an order and is of this
//! moment, and what is no directory or too large.
//!
//! Everybody is answered, not only who writes an order down: `tar` and `zip` do, but so does any script
//! in any language. It costs some 40 us for a directory.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{FileType, RawDir, SeekFrom};
use rustix::io::Errno;

use super::disk;
use super::listing::{END, Form, Listings, Name, Names, Place, TooMany};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};

/// Most bytes of one answer.
const MOST: usize = 1 << 20;
/// Bytes that are asked of the kernel at once.
const AT_ONCE: usize = 64 << 10;

/// What is kept of the directories that a step's processes read.
#[derive(Debug, Default)]
pub struct Directories {
    listings: Listings,
}

impl Directories {
    fn read(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        // The caller's own, so that it is where the caller is in it, and takes the caller on.
        let directory = caller.taken(caller.int(0))?;
        let is_one = FileType::from_raw_mode(rustix::fs::fstat(&directory)?.st_mode);
        if is_one != FileType::Directory {
            return Ok(Answer::Continue);
        }
        let before = rustix::fs::tell(&directory)?;
        let position = u32::try_from(before).unwrap_or(u32::MAX);
        let (begin, passed) = match position {
            END => return Ok(Answer::Value(0)),
            0 => {
                if disk::is_proc(&rustix::fs::fstatfs(&directory)?) {
                    return Ok(Answer::Continue);
                }
                match self.list(&directory) {
                    Ok(begin) => (begin, 0),
                    Err(_) => {
                        rustix::fs::seek(&directory, SeekFrom::Start(0))?;
                        return Ok(Answer::Continue);
                    }
                }
            }
            _ => match self.listings.place(position) {
                Place::In(begin, passed) => (begin, passed),
                Place::Forgotten => return Ok(Answer::Fail(Errno::IO)),
                Place::Elsewhere => return Ok(Answer::Continue),
            },
        };
        let form = match call {
            Call::Getdents => Form::Old,
            _ => Form::Wide,
        };
        let room = usize::try_from(caller.word(2)).map_or(MOST, |room| room.min(MOST));
        let (names, next) = self.listings.tell(begin, passed, form, room);
        let told = match names.is_empty() {
            true => Err(Errno::INVAL),
            false => caller.write(caller.argument(1), &names),
        };
        let after = match told {
            Ok(()) => next.into(),
            Err(_) => before,
        };
        // Not every file system takes every position: the kernel has its own way then.
        if rustix::fs::seek(&directory, SeekFrom::Start(after)).is_err() {
            rustix::fs::seek(&directory, SeekFrom::Start(0))?;
            return Ok(Answer::Continue);
        }
        if next == END {
            self.listings.is_read(begin);
        }
        told?;
        let length = i64::try_from(names.len()).map_err(|_| Errno::INVAL)?;
        Ok(Answer::Value(length))
    }

    /// Reads a directory from its beginning.
    fn list(&mut self, directory: &OwnedFd) -> Result<u32, TooMany> {
        let mut names = Names::default();
        let mut buffer = vec![MaybeUninit::uninit(); AT_ONCE];
        let mut entries = RawDir::new(directory.as_fd(), &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|_| TooMany)?;
            names.add(Name {
                text: Box::from(entry.file_name().to_bytes()),
                inode: entry.ino(),
                kind: kind(entry.file_type()),
            })?;
        }
        self.listings.take(names)
    }
}

/// `d_type`.
fn kind(kind: FileType) -> u8 {
    match kind {
        FileType::Unknown => libc::DT_UNKNOWN,
        // As `IFTODT` of readdir(3) has it.
        known => (known.as_raw_mode() >> 12) as u8,
    }
}

impl Handler for Directories {
    fn rules() -> Vec<Rule> {
        let always = |call| Rule::always(call, Action::Notify);
        [Call::Getdents, Call::Getdents64].map(always).to_vec()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        self.read(call, caller).unwrap_or_else(|error| match error {
            // What the caller's memory and room are like the kernel needn't say again.
            Errno::INVAL | Errno::FAULT => Answer::Fail(error),
            // It says better what is wrong with a descriptor.
            _ => Answer::Continue,
        })
    }
}
