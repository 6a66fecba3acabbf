//! File systems as tables, to compare what a tool unpacked with what should be there.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use cairn::canon::Digest;

/// Everything below a root by its path, the root itself left out: no layer says what it is.
pub type Tree = BTreeMap<Vec<u8>, Row>;

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub what: What,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Nanoseconds too, as none should be there.
    pub mtime: (i64, i64),
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Of a file with several names, the first of them.
    pub links: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File(Digest),
    Directory,
    Symlink(String),
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
}

pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// What is below `root`.
pub fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut inodes = BTreeMap::new();
    below(root, b"", &mut tree, &mut inodes);
    for names in inodes.into_values().filter(|names| names.len() > 1) {
        let first = names.iter().min().unwrap();
        for name in &names {
            tree.get_mut(name).unwrap().links = Some(lossy(first));
        }
    }
    tree
}

#[expect(clippy::disallowed_methods, reason = "the table sorts")]
fn below(
    folder: &Path,
    at: &[u8],
    tree: &mut Tree,
    inodes: &mut BTreeMap<(u64, u64), Vec<Vec<u8>>>,
) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mut path = at.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(entry.file_name().into_vec());
        let file = entry.path();
        let stat = entry.metadata().unwrap();
        if stat.is_file() {
            let names = inodes.entry((stat.dev(), stat.ino())).or_default();
            names.push(path.clone());
        }
        let kind = stat.file_type();
        let device = (
            rustix::fs::major(stat.rdev()),
            rustix::fs::minor(stat.rdev()),
        );
        let what = match () {
            () if kind.is_dir() => What::Directory,
            () if kind.is_symlink() => {
                let target = std::fs::read_link(&file).unwrap();
                What::Symlink(lossy(target.as_os_str().as_bytes()))
            }
            () if kind.is_char_device() => What::Character(device.0, device.1),
            () if kind.is_block_device() => What::Block(device.0, device.1),
            () if kind.is_fifo() => What::Fifo,
            () => What::File(Digest::of(&std::fs::read(&file).unwrap())),
        };
        if kind.is_dir() {
            below(&file, &path, tree, inodes);
        }
        let row = Row {
            what,
            mode: stat.mode() & 0o7777,
            owner: (stat.uid(), stat.gid()),
            mtime: (stat.mtime(), stat.mtime_nsec()),
            xattrs: xattrs(&file),
            links: None,
        };
        tree.insert(path, row);
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0);
    let value = |name: &[u8]| {
        let name = lossy(name);
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap();
        value.truncate(length);
        (name, value)
    };
    names.filter(|name| !name.is_empty()).map(value).collect()
}

/// Asserts that both are the same, and shows only what differs.
#[track_caller]
pub fn assert_same(who: &str, got: &Tree, expected: &Tree) {
    let mut differences = Vec::new();
    let paths: std::collections::BTreeSet<_> = got.keys().chain(expected.keys()).collect();
    for path in paths {
        let (got, expected) = (got.get(path), expected.get(path));
        if got != expected {
            let name = lossy(path);
            differences.push(format!(
                "{name}\n  got      {got:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(differences.is_empty(), "{who}:\n{}", differences.join("\n"));
}
