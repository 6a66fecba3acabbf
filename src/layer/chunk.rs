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
    /// Digest of the chunk before compression.
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

/// Cuts a stream that comes in pieces.
#[derive(Default)]
pub struct Cutter {
    bytes: Vec<u8>,
    /// What stands before this in `bytes` was given out.
    start: usize,
}

impl Cutter {
    /// Takes in the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        if self.start > 2 * CHUNK_SIZES.2 || self.start == self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(piece);
    }

    /// The next chunk, where it is certain: once the largest one would fit, or where `is_all`
    /// says that no more comes.
    pub fn cut(&mut self, is_all: bool) -> Option<Vec<u8>> {
        let (smallest, average, largest) = CHUNK_SIZES;
        let pending = &self.bytes[self.start..];
        if pending.is_empty() || (pending.len() < largest && !is_all) {
            return None;
        }
        let cutter = fastcdc::v2020::FastCDC::new(pending, smallest, average, largest);
        let (_, length) = cutter.cut(0, pending.len());
        self.start += length;
        Some(pending[..length].to_vec())
    }

    /// Up to `length` bytes of the stream, uncut.
    pub fn take(&mut self, length: u64) -> &[u8] {
        let length = length.min((self.bytes.len() - self.start) as u64) as usize;
        self.start += length;
        &self.bytes[self.start - length..self.start]
    }
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

    /// Compresses a chunk, or takes what `known` has under the chunk's digest.
    pub fn compress(
        &mut self,
        chunk: Vec<u8>,
        known: impl FnOnce(&Digest) -> Option<Compressed>,
    ) -> std::io::Result<Compressed> {
        let key = Digest::of(&chunk);
        if let Some(compressed) = known(&key) {
            return Ok(compressed);
        }
        let (raw_size, crc) = (chunk.len() as u64, crc32fast::hash(&chunk));
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

    fn cut(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::default();
        let mut chunks = Vec::new();
        for piece in stream.chunks(piece) {
            cutter.push(piece);
            chunks.extend(std::iter::from_fn(|| cutter.cut(false)));
        }
        chunks.extend(std::iter::from_fn(|| cutter.cut(true)));
        chunks
    }

    #[test]
    fn cuts_do_not_depend_on_the_pieces_that_came_in() {
        let stream = stream(12 << 20);
        let whole = cut(&stream, stream.len());
        assert_eq!(whole, cut(&stream, 4097));
        assert_eq!(whole, cut(&stream, 5 << 20));
        assert_eq!(whole.concat(), stream);
        assert!(whole.len() > 4);
        let expected: Vec<_> =
            fastcdc::v2020::FastCDC::new(&stream, CHUNK_SIZES.0, CHUNK_SIZES.1, CHUNK_SIZES.2)
                .map(|chunk| chunk.length)
                .collect();
        assert_eq!(whole.iter().map(Vec::len).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_change_leaves_other_chunks_alone() {
        let mut stream = stream(16 << 20);
        let before = cut(&stream, 1 << 20);
        stream.splice(8 << 20..8 << 20, *b"inserted");
        let after = cut(&stream, 1 << 20);
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!((1..=2).contains(&new), "{new} of {}", after.len());
    }
}
