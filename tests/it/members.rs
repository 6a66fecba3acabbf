//! What the members of an archive come to: what GNU tar makes of them, or a refusal.

use std::collections::BTreeSet;
use std::process::Command;

use cairn::canon::{Digest, EntryPath};
use cairn::layer::Kind;
use cairn::layer::scan::{Error, Purpose, Scanned, scan};
use proptest::prelude::*;

use crate::support::tars::{Member, archive};
use crate::support::tree::{self, Row, What, lossy};
use crate::support::{require, temp};

const UNPACKED: Purpose = Purpose::Archive { strip: 0 };

fn scanned(members: &[Member], purpose: Purpose) -> Result<Scanned, Error> {
    scan(&archive(members)[..], purpose)
}

fn lines(scanned: &Scanned) -> Vec<String> {
    let tree = scanned.tree.entries().iter();
    tree.map(|entry| match &entry.kind {
        Kind::Whiteout => format!("!{}", entry.path),
        Kind::Hardlink(target) => format!("{} = {target}", entry.path),
        _ => entry.path.to_string(),
    })
    .collect()
}

#[test]
fn the_last_member_of_a_path_counts_and_links_keep_their_content() {
    let members = [
        ("z", b'0', "old"),
        ("a", b'1', "z"),
        ("b", b'1', "z"),
        ("z", b'0', "new"),
        ("d", b'5', ""),
        ("d/x", b'0', ""),
        ("d", b'2', "elsewhere"),
    ];
    let scanned = scanned(&members, Purpose::Layer).unwrap();
    assert_eq!(lines(&scanned), ["/a", "/b = /a", "/d", "/z"]);
    let digest = |at: usize| match scanned.tree.entries()[at].kind {
        Kind::File { digest, .. } => digest,
        _ => panic!("no file"),
    };
    assert_eq!(
        (digest(0), digest(3)),
        (Digest::of(b"old"), Digest::of(b"new"))
    );
    let bytes = archive(&members);
    assert_eq!(&bytes[scanned.offsets[3] as usize..][..3], b"new");
    assert_eq!(scanned.diff_id.0, Digest::of(&bytes));
    assert_eq!(scanned.size, bytes.len() as u64);
}

#[test]
fn whiteouts_remove_and_opaque_ones_empty() {
    let members = [
        ("a/.wh.b", b'0', ""),
        ("c/.wh..wh..opq", b'0', ""),
        (".wh..wh.plnk", b'5', ""),
        ("d", b'5', ""),
        (".wh.d", b'0', ""),
    ];
    let scanned = scanned(&members, Purpose::Layer).unwrap();
    assert_eq!(lines(&scanned), ["!/a/b", "/d"]);
    let opaque: Vec<_> = scanned.opaque.iter().map(EntryPath::to_string).collect();
    assert_eq!(opaque, ["/c", "/d"]);
}

/// Names that only lead out of an archive, tests/it/hostile/archive.rs has.
#[test]
fn what_no_table_can_hold_is_refused() {
    for members in [
        &[("l", b'2', "")][..],
        &[(".", b'0', "")],
        &[("v", b'V', "")],
        &[("f", b'0', ""), ("f/x", b'0', "")],
        &[("f", b'0', ""), ("f-", b'0', ""), ("f/x/y", b'0', "")],
        &[("l", b'2', "d"), ("l/x", b'0', "")],
    ] {
        for purpose in [UNPACKED, Purpose::Layer] {
            assert!(scanned(members, purpose).is_err(), "{members:?}");
        }
    }
    let absolute = [("/etc/x", b'0', "")];
    let layer = scanned(&absolute, Purpose::Layer).unwrap();
    assert_eq!(lines(&layer), ["/etc/x"]);
    assert!(scanned(&absolute, UNPACKED).is_err());
    let links = [("a/l", b'2', "../x"), ("m", b'2', "/x")];
    assert!(scanned(&links, UNPACKED).is_ok());
}

#[test]
fn case_makes_another_name() {
    let scanned = scanned(&[("A", b'0', "1"), ("a", b'0', "2")], UNPACKED).unwrap();
    assert_eq!(lines(&scanned), ["/A", "/a"]);
}

#[test]
fn an_archive_cut_anywhere_within_a_member_is_refused() {
    let bytes = archive(&[("a", b'0', "content"), ("b", b'0', "more")]);
    for end in [1, 511, 513, 518, 519, 1023, 1025, 1600] {
        assert!(scan(&bytes[..end], Purpose::Layer).is_err(), "{end}");
    }
    let mut flipped = bytes.clone();
    flipped[1] ^= 1;
    assert!(scan(&flipped[..], Purpose::Layer).is_err());
}

