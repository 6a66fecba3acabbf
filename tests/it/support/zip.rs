//! Zip archives, as wheels, jars and Go's modules are: files as they are, at one time, in the order given.
//!
//! In: names and contents. Out: an archive (APPNOTE.TXT 6.3.10), the same bytes each time.

/// `PK` and two more bytes, then fields of two and four bytes.
fn header(kind: &[u8; 2], fields: &[(u32, usize)]) -> Vec<u8> {
    let mut bytes = [b"PK", &kind[..]].concat();
    for (value, width) in fields {
        bytes.extend(&value.to_le_bytes()[..*width]);
    }
    bytes
}

/// The archive of these files.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut central) = (Vec::new(), Vec::new());
    let number = |length: usize| u32::try_from(length).unwrap();
    for (name, content) in files {
        let (at, size) = (number(archive.len()), number(content.len()));
        // Version, flags, no compression, 1980-01-01, checksum, sizes, length of the name, no more.
        let common = [
            (10, 2),
            (0, 2),
            (0, 2),
            (0, 2),
            (0x21, 2),
            (crc32fast::hash(content), 4),
            (size, 4),
            (size, 4),
            (number(name.len()), 2),
            (0, 2),
        ];
        archive.extend(header(b"\x03\x04", &common));
        archive.extend(name.as_bytes());
        archive.extend(*content);
        // Made by Unix, as a regular file of mode 0644.
        let made = [(0x030a, 2)];
        let rest = [(0, 2), (0, 2), (0, 2), (0o100_644 << 16, 4), (at, 4)];
        central.extend(header(b"\x01\x02", &[&made, &common[..], &rest].concat()));
        central.extend(name.as_bytes());
    }
    let (at, size, count) = (
        number(archive.len()),
        number(central.len()),
        number(files.len()),
    );
    archive.extend(central);
    let end = [
        (0, 2),
        (0, 2),
        (count, 2),
        (count, 2),
        (size, 4),
        (at, 4),
        (0, 2),
    ];
    archive.extend(header(b"\x05\x06", &end));
    archive
}

#[test]
fn others_read_what_is_written() {
    use super::{require, run, temp};
    if !require("python3") {
        return;
    }
    let folder = temp();
    let archive = zip(&[("a", b"one"), ("b/c", b"two")]);
    std::fs::write(folder.path().join("a.zip"), archive).unwrap();
    let list = "import zipfile; z = zipfile.ZipFile('a.zip'); print(z.testzip(), [(n, z.read(n)) for n in z.namelist()])";
    let said = run(super::programs::program("python3", &["-c", list]).current_dir(folder.path()));
    assert_eq!(said.trim(), "None [('a', b'one'), ('b/c', b'two')]");
}
