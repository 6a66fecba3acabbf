//! What of a content tells who looks at it.
//!
//! In: a file's bytes, piece by piece. Out: the first of them, and whether there may be a private key.

use std::io::{self, Write};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{HEAD, keys};
use crate::canon::seam::Seam;

/// A sink that looks at what is written to it.
#[derive(Debug, Default)]
pub struct Glance {
    head: Vec<u8>,
    seam: Seam,
    has_mark: bool,
}

impl Glance {
    /// The first [`HEAD`] bytes, or all.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Whether there may be a private key: where not, there is none that [`keys::find`] finds.
    pub fn may_hold_key(&self) -> bool {
        self.has_mark || keys::may_begin(&self.head)
    }
}

impl Write for Glance {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        static MARK: LazyLock<Finder> = LazyLock::new(|| Finder::new(keys::MARK));
        const MOST: usize = keys::MARK.len() - 1;
        let wanted = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend(&bytes[..wanted]);
        if !self.has_mark {
            let is_in = |bytes: &[u8]| MARK.find(bytes).is_some();
            self.has_mark = self.seam.is_in(bytes, MOST, is_in);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_key_is_seen_wherever_pieces_end() {
        let text = [&b"some text -----BEGIN PRIVATE KEY-----"[..], &[b'x'; 600]].concat();
        for length in [1, 3, 10, 11, 12, 24, 100, text.len()] {
            let mut glance = Glance::default();
            text.chunks(length)
                .for_each(|piece| glance.write_all(piece).unwrap());
            assert!(glance.may_hold_key(), "{length}");
            assert_eq!(glance.head(), &text[..HEAD]);
            let mut other = Glance::default();
            let changed: Vec<u8> = text.iter().map(u8::to_ascii_lowercase).collect();
            changed
                .chunks(length)
                .for_each(|piece| other.write_all(piece).unwrap());
            assert!(!other.may_hold_key(), "{length}");
        }
    }
}