#[test]
fn stripped_members_of_one_path_are_as_if_written_with_it() {
    let strip = |members: &[Member]| scanned(members, Purpose::Archive { strip: 1 });
    let merged = strip(&[
        ("top", b'0', "left out"),
        ("one/lib", b'5', ""),
        ("one/lib/a", b'0', "old"),
        ("two/lib", b'5', ""),
        ("two/link", b'1', "one/lib/a"),
        ("two/lib/a", b'0', "new"),
        ("z/b", b'1', "one/link"),
    ]);
    let merged = merged.unwrap();
    assert_eq!(lines(&merged), ["/b", "/lib", "/lib/a", "/link = /b"]);
    let old = Kind::File {
        size: 3,
        digest: Digest::of(b"old"),
    };
    assert_eq!(merged.tree.entries()[0].kind, old);
    let error = strip(&[("top", b'0', ""), ("one/link", b'1', "top")]).unwrap_err();
    assert!(error.to_string().contains("which `strip` leaves out"));
    // A link out of the archive leads out of it, however much of its own path is dropped.
    assert!(strip(&[("one/two/link", b'2', "../../x")]).is_ok());
    assert!(strip(&[("one/link", b'2', "../../x")]).is_err());
}

fn member() -> impl Strategy<Value = (String, u8, String)> {
    let name = |names: &str| {
        let path = format!("((one|two|a)/){{0,3}}({names})");
        proptest::string::string_regex(&path).unwrap()
    };
    prop_oneof![
        4 => (name("a|one|f|g"), "[a-z]{0,3}")
            .prop_map(|(path, content)| (path, b'0', content)),
        3 => "((one|two|a)/){1,3}".prop_map(|path| (path, b'5', String::new())),
        // Nothing passes through a link: tar would follow it.
        2 => name("l|m").prop_map(|path| (path, b'2', "target".to_owned())),
        3 => (name("f|g|h|l"), name("f|g|h|l")).prop_map(|(path, target)| (path, b'1', target)),
        1 => name("p|f").prop_map(|path| (path, b'6', String::new())),
    ]
}

fn rows(scanned: &Scanned) -> tree::Tree {
    let mut rows = tree::Tree::new();
    for entry in scanned.tree.entries() {
        let (mut what, mut links) = (What::Directory, None);
        match &entry.kind {
            Kind::File { digest, .. } => what = What::File(*digest),
            Kind::Symlink(target) => what = What::Symlink(lossy(target)),
            Kind::Fifo => what = What::Fifo,
            Kind::Hardlink(first) => {
                let first_row: &mut Row = rows.get_mut(first.as_bytes()).unwrap();
                first_row.links = Some(lossy(first.as_bytes()));
                (what, links) = (first_row.what.clone(), first_row.links.clone());
            }
            _ => {}
        }
        let row = Row {
            what,
            mode: u32::from(entry.meta.mode),
            owner: (entry.meta.uid, entry.meta.gid),
            mtime: (entry.meta.mtime, 0),
            xattrs: Default::default(),
            links,
        };
        rows.insert(entry.path.as_bytes().to_vec(), row);
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_gnu_tar_unpacks_is_the_same_tree(
        members in proptest::collection::vec(member(), 1..9),
        strip in 0..3_u32,
    ) {
        if !require("tar") {
            return Ok(());
        }
        let members: Vec<_> = members.iter().map(|(path, kind, text)| (&path[..], *kind, &text[..])).collect();
        let folder = temp();
        let bytes = archive(&members);
        std::fs::write(folder.path().join("tar"), &bytes).unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let mut tar = Command::new("tar");
        // Else directories get the time at which tar last left them.
        tar.args(["--delay-directory-restore", "-xpf", "../tar"]);
        tar.arg(format!("--strip-components={strip}"));
        let output = tar.current_dir(folder.path().join("root")).output().unwrap();
        let scanned = scan(&bytes[..], Purpose::Archive { strip });
        // What tar can't unpack, such as a file over a full directory, may be refused or not.
        prop_assume!(output.status.success());
        let mut expected = tree::read(&folder.path().join("root"));
        let mut got = rows(&scanned.unwrap());
        // Of directories that no member names each has its own.
        let named: BTreeSet<_> = got.keys().cloned().collect();
        expected.retain(|path, row| row.what != What::Directory || named.contains(path));
        for row in expected.values_mut().chain(got.values_mut()) {
            // A link has no mode, and only root gives files away.
            if matches!(row.what, What::Symlink(_)) {
                row.mode = 0;
            }
            if !rustix::process::geteuid().is_root() {
                row.owner = (0, 0);
            }
        }
        tree::assert_same(&format!("{members:?}"), &got, &expected);
    }
}
