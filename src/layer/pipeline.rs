//! The threads that pack a layer.
//!
//! In: the stream's pieces at one end. Out: the blob at the other: pieces are hashed, compressed,
//! put back into order and written. A thread whose taker is gone ends silently: whoever ended
//! first says why.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::chunk::{ChunkPlace, Codec, Compressed, Compressor, KnownChunks, Part};
use super::gzip;
use super::pack::Error;
use super::reuse::{Beginning, Previous};
use super::stream::{Known, Piece};
use crate::canon::DiffId;
use crate::canon::digest::{Hasher, HasherState};

/// What a compressing thread has to do.
pub(super) enum Job {
    /// Compress a chunk of these parts.
    Compress(Vec<u8>, Vec<Part>),
    /// Take a chunk from the layer that was packed before.
    Reuse(ChunkPlace),
}

pub(super) type Answer = Result<Compressed, Error>;

/// Where a chunk will come from, and the hasher's state behind it.
pub(super) type Ordered = (Receiver<Answer>, HasherState);

/// The thread that hashes the stream, and hands out what is to be done with its chunks.
pub(super) struct Hashing {
    pub(super) jobs: SyncSender<(Job, SyncSender<Answer>)>,
    pub(super) order: SyncSender<Ordered>,
}

impl Hashing {
    /// Diff ID and size of the stream.
    pub(super) fn run(
        self,
        pieces: &Receiver<Result<Piece, Error>>,
        beginning: Option<(Beginning, &[ChunkPlace])>,
    ) -> Result<(DiffId, u64), Error> {
        let (mut hasher, mut size) = (Hasher::new(), 0);
        if let Some((beginning, chunks)) = beginning {
            for place in &chunks[..beginning.chunks] {
                self.submit(Job::Reuse(place.clone()), place.state.clone())?;
            }
            (hasher, size) = (beginning.hasher, beginning.offset);
        }
        for piece in pieces {
            let Piece { bytes, known } = piece?;
            hasher.update(&bytes);
            size += bytes.len() as u64;
            let job = match known {
                Known::Parts(parts) => Job::Compress(bytes, parts),
                Known::Packed(place) => Job::Reuse(place),
            };
            self.submit(job, hasher.state())?;
        }
        Ok((DiffId(hasher.finish()), size))
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
            (Job::Compress(chunk, parts), Ok(compressor)) => compressor
                .compress(chunk, &parts, |key| known.get(key))
                .map_err(Error::Compress),
            (Job::Compress(..), Err(error)) => Err(Error::Compress(io::Error::new(
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
