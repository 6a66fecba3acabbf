//! Globs with `**`: one pattern of an ignore file, as moby/patternmatcher reads it.
//!
//! In: a pattern, clean as Go's `path.Clean` leaves it. Out: [`Glob`].
//!
//! To the grammar of [`super::glob`] comes `**`, which swallows one slash after it:
//!
//! | `**` stands | matches |
//! | --- | --- |
//! | at the end | anything, also nothing: `a/**` is all below `a`, and `a**` all that begins with `a` |
//! | before anything else | nothing, or whole components: `a/**/b` is `a/b`, `a/x/b`, `a/x/y/b` |
//! | first, before plain text | anything: `**.md` is all that ends so, as is `**/*.md` |
//!
//! The reference turns patterns into regular expressions, and what slips through is documented
//! nowhere: `\d` as a digit, `[*]` as a broken class, a `^` that anchors, `[[:alpha:]]`, `**`
//! that stops at a line feed. Here these mean what the grammar says.

use super::glob::{Class, Error, Piece, first_character, parse};
use crate::canon::EntryPath;
use crate::canon::path;

/// One pattern, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    tokens: Vec<Token>,
    /// The byte that all matches begin with, where it is known; most paths fail already here.
    first: Option<u8>,
    /// The byte that all matches end with, likewise.
    last: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// These bytes.
    Text(Vec<u8>),
    /// A character that is no slash.
    One,
    /// A character of a class.
    Class(Class),
    /// Anything without a slash.
    Run,
    /// Nothing, or anything that ends with a slash.
    Components,
    /// Anything.
    All,
}

impl Glob {
    pub(super) fn new(pattern: &[u8]) -> Result<Glob, Error> {
        let mut tokens = Vec::new();
        let pieces = parse(pattern)?;
        let mut rest = &pieces[..];
        while let [piece, after @ ..] = rest {
            rest = after;
            match piece {
                Piece::Byte { byte, .. } => match tokens.last_mut() {
                    Some(Token::Text(text)) => text.push(*byte),
                    _ => tokens.push(Token::Text(vec![*byte])),
                },
                Piece::One => tokens.push(Token::One),
                Piece::Class(class) if class.is_backwards() => return Err(Error::Syntax),
                Piece::Class(class) => tokens.push(Token::Class(class.clone())),
                Piece::Star if after.first() == Some(&Piece::Star) => {
                    let slash = Piece::Byte {
                        byte: b'/',
                        escaped: false,
                    };
                    rest = &after[1..];
                    let swallows = rest.first() == Some(&slash);
                    let is_suffix = tokens.is_empty() && !swallows && is_plain(rest);
                    if swallows {
                        rest = &rest[1..];
                    }
                    tokens.push(match rest {
                        [] => Token::All,
                        _ if is_suffix => Token::All,
                        _ => Token::Components,
                    });
                }
                Piece::Star => tokens.push(Token::Run),
            }
        }
        let first = match tokens.first() {
            Some(Token::Text(text)) => text.first().copied(),
            _ => None,
        };
        let last = match tokens.last() {
            Some(Token::Text(text)) => text.last().copied(),
            _ => None,
        };
        Ok(Glob {
            tokens,
            first,
            last,
        })
    }

    /// Whether the pattern matches all of `path`.
    pub(super) fn matches(&self, path: &EntryPath) -> bool {
        let path = path.as_bytes();
        let starts = self.first.is_none_or(|byte| path.first() == Some(&byte));
        let ends = self.last.is_none_or(|byte| path.last() == Some(&byte));
        if !starts || !ends {
            return false;
        }
        // Most patterns, and most of the others' misses, are told by their fixed ends.
        match &self.tokens[..] {
            [Token::Text(all)] => return path == all,
            [Token::Text(start), Token::All] => return path.starts_with(start),
            [Token::All, Token::Text(end)] => return path.ends_with(end),
            [Token::Components, Token::Text(end)] => {
                return path
                    .strip_suffix(&end[..])
                    .is_some_and(|before| matches!(before, [] | [.., b'/']));
            }
            [Token::Components, Token::Text(text), Token::All] => {
                let mut components = path.split_inclusive(|byte| *byte == b'/');
                let mut rest = path;
                return components.any(|component| {
                    let found = rest.starts_with(text);
                    rest = &rest[component.len()..];
                    found
                });
            }
            [Token::Text(start), ..] if !path.starts_with(start) => return false,
            [.., Token::Text(end)] if !path.ends_with(end) => return false,
            _ => {}
        }
        self.walk(path, false)
    }

