//! Differences of made-up upper directories.
//!
//! In: a file system and what a command left of it. Out: the layer.

use super::*;
use crate::layer::{Entry, Tree};

#[path = "diff_property_tests.rs"]
mod property;

type Time = (i64, u32);

const BEGAN: Time = (1_000, 500);
const ENDED: Time = (2_000, 500);
const CLOCK: i64 = 50_000;
const EPOCH: &str = "7";

fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

fn file_kind(text: &str) -> Kind {
    Kind::File {
        size: text.len() as u64,
        digest: Digest::of(text.as_bytes()),
    }
}

fn rootfs(entries: Vec<Entry>) -> Rootfs {
    let mut rootfs = Rootfs::default();
    rootfs.push(&Tree::new(entries).unwrap(), &[]);
    rootfs
}

fn entry(text: &str, kind: Kind, mode: u16) -> Entry {
    let (path, meta) = (path(text), Meta::plain(mode, 100));
    Entry { path, kind, meta }
}

fn base() -> Rootfs {
    rootfs(vec![
        entry("d", Kind::Directory, 0o755),
        entry("d/a", file_kind("a"), 0o644),
        entry("d/b", Kind::Hardlink(path("d/a")), 0o644),
        entry("d/e", Kind::Directory, 0o755),
        entry("d/e/x", file_kind("x"), 0o644),
        entry("f", file_kind("f"), 0o644),
        entry("l", Kind::Symlink((*b"f").into()), 0o755),
    ])
}

/// Something in the upper directory, whose content is `inode` in text unless it is empty.
fn found(text: &str, kind: FoundKind, mode: u16, mtime: Time, inode: u64) -> Found {
    Found {
        path: path(text),
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime,
        inode,
        links: 1,
        xattrs: Xattrs::new(),
    }
}

const GONE: FoundKind = FoundKind::Whiteout;
const DIRECTORY: FoundKind = FoundKind::Directory { opaque: false };
const OPAQUE: FoundKind = FoundKind::Directory { opaque: true };

fn with_xattr(mut found: Found, name: &[u8], value: &[u8]) -> Found {
    found.xattrs.insert(name.into(), value.into());
    found
}

/// `letter mode path`, one a line, as [`Tree::to_text`] has it but for owners.
fn shown(base: &Rootfs, upper: &[(Found, &str)], stubs: &[&str]) -> Vec<String> {
    shown_of(base, upper, stubs, false)
}

fn shown_of(base: &Rootfs, upper: &[(Found, &str)], stubs: &[&str], is_copy: bool) -> Vec<String> {
    let found: Vec<_> = upper.iter().map(|(found, _)| found.clone()).collect();
    let stubs: Vec<_> = stubs.iter().map(|target| path(target)).collect();
    let circumstances = Circumstances {
        epoch: EPOCH.parse().unwrap(),
        began: BEGAN,
        ended: ENDED,
        clock: Some(CLOCK),
        stubs: &stubs,
        is_copy,
    };
    let needed = contents_needed(base, &found, &circumstances);
    let content = |number: usize| {
        assert!(needed.contains(&number));
        let digest = Digest::of(upper[number].1.as_bytes());
        let origin = Origin::None;
        Ok(Content { digest, origin })
    };
    let difference = diff(base, &found, &content, &circumstances).unwrap();
    let text = difference.change.tree.to_text();
    let lines = text.lines().map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        let link = (fields[0] == "h").then(|| format!("={}", fields[6]));
        let link = link.unwrap_or_default();
        format!(
            "{} {} {} {}{link}",
            fields[0], fields[1], fields[4], fields[5]
        )
    });
    let sockets = difference.sockets.iter().map(|path| format!("s {path}"));
    lines.chain(sockets).collect()
}

const NOW: Time = (1_000, 500);

#[test]
fn what_was_only_touched_is_not_in_the_layer() {
    let upper = [
        (found("d", DIRECTORY, 0o755, NOW, 1), ""),
        (
            found("d/a", FoundKind::File { size: 1 }, 0o644, (2_000, 0), 2),
            "a",
        ),
        (
            found("l", FoundKind::Symlink((*b"f").into()), 0o777, NOW, 3),
            "",
        ),
    ];
    assert_eq!(shown(&base(), &upper, &[]), [""; 0]);
    // Nor what was copied up and has its time still; a second has no parts in a layer.
    let upper = [(
        found("f", FoundKind::File { size: 1 }, 0o644, (100, 9), 2),
        "f",
    )];
    assert_eq!(shown(&base(), &upper, &[]), [""; 0]);
}

