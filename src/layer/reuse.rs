//! What a layer shares with one that was packed before, told from their tables alone.
//!
//! In: the table of the new layer, and table and chunks of the old. Out: `Reuse`: which chunks
//! of the new stream are chunks of the old, so that they need not be cut, hashed or compressed;
//! and how far the two are the same from the beginning on, so that this part is not even read.
//!
//! Entries that are equal are equal bytes of the stream, content included. A cut depends on the
//! bytes from the chunk's beginning up to the cut and two more, and on how much of the stream is
//! left where that is less than the largest chunk; a chunk that begins where an old one began,
//! with all of that the same, ends where it ended.

use super::Tree;
use super::chunk::ChunkPlace;
use super::entry::Entry;
use super::tar;
use crate::canon::digest::Hasher;
use crate::canon::format::CHUNK_SIZES;

/// A layer that was packed before.
pub struct Previous<'a> {
    /// Its table.
    pub tree: &'a Tree,
    /// Its chunks, all of them.
    pub chunks: &'a [ChunkPlace],
    /// Its blob.
    pub blob: &'a dyn PackedBlob,
}

/// The blob of a layer that was packed before.
pub trait PackedBlob: Sync {
    /// The compressed bytes of a chunk, checked; none when they are not there any more.
    fn chunk(&self, place: &ChunkPlace) -> Option<Vec<u8>>;
}

/// Bytes that a cut depends on behind the chunk that it ends.
const LOOKAHEAD: u64 = 2;

/// Bytes of the new stream that are bytes of the old.
struct Run {
    new_start: u64,
    new_end: u64,
    old_start: u64,
}

/// What can be reused.
pub(super) struct Reuse<'a> {
    previous: &'a Previous<'a>,
    runs: Vec<Run>,
    /// Where each old chunk begins in the old stream.
    starts: Vec<u64>,
    old_size: u64,
    new_size: u64,
    /// Where each new entry begins in the new stream.
    new_offsets: Vec<u64>,
}

/// Where packing can begin when the first part of the stream is known.
#[derive(Clone)]
pub(super) struct Beginning {
    /// Chunks that are known, all from the first on.
    pub(super) chunks: usize,
    /// The first byte behind them in the stream.
    pub(super) offset: u64,
    /// The hasher at that byte.
    pub(super) hasher: Hasher,
    /// The entry that holds that byte.
    pub(super) entry: usize,
    /// Bytes of the entry before that byte.
    pub(super) skip: u64,
}

