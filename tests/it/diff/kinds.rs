//! Files as real tools write them, and what is found in them.

use std::path::PathBuf;
use std::process::Command;

use super::{Case, changed_lines, fields, notes, part, parts};
use crate::support::{require, run};

/// Runs a script of a shell in a folder of the case, which its second and later words name as `$1`
/// and so on.
fn shell(case: &Case, script: &str, words: &[&str]) {
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh"]).args(words);
    run(command.current_dir(case.at("")));
}

/// The same script, run for two values, each making a file.
fn both(case: &Case, script: &str, values: [&str; 2], file: &str) -> [PathBuf; 2] {
    ["one", "two"].map(|folder| {
        std::fs::create_dir_all(case.at(folder)).unwrap();
        let value = if folder == "one" {
            values[0]
        } else {
            values[1]
        };
        shell(case, &format!("cd \"$1\"; {script}"), &[folder, value]);
        case.at(folder).join(file)
    })
}

#[test]
fn programs_differ_by_section() {
    if !require("gcc") {
        return;
    }
    let case = Case::new();
    let script = r#"printf 'const char text[] = "says %s"; int main(void) { return %s; }' "$2" "${#2}" > m.c
        gcc -O0 -Wl,--build-id -o program m.c"#;
    let [before, after] = both(&case, script, ["hello", "farewell"], "program");
    let finding = case.finding(&before, &after);
    assert_eq!(finding["kind"], "elf");
    let ids = [&before, &after].map(|path| {
        let notes = run(Command::new("readelf").arg("-n").arg(path));
        let id = notes
            .lines()
            .find_map(|line| line.trim().strip_prefix("Build ID: "));
        id.unwrap().to_owned()
    });
    let id = format!("build ID: {} → {}", ids[0], ids[1]);
    assert!(fields(&finding).contains(&id), "{finding:#}");
    let strings = fields(part(&finding, ".rodata"));
    assert!(
        strings.contains(&"string: says hello → -".to_owned()),
        "{strings:?}"
    );
    assert!(
        strings.contains(&"string: - → says farewell".to_owned()),
        "{strings:?}"
    );
    assert!(parts(&finding).contains(&".text"));
    assert!(!parts(&finding).contains(&".interp"));
}

#[test]
fn archives_are_opened_within_packages() {
    if !require("dpkg-deb") {
        return;
    }
    let case = Case::new();
    let script = r#"mkdir -p p/DEBIAN p/usr/share; printf 'same\nsays %s\n' "$2" > p/usr/share/text
        printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m <m@test>\nDescription: d\n' > p/DEBIAN/control
        find p -exec touch -d @1000000000 {} +
        SOURCE_DATE_EPOCH=1000000000 dpkg-deb --root-owner-group -Zxz -b p p.deb >&2"#;
    let [before, after] = both(&case, script, ["one", "two"], "p.deb");
    let finding = case.finding(&before, &after);
    assert_eq!(finding["kind"], "ar");
    assert_eq!(parts(&finding), ["data.tar.xz"]);
    let data = part(&finding, "data.tar.xz");
    assert_eq!(data["kind"], "compressed");
    let text = part(part(data, "content"), "./usr/share/text");
    assert_eq!(changed_lines(text), ["-says one", "+says two"]);
}

#[test]
fn zips_differ_by_member_and_by_what_is_said_of_them() {
    if !require("python3") {
        return;
    }
    let case = Case::new();
    let script = r#"python3 - "$2" <<'END'
import sys, zipfile
which = sys.argv[1]
with zipfile.ZipFile("a.jar", "w", zipfile.ZIP_DEFLATED) as out:
    def put(name, content, second=0, mode=0o644):
        info = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, second))
        info.external_attr = (0o100000 | mode) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(info, content)
    put("same", "same")
    put("time", "same", 6 if which == "one" else 8)
    put("mode", "same", mode=0o644 if which == "one" else 0o755)
    put("text", "a\n" + which + "\n")
    put("only-" + which, "x")
END"#;
    let [before, after] = both(&case, script, ["one", "two"], "a.jar");
    let finding = case.finding(&before, &after);
    assert_eq!(finding["kind"], "zip");
    assert_eq!(parts(&finding), ["time", "mode", "text"]);
    assert_eq!(
        fields(part(&finding, "time")),
        ["mtime: 2001-02-03 04:05:06 → 2001-02-03 04:05:08"]
    );
    assert_eq!(fields(part(&finding, "mode")), ["mode: 100644 → 100755"]);
    assert_eq!(changed_lines(part(&finding, "text")), ["-one", "+two"]);
    let alone = fields(&finding);
    assert!(
        alone[0].starts_with("only-one: mtime 2001-02-03") && alone[0].ends_with("→ -"),
        "{alone:?}"
    );
    assert!(alone[1].starts_with("only-two: - → mtime"), "{alone:?}");
}

