//! What of a content tells which normaliser looks at it.
//!
//! In: a file's bytes, piece by piece. Out: the first of them.

use std::io::{self, Write};

use super::HEAD;

/// A sink that looks at what is written to it.
#[derive(Debug, Default)]
pub struct Glance {
    head: Vec<u8>,
}

impl Glance {
    /// The first [`HEAD`] bytes, or all.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Write for Glance {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend(&bytes[..wanted]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
