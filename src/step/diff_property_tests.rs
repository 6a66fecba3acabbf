//! Differences of any upper directory.
//!
//! In: a file system, another one, and every way in which an overlay, or a copy, may write down how
//! the one became the other. Out: one layer, which makes the other of the one.

use proptest::prelude::*;

use super::*;

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

/// A copy of `before` that a command made `after` of: `noise` says what it touched for nothing.
fn copy(before: &Sketch, after: &Sketch, noise: &[(bool, bool)]) -> Vec<(Found, &'static str)> {
    const TEXTS: [&str; 6] = ["", "", "", "3", "4", "5"];
    let mut all = vec![(found("", DIRECTORY, 0o755, NOW, 100), "")];
    for (number, place) in PLACES.iter().enumerate() {
        let (old, new) = (at(before, number), at(after, number));
        if new == 0 {
            continue;
        }
        let is_touched = old != new || noise[number].0;
        let mtime = if is_touched { NOW } else { (100, 0) };
        let text = TEXTS[usize::from(new)];
        let (kind, mode) = match kind_of(new) {
            (Kind::Directory, mode) => (DIRECTORY, mode),
            (_, mode) => (
                FoundKind::File {
                    size: text.len() as u64,
                },
                mode,
            ),
        };
        all.push((found(place, kind, mode, mtime, number as u64), text));
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
        let uppers = [
            (upper(&before, &after, &quiet), false),
            (upper(&before, &after, &noise), false),
            (copy(&before, &after, &noise), true),
        ];
        let trees = uppers.map(|(upper, is_copy)| {
            let found: Vec<_> = upper.iter().map(|(found, _)| found.clone()).collect();
            let content = |number: usize| {
                let (digest, origin) = (Digest::of(upper[number].1.as_bytes()), Origin::None);
                Ok(Content { digest, origin })
            };
            let circumstances = Circumstances {
                epoch: "100".parse().unwrap(),
                began: BEGAN,
                ended: ENDED,
                clock: None,
                stubs: &[],
                is_copy,
            };
            diff(&base, &found, &content, &circumstances).unwrap().change.tree
        });
        prop_assert_eq!(trees[0].to_text(), trees[1].to_text());
        prop_assert_eq!(trees[0].to_text(), trees[2].to_text());
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
