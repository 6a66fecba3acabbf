//! Format 1's tar stream: entries to bytes, so exactly that anybody can write the same.
//!
//! In: [`Entry`]s in their order. Out: header blocks; the caller puts content and [`padding`]
//! between them and [`END`] behind them. The digest of the whole is the diff ID.
//!
//! # The stream
//! For each entry in the order of [`Entry::order`], one after the other. Paths are compared
//! component by component; a path that ends first stands first, so that a directory stands before
//! what it holds. Of two components that differ, the last one of a whiteout stands before one that
//! is none; else bytes decide, of a whiteout those of the removed name, without `.wh.`.
//! 1. if any PAX record is needed, a header of type `x` and its records;
//! 2. the entry's header;
//! 3. of a regular file its content, filled with NUL to a multiple of 512.
//!
//! Then two blocks of 512 NUL: nothing more.
//!
//! # A header: 512 bytes, POSIX.1-1988 ustar
//! | offset | bytes | field | holds |
//! | --- | --- | --- | --- |
//! | 0 | 100 | name | see "Names" |
//! | 100 | 8 | mode | the low twelve bits, seven octal digits, NUL |
//! | 108 | 8 | uid | seven octal digits, NUL; 0 where a PAX record holds it |
//! | 116 | 8 | gid | likewise |
//! | 124 | 12 | size | eleven octal digits, NUL; 0 for all but regular files (so for hard links), and where a PAX record holds it |
//! | 136 | 12 | mtime | likewise: seconds since 1970 |
//! | 148 | 8 | chksum | sum of the header's bytes, this field as spaces: six octal digits, NUL, space |
//! | 156 | 1 | typeflag | `0` file and whiteout, `1` hard link, `2` symlink, `3` character device, `4` block device, `5` directory, `6` fifo |
//! | 157 | 100 | linkname | target of a link, filled with NUL; see "Names" |
//! | 257 | 8 | magic, version | `ustar`, NUL, `00` |
//! | 265 | 64 | uname, gname | NUL |
//! | 329 | 16 | devmajor, devminor | seven octal digits, NUL, each; 0 for what is no device |
//! | 345 | 155 | prefix | see "Names" |
//! | 500 | 12 | | NUL |
//!
//! # Names
//! The name is the path, with a slash at its end for a directory; the root directory is `./`. A
//! whiteout of `a/b` is named `a/.wh.b`; its mode, owner, group, mtime and size are 0. The rules
//! below are about this name, its slash or `.wh.` included:
//! - At most 100 bytes, all below 0x80: it stands in `name`, filled with NUL; `prefix` is NUL.
//! - Else all below 0x80, and there is a slash, not the last byte, behind which at most 100 bytes
//!   remain and before which stand 1 to 155: what stands before the first such slash is in
//!   `prefix`, what stands behind it in `name`, both filled with NUL; the slash is left out.
//! - Else a PAX record `path` holds all of it, and `name` its first 100 bytes with each byte
//!   outside 0x20…0x7e turned into `_`; `prefix` is NUL.
//!
//! The target of a hard link is the name of the file, that of a symlink its text. At most 100
//! bytes, all below 0x80: in `linkname`; else a PAX record `linkpath` holds all of it, and
//! `linkname` its first 100 bytes, made as those of `name` above.
//!
//! # PAX records
//! Only those that are needed, sorted bytewise by key, each `LENGTH KEY=VALUE\n`, LENGTH decimal
//! and counting the whole record, itself and the newline included:
//! - `SCHILY.xattr.NAME` for each extended attribute, its value as it is;
//! - `gid`, `uid` above 2097151, `size` of a regular file above 8589934591, `mtime` above
//!   8589934591 or below 0: decimal, without leading zeros, `-` in front of what is below 0;
//! - `hdrcharset`, `BINARY`, where `path` or `linkpath` is there and is not UTF-8 (RFC 3629);
//! - `linkpath`, `path`.
//!
//! Their header is as the table above has it, with name `././@PaxHeader`, mode 0644 (octal), uid,
//! gid and mtime 0, typeflag `x`, and the records' length as size; the records are filled with
//! NUL to a multiple of 512. A hard link carries its target's metadata, xattrs included.
//!
//! PAX: POSIX.1-2017, pax, "pax Extended Header". `hdrcharset` is from there; `SCHILY.xattr` is
//! what image-spec, layer.md takes from star.

use super::entry::{Device, Entry, Kind, Meta};
use crate::canon::EntryPath;

/// A tar is made of blocks of this many bytes.
pub const BLOCK: usize = 512;
/// The two blocks that end a tar.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

const LARGEST_ID: u32 = 0o7_777_777;
const LARGEST_NUMBER: u64 = 0o77_777_777_777;

