//! Reading layers: what cairn wrote comes back as it was, and what is broken or hostile is an
//! error, never a panic, and takes no more memory than it has bytes to show for.

use std::process::Command;

use cairn::canon::{Digest, EntryPath};
use cairn::layer::read;
use cairn::layer::scan::{Error, Purpose, Scanned, scan};
use cairn::layer::tar::{BLOCK, END, write_header};
use cairn::layer::{Entry, Kind, Meta, Tree};
use proptest::prelude::*;

use crate::support::require;
use crate::support::trees::{Random, Sizes, borders, sample};

#[test]
fn what_was_packed_is_scanned_as_the_same_table() {
    let seeded = (0..150).map(|seed| sample(seed, Sizes::Small));
    for (number, sample) in seeded.chain([borders(true), borders(false)]).enumerate() {
        let (packed, tar) = sample.tar();
        let scanned = scan(&tar[..], Purpose::Layer).unwrap();
        assert_eq!(scanned.tree, sample.tree, "tree {number}");
        assert_eq!(scanned.opaque, []);
        assert_eq!(
            (scanned.diff_id, scanned.size),
            (packed.diff_id, packed.tar_size)
        );
        assert_eq!(scanned.offsets.len(), scanned.tree.entries().len());
        for (entry, offset) in scanned.tree.entries().iter().zip(&scanned.offsets) {
            let Kind::File { size, digest } = entry.kind else {
                assert_eq!(*offset, 0);
                continue;
            };
            let content = &tar[*offset as usize..][..size as usize];
            assert_eq!(Digest::of(content), digest, "{}", entry.path);
        }
    }
}

#[test]
fn a_whiteout_may_remove_the_longest_name() {
    let longest = [[b'a'; 255]; 16].join(&b'/')[..4095].to_vec();
    for path in [&[b'x'; 255][..], &longest] {
        let removed = Entry::whiteout(EntryPath::new(path).unwrap());
        let tree = Tree::new(vec![removed]).unwrap();
        let archive = archive(tree.entries());
        assert_eq!(scan(&archive[..], Purpose::Layer).unwrap().tree, tree);
        assert!(scan(&archive[..], Purpose::Archive { strip: 0 }).is_err());
    }
}

/// The archive of entries without content, in the order given.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        write_header(&mut bytes, entry);
    }
    bytes.extend_from_slice(&END);
    bytes
}

fn entry(path: &str, kind: Kind) -> Entry {
    let path = EntryPath::new(path.as_bytes()).unwrap();
    let meta = Meta::plain(0o644, 0);
    Entry { path, kind, meta }
}

fn empty_file(path: &str) -> Entry {
    let digest = Digest::of(b"");
    entry(path, Kind::File { size: 0, digest })
}

fn with_xattr(mut entry: Entry, length: usize) -> Entry {
    let value = vec![b'v'; length].into();
    entry.meta.xattrs = Some(Box::new([((*b"user.x").into(), value)].into()));
    entry
}

