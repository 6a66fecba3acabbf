//! What secrets hold, kept out of what is written down.
//!
//! In: secrets, a line. Out: the line with `***` in place of each part of a secret that it shows:
//! - a line of it;
//! - a string in quotes (JSON), also with its escapes read, and what follows `=` or `:` (dotenv,
//!   YAML, addresses with a password), where that is long enough to be no everyday word;
//! - the base64 of all of it, with and without the end of its last line, also broken into the lines
//!   that base64(1) writes.
//!
//! What else a command makes of a secret, such as a hash or a piece of it, nobody can know.

use std::collections::{BTreeMap, BTreeSet};

use crate::canon::base64;

/// Lines of secrets that are shorter stay: replacing them would hide more than it tells.
const SHORTEST: usize = 4;
/// Values inside of secrets that are shorter stay.
const SHORTEST_VALUE: usize = 8;
/// Values of one line that are looked for.
const MOST_VALUES: usize = 8;
/// Longer parts are looked for piece by piece, so that the end of a line that is passed on
/// unfinished needn't be any longer.
const LONGEST: usize = 4 << 10;
/// Letters of a line of base64(1).
const BASE64_LINE: usize = 76;

/// Replaces what secrets hold.
pub struct Mask {
    /// By how they begin; of one beginning the longest first.
    parts: BTreeMap<[u8; SHORTEST], Vec<Vec<u8>>>,
    longest: usize,
}

impl Mask {
    /// Of all that `secrets` hold.
    pub fn new<'s>(secrets: impl Iterator<Item = &'s [u8]>) -> Mask {
        let mut found = BTreeSet::new();
        for secret in secrets {
            encoded(secret, &mut found);
            for line in secret.split(|&byte| byte == b'\n') {
                add(line, SHORTEST, &mut found);
                values(line, &mut found);
                quoted(line, &mut found);
            }
        }
        let mut parts: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
        let mut longest = 0;
        for part in found {
            if let Some(&beginning) = part.first_chunk() {
                longest = longest.max(part.len());
                parts.entry(beginning).or_default().push(part);
            }
        }
        for parts in parts.values_mut() {
            parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        }
        Mask { parts, longest }
    }

    /// Bytes of the longest part that is looked for.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// `line` without any.
    pub fn apply(&self, line: &[u8]) -> Vec<u8> {
        if self.parts.is_empty() {
            return line.to_vec();
        }
        let mut masked = Vec::with_capacity(line.len());
        let mut rest = line;
        while let Some(&first) = rest.first() {
            match self.part_at(rest) {
                Some(part) => {
                    masked.extend_from_slice(b"***");
                    rest = &rest[part.len()..];
                }
                None => {
                    masked.push(first);
                    rest = &rest[1..];
                }
            }
        }
        masked
    }

    fn part_at(&self, rest: &[u8]) -> Option<&[u8]> {
        let parts = self.parts.get(rest.first_chunk()?)?;
        let found = parts.iter().find(|part| rest.starts_with(part));
        found.map(Vec::as_slice)
    }
}

fn add(part: &[u8], shortest: usize, found: &mut BTreeSet<Vec<u8>>) {
    let part = part.trim_ascii();
    if part.len() < shortest {
        return;
    }
    // Pieces of about one length: none is so short that it would be left out.
    let pieces = part.len().div_ceil(LONGEST);
    for piece in part.chunks(part.len().div_ceil(pieces)) {
        found.insert(piece.to_vec());
    }
}

fn encoded(secret: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    let without_end = secret.strip_suffix(b"\n").unwrap_or(secret);
    for form in [secret, without_end] {
        if form.len() < SHORTEST {
            continue;
        }
        // Some leave the padding out.
        let text = base64::encode(form);
        let text = text.trim_end_matches('=').as_bytes();
        add(text, SHORTEST, found);
        for line in text.chunks(BASE64_LINE) {
            add(line, SHORTEST_VALUE, found);
        }
    }
}

