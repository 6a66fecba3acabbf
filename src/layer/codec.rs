//! Compressed streams as others write them.
//!
//! In: a stream that is gzip, zstd, xz, bzip2 or none of them, told by its first bytes. Out: what
//! it holds, with a limit on how much that may be, and on the memory that reading it takes.

use std::io::{self, BufRead, BufReader, Read};

use lzma_rust2::XzReader;

/// How far a stream may expand: [`Expansion::FREE`] bytes, or `factor` times what came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expansion {
    /// Times the compressed size.
    pub factor: u64,
}

impl Expansion {
    /// Bytes that any stream may hold: small ones of one byte repeated are no bombs.
    pub const FREE: u64 = 64 << 20;

    /// For what cairn made itself, or has let through before.
    pub const UNLIMITED: Expansion = Expansion { factor: u64::MAX };
}

/// gzip can't expand more than 1032-fold, and real layers stay far below 200.
impl Default for Expansion {
    fn default() -> Expansion {
        Expansion { factor: 200 }
    }
}

/// Opens a stream of `size` bytes, whatever its compression.
pub fn decompress<'a>(
    source: impl Read + 'a,
    size: u64,
    limit: Expansion,
) -> io::Result<Box<dyn Read + 'a>> {
    let mut source = BufReader::with_capacity(128 << 10, source);
    let first = source.fill_buf()?;
    let plain: Box<dyn Read + 'a> = if is_gzip(first) {
        Box::new(flate2::bufread::MultiGzDecoder::new(source))
    } else if is_zstd(first) {
        Box::new(zstd::Decoder::with_buffer(source)?)
    } else if is_xz(first) {
        Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY))
    } else if is_bzip2(first) {
        Box::new(bzip2::bufread::MultiBzDecoder::new(source))
    } else {
        return Ok(Box::new(source));
    };
    let most = size.saturating_mul(limit.factor).max(Expansion::FREE);
    Ok(Box::new(Limited {
        plain,
        left: most,
        most,
        factor: limit.factor,
    }))
}

/// Whether a stream that begins so is one that [`decompress`] expands.
pub fn is_compressed(first: &[u8]) -> bool {
    is_gzip(first) || is_zstd(first) || is_xz(first) || is_bzip2(first)
}

/// Most memory that an xz stream may ask for, in KiB: its levels end at 64 MiB.
const XZ_MEMORY: u32 = 256 << 10;

fn is_gzip(first: &[u8]) -> bool {
    first.starts_with(&[0x1f, 0x8b])
}

/// A frame, or a skippable one: zstd:chunked and seekable zstd may begin with that (RFC 8878,
/// section 3.1.2).
fn is_zstd(first: &[u8]) -> bool {
    matches!(
        first,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    )
}

/// The .xz file format, section 2.1.1.1.
fn is_xz(first: &[u8]) -> bool {
    first.starts_with(b"\xfd7zXZ\0")
}

/// With what begins its first block, or its end where it holds nothing: a tar may begin with the
/// name `BZh9`.
fn is_bzip2(first: &[u8]) -> bool {
    let magic = first.strip_prefix(b"BZh");
    let Some([b'1'..=b'9', rest @ ..]) = magic else {
        return false;
    };
    rest.starts_with(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59])
        || rest.starts_with(&[0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
}

struct Limited<'a> {
    plain: Box<dyn Read + 'a>,
    left: u64,
    most: u64,
    factor: u64,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self
            .plain
            .read(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::OutOfMemory => {
                    let most = XZ_MEMORY >> 10;
                    io::Error::other(format!("it takes more than {most} MiB of memory to read"))
                }
                _ => error,
            })?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let Limited { most, factor, .. } = self;
            io::Error::other(format!(
                "it expands to more than {most} bytes: {factor} times its size, or 64 MiB\nhint: if that is meant, raise the limit with `--max-expansion`"
            ))
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zeros(length: u64) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        io::copy(&mut io::repeat(0).take(length), &mut encoder).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_expands_beyond_the_limit_is_cut_off() {
        let bomb = zeros(200 << 20);
        let size = bomb.len() as u64;
        assert!((200 << 20) / size > 5000);
        let read = |factor| {
            let mut stream = decompress(&bomb[..], size, Expansion { factor }).unwrap();
            io::copy(&mut stream, &mut io::sink())
        };
        let error = read(200).unwrap_err().to_string();
        assert!(error.contains("--max-expansion"), "{error}");
        assert_eq!(read(100_000).unwrap(), 200 << 20);
    }

    #[test]
    fn a_tar_that_begins_with_the_name_of_another_format_is_a_tar() {
        assert!(!is_compressed(b"BZh9"));
        assert!(!is_compressed(b"BZh91AY&SX"));
        assert!(is_compressed(b"BZh91AY&SY"));
        assert!(!is_compressed(b"7zXZ"));
    }

    #[test]
    fn members_and_frames_that_follow_are_read_too() {
        let mut gzip = Vec::new();
        for text in ["one ", "two"] {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            gzip.extend(encoder.finish().unwrap());
        }
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9];
        let zstd = [
            &skippable[..],
            &zstd::encode_all(&b"one "[..], 3).unwrap(),
            &zstd::encode_all(&b"two"[..], 3).unwrap(),
        ]
        .concat();
        for stream in [&gzip[..], &zstd, b"one two"] {
            let mut text = String::new();
            let mut plain = decompress(stream, stream.len() as u64, Expansion::default()).unwrap();
            plain.read_to_string(&mut text).unwrap();
            assert_eq!(text, "one two");
        }
    }
}
