//! Format 1's tar stream, judged by others: an independent writer (tests/independent/layer.py)
//! that knows its documentation alone must give the same diff IDs, and other people's readers
//! must find in it what the table says.

use std::collections::BTreeSet;
use std::path::Path;

use cairn::canon::Digest;
use cairn::canon::digest::Hasher;
use cairn::layer::tar::{BLOCK, END, write_header};
use cairn::layer::{Kind, Tree};

use crate::support::programs::{program, run};
use crate::support::trees::{Random, Sample, Sizes, borders, sample};
use crate::support::{require, temp};

/// Seeds of trees that are packed whole, and of those of which only the headers are compared.
const WHOLE: std::ops::Range<u64> = 0..400;
const HEADERS: std::ops::Range<u64> = 1000..1100;

fn independent(script: &str) -> String {
    format!("{}/tests/independent/{script}", env!("CARGO_MANIFEST_DIR"))
}

fn whole_samples() -> Vec<Sample> {
    let seeded = WHOLE.map(|seed| sample(seed, Sizes::Small));
    seeded.chain([borders(true), borders(false)]).collect()
}

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
    for (number, sample) in whole_samples().iter().enumerate() {
        for (digest, content) in &sample.contents {
            std::fs::write(folder.path().join(digest.hex()), content).unwrap();
        }
        arguments.push(write_table(folder.path(), number, &sample.tree));
        expected.push(sample.tar().0.diff_id.to_string());
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
    let huge = HEADERS.map(|seed| sample(seed, Sizes::Huge));
    for Sample { tree, .. } in whole_samples().into_iter().chain(huge) {
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
