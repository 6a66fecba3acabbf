//! The thread that makes a layer's stream and cuts it.
//!
//! In: a tree, its contents, and what is known of a layer that was packed before. Out: [`Piece`]s,
//! the chunks of the tar stream in order, each with what it takes to name it. Contents are read
//! straight into the buffer that is cut, and each byte is copied once more, into its piece.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::SyncSender;

use super::chunk::{self, ChunkPlace, Part};
use super::entry::{Entry, Kind};
use super::pack::{Contents, Error};
use super::reuse::{Beginning, Reuse};
use super::{Tree, tar};
use crate::canon::Digest;
use crate::canon::format::CHUNK_SIZES;

/// Bytes that are read before anything is cut from them.
const READ: usize = 1 << 20;
/// Holds what a cut looks at, with room so that it is seldom moved to the front.
const BUFFER: usize = 4 * CHUNK_SIZES.2;

/// A chunk of the stream.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) known: Known,
}

/// What is known of a chunk.
pub(super) enum Known {
    /// What it is made of.
    Parts(Vec<Part>),
    /// Where the layer that was packed before has it.
    Packed(ChunkPlace),
}

/// Makes the stream and sends it, from where packing can begin. That nobody takes it any more is
/// the taker's to report.
pub(super) fn send_all(
    tree: &Tree,
    contents: &dyn Contents,
    reuse: Option<&Reuse>,
    beginning: Option<&Beginning>,
    pieces: &SyncSender<Result<Piece, Error>>,
) {
    let (first, offset, skip) = beginning.map_or((0, 0, 0), |beginning| {
        let Beginning {
            entry,
            offset,
            skip,
            ..
        } = *beginning;
        (entry, offset - skip, skip)
    });
    let mut stream = Stream {
        reuse,
        pieces,
        buffer: vec![0; BUFFER],
        start: 0,
        end: 0,
        offset,
        skip,
        parts: VecDeque::new(),
        named: offset,
    };
    if let Err(Stop::Failed(error)) = stream.run(tree, first, contents) {
        let _ = pieces.send(Err(error));
    }
}

/// Why the stream ends early.
enum Stop {
    /// Nobody takes it any more.
    Dropped,
    Failed(Error),
}

struct Stream<'a> {
    reuse: Option<&'a Reuse<'a>>,
    pieces: &'a SyncSender<Result<Piece, Error>>,
    buffer: Vec<u8>,
    /// What the buffer holds of the stream: `start..end`.
    start: usize,
    end: usize,
    /// Where `start` is in the stream.
    offset: u64,
    /// Bytes from `start` on that are in a chunk already.
    skip: u64,
    /// What the bytes from `start` on are, up to `named`.
    parts: VecDeque<Part>,
    /// Up to where in the stream there are parts.
    named: u64,
}

