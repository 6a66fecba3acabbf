//! Files that claim too much, go too deep, or are not what they seem.

use std::io::Write as _;
use std::process::Command;

use super::{Case, entry, notes};
use crate::support::tars::archive;
use crate::support::{require, run};

/// Runs a program of Python.
fn python(case: &Case, program: &str) {
    let mut command = Command::new("python3");
    run(command.args(["-c", program]).current_dir(case.at("")));
}

/// All the notes about the content of two files.
#[track_caller]
fn noted(case: &Case, before: &str, after: &str) -> String {
    notes(&case.finding(&case.at(before), &case.at(after))).join("; ")
}

#[test]
fn bombs_are_left_alone() {
    if !require("python3") {
        return;
    }
    let case = Case::new();
    // 128 MiB of zeroes in a zip, eight times in another.
    python(
        &case,
        r#"
import zipfile, io
def pack(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
for which in "ab":
    bomb = pack([("zeroes", bytes(128 << 20) + which.encode())])
    open(which, "wb").write(pack([("first", which)] + [(str(n), bomb) for n in range(8)]))
"#,
    );
    let noted = noted(&case, "a", "b");
    assert!(noted.contains("more is in it than is opened"), "{noted}");
}

#[test]
fn members_that_lie_on_each_other_are_not_compared_forever() {
    if !require("python3") {
        return;
    }
    let case = Case::new();
    // Twenty thousand members of 4 MiB each, all of them the same bytes of a file of 6 MiB.
    python(
        &case,
        r#"
import zipfile, io, struct
for which in "ab":
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("n00000"), bytes(4 << 20) + which.encode())
    data = out.getvalue()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    names = [b"n%05d" % number for number in range(20000)]
    directory = b"".join(data[at:end].replace(b"n00000", name) for name in names)
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 20000, 20000, len(directory), at, 0)
    open(which, "wb").write(data[:at] + directory + tail)
"#,
    );
    let noted = noted(&case, "a", "b");
    assert!(noted.contains("nothing from `n000"), "{noted}");
}

#[test]
fn what_is_deep_in_others_stays_closed() {
    if !require("python3") {
        return;
    }
    let case = Case::new();
    python(
        &case,
        r#"
import gzip
for which in "ab":
    content = b"text " + which.encode()
    for _ in range(30): content = gzip.compress(content, mtime=0)
    open(which, "wb").write(content)
"#,
    );
    let noted = noted(&case, "a", "b");
    assert!(noted.contains("too deep"), "{noted}");
}

#[test]
fn what_only_seems_to_be_of_a_kind_is_compared_as_bytes() {
    let case = Case::new();
    let magics: [&[u8]; 9] = [
        b"\x7fELF\x02\x01\x01",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"!<arch>\n",
        b"SQLite format 3\0",
        b"\xfe\xed\xfe\xed",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\0",
        b"{",
    ];
    for magic in magics {
        for tail in [&b""[..], &[0xff; 4096], &[0; 4096], &[b'9'; 4096]] {
            let mut content = [magic, tail].concat();
            std::fs::write(case.at("a"), &content).unwrap();
            content.push(b'x');
            std::fs::write(case.at("b"), &content).unwrap();
            let finding = case.finding(&case.at("a"), &case.at("b"));
            assert!(
                !finding["details"].as_array().unwrap().is_empty(),
                "{magic:?} {finding:#}"
            );
        }
    }
}

#[test]
fn what_is_too_large_to_be_held_is_compared_as_it_passes_by() {
    let case = Case::new();
    const SIZE: u64 = 70 << 20;
    for (name, last) in [("a", b"x"), ("b", b"y")] {
        let mut file = std::fs::File::create(case.at(name)).unwrap();
        file.set_len(SIZE).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(SIZE)).unwrap();
        file.write_all(last).unwrap();
    }
    let finding = case.finding(&case.at("a"), &case.at("b"));
    let bytes = &finding["details"][0]["bytes"];
    assert_eq!(bytes["offset"], SIZE, "{finding:#}");
    assert_eq!([&bytes["before"], &bytes["after"]], ["78", "79"]);
    assert!(notes(&finding)[0].contains("too large"));
}

