//! The format: the integer that names every byte-level choice.
//!
//! A new format is the only thing that may change the bytes of an old recipe; golden digests in
//! `tests/` guard it. Its history stands here.
//!
//! | format | since | what it fixes |
//! | --- | --- | --- |
//! | 1 | 0.1.0 | tar as `layer::tar` describes it; chunks by FastCDC (`fastcdc` 5.0.0, 2020 variant, [`CHUNK_SIZES`]); gzip by `zlib-rs` 0.6.8 at level 6; zstd by the libzstd of `zstd-sys` 2.1.3+zstd.1.5.7 at level 3; JSON by RFC 8785; commands are told `SOURCE_DATE_EPOCH`, and the caches that `step::run` names as debris are left out |

/// Names all byte-level choices of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Format(u32);

/// The format that this cairn writes.
pub const CURRENT: Format = Format(1);

/// Smallest, average and largest size in bytes of the pieces that a tar stream is cut into.
pub const CHUNK_SIZES: (usize, usize, usize) = (256 << 10, 1 << 20, 4 << 20);
/// Level of deflate in gzip blobs.
pub const GZIP_LEVEL: u32 = 6;
/// Level of zstd blobs.
pub const ZSTD_LEVEL: i32 = 3;

impl Format {
    /// The format of that number, where this cairn knows it.
    pub fn new(number: u32) -> Option<Format> {
        (number == CURRENT.0).then_some(Format(number))
    }

    /// The integer.
    pub fn number(self) -> u32 {
        self.0
    }
}