/// What follows `=` or `:`, all of it and up to where a value may end.
fn values(line: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    let separators = line.iter().enumerate();
    let separators = separators.filter(|(_, byte)| matches!(byte, b'=' | b':'));
    for (at, _) in separators.take(MOST_VALUES) {
        let value = line[at + 1..].trim_ascii();
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b",;&@\"'".contains(byte);
        let first = value.iter().position(|byte| !b"\"'".contains(byte));
        let bare = &value[first.unwrap_or(0)..];
        let end = bare.iter().position(ends).unwrap_or(bare.len());
        add(value, SHORTEST_VALUE, found);
        add(&bare[..end], SHORTEST_VALUE, found);
    }
}

/// Strings in quotes, unless they name what follows.
fn quoted(line: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    let mut rest = line;
    while let Some(start) = rest.iter().position(|byte| matches!(byte, b'"' | b'\'')) {
        let from = &rest[start..];
        let Some(length) = length_quoted(from) else {
            return;
        };
        rest = &from[length..];
        if rest.trim_ascii_start().first() == Some(&b':') {
            continue;
        }
        add(&from[1..length - 1], SHORTEST_VALUE, found);
        if let Ok(text) = serde_json::from_slice::<String>(&from[..length]) {
            for line in text.as_bytes().split(|&byte| byte == b'\n') {
                add(line, SHORTEST_VALUE, found);
            }
        }
    }
}

/// How long the string is, both quotes included, that `text` begins with.
fn length_quoted(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &str, line: &str) -> String {
        let mask = Mask::new([secret.as_bytes()].into_iter());
        String::from_utf8(mask.apply(line.as_bytes())).unwrap()
    }

    #[test]
    fn values_of_secrets_are_hidden_and_their_names_are_not() {
        let json =
            r#"{"private_key_id": "0123456789", "k": "line one\nline \"two\"", "user": "bob"}"#;
        assert_eq!(
            masked(json, "id 0123456789 of private_key_id, bob"),
            "id *** of private_key_id, bob"
        );
        assert_eq!(masked(json, "line one"), "***");
        assert_eq!(masked(json, "[line \"two\"]"), "[***]");
        let dotenv = "USER=bob\nexport PASSWORD='correct horse'\nTOKEN=abcdefgh # why\n";
        assert_eq!(masked(dotenv, "it is correct horse"), "it is ***");
        assert_eq!(masked(dotenv, "abcdefgh, PASSWORD"), "***, PASSWORD");
        let yaml = "host: h\npassword: battery-staple\n";
        assert_eq!(masked(yaml, "<battery-staple>"), "<***>");
        let address = "https://bob:0123456789@example.org/\n";
        assert_eq!(masked(address, "0123456789 example.org"), "*** example.org");
    }

    #[test]
    fn the_base64_of_a_secret_is_hidden_however_it_is_broken() {
        let secret = format!("{}\n", "s3cret".repeat(30));
        for form in [&secret[..], secret.trim_end()] {
            let whole = base64::encode(form.as_bytes());
            let shown = masked(&secret, &format!("<{whole}>"));
            assert!(shown.trim_matches(['<', '>', '=']) == "***", "{shown}");
            for line in whole.as_bytes().chunks(BASE64_LINE) {
                let line = std::str::from_utf8(line).unwrap();
                let shown = masked(&secret, line);
                assert!(shown.trim_end_matches('=') == "***", "{line}: {shown}");
            }
        }
    }

    #[test]
    fn long_secrets_are_hidden_whole_and_short_ones_are_left() {
        let long: String = (0..10_000).map(|n| format!("{n:x}")).collect();
        let shown = masked(&long, &long);
        assert!(shown.chars().all(|c| c == '*'), "{shown}");
        let mask = Mask::new([long.as_bytes()].into_iter());
        assert!(mask.longest() <= LONGEST);
        assert_eq!(masked("abc", "abc"), "abc");
        assert_eq!(masked("a=bcdefgh", "bcdefgh"), "bcdefgh");
        // Many separators are no long work.
        let _ = masked(&"=".repeat(1 << 18), "x");
    }
}
