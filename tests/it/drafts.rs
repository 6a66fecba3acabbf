//! Steps one after another, compared with what GNU tools make of a real folder: whatever they do,
//! the same tree comes out, and what they can't do is refused.

use std::path::Path;
use std::process::Command;

use cairn::canon::{Digest, EntryPath, Epoch};
use cairn::inputs::{Files, Origin, Pick};
use cairn::layer::codec::Expansion;
use cairn::layer::{Entry, Kind, Meta, Rootfs, Tree};
use cairn::plan::Mode;
use cairn::plan::step::Destination;
use cairn::step::copy::{Metadata, copy};
use cairn::step::unpack::unpack;
use cairn::step::{Change, Draft, Error, place};
use cairn::store::Store;
use proptest::prelude::*;

use crate::support::programs::skipped;
use crate::support::tars::archive;
use crate::support::temp;
use crate::support::tree::{self, Row, What, lossy};

/// A step.
#[derive(Debug, Clone)]
enum Operation {
    File { path: String, content: String },
    Directory { path: String, mode: u16 },
    Symlink { path: String, target: String },
    Remove { path: String },
    CopyFile { to: String },
    CopyFolder { to: String },
    Unpack { to: String },
}

use Operation::*;

/// What each operation is as a shell script in a root; `$1` and `$2` are its fields, `$from` a
/// folder with the sources. Where there is a directory nothing else takes its place.
impl Operation {
    fn script(&self) -> (&'static str, [String; 2]) {
        match self.clone() {
            File { path, content } => (
                "[ ! -d $1 ]; mkdir -p $(dirname $1); rm -f $1; printf %s $2 > $1",
                [path, content],
            ),
            Directory { path, mode } => ("mkdir -p $1; chmod $2 $1", [path, format!("{mode:o}")]),
            Symlink { path, target } => (
                "[ -L $1 ] || [ ! -d $1 ]; mkdir -p $(dirname $1); rm -f $1; ln -sT $2 $1",
                [path, target],
            ),
            Remove { path } => ("[ -L $1 ] || [ -e $1 ]; rm -r $1", [path, String::new()]),
            CopyFile { to } => (
                "case $1 in */) mkdir -p $1; esac; mkdir -p $(dirname $1); \
                 at=$1; if [ -d $1 ]; then at=$1/b; elif [ -L $1 ]; then at=$(readlink -m $1); \
                 mkdir -p $(dirname $at); fi; [ -L $at ] || [ ! -d $at ]; \
                 cp -a --remove-destination $from/b $at",
                [to, String::new()],
            ),
            CopyFolder { to } => (
                "mode=750; case $1 in */) mode=755; esac; \
                 [ ! -d $1 ] || mode=$(stat -Lc %a $1); mkdir -p $1; \
                 cp -a --remove-destination $from/folder/. $1/.; chmod $mode $1",
                [to, String::new()],
            ),
            Unpack { to } => ("mkdir -p $1; tar -C $1 -xpf $from/tar", [to, String::new()]),
        }
    }

    fn change(&self, base: &Rootfs, store: &Store) -> Result<Change, Error> {
        let epoch = Epoch::default();
        let mut draft = Draft::new(base, epoch, (0, 0));
        let plain = Metadata::default();
        match self {
            File { path, content } => {
                place::file(&mut draft, &entry_path(path), content, &plain, epoch)?
            }
            Directory { path, mode } => {
                let mode = Some(Mode::Bits(*mode));
                let metadata = Metadata { mode, ..plain };
                place::directory(&mut draft, &entry_path(path), false, &metadata, epoch)?
            }
            Symlink { path, target } => {
                place::symlink(&mut draft, &entry_path(path), target, epoch)?
            }
            Remove { path } => place::remove(&mut draft, &[format!("/{path}")], false)?,
            CopyFile { to } => {
                let files = files("b", vec![("", FILE)]);
                copy(&mut draft, &[&files], &destination(to), &plain, None)?
            }
            CopyFolder { to } => copy(
                &mut draft,
                &[&files("folder", FOLDER.to_vec())],
                &destination(to),
                &plain,
                None,
            )?,
            Unpack { to } => {
                let bytes = tar();
                let kind = file_kind(&bytes);
                let files = picked("tar", vec![("", kind, 0o644, Origin::Bytes(bytes.into()))]);
                let limit = Expansion::UNLIMITED;
                unpack(
                    &mut draft,
                    &files,
                    &destination(to),
                    0,
                    &plain,
                    store,
                    limit,
                )?
            }
        }
        draft.finish()
    }
}

const FILE: (&str, u16) = ("copied", 0o640);
const FOLDER: [(&str, (&str, u16)); 5] = [
    ("", ("/", 0o750)),
    ("a", ("/", 0o700)),
    ("a/b", ("within", 0o600)),
    ("b", ("beside", 0o644)),
    ("l", (">a", 0o777)),
];

fn tar() -> Vec<u8> {
    archive(&[
        ("b/", b'5', ""),
        ("b/c", b'0', "linked"),
        ("c", b'1', "b/c"),
        ("b/a", b'2', "c"),
    ])
}

fn entry_path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

fn destination(to: &str) -> Destination {
    Destination {
        path: entry_path(to),
        is_directory: to.ends_with('/'),
    }
}

fn file_kind(content: &[u8]) -> Kind {
    Kind::File {
        size: content.len() as u64,
        digest: Digest::of(content),
    }
}

