//! gzip (RFC 1952) in pieces: each chunk deflated by itself, joined into one member.
//!
//! In: chunks of a stream. Out: a member of: the header `1f 8b 08 00 00000000 00 ff` (no name, no
//! time, unknown OS); each chunk as raw deflate (RFC 1951) at level 6, ended by a sync flush, so
//! that it ends on a byte and refers to nothing before it; the empty final block `03 00`; CRC-32
//! and size of the whole.

use crate::canon::format::GZIP_LEVEL;

/// What opens the member.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Deflates chunks; each as if it were the first.
pub struct Deflater(flate2::Compress);

impl Default for Deflater {
    fn default() -> Deflater {
        Deflater(flate2::Compress::new(
            flate2::Compression::new(GZIP_LEVEL),
            false,
        ))
    }
}

impl Deflater {
    /// One chunk, ended by a sync flush.
    pub fn compress(&mut self, chunk: &[u8]) -> Result<Vec<u8>, flate2::CompressError> {
        self.0.reset();
        let mut out = Vec::with_capacity(chunk.len() / 2 + 1024);
        loop {
            let taken = self.0.total_in() as usize;
            self.0
                .compress_vec(&chunk[taken..], &mut out, flate2::FlushCompress::Sync)?;
            // With room left over, the flush is complete.
            if self.0.total_in() as usize == chunk.len() && out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(out.capacity().max(64 << 10));
        }
    }
}

/// What closes the member.
pub fn trailer(crc: u32, size: u64) -> [u8; 10] {
    let mut trailer = [0; 10];
    trailer[0] = 3;
    trailer[2..6].copy_from_slice(&crc.to_le_bytes());
    trailer[6..].copy_from_slice(&(size as u32).to_le_bytes());
    trailer
}
