//! In: drafts over a file system. Out: what is different in their layers.

use super::*;
use crate::canon::Digest;

fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

fn file(content: &str) -> Kind {
    Kind::File {
        size: content.len() as u64,
        digest: Digest::of(content.as_bytes()),
    }
}

fn base() -> Rootfs {
    let meta = || Meta::plain(0o755, 315_532_800);
    let mut rootfs = Rootfs::default();
    let entry = |text: &str, kind| Entry {
        path: path(text),
        kind,
        meta: meta(),
    };
    let entries = vec![
        entry("usr", Kind::Directory),
        entry("usr/bin", Kind::Directory),
        entry("bin", Kind::Symlink((*b"usr/bin").into())),
        entry("same", file("same")),
        entry("self", Kind::Symlink((*b"self").into())),
    ];
    rootfs.push(&Tree::new(entries).unwrap(), &[]);
    rootfs
}

fn paths(draft: Draft) -> Vec<String> {
    draft
        .finish()
        .unwrap()
        .tree
        .entries()
        .iter()
        .map(|entry| entry.path.to_string())
        .collect()
}

#[test]
fn only_what_differs_is_in_the_layer() {
    let base = base();
    let mut draft = Draft::new(&base, Epoch::default(), (0, 0));
    let meta = Meta::plain(0o755, 315_532_800);
    draft
        .put(&path("same"), file("same"), meta.clone(), Origin::None)
        .unwrap();
    draft.put_directory(&path("usr"), meta.clone()).unwrap();
    draft
        .put(&path("usr/lib/x/y"), file("y"), meta, Origin::None)
        .unwrap();
    let expected = ["/usr", "/usr/lib", "/usr/lib/x", "/usr/lib/x/y"];
    assert_eq!(paths(draft), expected);
}

#[test]
fn directories_above_a_change_stand_in_its_layer_as_they_are() {
    let mut base = base();
    let private = Meta {
        uid: 7,
        ..Meta::plain(0o700, 9)
    };
    let directory = Entry {
        path: path("usr/private"),
        kind: Kind::Directory,
        meta: private.clone(),
    };
    base.push(&Tree::new(vec![directory]).unwrap(), &[]);
    // This one no layer names: it is only there for what it holds.
    let below = Entry {
        path: path("nameless/x"),
        kind: file(""),
        meta: Meta::plain(0o644, 0),
    };
    base.push(&Tree::new(vec![below]).unwrap(), &[]);
    let mut draft = Draft::new(&base, Epoch::default(), (0, 0));
    let meta = Meta::plain(0o644, 0);
    draft
        .put(&path("usr/private/key"), file("k"), meta, Origin::None)
        .unwrap();
    draft.remove(&path("nameless/x")).unwrap();
    let change = draft.finish().unwrap();
    let rows: Vec<_> = change.tree.entries().iter().collect();
    let names: Vec<_> = rows.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(
        names,
        ["/nameless/x", "/usr", "/usr/private", "/usr/private/key"]
    );
    assert_eq!(rows[2].meta, private);
    assert_eq!(change.origins.len(), rows.len());
}

#[test]
fn a_hard_link_keeps_its_content_when_its_first_name_is_taken() {
    let base = Rootfs::default();
    let mut draft = Draft::new(&base, Epoch::default(), (0, 0));
    let put = |draft: &mut Draft, name: &str, text: &str| {
        let meta = Meta::plain(0o644, 0);
        draft.put(&path(name), file(text), meta, Origin::None)
    };
    put(&mut draft, "a", "old").unwrap();
    for name in ["b", "c", "d"] {
        draft.put_link(&path(name), &path("a")).unwrap();
    }
    put(&mut draft, "c", "other").unwrap();
    put(&mut draft, "a", "new").unwrap();
    assert!(draft.put_link(&path("e"), &path("none")).is_err());
    let tree = draft.finish().unwrap().tree;
    let kinds: Vec<_> = tree.entries().iter().map(|entry| &entry.kind).collect();
    let expected = [
        &file("new"),
        &file("old"),
        &file("other"),
        &Kind::Hardlink(path("b")),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn links_to_directories_are_followed_and_others_replaced() {
    let base = base();
    let draft = Draft::new(&base, Epoch::default(), (0, 0));
    assert_eq!(draft.place(&path("bin")).unwrap(), path("usr/bin"));
    assert_eq!(draft.place(&path("bin/sh")).unwrap(), path("usr/bin/sh"));
    assert_eq!(draft.place(&path("self")).unwrap(), path("self"));
    assert!(draft.place(&path("self/sh")).is_err());
}

#[test]
fn files_and_directories_don_t_take_each_others_place() {
    let base = base();
    let mut draft = Draft::new(&base, Epoch::default(), (0, 0));
    let meta = || Meta::plain(0o644, 0);
    let put = draft.put(&path("usr"), file(""), meta(), Origin::None);
    assert!(matches!(put, Err(Error::FileOver(_))));
    assert!(matches!(
        draft.put_directory(&path("same"), meta()),
        Err(Error::DirectoryOver(_))
    ));
    let below = draft.put(&path("same/x"), file(""), meta(), Origin::None);
    assert!(matches!(below, Err(Error::NoDirectory { parent, .. }) if parent == path("same")));
    assert!(matches!(draft.remove(&EntryPath::root()), Err(Error::Root)));
}