    /// Whether there can be a path below `directory` that the pattern matches.
    pub(super) fn may_match_below(&self, directory: &EntryPath) -> bool {
        if directory.is_root() {
            return true;
        }
        self.walk(&[directory.as_bytes(), b"/"].concat(), true)
    }

    fn walk(&self, text: &[u8], below: bool) -> bool {
        if text.len() < 2 * 64 {
            self.positions::<2>(text, below)
        } else {
            self.positions::<{ (path::LONGEST + 1) / 64 + 1 }>(text, below)
        }
    }

    /// Goes from token to token with the set of all positions in `text` that can be reached, so
    /// that the time is bounded by the product of both lengths. With `below`, the answer is
    /// whether something that begins with `text` can match.
    fn positions<const WORDS: usize>(&self, text: &[u8], below: bool) -> bool {
        let end = text.len();
        let mut reached = Positions([0; WORDS]);
        reached.add(0, 0);
        for token in &self.tokens {
            if below && token.leads_past_end(&reached, text) {
                return true;
            }
            let mut next = Positions([0; WORDS]);
            // A position in the middle of a character is none.
            let mut widen = |from: usize, to: usize| {
                next.add(from, to);
                if !text[from..to].is_ascii() {
                    next.drop_inner(text, from, to);
                }
            };
            match token {
                Token::Run => {
                    let mut widened = None;
                    for at in reached.iter().filter(|&at| at <= end) {
                        if widened.is_none_or(|to| at > to) {
                            let slash = text[at..].iter().position(|byte| *byte == b'/');
                            let to = slash.map_or(end, |slash| at + slash);
                            widen(at, to);
                            widened = Some(to);
                        }
                    }
                }
                Token::All => {
                    if let Some(first) = reached.iter().next() {
                        widen(first, end);
                    }
                }
                Token::Components => {
                    next = reached;
                    if let Some(first) = reached.iter().next() {
                        for (at, _) in text
                            .iter()
                            .enumerate()
                            .skip(first)
                            .filter(|(_, b)| **b == b'/')
                        {
                            next.add(at + 1, at + 1);
                        }
                    }
                }
                Token::Text(_) | Token::One | Token::Class(_) => {
                    for at in reached.iter() {
                        if let Some(length) = token.length_at(&text[at..]) {
                            next.add(at + length, at + length);
                        }
                    }
                }
            }
            if next.is_empty() {
                return false;
            }
            reached = next;
        }
        !below && reached.has(end)
    }
}

/// Whether the rest of a pattern is text in which nothing is escaped or looks like a class: only
/// such text makes a leading `**` match within a component.
fn is_plain(pieces: &[Piece]) -> bool {
    pieces
        .iter()
        .all(|piece| matches!(piece, Piece::Byte { byte, escaped: false } if *byte != b']'))
}

impl Token {
    /// How much of `rest` a token of one length takes up; none if it doesn't match.
    fn length_at(&self, rest: &[u8]) -> Option<usize> {
        match self {
            Token::Text(text) => rest.starts_with(text).then_some(text.len()),
            Token::One => first_character(rest)
                .filter(|(character, _)| *character != u32::from(b'/'))
                .map(|(_, length)| length),
            Token::Class(class) => first_character(rest)
                .filter(|(character, _)| class.holds(*character))
                .map(|(_, length)| length),
            Token::Run | Token::Components | Token::All => None,
        }
    }

    /// Whether the token can take up all of `text` from a position on, and something after it.
    fn leads_past_end<const WORDS: usize>(&self, from: &Positions<WORDS>, text: &[u8]) -> bool {
        match self {
            Token::Components | Token::All => true,
            Token::One | Token::Class(_) | Token::Run => from.has(text.len()),
            Token::Text(token) => from.iter().any(|at| token.starts_with(&text[at..])),
        }
    }
}

