//! What the command line asks for is judged before any work: nothing is fetched, built or written.

use std::process::Output;

use crate::support::recipes::entries;
use crate::support::{cairn, run, temp};

const USAGE: i32 = 2;

/// A folder with a recipe of two platforms, which is its own context.
fn folder() -> tempfile::TempDir {
    let folder = temp();
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\
         [[steps]]\nfile = { path = \"/file\", content = \"x\" }\n";
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    folder
}

fn build(folder: &tempfile::TempDir, arguments: &[&str]) -> Output {
    let mut command = cairn(&folder.path().join("store"));
    command.current_dir(folder.path());
    command
        .args(["build", "-q"])
        .args(arguments)
        .output()
        .unwrap()
}

/// That a build is refused with that code, one message and a way out, and has done nothing.
#[track_caller]
fn must_refuse(folder: &tempfile::TempDir, arguments: &[&str], code: i32, fragments: &[&str]) {
    let before = entries(folder.path());
    let output = build(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains("hint: "), "{arguments:?}: {text}");
    for fragment in fragments {
        assert!(
            text.contains(fragment),
            "{arguments:?}: `{fragment}` is not in: {text}"
        );
    }
    assert!(output.stdout.is_empty());
    assert_eq!(before, entries(folder.path()), "{arguments:?}");
}

#[test]
fn a_recipe_that_is_not_there_is_told_with_the_one_that_may_be_meant() {
    const UNAVAILABLE: i32 = 3;
    let folder = temp();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("sub")).unwrap();
    std::fs::write(at("sub/Containerfile"), "FROM scratch\n").unwrap();
    std::fs::write(at("Dockerfile.dev"), "FROM scratch\n").unwrap();
    for (arguments, fragments) in [
        (
            &["."][..],
            &["`cairn.toml`", "`Dockerfile`", "`-f Dockerfile.dev`"][..],
        ),
        (&["sub"], &["no recipe in `sub`", "`-f sub/Containerfile`"]),
        (&["nowhere"], &["there is no folder `nowhere`"]),
        (
            &["Dockerfile.dev"],
            &["is no folder", "`-f Dockerfile.dev FOLDER`"],
        ),
        (
            &["-f", "Dockerfile.dve", "."],
            &["did you mean `-f Dockerfile.dev`?"],
        ),
        (
            &["-f", "Containerfile", "sub"],
            &["did you mean `-f sub/Containerfile`?"],
        ),
        (&["-f", "sub", "."], &["can't read the recipe `sub`"]),
    ] {
        must_refuse(&folder, arguments, UNAVAILABLE, fragments);
    }
}

#[test]
fn names_that_no_image_can_have_are_refused() {
    let folder = folder();
    must_refuse(&folder, &["-t", "scratch"], USAGE, &["the empty base"]);
    must_refuse(
        &folder,
        &["-t", "docker.io/scratch:1"],
        USAGE,
        &["the empty base"],
    );
    must_refuse(&folder, &["-t", "Foo/bar"], USAGE, &["write `foo/bar`"]);
    must_refuse(&folder, &["-t", "a:B@sha256:1"], USAGE, &[]);
    let tag = cairn(folder.path())
        .args(["tag", "a", "scratch"])
        .output()
        .unwrap();
    assert_eq!(tag.status.code(), Some(USAGE));
}

#[test]
fn an_expansion_of_nothing_is_refused() {
    let output = build(&folder(), &["--max-expansion", "0"]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--max-expansion")
    );
}

#[test]
fn an_empty_variable_is_none() {
    let folder = folder();
    let mut command = cairn(folder.path());
    command
        .env("CAIRN_HOME", "")
        .env("XDG_DATA_HOME", folder.path().join("data"));
    command.arg("build").arg(folder.path());
    run(&mut command);
    assert!(folder.path().join("data/cairn/index.json").exists());
}

#[test]
fn outputs_that_hold_one_image_are_refused_for_several() {
    let folder = folder();
    for output in ["type=docker,dest=out.tar", "type=tar,dest=out.tar", "-"] {
        must_refuse(
            &folder,
            &["-o", output],
            USAGE,
            &["for several platforms", "--platform"],
        );
    }
    run(cairn(&folder.path().join("store"))
        .current_dir(folder.path())
        .args([
            "build",
            "-o",
            "type=tar,dest=out.tar",
            "--platform=linux/amd64",
        ]));
}

