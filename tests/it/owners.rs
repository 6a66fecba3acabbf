//! Ownership in sessions of one user: what commands give away is seen again, and listed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cairn::sandbox::{Exit, FoundKind, Request, Session, SessionSettings, Wanted};

use super::support::{require, temp};

/// A root with busybox, a file of somebody else, and a device.
fn base() -> Vec<u8> {
    use tar::EntryType::{Char, Directory, Regular, Symlink};
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let users = b"root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n";
    let programs = "chown chmod id ln ls mkdir mkfifo mknod mv rm sh stat su touch";
    let programs: Vec<_> = programs
        .split(' ')
        .map(|name| format!("bin/{name}"))
        .collect();
    let mut members = vec![
        ("bin", Directory, 0o755, b"".as_slice(), 0),
        ("bin/busybox", Regular, 0o4755, &busybox, 0),
        ("etc", Directory, 0o755, b"", 0),
        ("etc/passwd", Regular, 0o644, users, 0),
        ("etc/group", Regular, 0o644, b"alice:x:1000:\n", 0),
        ("etc/secret", Regular, 0o640, b"", 42),
        ("home", Directory, 0o777, b"", 0),
        ("null", Char, 0o666, b"", 0),
    ];
    members.extend(
        programs
            .iter()
            .map(|path| (path.as_str(), Symlink, 0o777, b"".as_slice(), 0)),
    );
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, mode, content, gid) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_uid(0);
        header.set_gid(gid);
        header.set_mtime(1_000_000);
        if kind == Char {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        match kind {
            Symlink => tar.append_link(&mut header, path, "busybox").unwrap(),
            _ => tar.append_data(&mut header, path, content).unwrap(),
        }
    }
    tar.into_inner().unwrap()
}

#[test]
fn owners_are_emulated_where_there_is_one_user() {
    if !require("busybox") {
        return;
    }
    let session = Session::open(&SessionSettings {
        program: PathBuf::from(env!("CARGO_BIN_EXE_cairn")),
        identity: Wanted::Single,
    })
    .unwrap();
    let folder = temp();
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| folder.path().join(name));
    for folder in [&lower, &upper, &work] {
        std::fs::create_dir(folder).unwrap();
    }
    session.unpack(&mut base().as_slice(), &lower, &[]).unwrap();
    let script = "
        stat -c '%u:%g %F' /etc/secret /null
        cd /home; touch a; chown 5:6 a; mv a b; ln -s x l; chown -h 7:8 l; mknod d b 8 1
        chown 0:9 /etc/secret; su alice -c 'id -u; id -g; touch hers; mkfifo p'
        stat -c '%n %u:%g' b l hers p /etc/secret; stat -c '%F %t:%T' d
        chown 1:1 /proc/sys/kernel/ostype 2>/dev/null || echo kept; mkdir s; chown 0:3 s; chmod g+s s; touch s/f";
    let request = Request {
        lowers: vec![lower.clone()],
        upper: upper.clone(),
        work: work.clone(),
        arguments: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        ..Request::default()
    };
    let mut printed = Vec::new();
    let mut output = |_, bytes: &[u8]| {
        printed.extend_from_slice(bytes);
        Ok(())
    };
    let outcome = session.run(&request, &mut output).unwrap();
    let expected = "0:42 regular empty file\n0:0 character special file\n1000\n1000\n\
        b 5:6\nl 7:8\nhers 1000:1000\np 1000:1000\n/etc/secret 0:9\n\
        block special file 8:1\nkept\n";
    assert_eq!(String::from_utf8_lossy(&printed), expected);
    assert_eq!(outcome.exit, Exit::Code(0));
    let found = session.list(&upper).unwrap();
    let owners: BTreeMap<_, _> = found
        .iter()
        .map(|found| (found.path.to_string(), (found.uid, found.gid)))
        .collect();
    for (path, owner) in [
        ("/home/b", (5, 6)),
        ("/home/l", (7, 8)),
        ("/home/hers", (1000, 1000)),
        ("/home/p", (1000, 1000)),
        ("/home/s", (0, 3)),
        ("/home/s/f", (0, 3)),
        ("/etc/secret", (0, 9)),
    ] {
        assert_eq!(owners.get(path), Some(&owner), "{path}: {owners:?}");
    }
    let device = found
        .iter()
        .find(|found| found.path.to_string() == "/home/d");
    assert!(matches!(device.unwrap().kind, FoundKind::BlockDevice(_)));
    assert!(found.iter().all(|found| found.xattrs.is_empty()));
    for folder in [&lower, &upper, &work] {
        session.remove(folder).unwrap();
    }
}