#[test]
fn times_that_were_set_stay_and_those_that_came_about_are_the_epoch() {
    let upper = [
        (
            found("f", FoundKind::File { size: 1 }, 0o644, (50, 3), 2),
            "f",
        ),
        (
            found("new", FoundKind::File { size: 1 }, 0o600, NOW, 3),
            "n",
        ),
        (
            found("old", FoundKind::File { size: 1 }, 0o600, (-1, 5), 4),
            "n",
        ),
        (
            found("to-come", FoundKind::File { size: 1 }, 0o600, (9_000, 5), 5),
            "n",
        ),
    ];
    let expected = [
        "f 0644 50 f",
        "f 0600 7 new",
        "f 0600 -1 old",
        "f 0600 9000 to-come",
    ];
    assert_eq!(shown(&base(), &upper, &[]), expected);
}

#[test]
fn a_time_set_to_the_present_second_is_the_epoch() {
    let set = |seconds| {
        let file = FoundKind::File { size: 1 };
        let upper = [(found("new", file, 0o600, (seconds, 0), 3), "n")];
        shown(&base(), &upper, &[])
    };
    assert_eq!(set(BEGAN.0), ["f 0600 7 new"]);
    assert_eq!(set(BEGAN.0 - 2), ["f 0600 998 new"]);
    assert_eq!(set(ENDED.0), ["f 0600 7 new"]);
    assert_eq!(set(ENDED.0 + 1), ["f 0600 2001 new"]);
    // By the command's own clock.
    assert_eq!(set(CLOCK - 1), ["f 0600 49999 new"]);
    assert_eq!(set(CLOCK), ["f 0600 7 new"]);
    assert_eq!(set(CLOCK + 1_001), ["f 0600 7 new"]);
    assert_eq!(set(CLOCK + 1_002), ["f 0600 51002 new"]);
}

#[test]
fn metadata_alone_is_a_change() {
    let capability = found("f", FoundKind::File { size: 1 }, 0o644, (100, 0), 2);
    let capability = with_xattr(capability, b"security.capability", b"v2");
    let upper = [
        (found("d", DIRECTORY, 0o1777, (100, 0), 1), ""),
        (
            found("d/a", FoundKind::File { size: 1 }, 0o4755, (100, 0), 2),
            "a",
        ),
        (capability, "f"),
    ];
    let mut upper = upper.to_vec();
    upper[2].0.inode = 3;
    let expected = ["d 1777 100 d", "f 4755 100 d/a", "f 0644 100 f"];
    assert_eq!(shown(&base(), &upper, &[]), expected);
    // Those of the overlay and of the host are none.
    let mut copied = found("f", FoundKind::File { size: 1 }, 0o644, (100, 0), 2);
    for name in [
        "user.overlay.origin",
        "trusted.overlay.x",
        "security.selinux",
    ] {
        copied = with_xattr(copied, name.as_bytes(), b"y");
    }
    assert_eq!(shown(&base(), &[(copied, "f")], &[]), [""; 0]);
}

#[test]
fn an_opaque_directory_becomes_what_it_hides() {
    let upper = [
        (found("d", OPAQUE, 0o755, NOW, 1), ""),
        (found("d/e", DIRECTORY, 0o755, NOW, 2), ""),
        (
            found("d/e/y", FoundKind::File { size: 0 }, 0o644, NOW, 3),
            "",
        ),
    ];
    let expected = [
        "d 0755 100 d",
        "w 0000 0 d/a",
        "w 0000 0 d/b",
        "d 0755 100 d/e",
        "w 0000 0 d/e/x",
        "f 0644 7 d/e/y",
    ];
    assert_eq!(shown(&base(), &upper, &[]), expected);
}

/// What a copy of [`base`] holds that no command has touched.
fn copied() -> Vec<(Found, &'static str)> {
    const THEN: Time = (100, 0);
    let file = FoundKind::File { size: 1 };
    let link = FoundKind::Symlink((*b"f").into());
    vec![
        (found("", DIRECTORY, 0o755, NOW, 1), ""),
        (found("d", DIRECTORY, 0o755, THEN, 2), ""),
        (found("d/a", file.clone(), 0o644, THEN, 3), "a"),
        (found("d/b", file.clone(), 0o644, THEN, 4), "a"),
        (found("d/e", DIRECTORY, 0o755, THEN, 5), ""),
        (found("d/e/x", file.clone(), 0o644, THEN, 6), "x"),
        (found("f", file, 0o644, THEN, 7), "f"),
        (found("l", link, 0o777, THEN, 8), ""),
    ]
}

