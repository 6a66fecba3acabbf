//! Entries and their content to a layer's blob, on all cores, with the same bytes on one.
//!
//! In: a [`Tree`], a way to read each file, a way to look up chunks that were compressed before,
//! and where to write. Out: [`Packed`].
//!
//! Four kinds of threads, joined by bounded channels, so that memory doesn't grow with the layer:
//! one reads files in order, makes the tar stream and cuts it; one hashes it; some compress chunks;
//! the caller's puts them back into order and writes them.

use std::io::{self, Read, Write};
use std::sync::mpsc::sync_channel;

use super::Tree;
use super::chunk::{ChunkPlace, Codec, KnownChunks};
use super::entry::Entry;
use super::pipeline::{Hashing, compress_all, write_all};
use super::reuse::{Previous, Reuse};
use super::stream::send_all;
use crate::canon::{DiffId, Digest, EntryPath};

/// Gives the content of a layer's files.
pub trait Contents: Sync {
    /// Opens the content of the `index`th entry of the tree, a regular file.
    fn open(&self, index: usize, entry: &Entry) -> io::Result<Box<dyn Read + '_>>;

    /// The digest of the `index`th entry's content as far as it was learnt by reading it, in
    /// place of the one in the tree.
    fn learnt(&self, _index: usize) -> Option<Digest> {
        None
    }
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
    /// The layer that was packed before is not what it was: pack without it.
    #[error("the layer that was packed before has changed")]
    Previous,
    /// A thread ended without saying why: a bug.
    #[error("bug in cairn: a packing thread ended early")]
    Lost,
}

/// How a layer is packed, beside what is in it.
pub struct Packing<'a> {
    /// How its blob is compressed.
    pub codec: Codec,
    /// Chunks that were compressed before.
    pub known: &'a dyn KnownChunks,
    /// A layer that may be much the same.
    pub previous: Option<&'a Previous<'a>>,
    /// Threads that compress.
    pub threads: usize,
    /// Hears how many bytes of the tar are done.
    pub moved: &'a dyn Fn(u64),
}

/// Packs `tree` into `out`.
pub fn pack(
    tree: &Tree,
    contents: &dyn Contents,
    packing: &Packing,
    out: &mut dyn Write,
) -> Result<Packed, Error> {
    let Packing {
        codec,
        known,
        previous,
        threads,
        moved,
    } = *packing;
    let threads = threads.max(1);
    let reuse = previous.map(|previous| Reuse::new(previous, tree));
    let reuse = reuse.as_ref();
    let beginning = reuse.and_then(Reuse::beginning);
    std::thread::scope(|scope| {
        let (piece_sender, pieces) = sync_channel(2);
        let (job_sender, jobs) = sync_channel(threads);
        let (order_sender, ordered) = sync_channel(2 * threads);
        let jobs = std::sync::Arc::new(std::sync::Mutex::new(jobs));

        let start = beginning.clone();
        scope.spawn(move || send_all(tree, contents, reuse, start.as_ref(), &piece_sender));
        let hashing = Hashing {
            jobs: job_sender,
            order: order_sender,
        };
        let known_first = beginning
            .zip(previous)
            .map(|(beginning, previous)| (beginning, previous.chunks));
        let hashing = scope.spawn(move || hashing.run(&pieces, known_first));
        for _ in 0..threads {
            let jobs = jobs.clone();
            scope.spawn(move || compress_all(codec, &jobs, known, previous));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::chunk::Compressed;
    use crate::layer::entry::{Kind, Meta};

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

    fn packing(codec: Codec, threads: usize) -> Packing<'static> {
        Packing {
            codec,
            known: &Nothing,
            previous: None,
            threads,
            moved: &|_| {},
        }
    }

    fn packed(codec: Codec, threads: usize) -> (Packed, Vec<u8>) {
        let (tree, contents) = example();
        let mut out = Vec::new();
        let packed = pack(&tree, &contents, &packing(codec, threads), &mut out).unwrap();
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
            let raw = zstd::decode_all(bytes).unwrap();
            assert_eq!(
                (chunk.raw_size, chunk.crc),
                (raw.len() as u64, crc32fast::hash(&raw))
            );
        }
    }

    #[test]
    fn a_file_of_another_length_is_an_error_that_names_it() {
        for change in [-1, 1] {
            let (tree, mut contents) = example();
            let length = contents.0[4].len().saturating_add_signed(change);
            contents.0[4].resize(length, 0);
            let result = pack(&tree, &contents, &packing(Codec::Gzip, 2), &mut Vec::new());
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
            &packing(Codec::Gzip, 2),
            &mut Full(1 << 20),
        );
        assert!(
            matches!(result, Err(Error::Write(error)) if error.kind() == io::ErrorKind::StorageFull)
        );
    }
}