#[test]
fn outputs_that_can_not_be_written_are_told_at_once() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("a-file"), "").unwrap();
    let none = folder.path().join("none").display().to_string();
    let missing = format!("there is no folder `{none}`");
    for (arguments, fragment) in [
        (["-o", "type=oci,dest=none/out.tar"], &missing[..]),
        (["-o", "type=oci,dest=full"], "it is a folder"),
        (["-o", "type=oci,dest=a-file/out.tar"], "is no folder"),
        (["-o", "type=oci-dir,dest=a-file"], "is no folder"),
        (["-o", "a-file/out"], "is no folder"),
        (["--iidfile", "none/iid"], &missing),
        (["--metadata-file", "full"], "it is a folder"),
    ] {
        must_refuse(&folder, &arguments, 1, &["can't write", fragment]);
    }
    for flag in ["--iidfile", "--metadata-file"] {
        must_refuse(
            &folder,
            &[flag, "-"],
            USAGE,
            &["standard output", "/dev/stderr"],
        );
    }
}

#[test]
fn a_destination_may_hold_a_comma() {
    let folder = folder();
    let output = build(&folder, &["-o", "type=oci,\"dest=a,b.tar\""]);
    assert!(output.status.success());
    assert!(folder.path().join("a,b.tar").is_file());
    must_refuse(
        &folder,
        &["-o", "type=oci,\"dest=c"],
        USAGE,
        &["quotation mark"],
    );
}

#[test]
fn a_context_that_is_not_there_is_told_before_the_first_step() {
    let folder = temp();
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\ncontexts = { other = \"none\" }\n\
         [[steps]]\nfile = { path = \"/file\", content = \"x\" }\n\
         [[steps]]\ncopy = { from = { context = \"other\" }, paths = [\"a\"], to = \"/\" }\n";
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    must_refuse(
        &folder,
        &["--build-context", "unused=no"],
        3,
        &["`unused` is no folder: `no`"],
    );
    let output = build(&folder, &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("none`: No such file"), "{text}");
    assert!(entries(&folder.path().join("store/steps")).is_empty());
}

#[test]
fn no_engine_is_told_before_the_first_step() {
    let folder = folder();
    let mut command = cairn(&folder.path().join("store"));
    command.current_dir(folder.path()).env("PATH", "");
    let output = command.args(["build", "--load"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(!folder.path().join("store").exists());
}

#[test]
fn an_address_without_a_host_is_refused_with_an_example() {
    for (text, meant) in [
        ("5001", "127.0.0.1:5001"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("x", "127.0.0.1:5000"),
    ] {
        let home = temp();
        let output = cairn(home.path())
            .args(["serve", "--listen", text])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(USAGE));
        assert!(said.contains(&format!("`{meant}`")), "{said}");
    }
}

#[test]
fn debug_says_why_each_step_runs() {
    let folder = folder();
    let said = |arguments: &[&str]| {
        let debug = [&["--debug", "--platform=amd64"], arguments].concat();
        String::from_utf8(build(&folder, &debug).stderr).unwrap()
    };
    assert!(said(&[]).contains("file /file: runs, as there is no record of it (key sha256:"));
    assert!(said(&[]).contains("file /file: cached under key sha256:"));
    let other = said(&["--compression=zstd"]);
    assert!(
        other.contains("runs, as its layer is gone or compressed otherwise"),
        "{other}"
    );
    assert!(said(&["--no-cache"]).contains("file /file: runs, as `--no-cache` says"));
}

#[test]
fn lists_are_shown_as_people_write_them() {
    let folder = folder();
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n[config]\n\
         cmd = [\"serve\", \"a b\"]\nports = [\"80\", \"53/udp\"]\nenv = { A = \"1\" }\n";
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    let cairn = |arguments: &[&str]| {
        let mut command = cairn(&folder.path().join("store"));
        run(command.current_dir(folder.path()).args(arguments))
    };
    let plan = cairn(&["plan"]);
    for line in [
        "config cmd = serve 'a b'",
        "config env = A=1",
        "config ports = 53/udp 80/tcp",
    ] {
        assert!(plan.contains(line), "{plan}");
    }
    cairn(&["build", "-q", "-t", "shown"]);
    let shown = cairn(&["inspect", "shown"]);
    for line in [
        "  Cmd: serve 'a b'\n",
        "  Env: A=1\n",
        "  ExposedPorts: 53/udp 80/tcp\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn the_readme_shows_an_error_as_it_is() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.unwrap();
    let shown = readme
        .split("```")
        .find(|block| block.contains("\nerror: "));
    let (_, shown) = shown.unwrap().split_once('\n').unwrap();
    let line = shown.lines().find_map(|line| line.strip_prefix("5 | "));
    let recipe = format!("from = \"scratch\"\n\n\n[[steps]]\n{}\n", line.unwrap());
    let folder = temp();
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    let output = build(&folder, &[]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), shown);
}
