//! Folders of layers, copied. In: what layers hold of each other. Out: what is seen of them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;
use crate::sandbox::notify::owner::record::Owner;

/// Layers in a folder that goes with the value, the lowest first.
struct Ground {
    folder: tempfile::TempDir,
    layers: Vec<PathBuf>,
}

impl Ground {
    fn new(count: usize) -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let layers = (0..count).map(|number| folder.path().join(number.to_string()));
        let layers: Vec<_> = layers.collect();
        for layer in &layers {
            std::fs::create_dir(layer).unwrap();
        }
        std::fs::create_dir(folder.path().join("into")).unwrap();
        Ground { folder, layers }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("into")
    }

    fn write(&self, layer: usize, path: &str, text: &str) -> PathBuf {
        let path = self.layers[layer].join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn mark(&self, layer: usize, folder: &str, mark: impl Fn(&OwnedFd) -> io::Result<()>) {
        let folder = self.layers[layer].join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        mark(&folder::open_folder(&folder).unwrap()).unwrap();
    }

    /// What is seen: each file with its content, each directory with a slash.
    fn seen(&self) -> Vec<String> {
        copy(
            &self.layers,
            &Table::new(),
            &self.target(),
            &mut Table::new(),
        )
        .unwrap();
        let found = list::list(&self.target(), &Vec::new()).unwrap();
        let seen = found.iter().skip(1).map(|found| {
            let path = self.target().join(found.path.lossy().as_ref());
            match std::fs::read_to_string(&path) {
                Ok(text) => format!("{}={text}", found.path.lossy()),
                Err(_) => format!("{}/", found.path.lossy()),
            }
        });
        seen.collect()
    }
}

#[test]
fn the_highest_that_has_a_name_is_seen_and_what_is_gone_is_not() {
    let ground = Ground::new(3);
    ground.write(0, "a/low", "0");
    ground.write(0, "a/gone", "0");
    ground.write(0, "a/changed", "0");
    ground.write(0, "hidden/low", "0");
    ground.write(0, "hidden/deep/low", "0");
    ground.write(0, "file/in/place", "0");
    ground.write(0, "directory", "0");
    ground.write(0, "back/low", "0");
    ground.write(1, "a/changed", "1");
    ground.mark(1, "a", |a| marks::make_whiteout(a, b"gone"));
    ground.mark(1, "hidden", |hidden| marks::make_opaque(hidden, b"."));
    ground.write(1, "hidden/deep/high", "1");
    ground.write(1, "file", "1");
    ground.write(1, "directory/high", "1");
    ground.mark(1, "", |top| marks::make_whiteout(top, b"back"));
    ground.write(2, "hidden/highest", "2");
    // What layer 1 took away comes back in layer 2, without what layer 0 had in it.
    ground.write(2, "back/high", "2");
    let seen = ground.seen();
    let expected = [
        "a/",
        "a/changed=1",
        "a/low=0",
        "back/",
        "back/high=2",
        "directory/",
        "directory/high=1",
        "file=1",
        "hidden/",
        "hidden/deep/",
        "hidden/deep/high=1",
        "hidden/highest=2",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn marks_of_a_file_system_that_keeps_the_overlays_for_itself_are_read() {
    let ground = Ground::new(2);
    ground.write(0, "gone", "0");
    ground.write(0, "empty", "0");
    ground.write(0, "hidden/low", "0");
    let place = |name: &str| ground.layers[1].join(name);
    ground.write(1, "gone", "");
    ground.write(1, "empty", "");
    std::fs::create_dir(place("hidden")).unwrap();
    let flags = XattrFlags::empty();
    rustix::fs::setxattr(place("gone"), "user.cairn.whiteout", b"y", flags).unwrap();
    rustix::fs::setxattr(place("hidden"), "user.cairn.opaque", b"y", flags).unwrap();
    assert_eq!(ground.seen(), ["empty=", "hidden/"]);
    let names = list::xattrs(&folder::open_folder(&ground.target()).unwrap(), b"hidden");
    assert!(
        names
            .unwrap()
            .keys()
            .all(|name| !name.starts_with(b"user.cairn"))
    );
}

#[test]
fn all_that_a_file_has_goes_along_and_each_name_is_a_file() {
    let ground = Ground::new(1);
    let file = ground.write(0, "d/file", "text");
    let mode = |bits| std::fs::Permissions::from_mode(bits);
    std::fs::hard_link(&file, file.with_file_name("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", file.with_file_name("symlink")).unwrap();
    let (kind, bits) = (FileType::Fifo, Mode::from_raw_mode(0o622));
    rustix::fs::mknodat(rustix::fs::CWD, file.with_file_name("pipe"), kind, bits, 0).unwrap();
    std::fs::set_permissions(&file, mode(0o4751)).unwrap();
    let flags = XattrFlags::empty();
    rustix::fs::setxattr(&file, "user.note", b"kept", flags).unwrap();
    // Of version 2: NET_RAW. Root alone may set it, which is lost with a change of the owner.
    let capable = [0, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = rustix::fs::setxattr(&file, "security.capability", &capable, flags);
    assert_eq!(set.is_ok(), rustix::process::geteuid().is_root());
    let past = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(77, 5);
    std::fs::File::open(&file)
        .unwrap()
        .set_modified(past)
        .unwrap();
    let directory = file.parent().unwrap();
    std::fs::set_permissions(directory, mode(0o1711)).unwrap();
    std::fs::File::open(directory)
        .unwrap()
        .set_modified(past)
        .unwrap();
    // An owner that a link can't say goes along with it.
    let owner = Owner { uid: 5, gid: 6 };
    let from = folder::open_folder(directory).unwrap();
    let mut links = Table::new();
    links
        .insert(record::inode_in(&from, b"symlink").unwrap(), owner)
        .unwrap();
    let mut copied = Table::new();
    copy(&ground.layers, &links, &ground.target(), &mut copied).unwrap();
    let into = ground.target().join("d");
    let opened = folder::open_folder(&into).unwrap();
    assert_eq!(
        copied.get(&record::inode_in(&opened, b"symlink").unwrap()),
        Some(owner)
    );
    for name in ["", "file", "link", "symlink", "pipe"] {
        let [from, to] = [directory, &into].map(|folder| folder.join(name).symlink_metadata());
        let (from, to) = (from.unwrap(), to.unwrap());
        assert_eq!(from.mode(), to.mode(), "{name}");
        assert_eq!((from.uid(), from.gid()), (to.uid(), to.gid()), "{name}");
        assert_eq!(from.modified().unwrap(), to.modified().unwrap(), "{name}");
        assert!(to.is_dir() || to.nlink() == 1, "{name}");
    }
    assert_eq!(std::fs::read_to_string(into.join("link")).unwrap(), "text");
    assert_eq!(
        std::fs::read_link(into.join("symlink")).unwrap(),
        Path::new("nowhere")
    );
    let xattrs = list::xattrs(&opened, b"file").unwrap();
    let kept = xattrs.get(b"security.capability".as_slice());
    assert_eq!(
        kept.map(|value| &**value),
        set.ok().map(|()| capable.as_slice())
    );
    assert_eq!(
        xattrs.get(b"user.note".as_slice()).map(|value| &**value),
        Some(b"kept".as_slice())
    );
}
