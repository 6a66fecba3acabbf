//! The content of two files, by what kind of file it is.
//!
//! In: two contents that differ, and a name. Out: a [`Finding`]: fields, lines, and what differs in
//! parts that are files themselves, as deep as the [`Budget`] goes. What isn't what it seems, or is
//! too much, is compared as bytes, and a note says why: nothing of that is an error.

mod ar;
mod bytes;
mod elf;
mod gzip;
mod json;
mod keystore;
mod members;
mod pyc;
mod sqlite;
mod tar;
mod text;
mod zip;

use std::io::{self, Read};

use serde::Serialize;

use super::report::{Aspect, Detail, Finding};
use crate::layer::codec;

/// What two contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Anything else.
    Bytes,
    /// UTF-8 without NUL.
    Text,
    /// An object of JSON, or a list.
    Json,
    /// An object file or program.
    Elf,
    /// A zip, among them jars, wheels and documents of offices.
    Zip,
    /// A tar.
    Tar,
    /// What `gzip` writes.
    Gzip,
    /// Another compressed stream: zstd, xz or bzip2.
    Compressed,
    /// What `ar` writes: static libraries, Debian packages.
    Ar,
    /// Python's compiled modules.
    Pyc,
    /// A database of SQLite.
    Sqlite,
    /// Java's keystores, JKS and JCEKS.
    Keystore,
}

/// How much may be opened.
#[derive(Debug)]
pub struct Budget {
    /// Bytes that files inside of others may hold, and what else takes as long as reading them: in
    /// all, and in one file.
    left: [u64; 2],
    /// Members of one file, those of its members included.
    members: u32,
    depth: u32,
}

impl Budget {
    const IN_ALL: u64 = 8 << 30;
    const IN_ONE: u64 = 256 << 20;
    const MEMBERS: u32 = 50_000;
    /// A jar in a tar in an xz in a deb in an archive, and one more.
    const DEPTH: u32 = 6;

    /// Begins another file.
    pub fn next_file(&mut self) {
        self.left[1] = Budget::IN_ONE;
        self.members = Budget::MEMBERS;
        self.depth = Budget::DEPTH;
    }

    /// Takes `amount`, where as much is left.
    fn take(&mut self, amount: u64) -> Result<(), Odd> {
        for left in &mut self.left {
            *left = left.checked_sub(amount).ok_or(Odd::TooMuch)?;
        }
        Ok(())
    }

    /// How much may still be taken.
    fn most(&self) -> u64 {
        self.left[0].min(self.left[1])
    }

    fn member(&mut self) -> Result<(), Odd> {
        self.members = self
            .members
            .checked_sub(1)
            .ok_or(Odd::Other("it has too many members".to_owned()))?;
        Ok(())
    }

    /// Reads a stream to its end, as far as the budget goes.
    fn read(&mut self, source: impl Read) -> Result<Vec<u8>, Odd> {
        let mut bytes = Vec::new();
        let read = source.take(self.most() + 1).read_to_end(&mut bytes);
        read.map_err(|error| Odd::Other(format!("it can't be expanded: {error}")))?;
        self.take(bytes.len() as u64)?;
        Ok(bytes)
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            left: [Budget::IN_ALL, Budget::IN_ONE],
            members: Budget::MEMBERS,
            depth: Budget::DEPTH,
        }
    }
}

/// Why contents aren't opened as what they seem to be.
#[derive(Debug, PartialEq, Eq)]
enum Odd {
    /// The budget is used up.
    TooMuch,
    /// Anything else.
    Other(String),
}

impl Odd {
    fn note(self) -> String {
        match self {
            Odd::TooMuch => "more is in it than is opened".to_owned(),
            Odd::Other(why) => why,
        }
    }
}

/// What was found in two contents of a kind.
#[derive(Debug, Default)]
struct Found {
    details: Vec<Detail>,
    inside: Vec<Finding>,
}

impl Found {
    fn field(&mut self, what: &str, before: impl ToString, after: impl ToString) {
        let (before, after) = (Some(before.to_string()), Some(after.to_string()));
        self.details
            .extend(Aspect::new(what, before, after).map(Detail::Field));
    }

    fn note(&mut self, text: impl Into<String>) {
        self.details.push(Detail::Note(text.into()));
    }