impl Stream<'_> {
    fn run(&mut self, tree: &Tree, first: usize, contents: &dyn Contents) -> Result<(), Stop> {
        let mut header = Vec::new();
        for (index, entry) in tree.entries().iter().enumerate().skip(first) {
            header.clear();
            tar::write_header(&mut header, entry);
            self.put(&header)?;
            if let Kind::File { size, digest } = entry.kind {
                self.put_content(index, entry, size, digest, contents)?;
                self.put(tar::padding(size))?;
            }
            self.advance(false)?;
        }
        self.put(&tar::END)?;
        self.advance(true)
    }

    /// Where `end` is in the stream.
    fn end_offset(&self) -> u64 {
        self.offset + (self.end - self.start) as u64
    }

    /// Adds bytes as they are: a header, which may be of any length, or padding.
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let length = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(length);
            room[..length].copy_from_slice(now);
            self.end += length;
            self.name_up_to(self.end_offset());
            bytes = later;
        }
        Ok(())
    }

    /// Adds a file's content.
    fn put_content(
        &mut self,
        index: usize,
        entry: &Entry,
        size: u64,
        digest: Digest,
        contents: &dyn Contents,
    ) -> Result<(), Stop> {
        let failed = |source| {
            let path = entry.path.clone();
            Stop::Failed(Error::Read { path, source })
        };
        let mut content = contents.open(index, entry).map_err(failed)?;
        let begins = self.end_offset();
        let mut left = size;
        while left > 0 {
            let room = self.room()?;
            let length = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = match content.read(&mut room[..length]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(failed)?,
            };
            if read == 0 {
                let message = format!("it ended {left} bytes early");
                let early = io::Error::new(io::ErrorKind::UnexpectedEof, message);
                return Err(failed(early));
            }
            self.end += read;
            left -= read as u64;
        }
        // The reader may check at its end, so it has to be reached.
        match content.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => return Err(failed(io::Error::other("it is longer than it was"))),
            Err(error) => return Err(failed(error)),
        }
        if self.named == begins && size > 0 {
            let digest = contents.learnt(index).unwrap_or(digest);
            self.parts.push_back(Part::File { size, digest });
            self.named += size;
        } else {
            self.name_up_to(self.end_offset());
        }
        Ok(())
    }

    /// Room in the buffer, after what can be cut was cut.
    fn room(&mut self) -> Result<&mut [u8], Stop> {
        if self.end - self.start >= CHUNK_SIZES.2 + READ {
            self.advance(false)?;
        }
        if self.buffer.len() - self.end < READ {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        Ok(&mut self.buffer[self.end..][..READ])
    }

    /// Cuts what can be cut.
    fn advance(&mut self, is_all: bool) -> Result<(), Stop> {
        loop {
            if self.skip > 0 {
                let length = self.skip.min((self.end - self.start) as u64);
                self.take(length as usize);
                self.skip -= length;
            }
            let pending = self.end - self.start;
            if pending == 0 {
                return Ok(());
            }
            if let Some(place) = self.reuse.and_then(|reuse| reuse.chunk_at(self.offset)) {
                let length = place.raw_size as usize;
                if pending >= length {
                    let known = Known::Packed(place.clone());
                    self.send(length, |_| known)?;
                    continue;
                }
                if !is_all {
                    return Ok(());
                }
            }
            if pending < CHUNK_SIZES.2 && !is_all {
                return Ok(());
            }
            let length = chunk::cut(&self.buffer[self.start..self.end]);
            self.send(length, Known::Parts)?;
        }
    }

    fn send(&mut self, length: usize, known: impl FnOnce(Vec<Part>) -> Known) -> Result<(), Stop> {
        let bytes = self.buffer[self.start..][..length].to_vec();
        let known = known(self.take(length));
        let piece = Ok(Piece { bytes, known });
        self.pieces.send(piece).map_err(|_| Stop::Dropped)
    }

    /// Leaves the next `length` bytes behind, and says what they are.
    fn take(&mut self, length: usize) -> Vec<Part> {
        self.start += length;
        self.offset += length as u64;
        self.name_up_to(self.offset);
        let mut parts = Vec::new();
        let mut left = length as u64;
        while left > 0 {
            let Some(part) = self.parts.pop_front() else {
                break;
            };
            let size = part.size().min(left);
            if size < part.size() {
                let rest = part.size() - size;
                self.parts.push_front(Part::Bytes { size: rest });
                add_bytes(&mut parts, size);
            } else if let Part::Bytes { .. } = part {
                add_bytes(&mut parts, size);
            } else {
                parts.push(part);
            }
            left -= size;
        }
        parts
    }

    /// Up to that place in the stream, what has no name yet is bytes.
    fn name_up_to(&mut self, offset: u64) {
        let size = offset.saturating_sub(self.named);
        if size > 0 {
            match self.parts.back_mut() {
                Some(Part::Bytes { size: before }) => *before += size,
                _ => self.parts.push_back(Part::Bytes { size }),
            }
            self.named = offset;
        }
    }
}

/// Neighbouring bytes are one part, so that a chunk has one description.
fn add_bytes(parts: &mut Vec<Part>, size: u64) {
    match parts.last_mut() {
        Some(Part::Bytes { size: before }) => *before += size,
        _ => parts.push(Part::Bytes { size }),
    }
}
