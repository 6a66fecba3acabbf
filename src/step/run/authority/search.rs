//! Looks for the authority in what a command left, while that is read for another reason anyway.
//!
//! In: a file's bytes, piece by piece. Out: whether it may hold the authority.

use std::io::{self, Write};

use memchr::memmem::Finder;

use super::Authority;
use crate::canon::seam::Seam;

/// How the authority shows in files: the beginning of its DER, which holds its serial number, and
/// the same in base64, as the first line of a PEM block or in any text of lines as long as that.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    der: Finder<'static>,
    base64: Finder<'static>,
}

impl Marks {
    /// `der` and `base64` are of the same bytes.
    pub(super) fn new(der: &[u8], base64: &[u8]) -> Marks {
        Marks {
            der: Finder::new(der).into_owned(),
            base64: Finder::new(base64).into_owned(),
        }
    }

    pub(super) fn are_in(&self, bytes: &[u8]) -> bool {
        self.base64.find(bytes).is_some() || self.der.find(bytes).is_some()
    }

    fn longest(&self) -> usize {
        self.base64.needle().len().max(self.der.needle().len())
    }
}

/// A sink that looks at what is written to it. Without an authority it finds nothing.
pub struct Searcher<'a> {
    marks: Option<&'a Marks>,
    seam: Seam,
    found: bool,
}

impl<'a> Searcher<'a> {
    /// For one file.
    pub fn new(authority: Option<&'a Authority>) -> Searcher<'a> {
        Searcher {
            marks: authority.map(|authority| &authority.marks),
            seam: Seam::default(),
            found: false,
        }
    }

    /// Whether the authority was in there.
    pub fn has_found(&self) -> bool {
        self.found
    }
}

impl Write for Searcher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(marks) = self.marks.filter(|_| !self.found) else {
            return Ok(bytes.len());
        };
        let most = marks.longest() - 1;
        self.found = self.seam.is_in(bytes, most, |bytes| marks.are_in(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::run::authority::tests::authority;

    #[test]
    fn the_authority_is_found_wherever_the_pieces_end() {
        let authority = authority();
        // With where the serial number is in each.
        for (held, serial) in [(authority.der(), 20), (authority.pem().as_bytes(), 56)] {
            let before = b"some text before\n";
            let mut content = [&before[..], held, b"and behind"].concat();
            for length in [1, 7, 60, 61, 100, content.len()] {
                let mut searcher = Searcher::new(Some(&authority));
                for piece in content.chunks(length) {
                    searcher.write_all(piece).unwrap();
                }
                assert!(searcher.has_found(), "{length}");
            }
            content[before.len() + serial] ^= 1;
            let mut searcher = Searcher::new(Some(&authority));
            searcher.write_all(&content).unwrap();
            assert!(!searcher.has_found());
        }
    }
}
