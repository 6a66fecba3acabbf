//! Entries and their content to a layer's blob, on all cores, with the same bytes on one.
//!
//! In: a [`Tree`], a way to read each file, a way to look up chunks that were compressed before,
//! and where to write. Out: [`Packed`].
//!
//! Four kinds of threads, joined by bounded channels, so that memory doesn't grow with the layer:
//! one reads files in order and makes the tar stream; one hashes it and cuts it; some compress
//! chunks; the caller's puts them back into order and writes them.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::chunk::{Codec, Compressed, Compressor, Cutter};
use super::entry::{Entry, Kind};
use super::{Tree, gzip, tar};
use crate::canon::digest::Hasher;
use crate::canon::{DiffId, Digest, EntryPath};

/// Gives the content of a layer's files.
pub trait Contents: Sync {
    /// Opens the content of the `index`th entry of the tree, a regular file.
    fn open(&self, index: usize, entry: &Entry) -> io::Result<Box<dyn Read + '_>>;
}

/// Gives chunks that were compressed before.
pub trait KnownChunks: Sync {
    /// The chunk of that digest, checked.
    fn get(&self, key: &Digest) -> Option<Compressed>;
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Of the tar.
    pub diff_id: DiffId,
    /// Bytes of the tar.
    pub tar_size: u64,
    /// In order; their offsets in the blob, and what they are.
    pub chunks: Vec<ChunkPlace>,
}

/// Where a chunk stands in a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Digest before compression.
    pub key: Digest,
    /// Bytes before compression.
    pub raw_size: u64,
    /// CRC-32 before compression.
    pub crc: u32,
    /// First byte in the blob.
    pub offset: u64,
    /// Bytes in the blob.
    pub size: u64,
    /// CRC-32 of these bytes.
    pub check: u32,
}

/// Why a layer could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading a file's content.
    #[error("can't read the content of `{path}`: {source}")]
    Read {
        /// Of the entry.
        path: EntryPath,
        /// Why.
        source: io::Error,
    },
    /// Writing the blob.
    #[error("can't write the layer: {0}")]
    Write(io::Error),
    /// Compressing.
    #[error("can't compress the layer: {0}")]
    Compress(io::Error),
    /// A thread ended without saying why: a bug.
    #[error("bug in cairn: a packing thread ended early")]
    Lost,
}

/// Bytes of the tar stream that pass from the reading thread at a time.
const PIECE: usize = 1 << 20;

type Job = (Vec<u8>, SyncSender<Result<Compressed, Error>>);

/// Packs `tree` into `out`. `threads` compress; `moved` hears how many bytes of the tar are done.
pub fn pack(
    tree: &Tree,
    contents: &dyn Contents,
    codec: Codec,
    known: &dyn KnownChunks,
    threads: usize,
    out: &mut dyn Write,
    moved: &dyn Fn(u64),
) -> Result<Packed, Error> {
    let threads = threads.max(1);
    std::thread::scope(|scope| {
        let (piece_sender, pieces) = sync_channel::<Result<Vec<u8>, Error>>(2);
        let (job_sender, jobs) = sync_channel::<Job>(threads);
        let (order_sender, ordered) = sync_channel(2 * threads);
        let jobs = std::sync::Mutex::new(jobs);
        let jobs = std::sync::Arc::new(jobs);

        scope.spawn(move || read_all(tree, contents, &piece_sender));
        let hashing = scope.spawn(move || hash_and_cut(&pieces, &job_sender, &order_sender));
        for _ in 0..threads {
            let jobs = jobs.clone();
            scope.spawn(move || compress_all(codec, &jobs, known));
        }
        drop(jobs);
        let written = write_all(codec, &ordered, out, moved);
        drop(ordered);
        let hashed = hashing.join().map_err(|_| Error::Lost)?;
        let chunks = written?;
        let (diff_id, tar_size) = hashed?;
        Ok(Packed {
            diff_id,
            tar_size,
            chunks,
        })
    })
}