/// Sets every header's checksum right again, so that the reader looks at the rest.
fn mend(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn scanned(archive: &[u8]) -> [Result<Scanned, Error>; 2] {
    [Purpose::Layer, Purpose::Archive { strip: 0 }].map(|purpose| scan(archive, purpose))
}

#[test]
fn no_size_is_too_large_to_be_refused() {
    for size in [
        u64::MAX,
        u64::MAX - 511,
        u64::MAX - 512,
        1 << 63,
        i64::MAX as u64,
    ] {
        let digest = Digest::of(b"");
        let archive = archive(&[entry("a", Kind::File { size, digest }), empty_file("b")]);
        assert!(scanned(&archive).iter().all(Result::is_err), "{size}");
    }
    let base_256: [&[u8]; 3] = [&[0x80, 0xff], &[0xff; 12], &[0xbf; 12]];
    for number in base_256 {
        let mut archive = archive(&[empty_file("a"), empty_file("b")]);
        archive[124..124 + number.len()].copy_from_slice(number);
        mend(&mut archive);
        assert!(scanned(&archive).iter().all(Result::is_err), "{number:?}");
    }
}

#[test]
fn a_header_that_claims_a_huge_extension_costs_no_memory() {
    let mut archive = archive(&[with_xattr(empty_file("a"), 10)]);
    assert_eq!(archive[156], b'x');
    for letter in b"xgLK" {
        archive[156] = *letter;
        archive[124..135].copy_from_slice(b"77777777777");
        mend(&mut archive);
        for result in scanned(&archive) {
            assert!(matches!(
                result,
                Err(Error::Read(read::Error::Extension(0)))
            ));
        }
    }
}

/// POSIX.1-2017, pax, "pax Header Block": what a header says of one member overrides what a global
/// one says of all, whichever comes first.
#[test]
fn a_members_own_records_win_over_global_ones() {
    let header = |letter: u8, target: &str| {
        let target = target.repeat(120).into_bytes().into();
        let mut bytes = archive(&[entry("link", Kind::Symlink(target))]);
        bytes.truncate(2 * BLOCK);
        bytes[156] = letter;
        bytes
    };
    let short = |name: &str| archive(&[entry(name, Kind::Symlink((*b"short").into()))]);
    let (own, global) = (header(b'x', "x"), header(b'g', "g"));
    let second = [&own[..], &global, &short("a")[..BLOCK], &short("b")].concat();
    let first = [&global[..], &own, &short("a")[..BLOCK], &short("b")].concat();
    for mut archive in [first, second] {
        mend(&mut archive);
        for scanned in scanned(&archive) {
            let tree = scanned.unwrap().tree;
            let kinds: Vec<_> = tree.entries().iter().map(|entry| &entry.kind).collect();
            let link = |text: &str| Kind::Symlink(text.repeat(120).into_bytes().into());
            assert_eq!(kinds, [&link("x"), &link("g")]);
        }
    }
}

/// Of the end of an archive other programs make different things; what all agree on is read.
#[test]
fn a_lone_block_of_zeroes_ends_nothing_but_the_stream() {
    let member = |path| {
        let mut bytes = Vec::new();
        write_header(&mut bytes, &empty_file(path));
        bytes
    };
    let zeroes = |blocks| vec![0; blocks * BLOCK];
    for end in [0, 1, 2, 20] {
        let archive = [member("a"), zeroes(end)].concat();
        for scanned in scanned(&archive) {
            let scanned = scanned.unwrap();
            assert_eq!(scanned.tree.entries(), [empty_file("a")]);
            assert_eq!(scanned.size, archive.len() as u64);
        }
    }
    // Behind two there may be anything, and no program looks there unasked.
    let followed = [member("a"), zeroes(2), member("b"), vec![1; 100]].concat();
    for scanned in scanned(&followed) {
        assert_eq!(scanned.unwrap().tree.entries(), [empty_file("a")]);
    }
    let lone = [member("a"), zeroes(1), member("b"), zeroes(2)].concat();
    for scanned in scanned(&lone) {
        assert!(matches!(
            scanned,
            Err(Error::Read(read::Error::LoneZeroBlock(512)))
        ));
    }
    let cut = [member("a"), zeroes(1), vec![0; 100]].concat();
    for scanned in scanned(&cut) {
        assert!(matches!(
            scanned,
            Err(Error::Read(read::Error::Truncated(_)))
        ));
    }
}

/// One record that many entries share is a bomb: each entry of the table holds it.
#[test]
fn xattrs_that_many_entries_share_are_refused_in_time() {
    let mut links = vec![with_xattr(empty_file("file"), 1_000_000)];
    for number in 0..2000 {
        let target = links[0].path.clone();
        links.push(entry(&format!("link{number}"), Kind::Hardlink(target)));
    }
    // Reading costs as much where a member comes to nothing, as what AUFS keeps.
    let [global, nothing] = ["other", ".wh..wh.plnk/"].map(|folder| {
        let mut global = archive(&[with_xattr(empty_file("file"), 1_000_000)]);
        global.truncate(global.len() - END.len());
        for number in 0..2000 {
            write_header(&mut global, &empty_file(&format!("{folder}{number}")));
        }
        assert_eq!(global[156], b'x');
        global[156] = b'g';
        mend(&mut global);
        global
    });
    let error = scan(&nothing[..], Purpose::Layer).err();
    assert!(error.is_some_and(|error| error.to_string().contains("extended attributes")));
    for archive in [archive(&links), global] {
        for result in scanned(&archive) {
            let error = result
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains("extended attributes"), "{error}");
        }
    }
}