/// NUL bytes that fill `size` bytes of content up to a whole block.
pub fn padding(size: u64) -> &'static [u8] {
    let over = (size % BLOCK as u64) as usize;
    &END[..if over == 0 { 0 } else { BLOCK - over }]
}

/// Bytes that an entry takes, but for a PAX header that it may need.
pub fn size_of(entry: &Entry) -> u64 {
    let size = entry.size();
    (BLOCK as u64)
        .saturating_add(size)
        .saturating_add(padding(size).len() as u64)
}

/// Adds the header blocks of `entry` to `out`.
pub fn write_header(out: &mut Vec<u8>, entry: &Entry) {
    let Entry { path, kind, meta } = entry;
    let mut records = Vec::new();
    let mut header = Header::new();

    let name = name_of(path, kind);
    match split(&name) {
        Some((prefix, name)) => {
            header.text(0, name);
            header.text(345, prefix);
        }
        None => {
            header.text(0, &placeholder(&name));
            records.push((b"path".to_vec(), name));
        }
    }
    if let Some(target) = link_of(kind) {
        if target.is_ascii() && target.len() <= 100 {
            header.text(157, target);
        } else {
            header.text(157, &placeholder(target));
            records.push((b"linkpath".to_vec(), target.to_vec()));
        }
    }
    if records
        .iter()
        .any(|(_, text)| std::str::from_utf8(text).is_err())
    {
        records.push((b"hdrcharset".to_vec(), b"BINARY".to_vec()));
    }
    let Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    } = meta;
    header.octal(100, 7, u64::from(*mode));
    for (offset, key, id) in [(108, "uid", *uid), (116, "gid", *gid)] {
        if id <= LARGEST_ID {
            header.octal(offset, 7, u64::from(id));
        } else {
            records.push((key.into(), id.to_string().into()));
        }
    }
    let size = entry.size();
    if size <= LARGEST_NUMBER {
        header.octal(124, 11, size);
    } else {
        records.push((b"size".to_vec(), size.to_string().into()));
    }
    match u64::try_from(*mtime) {
        Ok(seconds) if seconds <= LARGEST_NUMBER => header.octal(136, 11, seconds),
        _ => records.push((b"mtime".to_vec(), mtime.to_string().into())),
    }
    let (letter, device) = match kind {
        Kind::File { .. } | Kind::Whiteout => (b'0', None),
        Kind::Hardlink(_) => (b'1', None),
        Kind::Symlink(_) => (b'2', None),
        Kind::CharacterDevice(device) => (b'3', Some(device)),
        Kind::BlockDevice(device) => (b'4', Some(device)),
        Kind::Directory => (b'5', None),
        Kind::Fifo => (b'6', None),
    };
    header.0[156] = letter;
    if let Some(Device { major, minor }) = device {
        header.octal(329, 7, u64::from(*major));
        header.octal(337, 7, u64::from(*minor));
    }
    for (name, value) in xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
        records.push(([b"SCHILY.xattr.", &name[..]].concat(), value.to_vec()));
    }
    if !records.is_empty() {
        write_records(out, records);
    }
    out.extend_from_slice(&header.finish());
}

fn write_records(out: &mut Vec<u8>, mut records: Vec<(Vec<u8>, Vec<u8>)>) {
    records.sort();
    let mut body = Vec::new();
    for (key, value) in records {
        // The length counts its own digits: a space, `=` and a newline besides.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + digits(rest);
        if rest + digits(length) > length {
            length += 1;
        }
        body.extend_from_slice(length.to_string().as_bytes());
        body.push(b' ');
        body.extend_from_slice(&key);
        body.push(b'=');
        body.extend_from_slice(&value);
        body.push(b'\n');
    }
    let mut header = Header::new();
    header.text(0, b"././@PaxHeader");
    header.octal(100, 7, 0o644);
    header.octal(124, 11, body.len() as u64);
    header.0[156] = b'x';
    out.extend_from_slice(&header.finish());
    let size = body.len() as u64;
    out.append(&mut body);
    out.extend_from_slice(padding(size));
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn name_of(path: &EntryPath, kind: &Kind) -> Vec<u8> {
    let bytes = path.as_bytes();
    match kind {
        Kind::Directory if path.is_root() => b"./".to_vec(),
        Kind::Directory => [bytes, b"/"].concat(),
        Kind::Whiteout => {
            let name_at = bytes
                .iter()
                .rposition(|&byte| byte == b'/')
                .map_or(0, |at| at + 1);
            [&bytes[..name_at], b".wh.", &bytes[name_at..]].concat()
        }
        _ => bytes.to_vec(),
    }
}

fn link_of(kind: &Kind) -> Option<&[u8]> {
    match kind {
        Kind::Symlink(target) => Some(target),
        Kind::Hardlink(target) => Some(target.as_bytes()),
        _ => None,
    }
}

/// Prefix and name of a ustar header; none where it can't hold them.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some((b"", name));
    }
    let from = name.len() - 101;
    let at = from
        + name[from..name.len() - 1]
            .iter()
            .position(|&byte| byte == b'/')?;
    (1..=155)
        .contains(&at)
        .then(|| (&name[..at], &name[at + 1..]))
}

