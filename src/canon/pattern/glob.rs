//! Globs without `**`: what Go's `filepath.Match` accepts and matches (pkg.go.dev/path/filepath).
//!
//! In: a pattern as bytes. Out: [`Wildcard`], or the [`Error`] that Go calls `ErrBadPattern`.
//!
//! | in a pattern | matches |
//! | --- | --- |
//! | `*` | any run of bytes without `/`, also none |
//! | `?` | one character that is no `/` |
//! | `[a-z]`, `[^a-z]` | one character in the ranges, or in none of them; a `/` counts too |
//! | `\c` | the character `c` |
//! | anything else | itself |
//!
//! A character is a UTF-8 sequence; a byte that belongs to none is one character, U+FFFD.

/// Longest pattern in bytes: longer than any path that it could match.
pub const LONGEST: usize = 4096;

/// Why bytes are no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Go's `ErrBadPattern`.
    #[error("a `[` is not closed, a range is incomplete or backwards, or a `\\` stands at the end")]
    Syntax,
    /// Over [`LONGEST`].
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
}

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A byte that stands for itself, and whether a `\` said so.
    Byte { byte: u8, escaped: bool },
    /// `?`
    One,
    /// `[…]`
    Class(Class),
    /// `*`
    Star,
}

/// The characters between `[` and `]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    negated: bool,
    ranges: Vec<(u32, u32)>,
}

impl Class {
    pub(super) fn holds(&self, character: u32) -> bool {
        let listed = self
            .ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&character));
        listed != self.negated
    }

    /// Whether a range ends before it begins: Go lets it match nothing.
    pub(super) fn is_backwards(&self) -> bool {
        self.ranges.iter().any(|&(low, high)| low > high)
    }
}

/// The first character of `bytes` and its length; U+FFFD and 1 where they are not UTF-8.
pub(super) fn first_character(bytes: &[u8]) -> Option<(u32, usize)> {
    let length = match bytes.first()? {
        0..=0x7f => return Some((u32::from(bytes[0]), 1)),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let text = bytes
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| text.chars().next()) {
        Some(character) => Some((u32::from(character), length)),
        None => Some((0xfffd, 1)),
    }
}

/// Reads a pattern into its elements.
pub(super) fn parse(pattern: &[u8]) -> Result<Vec<Piece>, Error> {
    if pattern.len() > LONGEST {
        return Err(Error::TooLong);
    }
    let mut pieces = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let [first, after @ ..] = rest {
        rest = after;
        pieces.push(match first {
            b'*' => Piece::Star,
            b'?' => Piece::One,
            b'[' => {
                let (class, after) = class(rest)?;
                rest = after;
                Piece::Class(class)
            }
            b'\\' => {
                let (&byte, after) = rest.split_first().ok_or(Error::Syntax)?;
                rest = after;
                let escaped = true;
                Piece::Byte { byte, escaped }
            }
            &byte => Piece::Byte {
                byte,
                escaped: false,
            },
        });
    }
    Ok(pieces)
}

/// Reads what follows a `[`, up to and with its `]`.
fn class(mut rest: &[u8]) -> Result<(Class, &[u8]), Error> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if let [b']', after @ ..] = rest
            && !ranges.is_empty()
        {
            return Ok((Class { negated, ranges }, after));
        }
        let (low, after) = class_character(rest)?;
        rest = after;
        let mut high = low;
        if let [b'-', after @ ..] = rest {
            (high, rest) = class_character(after)?;
        }
        ranges.push((low, high));
    }
}

/// Reads one character of a class, which must not be the pattern's last.
fn class_character(rest: &[u8]) -> Result<(u32, &[u8]), Error> {
    let rest = match rest {
        [] | [b'-' | b']', ..] => return Err(Error::Syntax),
        [b'\\', after @ ..] => after,
        _ => rest,
    };
    match first_character(rest) {
        // U+FFFD itself has three bytes; one byte means that they were no UTF-8.
        Some((0xfffd, 1)) | None => Err(Error::Syntax),
        Some((_, length)) if length == rest.len() => Err(Error::Syntax),
        Some((character, length)) => Ok((character, &rest[length..])),
    }
}

/// A pattern that matches as Go's `filepath.Match` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    pieces: Vec<Piece>,
}

