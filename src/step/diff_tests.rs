//! Differences of made-up upper directories.
//!
//! In: a file system, another one, and every way in which an overlay may write down how the one
//! became the other. Out: one layer, which makes the other of the one.

use proptest::prelude::*;

use super::*;
use crate::layer::{Entry, Tree};

type Time = (i64, u32);

const BEGAN: Time = (1_000, 500);
const ENDED: Time = (2_000, 500);
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
    let found: Vec<_> = upper.iter().map(|(found, _)| found.clone()).collect();
    let stubs: Vec<_> = stubs.iter().map(|target| path(target)).collect();
    let circumstances = Circumstances {
        epoch: EPOCH.parse().unwrap(),
        began: BEGAN,
        ended: ENDED,
        stubs: &stubs,
        is_copy: false,
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

/// A file system of a few paths: what is at each, none, a directory or a file.
type Sketch = Vec<u8>;

const PLACES: [&str; 8] = ["a", "a/b", "a/b/c", "a/d", "e", "e/f", "e/f/g", "h"];

/// What `sketch` has at the place of that number: 0 nothing, 1 and 2 directories, from 3 on files.
fn at(sketch: &Sketch, number: usize) -> u8 {
    let place = PLACES[number];
    let parent = place.rsplit_once('/').map(|(parent, _)| parent);
    let parent = parent.and_then(|parent| PLACES.iter().position(|other| *other == parent));
    match parent {
        Some(parent) if !matches!(at(sketch, parent), 1 | 2) => 0,
        _ => sketch[number],
    }
}

fn kind_of(code: u8) -> (Kind, u16) {
    match code {
        1 => (Kind::Directory, 0o755),
        2 => (Kind::Directory, 0o700),
        code => (file_kind(&code.to_string()), 0o644),
    }
}

fn made(sketch: &Sketch) -> Rootfs {
    let places = (0..PLACES.len()).filter(|&number| at(sketch, number) != 0);
    let entries = places.map(|number| {
        let (kind, mode) = kind_of(at(sketch, number));
        entry(PLACES[number], kind, mode)
    });
    rootfs(entries.collect())
}

/// An upper directory that makes `after` of `before`: `noise` says where something is copied up
/// for nothing, and which directories are opaque.
fn upper(before: &Sketch, after: &Sketch, noise: &[(bool, bool)]) -> Vec<(Found, &'static str)> {
    const TEXTS: [&str; 6] = ["", "", "", "3", "4", "5"];
    let mut all: Vec<(Found, &'static str)> = Vec::new();
    let mut opaque: Vec<&str> = Vec::new();
    for (number, place) in PLACES.iter().enumerate() {
        let (old, new) = (at(before, number), at(after, number));
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent_is_new = !parent.is_empty()
            && all
                .iter()
                .any(|(found, _)| found.path == path(parent) && found.kind == OPAQUE);
        let is_hidden = opaque.contains(&parent) || parent_is_new;
        let is_directory = |code| matches!(code, 1 | 2);
        let has_below = |sketch: &Sketch| {
            (0..PLACES.len()).any(|below| {
                PLACES[below].starts_with(&format!("{place}/")) && at(sketch, below) != 0
            })
        };
        let differs_below = (0..PLACES.len()).any(|below| {
            PLACES[below].starts_with(&format!("{place}/"))
                && (at(before, below) != at(after, below) || noise[below].0)
        });
        let wanted = is_hidden || old != new || noise[number].0 || differs_below;
        if new == 0 {
            if old != 0
                && !is_hidden
                && (parent.is_empty()
                    || is_directory(at(
                        after,
                        PLACES.iter().position(|other| *other == parent).unwrap(),
                    )))
            {
                all.push((found(place, GONE, 0, NOW, number as u64), ""));
            }
            continue;
        }
        if !wanted {
            continue;
        }
        if is_directory(new) {
            let (_, mode) = kind_of(new);
            let mut directory = found(place, DIRECTORY, mode, NOW, number as u64);
            // All that is seen below is then above: whatever stays must be copied up.
            let is_opaque = is_directory(old) && noise[number].1 && has_below(before);
            if is_opaque {
                directory.kind = OPAQUE;
            }
            if is_opaque || is_hidden {
                opaque.push(place);
            }
            all.push((directory, ""));
        } else {
            let text = TEXTS[usize::from(new)];
            let size = text.len() as u64;
            all.push((
                found(place, FoundKind::File { size }, 0o644, NOW, number as u64),
                text,
            ));
        }
    }
    all
}

proptest! {
    #[test]
    fn the_layer_makes_the_file_system_and_depends_on_nothing_else(
        before in prop::collection::vec(0_u8..6, PLACES.len()),
        after in prop::collection::vec(0_u8..6, PLACES.len()),
        noise in prop::collection::vec(any::<(bool, bool)>(), PLACES.len()),
    ) {
        let base = made(&before);
        let quiet = vec![(false, false); PLACES.len()];
        let trees = [quiet, noise].map(|noise| {
            let upper = upper(&before, &after, &noise);
            let found: Vec<_> = upper.iter().map(|(found, _)| found.clone()).collect();
            let content = |number: usize| {
                let (digest, origin) = (Digest::of(upper[number].1.as_bytes()), Origin::None);
                Ok(Content { digest, origin })
            };
            let circumstances = Circumstances {
                epoch: "100".parse().unwrap(),
                began: BEGAN,
                ended: ENDED,
                stubs: &[],
                is_copy: false,
            };
            diff(&base, &found, &content, &circumstances).unwrap().change.tree
        });
        prop_assert_eq!(trees[0].to_text(), trees[1].to_text());
        let mut got = base.clone();
        got.push(&trees[1], &[]);
        let rows = |rootfs: &Rootfs| -> Vec<_> {
            let root = EntryPath::root();
            let rows = rootfs.below(&root);
            rows.map(|(path, node)| (path.clone(), node.kind.clone(), node.meta.clone())).collect()
        };
        prop_assert_eq!(rows(&got), rows(&made(&after)));
        let is_same = rows(&base) == rows(&got);
        prop_assert_eq!(trees[0].entries().is_empty(), is_same);
    }
}
