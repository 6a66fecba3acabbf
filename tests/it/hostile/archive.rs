//! Archives that lead out, blow up, or are broken.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::{Case, FAILED};
use crate::support::random::Random;
use crate::support::require;
use crate::support::tars::{Member, archive};

/// A build that unpacks `archive`.
fn unpacking(archive: &[u8]) -> Case {
    let case = Case::new("[[steps]]\nunpack = { paths = [\"archive\"], to = \"/srv\" }\n");
    std::fs::write(case.context("archive"), archive).unwrap();
    case
}

#[test]
fn members_that_lead_out_are_refused_by_name() {
    let cases: &[(&[Member], &str)] = &[
        (&[("../out", b'0', "x")], "../out"),
        (&[("a/../../out", b'0', "x")], "a/../../out"),
        (&[("/etc/passwd", b'0', "x")], "/etc/passwd"),
        (
            &[("link", b'2', "../../etc"), ("link/passwd", b'0', "x")],
            "link",
        ),
        (
            &[("link", b'2', "/etc"), ("link/passwd", b'0', "x")],
            "link/passwd",
        ),
        (
            &[("dir", b'5', ""), ("dir/link", b'2', "a/../../../x")],
            "dir/link",
        ),
        (&[("hard", b'1', "../../etc/passwd")], "hard"),
        (&[("hard", b'1', "/etc/passwd")], "hard"),
        (
            &[("a/link", b'2', "../x"), ("hard", b'1', "a/link")],
            "hard",
        ),
        (&[("dir", b'5', ""), ("hard", b'1', "dir")], "hard"),
        (&[("hard", b'1', "later"), ("later", b'0', "x")], "hard"),
        (
            &[("file", b'0', "x"), ("file/below", b'0', "x")],
            "file/below",
        ),
        (&[(".wh.file", b'0', "")], ".wh.file"),
        (&[("dir/.wh..wh..opq", b'0', "")], ".wh..wh..opq"),
        (&[("sparse", b'S', "")], "sparse"),
        (&[("\u{1b}[2J\u{7}/../../x", b'0', "")], "[2J"),
        (&[("a\nerror: b/../../x", b'0', "")], "error: b"),
    ];
    for (members, name) in cases {
        let tar = archive(members);
        // What a member means doesn't depend on how the archive is compressed.
        let zstd = zstd::encode_all(&tar[..], 1).unwrap();
        for bytes in [tar, zstd] {
            unpacking(&bytes).must_fail(FAILED, &[name]);
        }
    }
}

#[test]
fn odd_members_that_harm_nobody_are_unpacked_as_they_are() {
    let case = unpacking(&archive(&[
        ("A", b'0', "1"),
        ("a", b'0', "22"),
        ("a", b'0', "333"),
        ("./b//c", b'0', "4444"),
        ("null", b'3', ""),
        ("pipe", b'6', ""),
        ("up/", b'5', ""),
        ("up/link", b'2', "../a"),
        ("loop", b'2', "loop"),
        ("a-hard", b'1', "./a"),
    ]));
    let list = case.must_list();
    for line in [
        " 1 1970-01-01 00:00 srv/A\n",
        " 3 1970-01-01 00:00 srv/a\n",
        " 4 1970-01-01 00:00 srv/b/c\n",
        "1,3 1970-01-01 00:00 srv/null\n",
        "srv/up/link -> ../a\n",
        "srv/loop -> loop\n",
        "srv/a-hard link to srv/a\n",
    ] {
        assert!(list.contains(line), "{line}{list}");
    }
    // In a folder there are no devices; that is said.
    let mut command = case.command();
    let output = command.arg("-o").arg(case.path("files")).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("warning: `/srv/null` is a device"), "{text}");
    assert_eq!(std::fs::read(case.path("files/srv/a")).unwrap(), b"333");
    assert!(!case.path("files/srv/null").exists());
}

#[test]
fn bombs_are_stopped_unless_they_are_meant() {
    let length = 320 << 20;
    let mut header = tar::Header::new_ustar();
    header.set_path("zeros").unwrap();
    header.set_size(length);
    header.set_mode(0o644);
    header.set_cksum();
    let zeros = std::io::repeat(0).take(length + 1024);
    let bomb = zstd::encode_all(header.as_bytes().chain(zeros), 3).unwrap();
    assert!(length / bomb.len() as u64 > 10_000);
    let case = unpacking(&bomb);
    case.must_fail(FAILED, &["archive", "--max-expansion"]);
    let mut command = case.command();
    crate::support::run(command.arg("--max-expansion=100000"));
}

