//! Format 1's tar stream, judged by others: an independent writer (tests/independent/layer.py)
//! that knows its documentation alone must give the same diff IDs, and other people's readers
//! must find in it what the table says.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use cairn::canon::Digest;
use cairn::canon::digest::Hasher;
use cairn::layer::pack::Packed;
use cairn::layer::tar::{BLOCK, END, write_header};
use cairn::layer::{Entry, Kind, Meta, Tree};

use crate::support::programs::{program, run};
use crate::support::trees::{Random, Sample, Sizes, borders, sample};
use crate::support::{require, temp};

/// Seeds of trees that are packed whole, and of those of which only the headers are compared.
const WHOLE: std::ops::Range<u64> = 0..400;
const HEADERS: std::ops::Range<u64> = 1000..1100;

fn independent(script: &str) -> String {
    format!("{}/tests/independent/{script}", env!("CARGO_MANIFEST_DIR"))
}

/// Each with its archive.
static SAMPLES: LazyLock<Vec<(Sample, Packed, Vec<u8>)>> = LazyLock::new(|| {
    let seeded = WHOLE.map(|seed| sample(seed, Sizes::Small));
    let samples = seeded.chain([borders(true), borders(false)]);
    let packed = samples.map(|sample| {
        let (packed, tar) = sample.tar();
        (sample, packed, tar)
    });
    packed.collect()
});

/// The table's text in any order but its own, as the order is the writer's to know.
fn write_table(folder: &Path, number: usize, tree: &Tree) -> String {
    let text = tree.to_text();
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    Random::new(number as u64).shuffle(&mut lines);
    let path = folder.join(format!("table{number}"));
    std::fs::write(&path, lines.concat()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a stream without its files' content hashes to.
fn digest_of_headers(tree: &Tree) -> Digest {
    let (mut hasher, mut bytes) = (Hasher::new(), Vec::new());
    for entry in tree.entries() {
        bytes.clear();
        write_header(&mut bytes, entry);
        hasher.update(&bytes);
    }
    hasher.update(&END);
    hasher.finish()
}

#[test]
fn an_independent_writer_gives_the_same_diff_ids() {
    if !require("python3") {
        return;
    }
    let folder = temp();
    let (mut arguments, mut expected) = (Vec::new(), Vec::new());
    arguments.push(independent("layer.py"));
    arguments.push(folder.path().to_str().unwrap().to_owned());
    for (number, (sample, packed, _)) in SAMPLES.iter().enumerate() {
        for (digest, content) in &sample.contents {
            std::fs::write(folder.path().join(digest.hex()), content).unwrap();
        }
        arguments.push(write_table(folder.path(), number, &sample.tree));
        expected.push(packed.diff_id.to_string());
    }
    arguments.push("--headers".to_owned());
    for seed in HEADERS {
        let tree = sample(seed, Sizes::Huge).tree;
        arguments.push(write_table(folder.path(), seed as usize, &tree));
        expected.push(digest_of_headers(&tree).to_string());
    }
    let said = run(program("python3", &[]).args(&arguments));
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said.len(), expected.len());
    for (number, (said, expected)) in said.iter().zip(&expected).enumerate() {
        assert_eq!(said, expected, "tree {number}");
    }
}

/// What the samples are there for, so that none of it gets lost when the generator changes.
#[test]
fn the_samples_hold_every_oddity() {
    let mut seen = BTreeSet::new();
    let huge = HEADERS.map(|seed| sample(seed, Sizes::Huge).tree);
    let whole = SAMPLES.iter().map(|(sample, ..)| sample.tree.clone());
    for tree in whole.chain(huge) {
        if tree.entries().is_empty() {
            seen.insert("an empty layer");
        }
        let mut whiteouts_in = BTreeSet::new();
        for entry in tree.entries() {
            let path = entry.path.as_bytes();
            let mut header = Vec::new();
            write_header(&mut header, entry);
            let own = &header[header.len() - BLOCK..];
            let is_utf8 = std::str::from_utf8(path).is_ok();
            let target = match &entry.kind {
                Kind::Symlink(target) => &target[..],
                Kind::Hardlink(target) => target.as_bytes(),
                _ => b"",
            };
            let xattrs = entry.meta.xattrs.iter().flat_map(|xattrs| xattrs.iter());
            let xattrs = xattrs.collect::<Vec<_>>();
            let is_behind_whiteouts = whiteouts_in.contains(&entry.path.parent());
            if entry.is_whiteout() {
                whiteouts_in.insert(entry.path.parent());
            }
            for (what, is_here) in [
                ("the root", entry.path.is_root()),
                ("a split name", own[345] != 0),
                ("a name for PAX", path.len() > 100 && own[345] == 0),
                ("a path of 4095 bytes", path.len() == 4095),
                ("a path that is no UTF-8", !is_utf8),
                ("a path beyond ASCII", is_utf8 && !path.is_ascii()),
                ("a control character", path.iter().any(|byte| *byte < 0x20)),
                ("a space", path.contains(&b' ')),
                (
                    "a slash that ends a field",
                    !entry.is_directory() && own[99] == b'/',
                ),
                ("a long target", target.len() > 100),
                (
                    "a target that is no UTF-8",
                    std::str::from_utf8(target).is_err(),
                ),
                (
                    "a long hard link",
                    matches!(entry.kind, Kind::Hardlink(_)) && target.len() > 255,
                ),
                ("a device", matches!(entry.kind, Kind::CharacterDevice(_))),
                ("a block device", matches!(entry.kind, Kind::BlockDevice(_))),
                ("a pipe", entry.kind == Kind::Fifo),
                ("setuid", entry.meta.mode & 0o4000 != 0),
                ("sticky", entry.meta.mode & 0o1000 != 0),
                ("a time before 1970", entry.meta.mtime < 0),
                ("a far time", entry.meta.mtime > 8_589_934_591),
                ("a large owner", entry.meta.uid > 2_097_151),
                ("a large group", entry.meta.gid > 2_097_151),
                ("a huge size", entry.size() > 8_589_934_591),
                ("several xattrs", xattrs.len() > 1),
                (
                    "a binary xattr",
                    xattrs.iter().any(|(_, value)| value.contains(&0)),
                ),
                (
                    "a whiteout's sibling",
                    !entry.is_whiteout() && is_behind_whiteouts,
                ),
            ] {
                if is_here {
                    seen.insert(what);
                }
            }
        }
    }
    assert_eq!(seen.len(), 26, "{seen:?}");
}

/// Writes the archive of every `step`th sample, and of the last two; each with its table.
fn write_archives(folder: &Path, step: usize) -> Vec<(String, &'static Tree)> {
    let borders = SAMPLES.len() - 2;
    let chosen = (0..borders).step_by(step).chain(borders..SAMPLES.len());
    let archives = chosen.map(|number| {
        let (sample, _, tar) = &SAMPLES[number];
        let path = folder.join(format!("{number:03}.tar"));
        std::fs::write(&path, tar).unwrap();
        (path.to_str().unwrap().to_owned(), &sample.tree)
    });
    archives.collect()
}

/// The tables that Python's `tarfile` finds, line by line.
fn read_by_python<'a>(archives: impl IntoIterator<Item = &'a String>) -> Vec<Vec<String>> {
    let script = independent("read.py");
    let said = run(program("python3", &[&script]).args(archives));
    let mut tables: Vec<Vec<String>> = Vec::new();
    for line in said.lines() {
        if line.starts_with("= ") {
            tables.push(Vec::new());
        } else {
            tables.last_mut().unwrap().push(line.to_owned());
        }
    }
    tables
}