    fn is_empty(&self) -> bool {
        self.details.is_empty() && self.inside.is_empty()
    }
}

type Pair<'a> = [&'a [u8]; 2];

/// What differs between two contents that do, `name` being that of their file.
pub fn compare(part: Option<String>, name: &[u8], pair: Pair, budget: &mut Budget) -> Finding {
    let kind = kind(name, pair);
    let finding = |kind, found: Found| Finding {
        kind,
        name: part,
        details: found.details,
        inside: found.inside,
    };
    if budget.depth == 0 {
        let mut found = bytes::compare(pair);
        found.note("it is too deep in other files to be opened");
        return finding(Kind::Bytes, found);
    }
    budget.depth -= 1;
    let opened = match kind {
        Kind::Bytes => Ok(bytes::compare(pair)),
        Kind::Text => text::compare(pair, budget),
        Kind::Json => json::compare(pair, budget),
        Kind::Elf => elf::compare(pair, budget),
        Kind::Zip => zip::compare(pair, budget),
        Kind::Tar => tar::compare(pair, budget),
        Kind::Gzip => gzip::compare(pair, name, budget),
        Kind::Compressed => gzip::compare_others(pair, name, budget),
        Kind::Ar => ar::compare(pair, budget),
        Kind::Pyc => pyc::compare(pair),
        Kind::Sqlite => sqlite::compare(pair, budget),
        Kind::Keystore => keystore::compare(pair),
    };
    budget.depth += 1;
    match opened {
        Ok(found) if !found.is_empty() => finding(kind, found),
        Ok(_) => {
            let mut found = bytes::compare(pair);
            found.note("nothing that its format tells apart differs");
            finding(kind, found)
        }
        Err(odd) => {
            let mut found = bytes::compare(pair);
            found.note(format!("compared as bytes: {}", odd.note()));
            finding(kind, found)
        }
    }
}

/// A part of something: what differs in it, if it does.
fn inside(part: String, name: &[u8], pair: Pair, budget: &mut Budget) -> Option<Finding> {
    (pair[0] != pair[1]).then(|| compare(Some(part), name, pair, budget))
}

/// What differs between two streams too long to be held.
pub fn streams(before: &mut dyn Read, after: &mut dyn Read) -> io::Result<Finding> {
    let mut found = bytes::streams(before, after)?;
    found.note("it is too large to be opened");
    Ok(Finding {
        kind: Kind::Bytes,
        name: None,
        details: found.details,
        inside: found.inside,
    })
}

/// What both are; bytes where they aren't the same.
fn kind(name: &[u8], pair: Pair) -> Kind {
    let [before, after] = pair.map(|bytes| kind_of(name, bytes));
    if before == after {
        return before;
    }
    let is_text = |kind| matches!(kind, Kind::Text | Kind::Json);
    match is_text(before) && is_text(after) {
        true => Kind::Text,
        false => Kind::Bytes,
    }
}

fn kind_of(name: &[u8], bytes: &[u8]) -> Kind {
    let has = |magic: &[u8]| bytes.starts_with(magic);
    if has(b"\x7fELF") {
        Kind::Elf
    } else if has(b"PK\x03\x04") || has(b"PK\x05\x06") {
        Kind::Zip
    } else if has(b"\x1f\x8b") {
        Kind::Gzip
    } else if codec::is_compressed(bytes) {
        Kind::Compressed
    } else if has(b"!<arch>\n") {
        Kind::Ar
    } else if has(b"SQLite format 3\0") {
        Kind::Sqlite
    } else if has(b"\xfe\xed\xfe\xed") || has(b"\xce\xce\xce\xce") {
        Kind::Keystore
    } else if bytes.get(257..262) == Some(b"ustar") {
        Kind::Tar
    } else if name.ends_with(b".pyc") && bytes.get(2..4) == Some(b"\r\n") {
        Kind::Pyc
    } else if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = matches!(first, Some(b'{' | b'['));
        match is_json && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
            true => Kind::Json,
            false => Kind::Text,
        }
    } else {
        Kind::Bytes
    }
}

/// A name of something inside of a file, as text.
fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Numbers in the order of bytes that a format has.
mod number {
    pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
    }

    pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
    }

    pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
    }

    pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
        le16(bytes, at).map(u16::swap_bytes)
    }

    pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
        le32(bytes, at).map(u32::swap_bytes)
    }
}
