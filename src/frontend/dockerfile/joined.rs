//! Lines joined to one, with the way back to the file.
//!
//! In: pieces of the file. Out: [`Joined`], one text whose every byte knows where it came from;
//! [`Part`], a part of it.

use std::ops::Range;

use super::syntax::{Span, Spanned, Word};

/// One text made of pieces of a file.
#[derive(Debug, Default, Clone)]
pub(super) struct Joined {
    text: String,
    /// Where a piece starts: in `text`, in the file. Ascending in both.
    pieces: Vec<(usize, usize)>,
}

/// A part of a joined text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    joined: &'a Joined,
    start: usize,
    end: usize,
}

impl Joined {
    /// Adds a piece that stands at `offset` of the file.
    pub(super) fn push(&mut self, piece: &str, offset: usize) {
        self.pieces.push((self.text.len(), offset));
        self.text.push_str(piece);
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn all(&self) -> Part<'_> {
        Part {
            joined: self,
            start: 0,
            end: self.text.len(),
        }
    }

    /// Where the byte `at` of the text stands in the file.
    fn offset(&self, at: usize) -> usize {
        let after = self.pieces.partition_point(|(start, _)| *start <= at);
        match after
            .checked_sub(1)
            .and_then(|piece| self.pieces.get(piece))
        {
            Some((start, offset)) => offset + (at - start),
            None => 0,
        }
    }

    /// From the first to the last byte of `range` in the file.
    fn span(&self, range: Range<usize>) -> Span {
        if range.is_empty() {
            // Behind the byte before, or it would lie on the next line.
            let at = match range.start {
                0 => self.offset(0),
                start => self.offset(start - 1) + 1,
            };
            return at..at;
        }
        self.offset(range.start)..self.offset(range.end - 1) + 1
    }
}

impl<'a> Part<'a> {
    pub(super) fn text(self) -> &'a str {
        &self.joined.text[self.start..self.end]
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(super) fn span(self) -> Span {
        self.joined.span(self.start..self.end)
    }

    /// Bytes `range` of this part.
    pub(super) fn slice(self, range: Range<usize>) -> Part<'a> {
        Part {
            joined: self.joined,
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }

    /// From the byte `at` on.
    pub(super) fn from(self, at: usize) -> Part<'a> {
        self.slice(at..self.end - self.start)
    }

    /// Without white space around it.
    pub(super) fn trim(self) -> Part<'a> {
        let text = self.text();
        let start = text.len() - text.trim_start().len();
        self.slice(start..start + text.trim().len())
    }

    /// At the first of `is_separator`, and behind all that follow it.
    pub(super) fn split(self, is_separator: impl Fn(char) -> bool) -> Option<(Part<'a>, Part<'a>)> {
        let text = self.text();
        let at = text.find(&is_separator)?;
        let rest = text[at..].trim_start_matches(&is_separator);
        Some((self.slice(0..at), self.from(text.len() - rest.len())))
    }

    /// As it is, as a word.
    pub(super) fn word(self) -> Word {
        Word::new(self.text(), self.span())
    }

    /// As it is, as text.
    pub(super) fn spanned(self) -> Spanned<String> {
        Spanned::new(self.text().to_owned(), self.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_knows_its_place() {
        let mut joined = Joined::default();
        joined.push("RUN a ", 10);
        joined.push("  b", 18);
        assert_eq!(joined.text(), "RUN a   b");
        let all = joined.all();
        assert_eq!(all.span(), 10..21);
        assert_eq!(all.slice(4..5).span(), 14..15);
        assert_eq!(all.slice(8..9).span(), 20..21);
        assert_eq!(all.slice(6..6).span(), 16..16, "not on the next line");
        assert_eq!(all.slice(9..9).span(), 21..21);
        let (first, rest) = all.split(|c| c == ' ').unwrap();
        assert_eq!((first.text(), rest.text()), ("RUN", "a   b"));
        assert_eq!(all.slice(3..9).trim().span(), 14..21);
    }
}
