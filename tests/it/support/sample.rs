//! An image that holds one of everything: its recipe, and the files that must come out, worked
//! out from what goes in and never from what cairn writes.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cairn::canon::Digest;

use super::registry::{noise, write};
use super::tree::{Row, Tree, What};

/// The build's own timestamp: 1980-01-01.
pub const EPOCH: i64 = 315_532_800;

/// What the image prints, as `podman run` and its like have it.
pub const SAYS: &str = "grüße 1000:1000 /home/app one two\n";

/// A folder with the recipe and its context.
pub struct Sample {
    pub folder: tempfile::TempDir,
    pub expected: Tree,
}

/// A member of an archive.
#[derive(Clone)]
struct Member {
    path: String,
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone)]
enum Kind {
    File(Vec<u8>),
    Directory,
    Symlink(String),
    Hardlink(String),
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
}

fn member(path: &str, kind: Kind, mode: u32) -> Member {
    Member {
        path: path.to_owned(),
        kind,
        mode,
        owner: (1000, 100),
        mtime: 1_234_567_890,
        xattrs: BTreeMap::new(),
    }
}

fn file(path: &str, text: &str, mode: u32) -> Member {
    member(path, Kind::File(text.into()), mode)
}

fn long(length: usize) -> String {
    "long-name-".chars().cycle().take(length).collect()
}

