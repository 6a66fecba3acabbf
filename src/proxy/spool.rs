//! The body of a request, taken whole before anything is done with it: its digest says which
//! answer it gets.
//!
//! In: a body as it comes. Out: its digest, and the same bytes again. Small ones are held in memory,
//! others in an unnamed file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};

use bytes::Bytes;
use flate2::write::GzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::body::{Body, full, pieces};
use crate::canon::digest::Hasher;
use crate::lock;

/// Bytes that are held in memory.
const SMALL: usize = 1 << 20;
/// Bytes that are read from a file at once.
const PIECE: usize = 128 << 10;

/// A body that has come whole.
pub enum Spool {
    /// In memory.
    Small(Bytes),
    /// In a file, with its size.
    Large(File, u64),
}

/// Reads `body` to its end.
///
/// # Errors
/// Where it breaks off, or there is no space for it.
pub async fn take(
    headers: &HeaderMap,
    mut body: Incoming,
    temporary: impl Fn() -> io::Result<File>,
) -> io::Result<(Spool, Option<lock::Body>)> {
    let is_gzip = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let mut sum = Sum::new(is_gzip);
    let mut small = Vec::new();
    let mut large: Option<File> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        sum.update(&data);
        match &mut large {
            Some(file) => file.write_all(&data)?,
            None if small.len() + data.len() <= SMALL => small.extend_from_slice(&data),
            None => {
                let mut file = temporary()?;
                file.write_all(&small)?;
                file.write_all(&data)?;
                small = Vec::new();
                large = Some(file);
            }
        }
    }
    let (size, sum) = sum.finish();
    let spool = match large {
        Some(file) => Spool::Large(file, size),
        None => Spool::Small(small.into()),
    };
    Ok((spool, (size > 0).then_some(sum)))
}

impl Spool {
    /// The same bytes again, as often as they are asked for.
    pub fn body(&self) -> io::Result<Body> {
        match self {
            Spool::Small(bytes) => Ok(full(bytes.clone())),
            Spool::Large(file, size) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                let (body, sink) = pieces(Some(*size));
                tokio::task::spawn_blocking(move || {
                    loop {
                        let mut piece = vec![0; PIECE];
                        let read = match file.read(&mut piece) {
                            Ok(0) => return,
                            Ok(read) => read,
                            Err(error) => return sink.blocking_break(error),
                        };
                        piece.truncate(read);
                        if !sink.blocking_data(piece.into()) {
                            return;
                        }
                    }
                });
                Ok(body)
            }
        }
    }
}

/// The digest of a body; of what it says, where it was compressed: the same may be compressed in
/// many ways, and git compresses what it asks for.
struct Sum {
    plain: Count,
    unpacked: Option<GzDecoder<Count>>,
}

#[derive(Default)]
struct Count {
    hasher: Hasher,
    size: u64,
}

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Count {
    fn body(self) -> lock::Body {
        lock::Body {
            sha256: self.hasher.finish(),
            size: self.size,
        }
    }
}

impl Sum {
    fn new(is_gzip: bool) -> Sum {
        Sum {
            plain: Count::default(),
            unpacked: is_gzip.then(|| GzDecoder::new(Count::default())),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        // It has no errors.
        let _ = self.plain.write_all(bytes);
        if let Some(unpacked) = &mut self.unpacked
            && unpacked.write_all(bytes).is_err()
        {
            self.unpacked = None;
        }
    }

    /// How many bytes came, and what is recorded of them.
    fn finish(self) -> (u64, lock::Body) {
        let size = self.plain.size;
        let unpacked = self.unpacked.and_then(|unpacked| unpacked.finish().ok());
        (size, unpacked.unwrap_or(self.plain).body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;

    #[test]
    fn how_a_body_is_compressed_does_not_matter() {
        let said = b"0011want 0123\n0000".repeat(10);
        for level in [flate2::Compression::fast(), flate2::Compression::best()] {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), level);
            packed.write_all(&said).unwrap();
            let packed = packed.finish().unwrap();
            let mut sum = Sum::new(true);
            packed.chunks(7).for_each(|piece| sum.update(piece));
            let (size, body) = sum.finish();
            assert_eq!(size, packed.len() as u64);
            assert_eq!((body.sha256, body.size), (Digest::of(&said), 180));
        }
        let mut sum = Sum::new(true);
        sum.update(b"no gzip");
        assert_eq!(sum.finish().1.sha256, Digest::of(b"no gzip"));
    }
}
