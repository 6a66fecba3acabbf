//! The threads that pack a layer.
//!
//! In: a tree and its contents at one end. Out: the blob at the other: pieces of the tar stream,
//! then chunks, then compressed chunks pass from thread to thread. A thread whose taker is gone
//! ends silently: whoever ended first says why.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::chunk::{Codec, Compressed, Compressor, Cutter};
use super::entry::{Entry, Kind};
use super::pack::{ChunkPlace, Contents, Error, KnownChunks};
use super::reuse::{Beginning, Previous, Reuse};
use super::{Tree, gzip, tar};
use crate::canon::DiffId;
use crate::canon::digest::{Hasher, HasherState};

/// Bytes of the tar stream that pass from the reading thread at a time.
const PIECE: usize = 1 << 20;

/// What a compressing thread has to do.
pub(super) enum Job {
    /// Compress a chunk.
    Compress(Vec<u8>),
    /// Take a chunk from the layer that was packed before.
    Reuse(ChunkPlace),
}

pub(super) type Answer = Result<Compressed, Error>;

/// Where a chunk will come from, and the hasher's state behind it.
pub(super) type Ordered = (Receiver<Answer>, HasherState);

/// Makes the tar stream from the entry `first` on. That nobody takes it any more is the taker's to
/// report.
pub(super) fn read_all(
    tree: &Tree,
    first: usize,
    contents: &dyn Contents,
    pieces: &SyncSender<Result<Vec<u8>, Error>>,
) {
    let mut piece = Vec::with_capacity(PIECE + (64 << 10));
    for (index, entry) in tree.entries().iter().enumerate().skip(first) {
        tar::write_header(&mut piece, entry);
        if let Kind::File { size, .. } = entry.kind {
            if let Err(source) = read_file(index, entry, size, contents, &mut piece, pieces) {
                let Some(source) = source else { return };
                let path = entry.path.clone();
                let _ = pieces.send(Err(Error::Read { path, source }));
                return;
            }
            piece.extend_from_slice(tar::padding(size));
        }
        if piece.len() >= PIECE && pieces.send(Ok(take(&mut piece))).is_err() {
            return;
        }
    }
    piece.extend_from_slice(&tar::END);
    let _ = pieces.send(Ok(piece));
}

/// Adds a file's content to the stream; an error of `None` means that nobody takes it any more.
fn read_file(
    index: usize,
    entry: &Entry,
    size: u64,
    contents: &dyn Contents,
    piece: &mut Vec<u8>,
    pieces: &SyncSender<Result<Vec<u8>, Error>>,
) -> Result<(), Option<io::Error>> {
    let mut content = contents.open(index, entry).map_err(Some)?;
    let mut left = size;
    while left > 0 {
        let room = PIECE.saturating_sub(piece.len()).max(4 << 10) as u64;
        let read = content
            .by_ref()
            .take(left.min(room))
            .read_to_end(piece)
            .map_err(Some)?;
        if read == 0 {
            let message = format!("it ended {left} bytes early");
            return Err(Some(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
        }
        left -= read as u64;
        if piece.len() >= PIECE {
            pieces.send(Ok(take(piece))).map_err(|_| None)?;
        }
    }
    // The reader may check at its end, so it has to be reached.
    match content.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Some(io::Error::other("it is longer than it was"))),
        Err(error) => Err(Some(error)),
    }
}

fn take(piece: &mut Vec<u8>) -> Vec<u8> {
    std::mem::replace(piece, Vec::with_capacity(PIECE + (64 << 10)))
}

/// The thread that hashes the stream and cuts it.
pub(super) struct Cutting<'a> {
    jobs: SyncSender<(Job, SyncSender<Answer>)>,
    order: SyncSender<Ordered>,
    reuse: Option<&'a Reuse<'a>>,
    hasher: Hasher,
    cutter: Cutter,
    /// Where the next chunk begins in the stream.
    offset: u64,
    /// A chunk that is reused, and how many of its bytes are still to come.
    passing: Option<(ChunkPlace, u64)>,
}

