//! A layer's table of entries.
//!
//! In: entries in any order, or the text form. Out: [`Tree`], sorted as format 1 sorts, with one
//! entry a path; its text form, and the digest of that text.
//!
//! # Text form
//! A line an entry, in order, each ended by `\n`, fields parted by one space:
//! `TYPE MODE UID GID MTIME PATH VALUE [XATTR…]`.
//! - TYPE: `f` file, `d` directory, `l` symlink, `h` hard link, `c` character and `b` block
//!   device, `p` fifo, `w` whiteout.
//! - MODE is octal with four digits; UID, GID and MTIME are decimal, MTIME with `-` before 1970.
//! - PATH is `.` for the root, of a whiteout what it removes (no `.wh.`), and escaped as
//!   [`crate::canon::path::escape`] does: `%`, space and all but visible ASCII as `%XX`.
//! - VALUE is `SIZE:SHA256` of a file (decimal, and 64 hex digits in lower case), the escaped
//!   target of a link, `MAJOR:MINOR` of a device, else `-`.
//! - Each XATTR is `NAME=VALUE`, both escaped, in NAME `=` too, so that the first `=` parts them;
//!   sorted by name, bytewise, before escaping.

use std::fmt::Write as _;

use super::entry::{Device, Entry, Kind, Meta, Xattrs};
use crate::canon::path::{escape, escape_into, unescape};
use crate::canon::{Digest, EntryPath, TreeDigest};

/// A table of entries, sorted, with one entry a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: Vec<Entry>,
}

/// What is wrong with a table of entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two entries have one path, or a path is both there and removed.
    #[error("`{0}` is there twice")]
    Twice(EntryPath),
    /// A hard link to something that is no regular file before it.
    #[error("`{path}` is a hard link to `{target}`, which is no file that stands before it")]
    Hardlink {
        /// The link.
        path: EntryPath,
        /// What it names.
        target: EntryPath,
    },
    /// A name that means a removal wherever a layer is read.
    #[error("`{0}` can't be in a layer: there a name that begins with `.wh.` removes a file")]
    WhiteoutName(EntryPath),
    /// Text that is no table.
    #[error("line {0} of the table can't be read")]
    Line(usize),
}

impl Tree {
    /// Sorts `entries` and checks them.
    pub fn new(mut entries: Vec<Entry>) -> Result<Tree, Error> {
        entries.sort_by(Entry::order);
        let tree = Tree { entries };
        tree.check()?;
        Ok(tree)
    }

