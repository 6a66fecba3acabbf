//! Contexts with things in them that no image takes, and links that lead out.

use std::os::unix::fs::symlink;

use super::{Case, FAILED, UNAVAILABLE};
use crate::support::programs::skipped;
use crate::support::{copy_program, require};

/// A build that copies everything.
fn copying() -> Case {
    Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n")
}

#[test]
fn sockets_pipes_and_devices_are_refused_by_name() {
    let case = copying();
    let socket = case.context("a-socket");
    let held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    case.must_fail(FAILED, &["/a-socket", "socket"]);
    std::fs::write(case.context(".dockerignore"), "a-*\n").unwrap();
    case.must_build();
    drop(held);
    for (kind, name) in [("p", "named pipe"), ("c", "character device")] {
        let case = copying();
        std::fs::create_dir(case.context("folder")).unwrap();
        let mut make = std::process::Command::new("mknod");
        make.arg(case.context("folder/odd")).arg(kind);
        if kind == "c" {
            if !rustix::process::geteuid().is_root() {
                skipped("only root can make devices");
                continue;
            }
            make.args(["1", "3"]);
        }
        crate::support::run(&mut make);
        case.must_fail(FAILED, &["/folder/odd", name]);
    }
}

#[test]
fn names_of_whiteouts_are_refused() {
    for name in [".wh.file", ".wh..wh..opq"] {
        let case = copying();
        std::fs::write(case.context(name), "").unwrap();
        case.must_fail(FAILED, &[name]);
    }
}

#[test]
fn what_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() || !require("setpriv") {
        return skipped("only root can become somebody who may not read");
    }
    for (name, is_folder) in [("secret", false), ("folder", true)] {
        let case = copying();
        let path = case.context(name);
        match is_folder {
            true => std::fs::create_dir(&path).unwrap(),
            false => std::fs::write(&path, "x").unwrap(),
        }
        let set = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&path, 0o000);
        for open in ["", "context", "out"] {
            set(&case.path(open), 0o777);
        }
        copy_program(&case.path("cairn"));
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(case.path("cairn"))
            .args(case.arguments())
            .arg("--store")
            .arg(case.path("store"));
        let name = format!("/{name}");
        case.must_end(&mut command, UNAVAILABLE, &[&name, "Permission denied"]);
        std::fs::write(case.context(".dockerignore"), &name[1..]).unwrap();
        crate::support::run(&mut command);
    }
}

#[test]
fn links_are_copied_and_never_followed_out() {
    let case = copying();
    std::fs::write(case.path("secret"), "the secret").unwrap();
    std::fs::create_dir(case.context("folder")).unwrap();
    for (target, link) in [
        ("../secret", "up"),
        ("../../secret", "folder/up"),
        ("/etc/passwd", "absolute"),
        ("loop", "loop"),
        ("two", "one"),
        ("one", "two"),
        ("..", "parent"),
    ] {
        symlink(target, case.context(link)).unwrap();
    }
    let list = case.must_list();
    for line in [
        "app/up -> ../secret",
        "app/absolute -> /etc/passwd",
        "app/loop -> loop",
    ] {
        assert!(list.contains(line), "{list}");
    }
    let files = std::fs::read(case.path("out/files.tar")).unwrap();
    assert!(!files.windows(10).any(|bytes| bytes == b"the secret"));
}

#[test]
fn paths_through_links_stay_inside() {
    for path in [
        "up/secret",
        "deep/up/secret",
        "absolute/secret",
        "up/../secret",
        "file",
    ] {
        let steps = format!("[[steps]]\ncopy = {{ paths = [\"{path}\"], to = \"/app/\" }}\n");
        let case = Case::new(&steps);
        std::fs::write(case.path("secret"), "the secret").unwrap();
        std::fs::create_dir(case.context("deep")).unwrap();
        symlink("..", case.context("up")).unwrap();
        symlink("../..", case.context("deep/up")).unwrap();
        symlink(case.folder.path(), case.context("absolute")).unwrap();
        symlink("../secret", case.context("file")).unwrap();
        let output = case.command().output().unwrap();
        match output.status.code() {
            // The link itself, maybe, but not what it names.
            Some(0) => {
                let list = case.must_list();
                let files = std::fs::read(case.path("out/files.tar")).unwrap();
                assert!(
                    !files.windows(10).any(|bytes| bytes == b"the secret"),
                    "{list}"
                );
            }
            code => {
                assert!([Some(FAILED), Some(UNAVAILABLE)].contains(&code));
                super::must_be_clear(&output, code.unwrap(), &[path]);
            }
        }
    }
}

#[test]
fn paths_in_a_loop_of_links_are_refused() {
    let case = Case::new("[[steps]]\ncopy = { paths = [\"one/file\"], to = \"/app/\" }\n");
    symlink("two", case.context("one")).unwrap();
    symlink("one", case.context("two")).unwrap();
    case.must_fail(FAILED, &["one/file", "links"]);
}

#[test]
fn a_file_of_rules_that_is_none_is_named() {
    for name in [".cairnignore", ".dockerignore"] {
        let case = copying();
        let path = case.context(name);
        crate::support::run(std::process::Command::new("mkfifo").arg(&path));
        case.must_fail(FAILED, &[name, "no file"]);
        std::fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        case.must_fail(FAILED, &[name, "no file"]);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        case.must_fail(FAILED, &[name, "no file"]);
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "[").unwrap();
        case.must_fail(FAILED, &[name]);
    }
}

#[test]
fn a_context_that_is_none_is_named() {
    let case = copying();
    std::fs::remove_dir(case.context("")).unwrap();
    case.must_fail(UNAVAILABLE, &["context"]);
    std::fs::write(case.path("context"), "").unwrap();
    case.must_fail(UNAVAILABLE, &["context"]);
}

#[test]
fn names_that_a_terminal_would_obey_are_escaped() {
    let name = "a\u{1b}[31mred\nerror: none\u{7}\u{9b}2J";
    let case = copying();
    let held = std::os::unix::net::UnixListener::bind(case.context(name)).unwrap();
    case.must_fail(FAILED, &["\\u{1b}[31mred"]);
    drop(held);
    // The same as places of things, and with progress.
    let case = copying();
    std::fs::create_dir(case.path(name)).unwrap();
    std::fs::write(case.path(name).join(".wh.x"), "").unwrap();
    for mode in ["--progress=plain", "--progress=json"] {
        let mut command = crate::support::cairn(&case.path("store"));
        command
            .args(["build", mode, "-f"])
            .arg(case.path("cairn.toml"));
        command.arg(case.path(name));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let is_harmless = |c: char| !c.is_control() || c == '\n';
        assert!(text.chars().all(is_harmless), "{text:?}");
        assert!(!text.contains("\nerror: none"), "{text}");
    }
    let mut command = case.command();
    let odd = format!(
        "type=oci,dest={}/{name}/{name}/x",
        case.folder.path().display()
    );
    command.arg("-o").arg(odd);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(FAILED), "{text}");
    assert!(
        text.chars().all(|c| !c.is_control() || c == '\n'),
        "{text:?}"
    );
    assert!(!text.contains("\nerror: none"), "{text}");
}