impl Wildcard {
    /// Reads a pattern.
    pub fn new(pattern: &[u8]) -> Result<Wildcard, Error> {
        let pieces = parse(pattern)?;
        Ok(Wildcard { pieces })
    }

    /// Parts the path `pattern` before the first component that needs a search: a path, and a
    /// pattern below it, which is empty where nothing needs one.
    pub fn part(pattern: &str) -> (String, String) {
        let components: Vec<&str> = pattern
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        let is_wild = |part: &&str| Wildcard::is_needed_for(part.as_bytes());
        let plain = components.iter().position(is_wild);
        let (path, rest) = components.split_at(plain.unwrap_or(components.len()));
        (path.join("/"), rest.join("/"))
    }

    /// Whether `text` has an unescaped `*`, `?` or `[`, so that Docker searches for what it names.
    pub fn is_needed_for(text: &[u8]) -> bool {
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    bytes.next();
                }
                b'*' | b'?' | b'[' => return true,
                _ => {}
            }
        }
        false
    }

    /// Whether the pattern matches all of `name`.
    ///
    /// As Go does it, what follows a `*` is matched at the first place where it fits and stays
    /// there. So the time is bounded by the product of both lengths.
    pub fn matches(&self, name: &[u8]) -> bool {
        let mut name = name;
        let mut pieces = &self.pieces[..];
        while !pieces.is_empty() {
            let stars = pieces.iter().take_while(|piece| **piece == Piece::Star);
            let stars = stars.count();
            let chunk = &pieces[stars..];
            let length = chunk.iter().position(|piece| *piece == Piece::Star);
            let (chunk, rest) = chunk.split_at(length.unwrap_or(chunk.len()));
            if stars > 0 && chunk.is_empty() {
                return !name.contains(&b'/');
            }
            // A `*` covers nothing, or up to all that stands before the next slash.
            let covers = match stars {
                0 => 0,
                _ => name.iter().take_while(|byte| **byte != b'/').count(),
            };
            let after = (0..=covers)
                .filter_map(|covered| chunk_matches(chunk, &name[covered..]))
                .find(|after| after.is_empty() || !rest.is_empty());
            let Some(after) = after else { return false };
            (name, pieces) = (after, rest);
        }
        name.is_empty()
    }
}

/// What is left of `name` after a `chunk` without stars; none if it doesn't begin so.
fn chunk_matches<'a>(chunk: &[Piece], mut name: &'a [u8]) -> Option<&'a [u8]> {
    for piece in chunk {
        let (character, length) = first_character(name)?;
        let (fits, length) = match piece {
            Piece::Byte { byte, .. } => (name[0] == *byte, 1),
            Piece::One => (character != u32::from(b'/'), length),
            Piece::Class(class) => (class.holds(character), length),
            Piece::Star => (false, 0),
        };
        if !fits {
            return None;
        }
        name = &name[length..];
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::pattern::must_answer;

    fn matches(pattern: &str, name: &str) -> Result<bool, Error> {
        Wildcard::new(pattern.as_bytes()).map(|wildcard| wildcard.matches(name.as_bytes()))
    }

    /// Answers of Go 1.19's `filepath.Match`; `testdata/ignore/README.md` says how they were had.
    #[test]
    fn matches_as_gos_filepath_match() {
        let table = include_str!("../../../testdata/ignore/match.txt");
        must_answer(table, |pattern, name| {
            Wildcard::new(pattern).map(|wildcard| wildcard.matches(name))
        });
    }

    #[test]
    fn stars_after_stars_do_not_multiply() {
        let pattern = "*a".repeat(2000) + "b";
        let name = "a".repeat(4000);
        assert_eq!(matches(&pattern, &name), Ok(false));
    }

    #[test]
    fn an_endless_pattern_is_refused() {
        assert_eq!(matches(&"a".repeat(LONGEST), "a"), Ok(false));
        assert_eq!(matches(&"a".repeat(LONGEST + 1), "a"), Err(Error::TooLong));
    }

    #[test]
    fn only_what_is_not_escaped_needs_a_search() {
        for (text, needed) in [
            ("a/b", false),
            ("a*", true),
            ("?", true),
            ("[a]", true),
            ("\\*", false),
            ("\\\\*", true),
            ("a\\", false),
        ] {
            assert_eq!(Wildcard::is_needed_for(text.as_bytes()), needed, "{text}");
        }
    }
}