    fn check(&self) -> Result<(), Error> {
        let twice = self
            .entries
            .windows(2)
            .find(|pair| pair[0].path == pair[1].path);
        if let Some(pair) = twice {
            return Err(Error::Twice(pair[0].path.clone()));
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let mut components = entry.path.components();
            if components.any(|component| component.starts_with(b".wh.")) {
                return Err(Error::WhiteoutName(entry.path.clone()));
            }
            match &entry.kind {
                Kind::Hardlink(target) => {
                    let found = self.position(target).filter(|&found| found < at);
                    let is_file =
                        found.is_some_and(|at| matches!(self.entries[at].kind, Kind::File { .. }));
                    if !is_file {
                        let (path, target) = (entry.path.clone(), target.clone());
                        return Err(Error::Hardlink { path, target });
                    }
                }
                Kind::Whiteout if self.position(&entry.path).is_some() => {
                    return Err(Error::Twice(entry.path.clone()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The digests of files, for each entry in order; nothing else of a table depends on them.
    pub fn digests_mut(&mut self) -> impl Iterator<Item = Option<&mut Digest>> {
        self.entries.iter_mut().map(|entry| match &mut entry.kind {
            Kind::File { digest, .. } => Some(digest),
            _ => None,
        })
    }

    /// The entry at `path` that is no whiteout.
    pub fn get(&self, path: &EntryPath) -> Option<&Entry> {
        self.position(path).map(|at| &self.entries[at])
    }

    /// Where [`Tree::get`] finds it.
    pub fn position(&self, path: &EntryPath) -> Option<usize> {
        let probe = Entry {
            path: path.clone(),
            kind: Kind::Fifo,
            meta: Meta::WHITEOUT,
        };
        self.entries
            .binary_search_by(|entry| entry.order(&probe))
            .ok()
    }

    /// The text form (module documentation).
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.entries.len() * 128);
        for entry in &self.entries {
            write_line(&mut text, entry);
        }
        text
    }

    /// Digest of the text form.
    pub fn digest(&self) -> TreeDigest {
        let mut hasher = crate::canon::digest::Hasher::new();
        let mut line = String::new();
        for entry in &self.entries {
            line.clear();
            write_line(&mut line, entry);
            hasher.update(line.as_bytes());
        }
        TreeDigest(hasher.finish())
    }

    /// Reads the text form; refuses any text that [`Tree::to_text`] would not have written.
    pub fn from_text(text: &str) -> Result<Tree, Error> {
        let mut entries = Vec::new();
        let mut written = String::new();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let entry = read_line(line).ok_or(Error::Line(index + 1))?;
            let in_order = entries
                .last()
                .is_none_or(|last: &Entry| last.order(&entry).is_lt());
            // A number may have zeroes before it, an escape may be for nothing, and so on.
            written.clear();
            write_line(&mut written, &entry);
            if !in_order || written != line {
                return Err(Error::Line(index + 1));
            }
            entries.push(entry);
        }
        let tree = Tree { entries };
        tree.check()?;
        Ok(tree)
    }
}

fn write_line(text: &mut String, entry: &Entry) {
    let Entry { path, kind, meta } = entry;
    let letter = match kind {
        Kind::File { .. } => 'f',
        Kind::Directory => 'd',
        Kind::Symlink(_) => 'l',
        Kind::Hardlink(_) => 'h',
        Kind::CharacterDevice(_) => 'c',
        Kind::BlockDevice(_) => 'b',
        Kind::Fifo => 'p',
        Kind::Whiteout => 'w',
    };
    let Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    } = meta;
    // Writing to a String can't fail.
    let _ = write!(text, "{letter} {mode:04o} {uid} {gid} {mtime} ");
    match path.is_root() {
        true => text.push('.'),
        false => escape_into(text, path.as_bytes()),
    }
    text.push(' ');
    match kind {
        Kind::File { size, digest } => {
            let _ = write!(text, "{size}:");
            digest.write_hex(text);
        }
        Kind::Symlink(target) => escape_into(text, target),
        Kind::Hardlink(target) => escape_into(text, target.as_bytes()),
        Kind::CharacterDevice(device) | Kind::BlockDevice(device) => {
            let _ = write!(text, "{}:{}", device.major, device.minor);
        }
        Kind::Directory | Kind::Fifo | Kind::Whiteout => text.push('-'),
    }
    for (name, value) in xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
        let name = escape(name).replace('=', "%3D");
        let _ = write!(text, " {name}={}", escape(value));
    }
    text.push('\n');
}

fn read_line(line: &str) -> Option<Entry> {
    let mut fields = line.strip_suffix('\n')?.split(' ');
    let letter = fields.next()?;
    let mode = u16::from_str_radix(fields.next()?, 8)
        .ok()
        .filter(|&mode| mode < 0o10000)?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let mtime = fields.next()?.parse().ok()?;
    let path = EntryPath::new(&unescape(fields.next()?)?).ok()?;
    let value = fields.next()?;
    let device = || {
        let (major, minor) = value.split_once(':')?;
        Some(Device {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    };
    let kind = match letter {
        "f" => {
            let (size, hex) = value.split_once(':')?;
            Kind::File {
                size: size.parse().ok()?,
                digest: Digest::from_hex(hex).ok()?,
            }
        }
        "d" => Kind::Directory,
        "l" => Kind::Symlink(unescape(value)?.into()),
        "h" => Kind::Hardlink(EntryPath::new(&unescape(value)?).ok()?),
        "c" => Kind::CharacterDevice(device()?),
        "b" => Kind::BlockDevice(device()?),
        "p" => Kind::Fifo,
        "w" => Kind::Whiteout,
        _ => return None,
    };
    let mut xattrs = Xattrs::new();
    for field in fields {
        let (name, value) = field.split_once('=')?;
        xattrs.insert(unescape(name)?.into(), unescape(value)?.into());
    }
    let xattrs = (!xattrs.is_empty()).then(|| Box::new(xattrs));
    Some(Entry {
        path,
        kind,
        meta: Meta {
            mode,
            uid,
            gid,
            mtime,
            xattrs,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &[u8]) -> EntryPath {
        EntryPath::new(text).unwrap()
    }

    fn file(text: &[u8]) -> Entry {
        let kind = Kind::File {
            size: 3,
            digest: Digest::of(b"abc"),
        };
        Entry {
            path: path(text),
            kind,
            meta: Meta::plain(0o644, -1),
        }
    }

    #[test]
    fn text_form_goes_there_and_back() {
        let mut xattrs = Xattrs::new();
        xattrs.insert((*b"user.a b").into(), (*b"1=2\0").into());
        let mut linked = file(b"dir/\xff \n%");
        linked.meta.xattrs = Some(Box::new(xattrs));
        let tree = Tree::new(vec![
            Entry {
                kind: Kind::Symlink((*b"../x y").into()),
                ..file(b"link")
            },
            Entry {
                kind: Kind::Directory,
                ..file(b"")
            },
            Entry {
                kind: Kind::CharacterDevice(Device { major: 1, minor: 3 }),
                ..file(b"null")
            },
            Entry {
                kind: Kind::Hardlink(path(b"dir/\xff \n%")),
                ..file(b"other")
            },
            Entry::whiteout(path(b"dir/gone")),
            linked,
        ])
        .unwrap();
        assert_eq!(Tree::from_text(&tree.to_text()), Ok(tree.clone()));
        assert_eq!(tree.digest().0, Digest::of(tree.to_text().as_bytes()));
        let first = tree.to_text().lines().next().map(str::to_owned);
        assert_eq!(first.as_deref(), Some("d 0644 0 0 -1 . -"));
    }

    #[test]
    fn a_path_stands_once() {
        assert_eq!(
            Tree::new(vec![file(b"a"), file(b"a")]),
            Err(Error::Twice(path(b"a")))
        );
        let removed = Entry::whiteout(path(b"a"));
        assert_eq!(
            Tree::new(vec![file(b"a"), removed]),
            Err(Error::Twice(path(b"a")))
        );
    }

    #[test]
    fn a_hard_link_names_a_file_before_it() {
        let link = |target: &[u8]| Entry {
            kind: Kind::Hardlink(path(target)),
            ..file(b"b")
        };
        assert!(Tree::new(vec![file(b"a"), link(b"a")]).is_ok());
        assert!(Tree::new(vec![file(b"c"), link(b"c")]).is_err());
        assert!(Tree::new(vec![link(b"a")]).is_err());
    }

    #[test]
    fn text_in_another_order_is_refused() {
        let text = Tree::new(vec![file(b"a"), file(b"b")]).unwrap().to_text();
        let mut lines: Vec<_> = text.split_inclusive('\n').collect();
        lines.reverse();
        assert_eq!(Tree::from_text(&lines.concat()), Err(Error::Line(2)));
    }

    #[test]
    fn only_text_as_it_is_written_is_read() {
        let hex = "ab".repeat(32);
        let good = format!("f 0644 0 0 -1 a/b 3:{hex} user.a=1 user.b=2\n");
        assert_eq!(
            Tree::from_text(&good).map(|tree| tree.to_text()),
            Ok(good.clone())
        );
        let capitals = hex.to_uppercase();
        for (said, instead) in [
            ("0644", "644"),
            ("0644", "00644"),
            ("0644", "+644"),
            (" 0 0 ", " 00 0 "),
            (" 0 0 ", " 0 +0 "),
            ("-1", "-01"),
            ("-1", "-0"),
            (" a/b ", " a//b "),
            (" a/b ", " ./a/b "),
            (" a/b ", " /a/b "),
            (" a/b ", " a/%62 "),
            (" 3:", " 03:"),
            (&hex, &capitals),
            ("user.a=1 user.b=2", "user.b=2 user.a=1"),
            ("user.a=1 user.b=2", "user.a=1 user.a=1"),
            ("user.a=1", "user.%61=1"),
            ("user.b=2\n", "user.b=2"),
            ("user.b=2\n", "user.b=2 \n"),
            ("user.b=2\n", "user.b=2\n\n"),
            ("user.b=2\n", "user.b=2\r\n"),
            (&format!("f 0644 0 0 -1 a/b 3:{hex}"), "d 0644 0 0 0 a x"),
            (&format!("f 0644 0 0 -1 a/b 3:{hex}"), "p 0644 0 0 0 a x"),
            (&format!("f 0644 0 0 -1 a/b 3:{hex}"), "c 0644 0 0 0 a 01:3"),
        ] {
            let bad = good.replacen(said, instead, 1);
            assert_ne!(bad, good);
            assert!(Tree::from_text(&bad).is_err(), "{bad}");
        }
    }
}