#[track_caller]
fn assert_same_lines(archive: &str, found: &[String], expected: &str) {
    for (found, line) in found.iter().zip(expected.lines()) {
        assert_eq!(found, line, "{archive}");
    }
    assert_eq!(found.len(), expected.lines().count(), "{archive}");
}

#[test]
fn pythons_tarfile_finds_the_table() {
    if !require("python3") {
        return;
    }
    let folder = temp();
    let archives = write_archives(folder.path(), 3);
    let found = read_by_python(archives.iter().map(|(archive, _)| archive));
    assert_eq!(found.len(), archives.len());
    for (found, (archive, tree)) in found.iter().zip(archives) {
        assert_same_lines(&archive, found, &tree.to_text());
    }
}

#[test]
fn bsdtar_finds_the_table() {
    if !require("bsdtar") || !require("python3") {
        return;
    }
    let folder = temp();
    let archives = write_archives(folder.path(), 5);
    let copies = archives.iter().map(|(archive, _)| {
        // It lists neither seconds nor xattrs, so it writes all that it found once more.
        let copy = format!("{archive}.copy");
        let from = format!("@{archive}");
        let arguments = ["-cf", &copy, "--format=pax", &from];
        run(program("bsdtar", &arguments).env("LC_ALL", "C.UTF-8"));
        copy
    });
    let found = read_by_python(&copies.collect::<Vec<_>>());
    assert_eq!(found.len(), archives.len());
    for (found, (archive, tree)) in found.iter().zip(archives) {
        let text = tree.to_text();
        let expected: Vec<_> = text.lines().map(as_bsdtar_copies).collect();
        assert_same_lines(&archive, found, &expected.join("\n"));
    }
}

