//! Paths of entries inside an image.
//!
//! In: bytes from recipes, archives and directories. Out: [`EntryPath`], relative to the image's
//! root, made of plain components only, ordered as format 1 orders entries.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// Longest path of an entry in bytes: what Linux lets a program name (`PATH_MAX` less its NUL).
pub const LONGEST: usize = 4095;
/// Longest component in bytes (`NAME_MAX`).
pub const LONGEST_COMPONENT: usize = 255;

/// A path relative to the image's root: bytes without NUL, components joined by `/`, none of them
/// empty, `.` or `..`. The empty path is the root itself. Not necessarily UTF-8.
///
/// Ordered by components, bytewise, so that a directory stands before what it holds and all that
/// it holds stands before its next sibling.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct EntryPath(Box<[u8]>);

/// Why bytes are no [`EntryPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `..` component.
    #[error("it holds `..`")]
    Parent,
    /// A NUL byte.
    #[error("it holds a NUL byte")]
    Nul,
    /// Over [`LONGEST`] bytes, or a component over [`LONGEST_COMPONENT`].
    #[error("it is longer than {LONGEST} bytes, or a part of it longer than {LONGEST_COMPONENT}")]
    TooLong,
}

impl EntryPath {
    /// The image's root.
    pub fn root() -> EntryPath {
        EntryPath::default()
    }

    /// Reads a path, dropping leading, double and trailing slashes and `.` components.
    /// `..` is refused: what it means depends on symlinks.
    pub fn new(path: &[u8]) -> Result<EntryPath, Error> {
        let mut clean = Vec::with_capacity(path.len());
        for component in path.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(Error::Parent),
                _ => {}
            }
            if component.contains(&0) {
                return Err(Error::Nul);
            }
            if component.len() > LONGEST_COMPONENT {
                return Err(Error::TooLong);
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(component);
        }
        if clean.len() > LONGEST {
            return Err(Error::TooLong);
        }
        Ok(EntryPath(clean.into()))
    }

    /// As [`EntryPath::new`], but `..` steps back, and stays at the root as it does in `/`.
    pub fn resolved_in_root(path: &[u8]) -> Result<EntryPath, Error> {
        let mut components: Vec<&[u8]> = Vec::new();
        for component in path.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    components.pop();
                }
                _ => components.push(component),
            }
        }
        EntryPath::new(&components.join(&b'/'))
    }

    /// The bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, outermost first; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// The last component; none for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// Whether it is directly in `directory`.
    pub fn is_in(&self, directory: &EntryPath) -> bool {
        let name = match directory.is_root() {
            true => Some(self.as_bytes()),
            false => self
                .as_bytes()
                .strip_prefix(directory.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"/")),
        };
        name.is_some_and(|name| !name.is_empty() && !name.contains(&b'/'))
    }

    /// The directory that holds this path; none for the root.
    pub fn parent(&self) -> Option<EntryPath> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(EntryPath(self.0[..end].into()))
    }

    /// Every directory above this path, the root first, itself left out.
    pub fn ancestors(&self) -> impl Iterator<Item = EntryPath> + '_ {
        let slashes = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| EntryPath(self.0[..at].into()));
        (!self.is_root())
            .then(EntryPath::root)
            .into_iter()
            .chain(slashes)
    }

    /// This path with `rest` below it.
    pub fn join(&self, rest: &EntryPath) -> Result<EntryPath, Error> {
        if self.is_root() {
            return Ok(rest.clone());
        }
        if rest.is_root() {
            return Ok(self.clone());
        }
        let joined = [&self.0[..], &rest.0[..]].join(&b'/');
        if joined.len() > LONGEST {
            return Err(Error::TooLong);
        }
        Ok(EntryPath(joined.into()))
    }

    /// What is left of this path below `directory`; none when it isn't below it.
    pub fn below(&self, directory: &EntryPath) -> Option<EntryPath> {
        if directory.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&directory.0[..])?;
        match rest {
            [] => Some(EntryPath::root()),
            [b'/', rest @ ..] => Some(EntryPath(rest.into())),
            _ => None,
        }
    }

    /// The path as text, bytes that are not UTF-8 shown as `\u{fffd}`.
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Ord for EntryPath {
    fn cmp(&self, other: &EntryPath) -> Ordering {
        let common = self.0.iter().zip(&other.0).position(|(a, b)| a != b);
        match common {
            None => self.0.len().cmp(&other.0.len()),
            // A slash ends a component, and a shorter component comes first.
            Some(at) => match (self.0[at], other.0[at]) {
                (b'/', _) => Ordering::Less,
                (_, b'/') => Ordering::Greater,
                (a, b) => a.cmp(&b),
            },
        }
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &EntryPath) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// For people: with a leading slash, control characters escaped, so that a hostile name can't
/// move a terminal's cursor.
impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for character in self.lossy().chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// In JSON a path is text with `%` and every byte outside printable ASCII written as `%XX`.
impl serde::Serialize for EntryPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(&self.0))
    }
}