impl<'a> Cutting<'a> {
    pub(super) fn new(
        jobs: SyncSender<(Job, SyncSender<Answer>)>,
        order: SyncSender<Ordered>,
        reuse: Option<&'a Reuse<'a>>,
    ) -> Cutting<'a> {
        let (hasher, cutter) = (Hasher::new(), Cutter::default());
        Cutting {
            jobs,
            order,
            reuse,
            hasher,
            cutter,
            offset: 0,
            passing: None,
        }
    }

    pub(super) fn run(
        mut self,
        pieces: &Receiver<Result<Vec<u8>, Error>>,
        beginning: Option<Beginning>,
    ) -> Result<(DiffId, u64), Error> {
        let mut skip = 0;
        if let (Some(beginning), Some(reuse)) = (beginning, self.reuse) {
            for place in &reuse.previous().chunks[..beginning.chunks] {
                self.submit(Job::Reuse(place.clone()), place.state.clone())?;
            }
            (self.hasher, self.offset, skip) = (beginning.hasher, beginning.offset, beginning.skip);
        }
        for piece in pieces {
            self.cutter.push(&piece?);
            while skip > 0 {
                match self.cutter.take(skip).len() as u64 {
                    0 => break,
                    taken => skip -= taken,
                }
            }
            self.advance(false)?;
        }
        self.advance(true)?;
        Ok((DiffId(self.hasher.finish()), self.offset))
    }

    /// Deals with what has come so far.
    fn advance(&mut self, is_all: bool) -> Result<(), Error> {
        loop {
            if let Some((place, left)) = self.passing.take() {
                let bytes = self.cutter.take(left);
                self.hasher.update(bytes);
                let left = left - bytes.len() as u64;
                if left > 0 {
                    self.passing = Some((place, left));
                    return Ok(());
                }
                self.offset += place.raw_size;
                self.submit(Job::Reuse(place), self.hasher.state())?;
            }
            if let Some(place) = self.reuse.and_then(|reuse| reuse.chunk_at(self.offset)) {
                self.passing = Some((place.clone(), place.raw_size));
                continue;
            }
            let Some(chunk) = self.cutter.cut(is_all) else {
                return Ok(());
            };
            self.hasher.update(&chunk);
            self.offset += chunk.len() as u64;
            self.submit(Job::Compress(chunk), self.hasher.state())?;
        }
    }

    /// Hands a job on; that the writer has given up is its to report.
    fn submit(&self, job: Job, state: HasherState) -> Result<(), Error> {
        let (sender, receiver) = sync_channel(1);
        self.order
            .send((receiver, state))
            .map_err(|_| Error::Lost)?;
        self.jobs.send((job, sender)).map_err(|_| Error::Lost)
    }
}

pub(super) type Jobs = std::sync::Mutex<Receiver<(Job, SyncSender<Answer>)>>;

pub(super) fn compress_all(
    codec: Codec,
    jobs: &Jobs,
    known: &dyn KnownChunks,
    previous: Option<&Previous>,
) {
    let mut compressor = Compressor::new(codec);
    loop {
        let job = jobs.lock().map(|jobs| jobs.recv());
        let Ok(Ok((job, answer))) = job else { return };
        let compressed = match (job, &mut compressor) {
            (Job::Compress(chunk), Ok(compressor)) => compressor
                .compress(chunk, |key| known.get(key))
                .map_err(Error::Compress),
            (Job::Compress(_), Err(error)) => Err(Error::Compress(io::Error::new(
                error.kind(),
                error.to_string(),
            ))),
            (Job::Reuse(place), _) => {
                let bytes = previous.and_then(|previous| previous.blob.chunk(&place));
                let ChunkPlace {
                    key, raw_size, crc, ..
                } = place;
                let compressed = bytes.map(|bytes| Compressed {
                    key,
                    raw_size,
                    crc,
                    bytes,
                    is_new: false,
                });
                compressed.ok_or(Error::Previous)
            }
        };
        // The writer may have given up.
        let _ = answer.send(compressed);
    }
}

pub(super) fn write_all(
    codec: Codec,
    ordered: &Receiver<Ordered>,
    out: &mut dyn Write,
    moved: &dyn Fn(u64),
) -> Result<Vec<ChunkPlace>, Error> {
    let (mut offset, mut raw_total) = (0, 0);
    let mut crc = crc32fast::Hasher::new();
    let mut chunks = Vec::new();
    if codec == Codec::Gzip {
        out.write_all(&gzip::HEADER).map_err(Error::Write)?;
        offset += gzip::HEADER.len() as u64;
    }
    for (answer, state) in ordered {
        let Compressed {
            key,
            raw_size,
            crc: chunk_crc,
            bytes,
            is_new,
        } = answer.recv().map_err(|_| Error::Lost)??;
        out.write_all(&bytes).map_err(Error::Write)?;
        let size = bytes.len() as u64;
        let check = crc32fast::hash(&bytes);
        chunks.push(ChunkPlace {
            key,
            raw_size,
            crc: chunk_crc,
            offset,
            size,
            check,
            state,
            is_new,
        });
        crc.combine(&crc32fast::Hasher::new_with_initial_len(
            chunk_crc, raw_size,
        ));
        offset += size;
        raw_total += raw_size;
        moved(raw_total);
    }
    if codec == Codec::Gzip {
        out.write_all(&gzip::trailer(crc.finalize(), raw_total))
            .map_err(Error::Write)?;
    }
    Ok(chunks)
}