/// libarchive writes `%XX` in the names of xattrs, in its own order, and knows no time before the
/// second one.
fn as_bsdtar_copies(line: &str) -> String {
    let line = line.replace(&format!(" {} ", i64::MIN), &format!(" {} ", i64::MIN + 1));
    let mut fields: Vec<_> = line.split(' ').map(str::to_owned).collect();
    for xattr in fields.iter_mut().skip(7) {
        let (name, value) = xattr.split_once('=').unwrap();
        *xattr = format!("{}={value}", name.replace('%', "%25"));
    }
    fields[7..].sort();
    fields.join(" ")
}

#[test]
fn gnu_tar_lists_the_table() {
    if !require("tar") {
        return;
    }
    let folder = temp();
    for (archive, tree) in write_archives(folder.path(), 5) {
        let arguments = [
            "--numeric-owner",
            "--full-time",
            "--quoting-style=c",
            "--xattrs-include=*",
            "-tvvvf",
            &archive,
        ];
        let mut command = program("tar", &arguments);
        let output = command
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .output()
            .unwrap();
        assert!(output.status.success(), "{archive}");
        let said = String::from_utf8_lossy(&output.stdout);
        let mut found: Vec<(String, Vec<usize>)> = Vec::new();
        for line in said.lines() {
            // The name of an xattr stands there as it is, with line ends.
            if let Some(xattr) = line.strip_prefix("  x: ") {
                let length = xattr.split(' ').next().unwrap().parse();
                found.last_mut().unwrap().1.push(length.unwrap());
            } else if let Some(at) = line.find('"') {
                let (columns, names) = line.split_at(at);
                let columns: Vec<_> = columns.split_whitespace().collect();
                found.push((format!("{} {names}", columns.join(" ")), Vec::new()));
            }
        }
        let entries = tree.entries();
        for ((found, mut lengths), entry) in found.iter().cloned().zip(entries) {
            let xattrs = entry.meta.xattrs.iter();
            let mut expected: Vec<_> = xattrs.flat_map(|x| x.values()).map(|x| x.len()).collect();
            // In its own order.
            lengths.sort();
            expected.sort();
            let line = as_gnu_tar_lists(entry);
            assert_eq!((found, lengths), (line, expected), "{archive}");
        }
        assert_eq!(found.len(), entries.len(), "{archive}");
    }
}

fn as_gnu_tar_lists(entry: &Entry) -> String {
    let Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    } = &entry.meta;
    let path = entry.path.as_bytes();
    let (letter, name, target) = match &entry.kind {
        Kind::File { .. } => ('-', path.to_vec(), None),
        Kind::Directory if entry.path.is_root() => ('d', b"./".to_vec(), None),
        Kind::Directory => ('d', [path, b"/"].concat(), None),
        Kind::Symlink(target) => ('l', path.to_vec(), Some((" -> ", &target[..]))),
        Kind::Hardlink(target) => ('h', path.to_vec(), Some((" link to ", target.as_bytes()))),
        Kind::CharacterDevice(_) => ('c', path.to_vec(), None),
        Kind::BlockDevice(_) => ('b', path.to_vec(), None),
        Kind::Fifo => ('p', path.to_vec(), None),
        Kind::Whiteout => {
            let at = path
                .iter()
                .rposition(|byte| *byte == b'/')
                .map_or(0, |at| at + 1);
            ('-', [&path[..at], b".wh.", &path[at..]].concat(), None)
        }
    };
    let size = match &entry.kind {
        Kind::CharacterDevice(device) | Kind::BlockDevice(device) => {
            format!("{},{}", device.major, device.minor)
        }
        _ => entry.size().to_string(),
    };
    let mut mode = permissions(*mode);
    if xattrs.is_some() {
        mode.push('*');
    }
    let target = target.map_or(String::new(), |(word, text)| {
        word.to_owned() + &quoted(text)
    });
    let (time, name) = (time(*mtime), quoted(&name));
    format!("{letter}{mode} {uid}/{gid} {size} {time} {name}{target}")
}

/// As `ls -l` writes them.
fn permissions(mode: u16) -> String {
    let mut text = String::new();
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// Date and time of day in UTC; the number itself where C's `tm` can't hold the year.
fn time(mtime: i64) -> String {
    let (days, second) = (mtime.div_euclid(86400), mtime.rem_euclid(86400));
    // Days since 0000-03-01, in eras of 400 years (146,097 days).
    let from_march = i128::from(days) + 719_468;
    let (era, day) = (
        from_march.div_euclid(146_097),
        from_march.rem_euclid(146_097),
    );
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i128::from(month < 3);
    if i32::try_from(year - 1900).is_err() {
        return mtime.to_string();
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// As a string of C.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            7..=13 => {
                text.push('\\');
                text.push(char::from(b"abtnvfr"[usize::from(byte - 7)]));
            }
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => text += &format!("\\{byte:03o}"),
        }
    }
    text + "\""
}