/// What is done to an archive; places are taken modulo its length.
#[derive(Debug, Clone)]
enum Change {
    Flip {
        at: usize,
        bits: u8,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Insert {
        from: usize,
        to: usize,
    },
    Cut {
        at: usize,
    },
    /// In a header's field.
    Field {
        block: usize,
        field: usize,
        bytes: Vec<u8>,
    },
    /// In what follows a PAX header.
    Records {
        block: usize,
        bytes: Vec<u8>,
    },
    Type {
        block: usize,
        letter: u8,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let place = || any::<u32>().prop_map(|at| at as usize);
    let digits =
        || proptest::collection::vec(prop_oneof![b'0'..=b'9', Just(b' '), any::<u8>()], 1..12);
    let record =
        "[0-9]{1,20} (path|linkpath|size|uid|gid|mtime|SCHILY.xattr.user.x)=[-+]?[0-9]{0,20}\n";
    let records = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        record.prop_map(String::into_bytes),
    ];
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, bits)| Change::Flip { at, bits }),
        (place(), place()).prop_map(|(from, to)| Change::Copy { from, to }),
        (place(), place()).prop_map(|(from, to)| Change::Insert { from, to }),
        place().prop_map(|at| Change::Cut { at }),
        (place(), 0..9_usize, digits()).prop_map(|(block, field, bytes)| Change::Field {
            block,
            field,
            bytes
        }),
        (place(), records).prop_map(|(block, bytes)| Change::Records { block, bytes }),
        (
            place(),
            proptest::sample::select(b"01234567xgLKSV\0".to_vec())
        )
            .prop_map(|(block, letter)| Change::Type { block, letter }),
    ]
}