#[test]
fn the_same_compressed_otherwise_is_told_as_that() {
    if !require("gzip") || !require("xz") {
        return;
    }
    let case = Case::new();
    let script = r#"seq 20000 > text; touch -d "@$2" text; gzip -N text"#;
    let [before, after] = both(&case, script, ["1000000000", "1000000007"], "text.gz");
    let finding = case.finding(&before, &after);
    assert_eq!(finding["kind"], "gzip");
    assert_eq!(fields(&finding), ["mtime: 1000000000 → 1000000007"]);
    assert!(notes(&finding)[0].contains("is the same"), "{finding:#}");
    let [before, after] = both(&case, r#"seq 20000 | xz "$2" > x.xz"#, ["-0", "-9"], "x.xz");
    let finding = case.finding(&before, &after);
    assert!(notes(&finding)[0].contains("is the same"), "{finding:#}");
}

#[test]
fn compiled_modules_differ_by_the_time_of_their_source() {
    if !require("python3") {
        return;
    }
    let case = Case::new();
    let script = r#"echo 'x = 1' > m.py; touch -d "@$2" m.py
        python3 -c 'import py_compile; py_compile.compile("m.py", cfile="m.pyc", dfile="m.py", invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)'"#;
    let [before, after] = both(&case, script, ["1000000000", "1000000007"], "m.pyc");
    // Its name tells what it is, so it has to be in a folder.
    let report = case.report(1, &["./one", "./two", "--", "m.pyc"]);
    assert!(before.exists() && after.exists());
    let finding = &report["entries"][0]["content"];
    assert_eq!(finding["kind"], "pyc");
    assert_eq!(
        fields(finding),
        ["mtime of the source: 1000000000 → 1000000007"]
    );
}

#[test]
fn databases_differ_by_row() {
    if !require("sqlite3") {
        return;
    }
    let case = Case::new();
    let script = r#"sqlite3 db "PRAGMA page_size=1024; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n REAL, b BLOB);
        WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<500) INSERT INTO t SELECT i, 'row ' || i, i/4.0, NULL FROM c;
        UPDATE t SET name='changed $2' WHERE id=250; UPDATE t SET b=zeroblob(5000) WHERE id=3;
        INSERT INTO t VALUES(1000 + length('$2'), '$2', -1.5, x'00ff');
        CREATE TABLE $2(x);""#;
    let [before, after] = both(&case, script, ["one", "three"], "db");
    let finding = case.finding(&before, &after);
    assert_eq!(finding["kind"], "sqlite");
    let told = fields(&finding);
    for line in [
        "table t, row 250: NULL, 'changed one', 62.5, NULL → NULL, 'changed three', 62.5, NULL",
        "table t, row 1003: NULL, 'one', -1.5, x'00ff' → -",
        "table t, row 1005: - → NULL, 'three', -1.5, x'00ff'",
        "table one: CREATE TABLE one(x) → -",
        "table three: - → CREATE TABLE three(x)",
    ] {
        assert!(told.contains(&line.to_owned()), "{line}: {told:#?}");
    }
    assert_eq!(told.len(), 5, "{told:#?}");
}

#[test]
fn keystores_differ_by_when_their_entries_were_made() {
    if !require("keytool") || !require("openssl") {
        return;
    }
    let case = Case::new();
    shell(
        &case,
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=test -days 9 2>/dev/null",
        &[],
    );
    let script = r#"for name in same "$2"; do
        keytool -importcert -noprompt -storetype JKS -keystore ks -storepass changeit -alias "$name" -file ../cert 2>/dev/null
        done"#;
    let [before, after] = both(&case, script, ["one", "two"], "ks");
    let finding = case.finding(&before, &after);
    assert_eq!(finding["kind"], "keystore");
    let alone = fields(&finding);
    assert!(
        alone[0].starts_with("one: made") && alone[1].starts_with("two: - → made"),
        "{alone:?}"
    );
    let same = fields(part(&finding, "same"));
    assert!(
        same.len() == 1 && same[0].starts_with("made, in milliseconds: "),
        "{same:?}"
    );
}

#[test]
fn documents_differ_by_field() {
    let case = Case::new();
    case.write(
        "x",
        &[
            ("a", br#"{"one":1,"two":[{"x":true}]}"#),
            ("b", br#"{"two":[{"x":false}],"one":1}"#),
        ],
    );
    let finding = case.finding(&case.at("x/a"), &case.at("x/b"));
    assert_eq!(finding["kind"], "json");
    assert_eq!(fields(&finding), ["two[0].x: true → false"]);
    // The same fields, written otherwise.
    case.write("x", &[("b", b"{\"two\":[{\"x\":true}],\n\"one\":1}")]);
    let finding = case.finding(&case.at("x/a"), &case.at("x/b"));
    assert!(!changed_lines(&finding).is_empty(), "{finding:#}");
}