fn placeholder(text: &[u8]) -> Vec<u8> {
    let shown = |&byte: &u8| {
        if (0x20..0x7f).contains(&byte) {
            byte
        } else {
            b'_'
        }
    };
    text.iter().take(100).map(shown).collect()
}

struct Header([u8; BLOCK]);

impl Header {
    fn new() -> Header {
        let mut header = Header([0; BLOCK]);
        for (offset, digits) in [
            (100, 7),
            (108, 7),
            (116, 7),
            (124, 11),
            (136, 11),
            (329, 7),
            (337, 7),
        ] {
            header.octal(offset, digits, 0);
        }
        header.text(257, b"ustar\x0000");
        header
    }

    fn text(&mut self, offset: usize, text: &[u8]) {
        self.0[offset..offset + text.len()].copy_from_slice(text);
    }

    fn octal(&mut self, offset: usize, digits: usize, mut number: u64) {
        for place in self.0[offset..offset + digits].iter_mut().rev() {
            *place = b'0' + (number & 7) as u8;
            number >>= 3;
        }
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum = self.0.iter().map(|&byte| u64::from(byte)).sum();
        self.octal(148, 6, sum);
        self.0[154] = 0;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo(path: &[u8]) -> Entry {
        let path = EntryPath::new(path).unwrap();
        Entry {
            path,
            kind: Kind::Fifo,
            meta: Meta::plain(0o644, 0),
        }
    }

    fn header(entry: &Entry) -> Vec<u8> {
        let mut out = Vec::new();
        write_header(&mut out, entry);
        out
    }

    /// The names that the `tar` crate reads back.
    fn read_back(entry: &Entry) -> (Vec<u8>, Option<Vec<u8>>) {
        let bytes = [header(entry), END.to_vec()].concat();
        let mut archive = ::tar::Archive::new(&bytes[..]);
        let member = archive.entries().unwrap().next().unwrap().unwrap();
        (
            member.path_bytes().to_vec(),
            member.link_name_bytes().map(|link| link.to_vec()),
        )
    }

    #[test]
    fn a_name_that_ustar_holds_needs_no_pax() {
        let hundred = [b'a'; 100];
        assert_eq!(header(&fifo(&hundred)).len(), BLOCK);
        let longest = [[b'a'; 77].as_slice(), &[b'b'; 77], &[b'c'; 100]].join(&b'/');
        assert_eq!(longest.len(), 256);
        assert_eq!(header(&fifo(&longest)).len(), BLOCK);
        assert_eq!(read_back(&fifo(&longest)).0, longest);
        let too_long = [[b'a'; 78].as_slice(), &[b'b'; 77], &[b'c'; 100]].join(&b'/');
        assert_eq!(header(&fifo(&too_long)).len(), 3 * BLOCK);
        assert_eq!(read_back(&fifo(&too_long)).0, too_long);
    }

    #[test]
    fn a_directory_with_its_slash_is_split_elsewhere() {
        let path = [[b'a'; 50].as_slice(), &[b'b'; 49]].join(&b'/');
        let directory = Entry {
            kind: Kind::Directory,
            ..fifo(&path)
        };
        assert_eq!(header(&directory).len(), BLOCK);
        assert_eq!(read_back(&directory).0, [&path[..], b"/"].concat());
    }

    #[test]
    fn names_beyond_ascii_are_pax_records() {
        for name in ["\u{fc}".as_bytes(), b"\xff"] {
            assert_eq!(read_back(&fifo(name)).0, name);
        }
        let text = String::from_utf8_lossy(&header(&fifo(b"\xff"))).into_owned();
        assert!(text.contains("21 hdrcharset=BINARY\n"), "{text}");
        let link = Entry {
            kind: Kind::Symlink((*b"\xfe").into()),
            ..fifo(b"l")
        };
        assert_eq!(read_back(&link).1.as_deref(), Some(&b"\xfe"[..]));
    }

    #[test]
    fn a_records_length_counts_its_own_digits() {
        for length in 1..=1100 {
            let mut out = Vec::new();
            write_records(&mut out, vec![(b"k".to_vec(), vec![b'v'; length])]);
            let body = &out[BLOCK..];
            let space = body.iter().position(|&byte| byte == b' ').unwrap();
            let said: usize = std::str::from_utf8(&body[..space])
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(body[said - 1], b'\n');
            assert!(body[said..].iter().all(|&byte| byte == 0));
        }
    }
}