impl<'a> Reuse<'a> {
    pub(super) fn new(previous: &'a Previous<'a>, tree: &Tree) -> Reuse<'a> {
        let (old_offsets, old_size) = offsets(previous.tree);
        let (new_offsets, new_size) = offsets(tree);
        let (old, new) = (previous.tree.entries(), tree.entries());
        let mut runs: Vec<Run> = Vec::new();
        let mut add = |new_start: u64, new_end: u64, old_start: u64| match runs.last_mut() {
            Some(last)
                if last.new_end == new_start
                    && last.old_start + (new_start - last.new_start) == old_start =>
            {
                last.new_end = new_end;
            }
            _ => runs.push(Run {
                new_start,
                new_end,
                old_start,
            }),
        };
        let mut at = 0;
        for (index, entry) in new.iter().enumerate() {
            while old.get(at).is_some_and(|other| other.order(entry).is_lt()) {
                at += 1;
            }
            if old.get(at) == Some(entry) {
                let end = new_offsets
                    .get(index + 1)
                    .copied()
                    .unwrap_or(new_size - END);
                add(new_offsets[index], end, old_offsets[at]);
            }
        }
        add(new_size - END, new_size, old_size - END);
        let mut start = 0;
        let starts = previous.chunks.iter().map(|chunk| {
            let begins = start;
            start += chunk.raw_size;
            begins
        });
        let starts: Vec<_> = starts.collect();
        // Chunks of something else would make a blob of something else.
        let sizes = 1..=CHUNK_SIZES.2 as u64;
        let are_chunks = |chunk: &ChunkPlace| sizes.contains(&chunk.raw_size);
        let starts = if start == old_size && previous.chunks.iter().all(are_chunks) {
            starts
        } else {
            Vec::new()
        };
        Reuse {
            previous,
            runs,
            starts,
            old_size,
            new_size,
            new_offsets,
        }
    }

    /// The old chunk that the new stream has at `offset`, where a chunk begins.
    pub(super) fn chunk_at(&self, offset: u64) -> Option<&ChunkPlace> {
        let after = self.runs.partition_point(|run| run.new_start <= offset);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let old_offset = run.old_start + (offset - run.new_start);
        let number = self.starts.binary_search(&old_offset).ok()?;
        let chunk = &self.previous.chunks[number];
        let end = offset + chunk.raw_size;
        let is_last = run.new_end == self.new_size;
        if end + if is_last { 0 } else { LOOKAHEAD } > run.new_end {
            return None;
        }
        let (left, old_left) = (self.new_size - offset, self.old_size - old_offset);
        let largest = CHUNK_SIZES.2 as u64;
        (left == old_left || left.min(old_left) >= largest).then_some(chunk)
    }

    /// Where packing can begin.
    pub(super) fn beginning(&self) -> Option<Beginning> {
        let (mut chunks, mut offset) = (0, 0);
        let mut state = None;
        // Only where the beginnings are one stream, so that the hasher's state is that of both.
        while self
            .runs
            .first()
            .is_some_and(|run| run.new_start == 0 && run.old_start == 0 && offset < run.new_end)
        {
            let Some(chunk) = self.chunk_at(offset).filter(|chunk| {
                self.starts.get(chunks) == Some(&offset) && chunk == &&self.previous.chunks[chunks]
            }) else {
                break;
            };
            chunks += 1;
            offset += chunk.raw_size;
            state = Some(&chunk.state);
        }
        // The end blocks are no entry, and must be read from one.
        if offset > self.new_size - END {
            return None;
        }
        let hasher = Hasher::resume(state?)?;
        let entry = self
            .new_offsets
            .partition_point(|&start| start <= offset)
            .checked_sub(1)?;
        let skip = offset - self.new_offsets[entry];
        Some(Beginning {
            chunks,
            offset,
            hasher,
            entry,
            skip,
        })
    }
}

const END: u64 = tar::END.len() as u64;