/// `cap_net_raw` permitted and effective: `struct vfs_cap_data`, revision 2.
fn capability() -> Vec<u8> {
    let words = [0x0200_0001_u32, 1 << 13, 0, 0, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What the first archive holds.
fn first() -> Vec<Member> {
    let text = |name: &str| Kind::Symlink(name.to_owned());
    let hard = |name: &str| Kind::Hardlink(name.to_owned());
    let mut members = vec![
        member("d1", Kind::Directory, 0o700),
        file("d1/setuid", "suid", 0o4755),
        file("d1/setgid", "sgid", 0o2711),
        file("d1/none", "", 0),
        file("d1/hard-a", "three names", 0o640),
        member("d2", Kind::Directory, 0o2775),
        member("d2/hard-b", hard("d1/hard-a"), 0o640),
        member("d2/hard-c", hard("d1/hard-a"), 0o640),
        member("sticky", Kind::Directory, 0o1777),
        member("empty", Kind::Directory, 0o755),
        member("zero", Kind::Character(1, 5), 0o666),
        member("loop", Kind::Block(7, 200), 0o660),
        member("pipe", Kind::Fifo, 0o622),
        member("far", Kind::Directory, 0o755),
        member("gone", Kind::Directory, 0o755),
        file("gone/first", "loses a name", 0o644),
        member("kept-2", hard("gone/first"), 0o644),
        member("kept-3", hard("gone/first"), 0o644),
        file("replaced", "old", 0o644),
        file("to-link", "a file", 0o644),
        member("to-file", text("d1/../nowhere"), 0o777),
        member("swap", Kind::Directory, 0o755),
        file("swap/inside", "x", 0o644),
        member(&long(150), Kind::Directory, 0o755),
        member(&format!("{0}/{0}", long(150)), text(&long(300)), 0o777),
    ];
    let many = format!("{0}/hard-{0}", long(150));
    members.push(member(&many, hard("d1/hard-a"), 0o640));
    for (name, mtime) in [
        ("1970", 0),
        ("1960", -315_619_200),
        ("2038", 2_147_483_648),
        ("2242", 8_589_934_592),
    ] {
        let name = format!("far/{name}");
        members.push(Member {
            mtime,
            ..file(&name, "", 0o644)
        });
    }
    let capable = BTreeMap::from([("security.capability".to_owned(), capability())]);
    let user = BTreeMap::from([
        ("user.binary".to_owned(), b"a=b\nc\0\xff".to_vec()),
        ("user.empty".to_owned(), Vec::new()),
    ]);
    let owners = Member {
        owner: (3_000_000, 4_000_000_000),
        ..file("d1/owners", "who", 0o600)
    };
    members.push(owners);
    for (name, xattrs) in [("d1/capable", capable), ("d1/xattrs", user)] {
        members.push(Member {
            xattrs,
            owner: (0, 0),
            ..file(name, name, 0o755)
        });
    }
    members
}

/// What the second archive puts over it.
fn second() -> Vec<Member> {
    let text = |name: &str| Kind::Symlink(name.to_owned());
    let mut changed = member("sticky", Kind::Directory, 0o1755);
    changed.xattrs = BTreeMap::from([("user.on-a-directory".to_owned(), b"1".to_vec())]);
    vec![
        file("replaced", "new and longer", 0o600),
        member("to-link", text("replaced"), 0o777),
        file("to-file", "was a link", 0o644),
        changed,
        file("empty/no-more", "x", 0o644),
    ]
}

fn archive(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_ustar();
        let (letter, link, content, device): (u8, &str, &[u8], _) = match &member.kind {
            Kind::File(content) => (b'0', "", content, None),
            Kind::Hardlink(target) => (b'1', target, b"", None),
            Kind::Symlink(target) => (b'2', target, b"", None),
            Kind::Character(major, minor) => (b'3', "", b"", Some((*major, *minor))),
            Kind::Block(major, minor) => (b'4', "", b"", Some((*major, *minor))),
            Kind::Directory => (b'5', "", b"", None),
            Kind::Fifo => (b'6', "", b"", None),
        };
        let mut records = vec![
            ("path".to_owned(), member.path.clone().into_bytes()),
            ("uid".to_owned(), member.owner.0.to_string().into_bytes()),
            ("gid".to_owned(), member.owner.1.to_string().into_bytes()),
            ("mtime".to_owned(), member.mtime.to_string().into_bytes()),
        ];
        if !link.is_empty() {
            records.push(("linkpath".to_owned(), link.into()));
        }
        for (name, value) in &member.xattrs {
            records.push((format!("SCHILY.xattr.{name}"), value.clone()));
        }
        let records = records.iter().map(|(key, value)| (&key[..], &value[..]));
        builder.append_pax_extensions(records).unwrap();
        header.set_entry_type(tar::EntryType::new(letter));
        header.set_mode(member.mode);
        header.set_size(content.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        if let Some((major, minor)) = device {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        }
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The file system as the steps say it should become.
#[derive(Default)]
struct Model {
    rows: BTreeMap<String, (Row, usize)>,
    inodes: usize,
}

impl Model {
    fn put(&mut self, path: &str, row: Row, inode: Option<usize>) {
        self.inodes += 1;
        let inode = inode.unwrap_or(self.inodes);
        self.rows.insert(path.to_owned(), (row, inode));
    }

    /// What the build makes itself.
    fn made(&mut self, path: &str, what: What, mode: u32, owner: (u32, u32)) {
        let row = Row {
            what,
            mode,
            owner,
            mtime: (EPOCH, 0),
            xattrs: BTreeMap::new(),
            links: None,
        };
        self.put(path, row, None);
    }

    fn file(&mut self, path: &str, content: &[u8], mode: u32) {
        self.made(path, What::File(Digest::of(content)), mode, (0, 0));
    }

    fn directory(&mut self, path: &str) {
        self.made(path, What::Directory, 0o755, (0, 0));
    }

    fn unpack(&mut self, to: &str, members: &[Member]) {
        for member in members {
            let path = format!("{to}/{}", member.path);
            let (what, inode) = match &member.kind {
                Kind::File(content) => (What::File(Digest::of(content)), None),
                Kind::Directory => (What::Directory, None),
                Kind::Symlink(target) => (What::Symlink(target.clone()), None),
                Kind::Character(major, minor) => (What::Character(*major, *minor), None),
                Kind::Block(major, minor) => (What::Block(*major, *minor), None),
                Kind::Fifo => (What::Fifo, None),
                Kind::Hardlink(target) => {
                    let (row, inode) = &self.rows[&format!("{to}/{target}")];
                    (row.what.clone(), Some(*inode))
                }
            };
            let row = Row {
                what,
                mode: member.mode,
                owner: member.owner,
                mtime: (member.mtime, 0),
                xattrs: member.xattrs.clone(),
                links: None,
            };
            self.put(&path, row, inode);
        }
    }

    fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.rows
            .retain(|other, _| other != path && !other.starts_with(&below));
    }

    fn finish(self) -> Tree {
        let mut names: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (path, (_, inode)) in &self.rows {
            names.entry(*inode).or_default().push(path.clone());
        }
        let rows = self.rows.into_iter().map(|(path, (mut row, inode))| {
            let names = &names[&inode];
            row.links = (names.len() > 1).then(|| names[0].clone());
            (path.into_bytes(), row)
        });
        rows.collect()
    }
}

const RECIPE: &str = r#"
platforms = ["linux/amd64"]
from = "scratch"

[[steps]]
copy = { paths = ["tree"], to = "/srv" }
[[steps]]
copy = { paths = ["busybox"], to = "/bin/", mode = "0755" }
[[steps]]
symlink = { path = "/bin/sh", target = "busybox" }
[[steps]]
unpack = { paths = ["first.tar"], to = "/data" }
[[steps]]
file = { path = "/etc/passwd", content = "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n" }
[[steps]]
directory = { path = "/home/app", mode = "0750", owner = "app:1000" }
[[steps]]
remove = { paths = ["/data/gone", "/data/swap", "/srv/dropped*"] }
[[steps]]
unpack = { paths = ["second.tar"], to = "/data" }
[[steps]]
file = { path = "/data/swap", content = "a file now", mode = "0400", owner = "1:2" }

[config]
entrypoint = ["/bin/sh", "-c", "echo \"$GREETING $(busybox id -u):$(busybox id -g) $(pwd) $0 $1\""]
cmd = ["one", "two"]
env = { PATH = "/bin", GREETING = "grüße" }
user = "app"
workdir = "/home/app"
ports = ["8080"]
volumes = ["/var/lib/app"]
labels = { "org.example.label" = "ü" }
stop-signal = "SIGINT"
healthcheck = { test = ["CMD", "/bin/busybox", "true"], interval = "30s", retries = 3 }
annotations = { "org.example.annotation" = "kept" }
author = "somebody"
"#;

/// The static busybox that the image runs.
pub fn busybox() -> Vec<u8> {
    let found = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find_map(|path| std::fs::read(path).ok());
    found.unwrap()
}

/// Writes the recipe and its context.
pub fn sample() -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let busybox = busybox();
    std::fs::write(at("cairn.toml"), RECIPE).unwrap();
    std::fs::write(at("busybox"), &busybox).unwrap();
    std::fs::write(at("first.tar"), archive(&first())).unwrap();
    std::fs::write(at("second.tar"), archive(&second())).unwrap();

    let deep = format!("{0}/{0}/{0}", long(90));
    let random = noise(7, 300_000);
    let files: Vec<(String, &[u8])> = vec![
        ("plain.txt".to_owned(), b"plain\n"),
        ("empty".to_owned(), b""),
        ("random.bin".to_owned(), &random),
        ("grüße/日本語.txt".to_owned(), "ü".as_bytes()),
        (format!("{deep}/file"), b"deep"),
        ("dropped-1".to_owned(), b"x"),
        ("dropped-2/inside".to_owned(), b"x"),
        ("stays/a b\tc".to_owned(), b"odd"),
    ];
    let mut model = Model::default();
    model.directory("srv");
    for (path, content) in &files {
        let path = format!("srv/{path}");
        for (at, _) in path.match_indices('/') {
            if !model.rows.contains_key(&path[..at]) {
                model.directory(&path[..at]);
            }
        }
        model.file(&path, content, 0o644);
    }
    model.file("srv/run.sh", b"#!/bin/sh\n", 0o755);
    model.directory("srv/empty-folder");
    let link = What::Symlink("../../else/where".to_owned());
    model.made("srv/dangling", link, 0o777, (0, 0));
    let link = What::Symlink("grüße/日本語.txt".to_owned());
    model.made("srv/link", link, 0o777, (0, 0));
    for (path, content) in &files {
        let path = at("tree").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    write(&at("tree/run.sh"), "#!/bin/sh\n");
    make_executable(&at("tree/run.sh"));
    std::fs::create_dir(at("tree/empty-folder")).unwrap();
    std::os::unix::fs::symlink("../../else/where", at("tree/dangling")).unwrap();
    std::os::unix::fs::symlink("grüße/日本語.txt", at("tree/link")).unwrap();

    model.directory("bin");
    model.file("bin/busybox", &busybox, 0o755);
    let link = What::Symlink("busybox".to_owned());
    model.made("bin/sh", link, 0o777, (0, 0));
    model.directory("data");
    model.unpack("data", &first());
    model.directory("etc");
    let passwd = "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
    model.file("etc/passwd", passwd.as_bytes(), 0o644);
    // Parents that have to be made get the owner of what they are made for.
    model.made("home", What::Directory, 0o755, (1000, 1000));
    model.made("home/app", What::Directory, 0o750, (1000, 1000));
    for path in ["data/gone", "data/swap", "srv/dropped-1", "srv/dropped-2"] {
        model.remove(path);
    }
    model.unpack("data", &second());
    let content = What::File(Digest::of(b"a file now"));
    model.made("data/swap", content, 0o400, (1, 2));
    let mut expected = model.finish();
    // No UTF-8, which a PAX record has to own up to.
    let latin = std::ffi::OsStr::from_bytes(b"tree/latin-\xe9");
    std::fs::write(at("").join(latin), "plain\n").unwrap();
    let row = expected[&b"srv/plain.txt"[..]].clone();
    expected.insert(b"srv/latin-\xe9".to_vec(), row);
    Sample { folder, expected }
}

fn make_executable(path: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(path, mode).unwrap();
}