#[test]
fn a_header_that_promises_too_much_costs_nothing() {
    for (kind, size) in [(b'x', 8 << 30), (b'L', 8 << 30), (b'0', 1 << 40)] {
        let mut header = tar::Header::new_ustar();
        header.set_path("file").unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size);
        header.set_cksum();
        unpacking(header.as_bytes()).must_fail(FAILED, &["archive"]);
    }
}

#[test]
fn broken_archives_are_refused() {
    let whole = archive(&[("one", b'0', "content"), ("two", b'0', "more")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&whole).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&whole[..], 3).unwrap();
    let mut sum = whole.clone();
    sum[1024 + 150] ^= 1;
    let mut crc = gzip.clone();
    let at = crc.len() - 6;
    crc[at] ^= 1;
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    for bytes in [
        sum,
        crc,
        cut(&gzip),
        cut(&zstd),
        whole[..1024 + 520].to_vec(),
        whole[..700].to_vec(),
        b"PK\x03\x04".repeat(300),
        Vec::new(),
        vec![0x1f, 0x8b],
        gzip[..gzip.len() - 3].to_vec(),
    ] {
        unpacking(&bytes).must_fail(FAILED, &["archive"]);
    }
    unpacking(&gzip).must_build();
}

/// What a program of that name makes of `bytes` on its standard input.
fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(["-c", "-9"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn what_xz_and_bzip2_write_is_unpacked_and_what_is_broken_is_not() {
    let content = Random::new(5).text(100_000);
    let content = String::from_utf8_lossy(&content).into_owned();
    let whole = archive(&[("one", b'0', &content), ("two", b'0', "more")]);
    let expected = unpacking(&whole).must_build();
    for program in ["xz", "bzip2"] {
        if !require(program) {
            continue;
        }
        let good = compressed(program, &whole);
        assert!(unpacking(&good).must_build() == expected, "{program}");
        // As `cat a.xz b.xz`, which both programs read as one.
        let (first, second) = whole.split_at(700);
        let joined = [compressed(program, first), compressed(program, second)].concat();
        assert!(unpacking(&joined).must_build() == expected, "{program}");
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let cut = [good.len() / 2, good.len() - 3, 20].map(|end| good[..end].to_vec());
        for broken in cut.into_iter().chain([flipped]) {
            unpacking(&broken).must_fail(FAILED, &["archive"]);
        }
        let mut header = tar::Header::new_ustar();
        header.set_path("zeros").unwrap();
        header.set_size(100 << 20);
        header.set_mode(0o644);
        header.set_cksum();
        let mut bomb = header.as_bytes().to_vec();
        bomb.resize(bomb.len() + (100 << 20) + 1024, 0);
        let bomb = compressed(program, &bomb);
        unpacking(&bomb).must_fail(FAILED, &["archive", "--max-expansion"]);
    }
}

#[test]
fn an_xz_that_asks_for_much_memory_is_refused() {
    if !require("xz") {
        return;
    }
    let whole = archive(&[("one", b'0', "content")]);
    let mut good = compressed("xz", &whole);
    // The block header's filter flags: LZMA2, one byte of properties, the dictionary's size.
    let at = good.windows(2).position(|pair| pair == [0x21, 1]).unwrap() + 2;
    good[at] = 40;
    let end = 12 + (usize::from(good[12]) + 1) * 4 - 4;
    let sum = crc32fast::hash(&good[12..end]).to_le_bytes();
    good[end..end + 4].copy_from_slice(&sum);
    unpacking(&good).must_fail(FAILED, &["archive", "256 MiB of memory"]);
}

#[test]
fn a_folder_is_never_written_through_a_link_in_it() {
    let case = unpacking(&archive(&[
        ("etc/", b'5', ""),
        ("etc/passwd", b'0', "x"),
        ("link", b'2', "etc"),
        ("file", b'0', "x"),
    ]));
    let outside = case.path("outside");
    for folder in ["outside", "files", "files/srv"] {
        std::fs::create_dir(case.path(folder)).unwrap();
    }
    std::fs::write(case.path("victim"), "precious").unwrap();
    for (target, link) in [
        ("../../outside", "etc"),
        ("../../victim", "file"),
        ("../..", "link"),
    ] {
        std::os::unix::fs::symlink(target, case.path("files/srv").join(link)).unwrap();
    }
    let mut command = case.command();
    crate::support::run(command.arg("-o").arg(case.path("files")));
    super::must_be_empty(&outside);
    assert_eq!(std::fs::read(case.path("victim")).unwrap(), b"precious");
    assert_eq!(
        std::fs::read(case.path("files/srv/etc/passwd")).unwrap(),
        b"x"
    );
}
