//! Tests of `clean`.

use std::collections::BTreeSet;

use super::*;
use crate::layer::{Entry, Meta, Tree};
use crate::step::run::authority::place::place;
use crate::step::run::authority::tests::authority;

fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

/// A system of files, all of which hold `x`.
fn system(files: &[&str]) -> Rootfs {
    let entry = |file: &&str| Entry {
        path: path(file),
        kind: Kind::File {
            size: 1,
            digest: Digest::of(b"x"),
        },
        meta: Meta::plain(0o644, 0),
    };
    let mut rootfs = Rootfs::default();
    rootfs.push(&Tree::new(files.iter().map(entry).collect()).unwrap(), &[]);
    rootfs
}

fn placed(rootfs: &Rootfs) -> Placed {
    place(&authority(), rootfs, &[], &|_, _| Ok(b"x".to_vec())).unwrap()
}

/// `name/` is a directory, `name>target` a link, else a file.
fn found(texts: &[&str]) -> Vec<Found> {
    let found = |text: &&str| {
        let (name, kind) = match (text.strip_suffix('/'), text.split_once('>')) {
            (Some(name), _) => (name, FoundKind::Directory { opaque: false }),
            (_, Some((name, target))) => (name, FoundKind::Symlink(target.as_bytes().into())),
            _ => (*text, FoundKind::File { size: 1 }),
        };
        Found {
            path: path(name),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: (5, 0),
            inode: 0,
            links: 1,
            xattrs: Default::default(),
        }
    };
    let mut found: Vec<_> = texts.iter().map(found).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What is left of what is found, over a system, where `gone` are gone.
fn left(rootfs: &Rootfs, texts: &[&str], gone: &[&str]) -> Vec<String> {
    let placed = placed(rootfs);
    let mut found = found(texts);
    placed.add_directories(rootfs, &mut found, (7, 0));
    let gone: BTreeSet<_> = gone.iter().map(|text| path(text)).collect();
    for found in &mut found {
        if gone.contains(&found.path) {
            found.kind = FoundKind::Whiteout;
        }
    }
    placed.clear(rootfs, &mut found, gone, (7, 0));
    let left = found
        .iter()
        .filter(|found| found.kind != FoundKind::Whiteout);
    left.map(|found| found.path.lossy().into_owned()).collect()
}

#[test]
fn links_to_what_is_gone_go_too_and_no_others() {
    let rootfs = system(&["etc/ssl/certs/other.pem"]);
    let texts = [
        "etc/ssl/certs/12345678.0>cairn-step-authority.pem",
        "etc/ssl/certs/ca-cert-cairn-step-authority.pem>/usr/local/share/x.crt",
        "etc/ssl/certs/abcdef01.0>ca-cert-cairn-step-authority.pem",
        "etc/ssl/certs/abcdef02.0>other.pem",
        "srv/copy.pem",
        "srv/deep/link>.././copy.pem",
        "srv/again>deep/link",
        "srv/out>../../../nowhere",
        "srv/not>cairn-step-authority.pem.old",
        "srv/not2>my-cairn-step-authority.pem",
    ];
    let expected = [
        "etc/ssl/certs/abcdef02.0",
        "etc/ssl/certs/ca-cert-cairn-step-authority.pem",
        "srv/not",
        "srv/not2",
        "srv/out",
    ];
    assert_eq!(left(&rootfs, &texts, &["srv/copy.pem"]), expected);
}

#[test]
fn a_directory_stays_where_the_command_had_a_reason_to_make_it() {
    const ANCHORS: &str = "usr/local/share/ca-certificates";
    let rootfs = system(&["var/lib/dpkg/status", "usr/local/share/x"]);
    let is_left = |texts: &[&str]| {
        let left = left(&rootfs, texts, &[]);
        left.iter().any(|path| path == ANCHORS)
    };
    let directory = format!("{ANCHORS}/");
    let ours = format!("{ANCHORS}/cairn-step-authority.link>cairn-step-authority.crt");
    assert!(!is_left(&[&directory]));
    assert!(!is_left(&[&directory, &ours]));
    assert!(is_left(&[&directory, &format!("{ANCHORS}/own.crt")]));
    // Its package came: it would have made the directory, whether anything became of it or not.
    let package = "usr/sbin/update-ca-certificates";
    assert!(is_left(&[package]));
    assert!(is_left(&[package, &directory]));
    // On a system that has the package the directory was missing for another reason.
    let rootfs = system(&["var/lib/dpkg/status", package]);
    assert_eq!(left(&rootfs, &[package, &directory], &[]), [package]);
}

#[test]
fn what_is_ours_is_known_and_what_hides_it_is_told() {
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    let placed = placed(&system(&[bundle]));
    let pem = placed.authority.pem().to_owned();
    let made = format!("x\n#\n{pem}");
    for (held, expected) in [
        (made.clone().into_bytes(), Some(Cleaned::Bytes(b"x".into()))),
        (pem.clone().into_bytes(), Some(Cleaned::Gone)),
        (placed.authority.der().to_vec(), Some(Cleaned::Gone)),
        (format!("\n{pem}\n").into_bytes(), Some(Cleaned::Gone)),
        (
            format!("{made}y\n").into_bytes(),
            Some(Cleaned::Bytes(b"x\ny\n".into())),
        ),
        (pem.replace('\n', "\\n").into_bytes(), None),
        ([b"x", placed.authority.der()].concat(), None),
        ([b"\xfe\xed\xfe\xed", pem.as_bytes()].concat(), None),
    ] {
        assert_eq!(placed.cleaned(&held), expected);
    }
}