/// Writes `%`, space, control and non-ASCII bytes as `%XX` with upper-case hex digits.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    escape_into(&mut text, bytes);
    text
}

/// Adds what [`escape`] gives to `text`.
pub fn escape_into(text: &mut String, mut bytes: &[u8]) {
    let is_escaped = |byte: &u8| !byte.is_ascii_graphic() || *byte == b'%';
    while !bytes.is_empty() {
        let plain = bytes.iter().position(is_escaped).unwrap_or(bytes.len());
        let (run, rest) = bytes.split_at(plain);
        text.extend(std::str::from_utf8(run));
        bytes = rest;
        if let Some((&byte, rest)) = rest.split_first() {
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
            bytes = rest;
        }
    }
}

/// The reverse of [`escape`]; none for text that it would not have written.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || match rest.next()? {
                digit @ b'0'..=b'9' => Some(digit - b'0'),
                digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
                _ => None,
            };
            bytes.push(digit()? << 4 | digit()?);
        } else if byte.is_ascii_graphic() {
            bytes.push(byte);
        } else {
            return None;
        }
    }
    Some(bytes)
}

/// `path` as seen from the directory `from`, absolute and without `.` and `..`.
pub fn joined(from: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{from}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_plain_components_remain() {
        assert_eq!(path("/a//b/./c/").as_bytes(), b"a/b/c");
        assert!(path("./").is_root());
        assert_eq!(EntryPath::new(b"a/../b"), Err(Error::Parent));
        assert_eq!(EntryPath::new(b"a\0"), Err(Error::Nul));
        assert_eq!(EntryPath::new(&[b'a'; 256]), Err(Error::TooLong));
    }

    #[test]
    fn dot_dot_stays_in_the_root() {
        let resolved = EntryPath::resolved_in_root(b"/a/../../../etc/passwd").unwrap();
        assert_eq!(resolved.as_bytes(), b"etc/passwd");
    }

    #[test]
    fn ancestors_go_from_the_root_down() {
        let above: Vec<_> = path("a/b/c").ancestors().collect();
        assert_eq!(above, [EntryPath::root(), path("a"), path("a/b")]);
        assert_eq!(EntryPath::root().ancestors().count(), 0);
        assert_eq!(path("a").parent(), Some(EntryPath::root()));
        assert_eq!(path("a/b").below(&path("a")), Some(path("b")));
        assert_eq!(path("ab").below(&path("a")), None);
    }

    #[test]
    fn control_characters_are_not_shown_raw() {
        assert_eq!(path("a\u{1b}[2J").to_string(), "/a\\u{1b}[2J");
    }

    proptest! {
        #[test]
        fn order_is_that_of_component_lists(a in "[a-c/.\u{1}-]{0,8}", b in "[a-c/.\u{1}-]{0,8}") {
            if let (Ok(a), Ok(b)) = (EntryPath::new(a.as_bytes()), EntryPath::new(b.as_bytes())) {
                let by_components = a.components().cmp(b.components());
                prop_assert_eq!(a.cmp(&b), by_components);
            }
        }

        #[test]
        fn escaping_goes_there_and_back(bytes: Vec<u8>) {
            prop_assert_eq!(unescape(&escape(&bytes)), Some(bytes));
        }
    }
}