/// Where each entry begins in the stream, and the stream's size.
fn offsets(tree: &Tree) -> (Vec<u64>, u64) {
    let mut header = Vec::new();
    let mut offset = 0;
    let offsets = tree.entries().iter().map(|entry: &Entry| {
        let begins = offset;
        header.clear();
        tar::write_header(&mut header, entry);
        let size = entry.size();
        offset += header.len() as u64 + size + tar::padding(size).len() as u64;
        begins
    });
    let offsets = offsets.collect();
    (offsets, offset + END)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;
    use crate::canon::{Digest, EntryPath};
    use crate::layer::chunk::Compressed;
    use crate::layer::chunk::KnownChunks;
    use crate::layer::pack::{Contents, Packing, pack};
    use crate::layer::{Codec, Kind, Meta};

    /// Files by name; what is asked for is counted.
    struct Memory(Vec<(String, Vec<u8>)>, std::sync::atomic::AtomicUsize);

    impl Contents for Memory {
        fn open(&self, index: usize, _: &Entry) -> io::Result<Box<dyn Read + '_>> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(Box::new(&self.0[index].1[..]))
        }
    }

    type File = (String, Vec<u8>);

    struct Nothing;

    impl KnownChunks for Nothing {
        fn get(&self, _: &Digest) -> Option<Compressed> {
            None
        }
    }

    struct Whole(Vec<u8>);

    impl PackedBlob for Whole {
        fn chunk(&self, place: &ChunkPlace) -> Option<Vec<u8>> {
            Some(self.0[place.offset as usize..][..place.size as usize].to_vec())
        }
    }

    fn content(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn memory(files: &[(String, Vec<u8>)]) -> (Tree, Memory) {
        let mut files = files.to_vec();
        files.sort();
        let entry = |(name, content): &(String, Vec<u8>)| Entry {
            path: EntryPath::new(name.as_bytes()).unwrap(),
            kind: Kind::File {
                size: content.len() as u64,
                digest: Digest::of(content),
            },
            meta: Meta::plain(0o644, 0),
        };
        (
            Tree::new(files.iter().map(entry).collect()).unwrap(),
            Memory(files, Default::default()),
        )
    }

    #[test]
    fn with_an_older_layer_the_bytes_are_the_same() {
        let files: Vec<_> = (0..60_u64)
            .map(|number| {
                (
                    format!("f{number:02}"),
                    content(number + 1, (number as usize * 79_193) % 600_000 + 10),
                )
            })
            .collect();
        let codec = Codec::Zstd;
        let plain = |previous: Option<&Previous>, tree: &Tree, contents: &Memory| {
            let packing = Packing {
                codec,
                known: &Nothing,
                previous,
                threads: 2,
                moved: &|_| {},
            };
            let mut out = Vec::new();
            let packed = pack(tree, contents, &packing, &mut out).unwrap();
            (packed, out)
        };
        let (tree, contents) = memory(&files);
        let (old, blob) = plain(None, &tree, &contents);
        assert!(old.chunks.len() > 6);
        let blob = Whole(blob);
        let previous = Previous {
            tree: &tree,
            chunks: &old.chunks,
            blob: &blob,
        };
        let change = |edit: &dyn Fn(&mut Vec<File>)| {
            let mut files = files.clone();
            edit(&mut files);
            let (tree, contents) = memory(&files);
            let (fresh, fresh_blob) = plain(None, &tree, &contents);
            let (_, again) = memory(&files);
            let (reused, reused_blob) = plain(Some(&previous), &tree, &again);
            assert_eq!(reused.diff_id, fresh.diff_id);
            assert!(reused_blob == fresh_blob);
            let same = |a: &ChunkPlace, b: &ChunkPlace| {
                ChunkPlace {
                    is_new: false,
                    ..a.clone()
                } == ChunkPlace {
                    is_new: false,
                    ..b.clone()
                }
            };
            assert!(
                reused
                    .chunks
                    .iter()
                    .zip(&fresh.chunks)
                    .all(|(a, b)| same(a, b))
            );
            let made = reused.chunks.iter().filter(|chunk| chunk.is_new).count();
            (made, again.1.load(std::sync::atomic::Ordering::Relaxed))
        };
        let (last, total) = (files.len() - 1, previous.chunks.len());
        for at in [0, 1, 20, 40, last - 1, last] {
            let (made, opened) = change(&|files| files[at].1[0] ^= 1);
            assert!((1..=4).contains(&made), "{made} chunks for file {at}");
            assert!(
                at < 40 || opened < files.len() / 2,
                "{opened} files read for file {at}"
            );
            let (made, _) = change(&|files| drop(files.remove(at)));
            assert!(made <= total / 2, "{made} of {total}");
            let (made, _) =
                change(&|files| files.insert(at, ("f10x".to_owned(), content(99, 70_000))));
            assert!(made <= total / 2, "{made} of {total}");
            change(&|files| files[at].1.truncate(5));
            change(&|files| files[at].1.extend(content(5, 600)));
        }
        change(&|files| files.truncate(1));
        change(&|files| files.truncate(30));
        change(&|files| drop(files.drain(..30)));
        change(&|files| files.push(("z".to_owned(), content(7, 6 << 20))));
        change(&|files| files.iter_mut().for_each(|(name, _)| name.push('x')));
    }
}