#[test]
fn lying_sizes_are_not_believed() {
    if !require("python3") {
        return;
    }
    let case = Case::new();
    // A member that says that 4 GiB follow, once in its own header and once in the directory.
    python(
        &case,
        r#"
import zipfile, io, struct
for which in "ab":
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive: archive.writestr(zipfile.ZipInfo("x"), "text " + which)
    data = bytearray(out.getvalue())
    at = data.index(b"PK\1\2")
    data[at + 20:at + 28] = struct.pack("<II", 0xfffffff0, 0xfffffff0)
    open(which, "wb").write(data)
"#,
    );
    let noted = noted(&case, "a", "b");
    assert!(noted.contains("compared as bytes"), "{noted}");
    // `ar`, whose member says that it is longer than the file.
    for which in ["a", "b"] {
        let mut file = std::fs::File::create(case.at(which)).unwrap();
        write!(
            file,
            "!<arch>\n{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n{which}",
            "x/", 0, 0, 0, 644, 9_999_999_999_u64
        )
        .unwrap();
    }
    let noted = self::noted(&case, "a", "b");
    assert!(noted.contains("compared as bytes"), "{noted}");
}

#[test]
fn a_database_whose_pages_lead_in_a_circle_ends() {
    if !require("sqlite3") {
        return;
    }
    let case = Case::new();
    for which in ["a", "b"] {
        let sql = format!(
            "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(100000)); INSERT INTO t VALUES('{which}');"
        );
        run(Command::new("sqlite3").arg(case.at(which)).arg(sql));
        let mut bytes = std::fs::read(case.at(which)).unwrap();
        // Every page of the value that goes on elsewhere goes on at itself.
        for (number, page) in (1_u32..).zip(bytes.chunks_mut(512)) {
            if page[4..].iter().all(|&byte| byte == 0) && page[..4] != [0; 4] {
                page[..4].copy_from_slice(&number.to_be_bytes());
            }
        }
        std::fs::write(case.at(which), bytes).unwrap();
    }
    let finding = case.finding(&case.at("a"), &case.at("b"));
    assert!(!finding["details"].as_array().unwrap().is_empty());
}

#[test]
fn a_hundred_thousand_entries_are_compared() {
    let case = Case::new();
    for which in ["a", "b"] {
        let mut builder = tar::Builder::new(std::fs::File::create(case.at(which)).unwrap());
        for number in 0..100_000 {
            let mut header = tar::Header::new_ustar();
            let content = if number == 77_777 { which } else { "x" };
            header.set_size(1);
            header.set_mode(0o644);
            header.set_mtime(if which == "a" { 1 } else { 2 });
            header.set_uid(0);
            header.set_gid(0);
            let path = format!("d{}/f{number}", number % 100);
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap();
    }
    let report = case.report(1, &["./a", "./b"]);
    assert_eq!(report["entries"].as_array().unwrap().len(), 100_000);
    assert_eq!(entry(&report, "d77/f77777")["content"]["kind"], "text");
}

#[test]
fn layers_that_no_engine_would_take_are_refused() {
    let case = Case::new();
    std::fs::write(case.at("good.tar"), archive(&[("a", b'0', "x")])).unwrap();
    std::fs::write(case.at("bad.tar"), archive(&[("../a", b'0', "x")])).unwrap();
    let said = case.diff(2, &["./good.tar", "./bad.tar"]);
    assert!(
        said.contains("`../a`") && said.contains("bad.tar"),
        "{said}"
    );
}

#[test]
fn what_changes_under_a_name_of_the_store_is_noticed() {
    let case = Case::new();
    case.image("a", &[("file", b"one")], "");
    case.image("b", &[("file", b"two")], "");
    let layers = case.report(1, &["a", "b"])["layers"].clone();
    let digest = layers[0]["before"]["digest"].as_str().unwrap();
    let blob = case
        .at("store/blobs/sha256")
        .join(digest.trim_start_matches("sha256:"));
    let mut bytes = std::fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let said = case.diff(2, &["a", "b"]);
    assert!(said.contains(digest), "{said}");
}