/// What a command does to a copy.
type Touch<'a> = &'a dyn Fn(&mut Vec<(Found, &'static str)>);

#[test]
fn of_a_copy_only_what_is_otherwise_is_in_the_layer() {
    let changed = |change: Touch| {
        let mut upper = copied();
        change(&mut upper);
        upper.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        shown_of(&base(), &upper, &["proc"], true)
    };
    let without = |path: &'static str| {
        move |upper: &mut Vec<(Found, &'static str)>| {
            let path = self::path(path);
            upper.retain(|(found, _)| found.path != path && !found.path.is_in(&path));
        }
    };
    assert_eq!(changed(&|_| {}), [""; 0]);
    assert_eq!(
        changed(&|upper| upper.push((found("proc", DIRECTORY, 0o755, NOW, 9), ""))),
        [""; 0]
    );
    assert_eq!(changed(&without("f")), ["w 0000 0 f"]);
    let gone = ["d 0755 100 d", "w 0000 0 d/e"];
    assert_eq!(changed(&without("d/e")), gone);
    // Of two names one alone.
    let alone = ["d 0755 100 d", "f 4755 100 d/a"];
    assert_eq!(changed(&|upper| upper[2].0.mode = 0o4755), alone);
    // A third name goes with the one that it was made of.
    let linked = ["d 0755 100 d", "f 0644 100 d/a", "h 0644 100 x=d/a"];
    assert_eq!(
        changed(&|upper| {
            let mut third = upper[2].clone();
            third.0.path = path("x");
            upper.push(third);
        }),
        linked
    );
    // Names that are linked once more are as they were.
    assert_eq!(changed(&|upper| upper[3].0.inode = 3), [""; 0]);
    // A directory that was replaced, and one whose mode alone is another.
    let replaced = ["d 0755 100 d", "d 0755 100 d/e", "w 0000 0 d/e/x"];
    let replace = |upper: &mut Vec<(Found, &'static str)>| {
        without("d/e/x")(upper);
        upper[4].0.mtime = NOW;
    };
    assert_eq!(changed(&replace), replaced);
    assert_eq!(changed(&|upper| upper[1].0.mode = 0o700), ["d 0700 100 d"]);
    let file = |upper: &mut Vec<(Found, &'static str)>| {
        without("d/e")(upper);
        let kind = FoundKind::File { size: 1 };
        upper.push((found("d/e", kind, 0o644, NOW, 9), "e"));
    };
    assert_eq!(changed(&file), ["d 0755 100 d", "f 0644 7 d/e"]);
}

#[test]
fn what_is_gone_is_one_removal_each() {
    let upper = [
        (found("d/a", GONE, 0, NOW, 2), ""),
        (found("d/e", GONE, 0, NOW, 3), ""),
        (found("d/never", GONE, 0, NOW, 3), ""),
    ];
    let expected = ["d 0755 100 d", "w 0000 0 d/a", "w 0000 0 d/e"];
    assert_eq!(shown(&base(), &upper, &[]), expected);
}

#[test]
fn a_file_takes_a_directorys_place_and_the_reverse() {
    let upper = [
        (found("d", FoundKind::File { size: 1 }, 0o644, NOW, 1), "d"),
        (found("f", DIRECTORY, 0o755, NOW, 2), ""),
        (found("f/x", FoundKind::Fifo, 0o644, NOW, 3), ""),
    ];
    let expected = ["f 0644 7 d", "d 0755 7 f", "p 0644 7 f/x"];
    assert_eq!(shown(&base(), &upper, &[]), expected);
}

#[test]
fn names_of_one_file_stay_links_also_one_more_of_a_file_below() {
    let mut upper = vec![
        (
            found("d/a", FoundKind::File { size: 1 }, 0o644, (100, 0), 2),
            "a",
        ),
        (
            found("d/b", FoundKind::File { size: 1 }, 0o644, (100, 0), 2),
            "a",
        ),
    ];
    // As they were.
    assert_eq!(shown(&base(), &upper, &[]), [""; 0]);
    upper.push((
        found("x", FoundKind::File { size: 1 }, 0o644, (100, 0), 2),
        "a",
    ));
    let expected = [
        "d 0755 100 d",
        "f 0644 100 d/a",
        "h 0644 100 d/b=d/a",
        "h 0644 100 x=d/a",
    ];
    assert_eq!(shown(&base(), &upper, &[]), expected);
}

#[test]
fn what_is_there_for_mounts_alone_and_sockets_are_left_out() {
    let upper = [
        (found("d", DIRECTORY, 0o755, NOW, 1), ""),
        (found("d/e/s", FoundKind::Socket, 0o755, NOW, 5), ""),
        (found("etc", DIRECTORY, 0o755, NOW, 2), ""),
        (
            found("etc/hosts", FoundKind::File { size: 0 }, 0o644, NOW, 3),
            "",
        ),
        (found("m", DIRECTORY, 0o755, NOW, 4), ""),
        (found("m/n", DIRECTORY, 0o755, NOW, 5), ""),
        (found("used", DIRECTORY, 0o755, NOW, 6), ""),
        (found("used/by", DIRECTORY, 0o755, NOW, 7), ""),
        (found("used/it", FoundKind::Fifo, 0o644, NOW, 8), ""),
    ];
    let mounts = ["etc", "etc/hosts", "m", "m/n", "used", "used/by", "proc"];
    let expected = ["d 0755 7 used", "p 0644 7 used/it", "s /d/e/s"];
    assert_eq!(shown(&base(), &upper, &mounts), expected);
}