fn apply(archive: &mut Vec<u8>, change: &Change) {
    if archive.len() < 2 * BLOCK {
        return;
    }
    let is_header = |block: &usize| &archive[block * BLOCK + 257..][..5] == b"ustar";
    let headers: Vec<_> = (0..archive.len() / BLOCK).filter(is_header).collect();
    let blocks = archive.len() / BLOCK;
    let header = |block: usize| {
        headers
            .get(block % headers.len().max(1))
            .map(|at| at * BLOCK)
    };
    match change {
        Change::Flip { at, bits } => {
            let length = archive.len();
            archive[at % length] ^= bits;
        }
        Change::Copy { from, to } => {
            let from = from % blocks * BLOCK;
            archive.copy_within(from..from + BLOCK, to % blocks * BLOCK);
        }
        Change::Insert { from, to } => {
            let from = from % blocks * BLOCK;
            let block = archive[from..from + BLOCK].to_vec();
            let to = to % blocks * BLOCK;
            archive.splice(to..to, block);
        }
        Change::Cut { at } => archive.truncate(at % archive.len()),
        Change::Field {
            block,
            field,
            bytes,
        } => {
            const FIELDS: [usize; 9] = [0, 100, 108, 124, 136, 157, 257, 329, 345];
            if let Some(at) = header(*block) {
                archive[at + FIELDS[*field]..][..bytes.len()].copy_from_slice(bytes);
            }
        }
        Change::Records { block, bytes } => {
            let pax: Vec<_> = headers
                .iter()
                .filter(|at| archive[*at * BLOCK + 156] == b'x')
                .collect();
            if let Some(at) = pax
                .get(block % pax.len().max(1))
                .map(|at| (*at + 1) * BLOCK)
            {
                let length = bytes.len().min(archive.len() - at);
                archive[at..at + length].copy_from_slice(&bytes[..length]);
            }
        }
        Change::Type { block, letter } => {
            if let Some(at) = header(*block) {
                archive[at + 156] = *letter;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_archives_are_tables_or_errors(
        seed in 0..60_u64,
        changes in proptest::collection::vec(change(), 1..8),
        is_mended in prop::bool::weighted(0.9),
    ) {
        let mut archive = sample(seed, Sizes::Small).tar().1;
        for change in &changes {
            apply(&mut archive, change);
        }
        if is_mended {
            mend(&mut archive);
        }
        for scanned in scanned(&archive).into_iter().flatten() {
            prop_assert_eq!(scanned.size, archive.len() as u64);
            prop_assert_eq!(scanned.diff_id.0, Digest::of(&archive));
            let text = scanned.tree.to_text();
            prop_assert_eq!(Tree::from_text(&text), Ok(scanned.tree.clone()));
            for (entry, offset) in scanned.tree.entries().iter().zip(&scanned.offsets) {
                if let Kind::File { size, digest } = entry.kind {
                    let content = &archive[*offset as usize..][..size as usize];
                    prop_assert_eq!(Digest::of(content), digest);
                }
            }
        }
    }
}

/// One header that gives every later link its target: a table would hold it as often.
#[test]
fn link_targets_that_many_members_share_are_refused_in_time() {
    let target = |length| entry("link", Kind::Symlink(vec![b't'; length].into()));
    let mut long = archive(&[target(4000)]);
    assert_eq!(long[156], b'x');
    long[156] = b'g';
    long.truncate(long.len() - END.len());
    let links = (512 << 20) / 4000 + 1;
    for number in 0..links {
        let short = entry(&format!("{number}"), Kind::Symlink((*b"short").into()));
        write_header(&mut long, &short);
    }
    mend(&mut long);
    let error = scan(&long[..], Purpose::Layer)
        .err()
        .map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("link targets")));
}

/// Another name of a symlink is a symlink of its own in the table, target and all.
#[test]
fn names_of_one_long_symlink_are_refused_in_time() {
    let first = entry("0", Kind::Symlink(vec![b't'; 4000].into()));
    let mut names = archive(std::slice::from_ref(&first));
    names.truncate(names.len() - END.len());
    for number in 1..=(512 << 20) / 4000 {
        let name = entry(&format!("{number}"), Kind::Hardlink(first.path.clone()));
        write_header(&mut names, &name);
    }
    for result in scanned(&names) {
        let error = result.err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("link targets")));
    }
}

/// Runs the hostile ones above once more, where a large allocation ends the process.
#[test]
fn hostile_archives_take_little_memory() {
    if !require("prlimit") {
        return;
    }
    for name in [
        "mutated_archives_are_tables_or_errors",
        "a_header_that_claims_a_huge_extension_costs_no_memory",
        "no_size_is_too_large_to_be_refused",
        "xattrs_that_many_entries_share_are_refused_in_time",
    ] {
        let mut command = Command::new("prlimit");
        command
            .arg("--data=600000000")
            .arg(std::env::current_exe().unwrap());
        let output = command
            .args(["--exact", &format!("scans::{name}")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let is_done = output.status.success() && said.contains("1 passed");
        assert!(is_done, "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// So that no two archives of the sample are one: a generator that ignored its seed would test
/// little.
#[test]
fn seeds_make_different_archives() {
    let digests: std::collections::BTreeSet<_> = (0..60)
        .map(|seed| sample(seed, Sizes::Small).tree.digest().to_string())
        .collect();
    assert!(digests.len() > 55, "{}", digests.len());
    assert_ne!(Random::new(1).next(), Random::new(2).next());
}