/// A set of positions in a text: bit `n` is the place before byte `n`.
#[derive(Clone, Copy)]
struct Positions<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Positions<WORDS> {
    /// Adds all from `first` to `last`, both included.
    fn add(&mut self, first: usize, last: usize) {
        for word in first / 64..=last / 64 {
            let low = first.saturating_sub(word * 64);
            let high = (last - word * 64).min(63);
            self.0[word] |= (u64::MAX << low) & (u64::MAX >> (63 - high));
        }
    }

    /// Removes those between `from` and `to` that lie within a character.
    fn drop_inner(&mut self, text: &[u8], from: usize, to: usize) {
        let mut at = from;
        while let Some((_, length)) = first_character(&text[at..to]) {
            for inner in at + 1..at + length {
                self.0[inner / 64] &= !(1 << (inner % 64));
            }
            at += length;
        }
    }

    fn has(&self, position: usize) -> bool {
        self.0[position / 64] >> (position % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// All positions, ascending.
    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::pattern::must_answer;
    use proptest::prelude::*;

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern.as_bytes()).unwrap()
    }

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    /// Answers of moby/patternmatcher 0.5.0; `testdata/ignore/README.md` says how they were had.
    #[test]
    fn matches_as_the_reference() {
        let table = include_str!("../../../testdata/ignore/deep.txt");
        must_answer(table, |pattern, name| {
            let name = EntryPath::new(name).unwrap();
            Glob::new(pattern).map(|glob| glob.matches(&name))
        });
    }

    #[test]
    fn what_the_reference_gets_by_accident_means_what_the_grammar_says() {
        for (pattern, name, expected) in [
            ("a\\d", "ad", true),
            ("a\\d", "a1", false),
            ("[*]", "*", true),
            ("[?]x", "?x", true),
            ("^a*", "^ab", true),
            ("^a*", "ab", false),
            ("[[:alpha:]]", "a]", true),
            ("**/x", "a\nb/x", true),
        ] {
            assert_eq!(
                glob(pattern).matches(&path(name)),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn hostile_patterns_take_no_time_to_speak_of() {
        let name = path(&format!("{}/", "a".repeat(254)).repeat(16));
        let started = std::time::Instant::now();
        for unit in ["*a", "**/a", "**a", "[^b]*", "?*", "***"] {
            let times = (crate::canon::pattern::glob::LONGEST - 1) / unit.len();
            let pattern = unit.repeat(times) + "b";
            assert!(!glob(&pattern).matches(&name), "{unit}");
        }
        // Backtracking would not come to an end at all.
        assert!(started.elapsed().as_secs() < 60);
    }

    proptest! {
        #[test]
        fn what_matches_below_a_directory_may_match_below(
            pattern in "[ab*?/]{1,6}",
            directory in "[ab]{1,2}(/[ab]{1,2}){0,1}",
            rest in "[ab]{1,2}(/[ab]{1,2}){0,2}",
        ) {
            let glob = glob(&pattern);
            if glob.matches(&path(&format!("{directory}/{rest}"))) {
                prop_assert!(glob.may_match_below(&path(&directory)));
            }
        }
    }

    #[test]
    fn a_directory_is_given_up_when_nothing_below_can_match() {
        for (pattern, directory, may) in [
            ("a/b/c", "a", true),
            ("a/b/c", "a/b", true),
            ("a/b/c", "a/b/c", false),
            ("a/b/c", "a/c", false),
            ("a/b/c", "ab", false),
            ("*/b", "x", true),
            ("*/b", "x/y", false),
            ("**/b", "x/y", true),
            ("a/**", "a/x", true),
            ("a/**", "b", false),
            ("a/**/c", "a/x/y", true),
            ("a?/c", "ab", true),
            ("a?/c", "a", false),
            ("[ab]/*/c", "b/x", true),
            ("*.md", "docs", false),
            ("**.md", "docs", true),
        ] {
            assert_eq!(
                glob(pattern).may_match_below(&path(directory)),
                may,
                "{pattern} {directory}"
            );
        }
    }
}
