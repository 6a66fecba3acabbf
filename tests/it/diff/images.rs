//! Images, their layers, and whatever else can be named.

use super::{Case, aspects, changed_lines, entry};
use crate::support::served::Served;
use crate::support::tars::archive;
use crate::support::{cairn, require, run};

/// Two images that differ in their second layer and in a variable.
fn pair() -> (Case, [String; 2]) {
    let case = Case::new();
    let common = "FROM scratch\nCOPY base /base\nCOPY app /app\n";
    let digests = ["one", "two"].map(|name| {
        let folder = case.write(
            name,
            &[
                ("base/file", b"the same"),
                ("app/text", format!("1\n2\n{name}\n4\n").as_bytes()),
                ("app/same", b"same"),
                (&format!("app/only-{name}"), b"x"),
            ],
        );
        let recipe = format!("{common}ENV NAME={name} SAME=1\n");
        std::fs::write(folder.join("Dockerfile"), recipe).unwrap();
        case.build(name, &[])
    });
    (case, digests)
}

#[test]
fn images_are_told_by_documents_layers_and_paths() {
    let (case, digests) = pair();
    let report = case.report(1, &["one", "two"]);
    assert_eq!(report["verdict"], "different");
    assert_eq!(report["before"]["digest"], digests[0]);
    assert_eq!(report["after"]["digest"], digests[1]);
    let fields = aspects(&report["fields"]);
    assert!(
        fields.contains(&"config.config.Env.NAME: one → two".to_owned()),
        "{fields:?}"
    );
    assert!(
        fields.iter().all(|field| !field.contains("SAME")),
        "{fields:?}"
    );
    let layers = report["layers"].as_array().unwrap();
    let states: Vec<_> = layers
        .iter()
        .map(|layer| layer["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["same", "changed"]);
    let entries = report["entries"].as_array().unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                entry["change"].as_str().unwrap(),
                entry["path"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "removed app/only-one",
            "added app/only-two",
            "changed app/text"
        ]
    );
    assert_eq!(
        changed_lines(&entry(&report, "app/text")["content"]),
        ["-one", "+two"]
    );
    // sha256 of `x`.
    let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let added = aspects(&entry(&report, "app/only-two")["aspects"]);
    assert!(added.contains(&format!("sha256: - → {x}")), "{added:?}");
    let text = case.diff(1, &["one", "two"]);
    for line in [
        "  ~ /app/text",
        "      -one",
        "      +two",
        "config.config.Env.NAME one → two",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn exit_codes_are_those_of_diff() {
    let (case, digests) = pair();
    case.diff(0, &["one", &digests[0]]);
    case.diff(1, &["one", "two"]);
    for arguments in [
        &["one", "nowhere"][..],
        &["one", "./nowhere"],
        &["one"],
        &["one", "two", "--format", "yaml"],
        &["one", "two", "--stat", "--format", "json"],
        &["one", "two", "--", "no/such/path"],
        &["one", "two", "-o", "no/such/folder/file"],
        &["one", "one/Dockerfile"],
    ] {
        case.diff(2, arguments);
    }
}

#[test]
fn whatever_holds_an_image_is_that_image() {
    let (case, digests) = pair();
    for (kind, dest) in [("oci", "a.tar"), ("docker", "b.tar"), ("oci-dir", "layout")] {
        case.build(
            "one",
            &["-o", &format!("type={kind},dest={}", case.text(dest))],
        );
    }
    let registry = Served::new(&case.at("served"));
    let name = registry.name("team/one:1");
    run(cairn(&case.at("store")).args(["push", "one", &name]));
    let remote = format!("docker-image://{name}");
    let layout = format!("oci-layout://{}", case.text("layout"));
    let short = digests[0].trim_start_matches("sha256:")[..12].to_owned();
    for operand in ["a.tar", "./b.tar", "layout", &layout, &remote, &short] {
        let report = case.report(0, &["one", operand]);
        assert_eq!(report["after"]["digest"], digests[0], "{operand}");
        case.report(1, &[operand, "two"]);
    }
    // A store that has none of it.
    let mut other = cairn(&case.at("other"));
    other.args(["diff", &case.text("a.tar"), &remote]);
    run(&mut other);
}

#[test]
fn another_compression_is_the_same_content() {
    let (case, digests) = pair();
    let mut command = cairn(&case.at("store"));
    command.args(["build", "-q", "-t", "zstd", "--compression=zstd"]);
    let digest = run(command.arg(case.at("one"))).trim().to_owned();
    assert_ne!(digest, digests[0]);
    let report = case.report(1, &["one", "zstd"]);
    assert_eq!(report["verdict"], "same-content");
    assert_eq!(report["entries"].as_array().unwrap().len(), 0);
    let layers = report["layers"].as_array().unwrap();
    assert!(
        layers.iter().all(|layer| layer["state"] == "recompressed"),
        "{layers:?}"
    );
}

#[test]
fn layers_are_compared_by_themselves() {
    let (case, _) = pair();
    let report = case.report(1, &["one", "two"]);
    let layer = |side: &str| {
        report["layers"][1][side]["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (before, after) = (layer("before"), layer("after"));
    let told = case.report(1, &[&before, &after]);
    assert_eq!(told["entries"], report["entries"]);
    let blob = case
        .at("store/blobs/sha256")
        .join(before.trim_start_matches("sha256:"));
    assert_eq!(
        case.report(0, &[&before, blob.to_str().unwrap()])["verdict"],
        "identical"
    );
    let plain = run(std::process::Command::new("sh")
        .args(["-c", "gzip -dc \"$0\" > \"$1\""])
        .arg(&blob)
        .arg(case.at("plain.tar")));
    assert_eq!(plain, "");
    assert_eq!(
        case.report(1, &[&before, "plain.tar"])["verdict"],
        "same-content"
    );
}

#[test]
fn a_layer_may_hold_what_archives_of_images_have_at_their_root() {
    let case = Case::new();
    for (name, text) in [("a.tar", "[1]"), ("b.tar", "[2]")] {
        let members = [("manifest.json", b'0', text), ("index.json", b'0', "{}")];
        std::fs::write(case.at(name), archive(&members)).unwrap();
    }
    let report = case.report(1, &["a.tar", "b.tar"]);
    assert_eq!(report["before"]["what"], "layer");
    let content = &entry(&report, "manifest.json")["content"];
    assert_eq!(content["kind"], "json");
}

#[test]
fn paths_narrow_it() {
    let (case, _) = pair();
    let report = case.report(1, &["one", "two", "--", "app/text", "base"]);
    assert_eq!(report["entries"].as_array().unwrap().len(), 1);
    assert_eq!(report["entries"][0]["path"], "app/text");
    let report = case.report(0, &["one", "two", "--", "/base/"]);
    assert_eq!(report["fields"].as_array().unwrap().len(), 0);
}

#[test]
fn metadata_is_told_by_its_name() {
    if !require("tar") {
        return;
    }
    let case = Case::new();
    case.write(
        "tree",
        &[("file", b"x"), ("other", b"y"), ("dir/sub", b"z")],
    );
    std::os::unix::fs::symlink("file", case.at("tree/link")).unwrap();
    let tar = |to: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("tar");
        command.args([
            "--sort=name",
            "--numeric-owner",
            "--format=pax",
            "-cf",
            &case.text(to),
        ]);
        run(command
            .args(arguments)
            .args(["-C", &case.text("tree"), "."]));
    };
    let plain = [
        "--mtime=@1000000000",
        "--owner=:0",
        "--group=:0",
        "--mode=u=rwX,go=rX",
    ];
    tar("before.tar", &plain);
    std::fs::remove_file(case.at("tree/link")).unwrap();
    std::os::unix::fs::symlink("other", case.at("tree/link")).unwrap();
    std::fs::remove_file(case.at("tree/other")).unwrap();
    std::fs::hard_link(case.at("tree/file"), case.at("tree/other")).unwrap();
    tar(
        "after.tar",
        &[
            "--mtime=@1000000001",
            "--owner=:7",
            "--group=:8",
            "--mode=u=rwxs,go=",
        ],
    );
    let report = case.report(1, &["before.tar", "after.tar"]);
    let file = aspects(&entry(&report, "file")["aspects"]);
    assert_eq!(
        file,
        [
            "mode: 0644 → 4700",
            "uid: 0 → 7",
            "gid: 0 → 8",
            "mtime: 2001-09-09T01:46:40Z → 2001-09-09T01:46:41Z",
        ]
    );
    let link = aspects(&entry(&report, "link")["aspects"]);
    assert!(
        link.contains(&"target: file → other".to_owned()),
        "{link:?}"
    );
    let other = aspects(&entry(&report, "other")["aspects"]);
    assert!(
        other.contains(&"linked to: - → file".to_owned()),
        "{other:?}"
    );
}

#[test]
fn types_and_devices_are_told() {
    let case = Case::new();
    std::fs::write(
        case.at("a.tar"),
        archive(&[("one", b'3', ""), ("two", b'0', "text")]),
    )
    .unwrap();
    std::fs::write(
        case.at("b.tar"),
        archive(&[("one", b'4', ""), ("two", b'5', "")]),
    )
    .unwrap();
    let report = case.report(1, &["a.tar", "b.tar"]);
    assert_eq!(
        aspects(&entry(&report, "one")["aspects"]),
        ["type: character device → block device"]
    );
    let two = aspects(&entry(&report, "two")["aspects"]);
    assert_eq!(two[..2], ["type: file → directory", "size: 4 → -"]);
}

#[test]
fn folders_are_compared_as_they_are() {
    let case = Case::new();
    for name in ["a", "b"] {
        case.write(name, &[("same", b"1"), ("text", name.as_bytes())]);
    }
    let mut touch = std::process::Command::new("touch");
    touch.args(["-d", "@1000000000"]);
    for path in ["a", "a/same", "a/text", "b", "b/same", "b/text"] {
        touch.arg(case.at(path));
    }
    run(&mut touch);
    let report = case.report(1, &["./a", "b"]);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{report:#}");
    assert_eq!(changed_lines(&entries[0]["content"]).len(), 2);
    assert_eq!(case.report(0, &["./a", "./a"])["verdict"], "identical");
    // An image has the epoch where a folder has times of its own.
    case.image("image", &[("same", b"1"), ("text", b"a")], "");
    let report = case.report(1, &["./a", "image"]);
    let same = aspects(&entry(&report, "same")["aspects"]);
    assert_eq!(same, ["mtime: 2001-09-09T01:46:40Z → 1980-01-01T00:00:00Z"]);
}

#[test]
fn a_folder_is_what_tar_makes_of_it() {
    if !require("tar") {
        return;
    }
    let case = Case::new();
    case.write("t", &[("f", b"x"), ("d/g", b"y")]);
    let script = r#"cd "$0"; ln t/f t/hard; ln -s f t/l; mkfifo -m 600 t/p; chmod 4751 t/f; chmod 1777 t/d
        setfattr -n user.key -v value t/f 2>/dev/null || true
        find t -exec touch -h -d @1000000000 {} +
        tar --xattrs --format=pax --numeric-owner -C t -cf t.tar ."#;
    run(std::process::Command::new("sh")
        .args(["-ec", script])
        .arg(case.at("")));
    let report = case.report(1, &["t.tar", "./t"]);
    assert_eq!(report["verdict"], "same-content", "{report:#}");
    std::fs::remove_file(case.at("t/p")).unwrap();
    let report = case.report(1, &["t.tar", "./t", "--", "p"]);
    let gone = aspects(&entry(&report, "p")["aspects"]);
    assert_eq!(gone[..2], ["type: fifo → -", "mode: 0600 → -"]);
}

#[test]
fn platforms_are_chosen() {
    let case = Case::new();
    let folder = case.write("multi", &[("file", b"x")]);
    let recipe = "FROM scratch\nARG TARGETARCH\nCOPY file /\nENV ARCH=$TARGETARCH\n";
    std::fs::write(folder.join("Dockerfile"), recipe).unwrap();
    let name = ["--platform", "linux/amd64,linux/arm64"];
    case.build("multi", &name);
    let report = case.report(0, &["multi", "multi", "--platform", "linux/arm64"]);
    assert_eq!(report["before"]["platform"], "linux/arm64");
    let said = case.diff(2, &["multi", "multi", "--platform", "linux/s390x"]);
    assert!(said.contains("linux/s390x"), "{said}");
}
