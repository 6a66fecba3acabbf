//! Format 1's compression: a tar stream cut into chunks, each compressed by itself, joined again.
//!
//! In: the stream. Out: chunks, and the blob that they make. Where the cuts are follows from the
//! content alone, so that a change leaves the chunks before and behind it as they were.
//!
//! # Cuts
//! FastCDC (Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based
//! Storage Systems", IEEE TPDS 31(9), 2020) as `fastcdc::v2020` of version 5.0.0 has it, with the
//! sizes of [`CHUNK_SIZES`] and normalisation level 1, each
//! chunk's search beginning where the last one ended.
//!
//! # Blobs
//! - gzip: as [`super::gzip`] says.
//! - zstd (RFC 8878): each chunk is a frame of its own with its content size, no checksum and no
//!   dictionary, level 3, by one thread of libzstd.
//! - none: the chunks as they are.

use serde::{Deserialize, Serialize};

use super::gzip::Deflater;
use crate::canon::Digest;
use crate::canon::digest::{Hasher, HasherState};
use crate::canon::format::{CHUNK_SIZES, ZSTD_LEVEL};

/// How a layer's blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip, level 6.
    #[default]
    Gzip,
    /// zstd, level 3.
    Zstd,
}

impl Codec {
    /// Its name in records and options.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "uncompressed",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }

    /// The media type of a layer that it compressed.
    pub fn media_type(self) -> &'static str {
        // The layer room stands before `image`, which names the same types for reading.
        match self {
            Codec::None => "application/vnd.oci.image.layer.v1.tar",
            Codec::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Codec::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// A chunk as it stands in a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed {
    /// What the chunk is found by: [`key`].
    pub key: Digest,
    /// Bytes before compression.
    pub raw_size: u64,
    /// CRC-32 (of gzip) before compression.
    pub crc: u32,
    /// The compressed bytes.
    pub bytes: Vec<u8>,
    /// Whether they had to be made.
    pub is_new: bool,
}

/// Where a chunk stands in a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPlace {
    /// What it is found by ([`key`]).
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
    /// State of the stream's hasher behind the chunk.
    pub state: HasherState,
    /// Whether it had to be compressed.
    #[serde(skip)]
    pub is_new: bool,
}

/// Gives chunks that were compressed before.
pub trait KnownChunks: Sync {
    /// The chunk of that key ([`key`]), checked.
    fn get(&self, key: &Digest) -> Option<Compressed>;
}

/// What a stretch of a chunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bytes like any others.
    Bytes {
        /// How many.
        size: u64,
    },
    /// All of a file's content.
    File {
        /// How many bytes.
        size: u64,
        /// Of these.
        digest: Digest,
    },
}

impl Part {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Part::Bytes { size } | Part::File { size, .. } => *size,
        }
    }
}

/// Names a chunk for looking it up: the sha256 of what it is made of. Files whose digest is known
/// are not hashed again. Two chunks of one name are the same bytes; that one chunk may have two
/// names, by the parts that it is told as, costs no more than compressing it again.
pub fn key(chunk: &[u8], parts: &[Part]) -> Digest {
    let mut hasher = Hasher::new();
    let mut rest = chunk;
    for part in parts {
        let length = usize::try_from(part.size()).unwrap_or(usize::MAX);
        let (bytes, behind) = rest.split_at(length.min(rest.len()));
        let (tag, named): (u8, &[u8]) = match part {
            Part::Bytes { .. } => (0, bytes),
            Part::File { digest, .. } => (1, digest.bytes()),
        };
        hasher.update(&[tag]);
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(named);
        rest = behind;
    }
    hasher.update(rest);
    hasher.finish()
}

/// Length of the first chunk of `stream`, which has to hold as much as the largest one or be all
/// that is left.
pub fn cut(stream: &[u8]) -> usize {
    let (smallest, average, largest) = CHUNK_SIZES;
    let cutter = fastcdc::v2020::FastCDC::new(stream, smallest, average, largest);
    cutter.cut(0, stream.len()).1
}

/// Compresses chunks, one at a time; each thread has its own.
pub struct Compressor {
    codec: Codec,
    deflater: Deflater,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// A compressor for `codec`.
    pub fn new(codec: Codec) -> std::io::Result<Compressor> {
        let zstd = match codec {
            Codec::Zstd => Some(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
            Codec::None | Codec::Gzip => None,
        };
        Ok(Compressor {
            codec,
            deflater: Deflater::default(),
            zstd,
        })
    }

    /// Compresses a chunk, or takes what `known` has under its key.
    pub fn compress(
        &mut self,
        chunk: Vec<u8>,
        parts: &[Part],
        known: impl FnOnce(&Digest) -> Option<Compressed>,
    ) -> std::io::Result<Compressed> {
        let key = key(&chunk, parts);
        let (raw_size, crc) = (chunk.len() as u64, crc32fast::hash(&chunk));
        // A key is as good as the digests that it is made of; this costs next to nothing.
        if let Some(compressed) = known(&key).filter(|it| (it.raw_size, it.crc) == (raw_size, crc))
        {
            return Ok(compressed);
        }
        let bytes = match (self.codec, &mut self.zstd) {
            (Codec::None, _) => chunk,
            (_, Some(zstd)) => zstd.compress(&chunk)?,
            (_, None) => self
                .deflater
                .compress(&chunk)
                .map_err(std::io::Error::other)?,
        };
        Ok(Compressed {
            key,
            raw_size,
            crc,
            bytes,
            is_new: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: usize) -> Vec<u8> {
        // xorshift64: no chunk boundary is a coincidence of a repeating pattern.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .take(length)
        .collect()
    }

    fn cut_all(stream: &[u8]) -> Vec<&[u8]> {
        let mut rest = stream;
        let next = || {
            let (chunk, behind) = rest.split_at(cut(rest));
            rest = behind;
            (!chunk.is_empty()).then_some(chunk)
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_change_leaves_other_chunks_alone() {
        let mut stream = stream(16 << 20);
        let before: Vec<_> = cut_all(&stream)
            .iter()
            .map(|chunk| chunk.to_vec())
            .collect();
        assert!(before.len() > 4);
        stream.splice(8 << 20..8 << 20, *b"inserted");
        let after = cut_all(&stream);
        let is_new = |chunk: &&&[u8]| !before.iter().any(|old| old == *chunk);
        let new = after.iter().filter(is_new).count();
        assert!((1..=2).contains(&new), "{new} of {}", after.len());
    }

    #[test]
    fn a_key_tells_apart_what_differs() {
        let file = |content: &[u8]| Part::File {
            size: content.len() as u64,
            digest: Digest::of(content),
        };
        let bytes = |size| Part::Bytes { size };
        let keys = [
            key(b"aabb", &[bytes(4)]),
            key(b"aacb", &[bytes(4)]),
            key(b"aabb", &[bytes(2), file(b"bb")]),
            key(b"aacc", &[bytes(2), file(b"cc")]),
            key(b"aabb", &[file(b"aa"), bytes(2)]),
            key(b"aabb", &[file(b"aa"), file(b"bb")]),
            key(b"aabbx", &[file(b"aa"), file(b"bb")]),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(key(b"aabb", &[bytes(4)]), keys[0]);
    }
}