/// Makes the tar stream. That nobody takes it any more is the taker's to report.
fn read_all(tree: &Tree, contents: &dyn Contents, pieces: &SyncSender<Result<Vec<u8>, Error>>) {
    let mut piece = Vec::with_capacity(PIECE + (64 << 10));
    for (index, entry) in tree.entries().iter().enumerate() {
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

fn hash_and_cut(
    pieces: &Receiver<Result<Vec<u8>, Error>>,
    jobs: &SyncSender<Job>,
    order: &SyncSender<Receiver<Result<Compressed, Error>>>,
) -> Result<(DiffId, u64), Error> {
    let (mut hasher, mut cutter, mut size) = (Hasher::new(), Cutter::default(), 0);
    let submit = |chunks: Vec<Vec<u8>>| {
        chunks.into_iter().all(|chunk| {
            let (sender, receiver) = sync_channel(1);
            order.send(receiver).is_ok() && jobs.send((chunk, sender)).is_ok()
        })
    };
    for piece in pieces {
        let piece = piece?;
        hasher.update(&piece);
        size += piece.len() as u64;
        if !submit(cutter.push(&piece)) {
            return Err(Error::Lost);
        }
    }
    if !submit(cutter.finish()) {
        return Err(Error::Lost);
    }
    Ok((DiffId(hasher.finish()), size))
}

fn compress_all(codec: Codec, jobs: &std::sync::Mutex<Receiver<Job>>, known: &dyn KnownChunks) {
    let mut compressor = Compressor::new(codec);
    loop {
        let job = jobs.lock().map(|jobs| jobs.recv());
        let Ok(Ok((chunk, answer))) = job else { return };
        let compressed = match &mut compressor {
            Ok(compressor) => compressor.compress(chunk, |key| known.get(key)),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        // The writer may have given up.
        let _ = answer.send(compressed.map_err(Error::Compress));
    }
}

fn write_all(
    codec: Codec,
    ordered: &Receiver<Receiver<Result<Compressed, Error>>>,
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
    for answer in ordered {
        let Compressed {
            key,
            raw_size,
            crc: chunk_crc,
            bytes,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::entry::Meta;

    struct Memory(Vec<Vec<u8>>);

    impl Contents for Memory {
        fn open(&self, index: usize, _: &Entry) -> io::Result<Box<dyn Read + '_>> {
            Ok(Box::new(&self.0[index][..]))
        }
    }

    struct Nothing;

    impl KnownChunks for Nothing {
        fn get(&self, _: &Digest) -> Option<Compressed> {
            None
        }
    }

    fn example() -> (Tree, Memory) {
        let mut state = 7_u32;
        let contents: Vec<Vec<u8>> = [0, 1, 511, 512, 513, 3 << 20, 5 << 20]
            .iter()
            .map(|&length| {
                let next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"abcdefghijklmnop"[(state >> 28) as usize]
                };
                std::iter::repeat_with(next).take(length).collect()
            })
            .collect();
        let entries = contents.iter().enumerate().map(|(index, content)| Entry {
            path: EntryPath::new(format!("file{index}").as_bytes()).unwrap(),
            kind: Kind::File {
                size: content.len() as u64,
                digest: Digest::of(content),
            },
            meta: Meta::plain(0o644, 1),
        });
        (Tree::new(entries.collect()).unwrap(), Memory(contents))
    }

    fn packed(codec: Codec, threads: usize) -> (Packed, Vec<u8>) {
        let (tree, contents) = example();
        let mut out = Vec::new();
        let packed = pack(
            &tree,
            &contents,
            codec,
            &Nothing,
            threads,
            &mut out,
            &|_| {},
        )
        .unwrap();
        (packed, out)
    }

    #[test]
    fn blobs_do_not_depend_on_the_number_of_threads() {
        for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
            let alone = packed(codec, 1);
            for threads in [2, 5] {
                assert!(packed(codec, threads) == alone, "{codec:?} {threads}");
            }
        }
    }

    #[test]
    fn every_codec_holds_the_same_tar_with_the_diff_id() {
        let (plain, tar) = packed(Codec::None, 2);
        assert_eq!(plain.diff_id.0, Digest::of(&tar));
        assert_eq!(plain.tar_size, tar.len() as u64);
        let (gzip, blob) = packed(Codec::Gzip, 2);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&blob[..])
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == tar && gzip.diff_id == plain.diff_id);
        let (zstd, blob) = packed(Codec::Zstd, 2);
        assert!(zstd::decode_all(&blob[..]).unwrap() == tar && zstd.diff_id == plain.diff_id);
        for chunk in &zstd.chunks {
            let bytes = &blob[chunk.offset as usize..][..chunk.size as usize];
            assert_eq!(chunk.check, crc32fast::hash(bytes));
            assert_eq!(chunk.key, Digest::of(&zstd::decode_all(bytes).unwrap()));
        }
    }

    #[test]
    fn a_file_of_another_length_is_an_error_that_names_it() {
        for change in [-1, 1] {
            let (tree, mut contents) = example();
            let length = contents.0[4].len().saturating_add_signed(change);
            contents.0[4].resize(length, 0);
            let result = pack(
                &tree,
                &contents,
                Codec::Gzip,
                &Nothing,
                2,
                &mut Vec::new(),
                &|_| {},
            );
            assert!(matches!(result, Err(Error::Read { path, .. }) if path.as_bytes() == b"file4"));
        }
    }

    #[test]
    fn a_full_disk_ends_the_packing() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(bytes.len())
                    .ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (tree, contents) = example();
        let result = pack(
            &tree,
            &contents,
            Codec::Gzip,
            &Nothing,
            2,
            &mut Full(1 << 20),
            &|_| {},
        );
        assert!(
            matches!(result, Err(Error::Write(error)) if error.kind() == io::ErrorKind::StorageFull)
        );
    }
}