fn files(name: &str, entries: Vec<(&str, (&str, u16))>) -> Files {
    let entries = entries
        .into_iter()
        .map(|(path, (text, mode))| (path, kind(text), mode, Origin::None));
    picked(name, entries.collect())
}

/// `/` is a directory, `>target` a link, else the content of a file.
fn kind(text: &str) -> Kind {
    match text.strip_prefix('>') {
        Some(target) => Kind::Symlink(target.as_bytes().into()),
        None if text == "/" => Kind::Directory,
        None => file_kind(text.as_bytes()),
    }
}

fn picked(name: &str, entries: Vec<(&str, Kind, u16, Origin)>) -> Files {
    let (mut rows, mut origins) = (Vec::new(), Vec::new());
    for (path, kind, mode, origin) in entries {
        let (path, meta) = (entry_path(path), Meta::plain(mode, 0));
        rows.push(Entry { path, kind, meta });
        origins.push(origin);
    }
    let pick = Pick {
        name: entry_path(name),
        kept: None,
        tree: Tree::new(rows).unwrap(),
        origins,
    };
    Files { picks: vec![pick] }
}

/// The folder that the scripts copy from.
fn write_sources(from: &Path) {
    let script = "cd \"$from\"; printf copied > b; chmod 0640 b; mkdir -p folder/a; \
                  printf within > folder/a/b; printf beside > folder/b; ln -s a folder/l; \
                  chmod 0600 folder/a/b; chmod 0644 folder/b; chmod 0700 folder/a; chmod 0750 folder";
    assert!(shell(from, from, script, &[]));
    std::fs::write(from.join("tar"), tar()).unwrap();
}

fn shell(folder: &Path, from: &Path, script: &str, arguments: &[String]) -> bool {
    let script = format!("umask 022; {script}");
    let mut command = Command::new("sh");
    command.args(["-euc", &script, "sh"]).args(arguments);
    let output = command.current_dir(folder).env("from", from).output();
    output.unwrap().status.success()
}

fn operation() -> impl Strategy<Value = Operation> {
    let path = || "([abc]/){0,2}[abcl]";
    let to = || "([abc]/){0,2}[abcl]/?";
    prop_oneof![
        (path(), "[xyz]{0,2}").prop_map(|(path, content)| File { path, content }),
        (path(), prop::sample::select(vec![0o755, 0o1777, 0o700]))
            .prop_map(|(path, mode)| Directory { path, mode }),
        (path(), "[abc](/[abc])?").prop_map(|(path, target)| Symlink { path, target }),
        path().prop_map(|path| Remove { path }),
        to().prop_map(|to| CopyFile { to }),
        to().prop_map(|to| CopyFolder { to }),
        to().prop_map(|to| Unpack { to }),
    ]
}

fn rows(rootfs: &Rootfs) -> tree::Tree {
    let mut rows = tree::Tree::new();
    let mut firsts = std::collections::BTreeMap::new();
    for (path, node) in rootfs.below(&EntryPath::root()) {
        let name = lossy(path.as_bytes());
        let mut links = None;
        let what = match &node.kind {
            Kind::File { digest, .. } => {
                let first: &mut String = firsts.entry(node.inode).or_insert(name.clone());
                if *first != name {
                    let row: &mut Row = rows.get_mut(first.as_bytes()).unwrap();
                    row.links = Some(first.clone());
                    links = row.links.clone();
                }
                What::File(*digest)
            }
            Kind::Symlink(target) => What::Symlink(lossy(target)),
            _ => What::Directory,
        };
        let row = Row {
            what,
            mode: u32::from(node.meta.mode),
            owner: (node.meta.uid, node.meta.gid),
            mtime: (0, 0),
            xattrs: Default::default(),
            links,
        };
        rows.insert(path.as_bytes().to_vec(), row);
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_do_what_gnu_tools_do(operations in proptest::collection::vec(operation(), 1..9)) {
        if !rustix::process::geteuid().is_root() {
            skipped("only root may give files to others and look into closed folders");
            return Ok(());
        }
        let (folder, store) = (temp(), temp());
        let store = Store::open(store.path()).unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["from", "root"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        write_sources(&at("from"));
        let mut rootfs = Rootfs::default();
        for operation in &operations {
            let change = operation.change(&rootfs, &store);
            let (script, fields) = operation.script();
            // In a copy, as half of it may be done before it fails.
            prop_assert!(shell(folder.path(), folder.path(), "rm -rf next; cp -a root next", &[]));
            let is_done = shell(&at("next"), &at("from"), script, &fields);
            match change {
                Ok(change) if is_done => {
                    rootfs.push(&change.tree, &[]);
                    prop_assert!(shell(folder.path(), folder.path(), "rm -r root; mv next root", &[]));
                }
                // Tools make nothing through a link that leads nowhere.
                Ok(_) => {}
                // tar puts files and directories in each other's place.
                Err(_) => prop_assert!(!is_done || matches!(operation, Unpack { .. }), "{:?}", operation),
            }
        }
        let (mut got, mut expected) = (rows(&rootfs), tree::read(&at("root")));
        for row in got.values_mut().chain(expected.values_mut()) {
            row.mtime = (0, 0);
            if matches!(row.what, What::Symlink(_)) {
                row.mode = 0;
            }
        }
        tree::assert_same(&format!("{operations:?}"), &got, &expected);
    }
}
