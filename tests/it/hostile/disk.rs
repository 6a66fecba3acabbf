//! Disks that are full, read-only, or not there.

use std::process::Command;

use super::{Case, FAILED, must_be_clear};
use crate::support::programs::skipped;
use crate::support::random::Random;
use crate::support::{cairn, require};

/// A build of 8 MB that don't compress.
fn large() -> Case {
    let case = Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n");
    std::fs::write(case.context("noise"), Random::new(5).bytes(8 << 20)).unwrap();
    case
}

/// The program within `script`, which calls it by `"$@"`, in a mount namespace and in the case's
/// folder.
fn in_mounts(case: &Case, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_cairn"),
        ])
        .current_dir(case.folder.path());
    command
}

/// Runs the case's build in a mount namespace in which `mount` was run; `after` is run after it,
/// and what it prints is an error.
#[track_caller]
fn must_fail_on(case: &Case, mount: &str, after: &str, code: i32, fragments: &[&str]) {
    let script = format!(
        "set -e; {mount}\nset +e; \"$@\"; code=$?\nleft=$({after})\n\
         [ -z \"$left\" ] || {{ echo \"left: $left\" >&2; exit 99; }}; exit $code"
    );
    let mut command = in_mounts(case, &script);
    command
        .args(case.arguments())
        .arg("--store")
        .arg(case.path("store"));
    must_be_clear(&command.output().unwrap(), code, fragments);
}

fn may_mount() -> bool {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can mount file systems");
        return false;
    }
    require("unshare")
}

#[test]
fn a_full_disk_is_said_and_nothing_is_left_on_it() {
    if !may_mount() {
        return;
    }
    // Room for a part of the layer.
    let store = "mkdir store; mount -t tmpfs -o size=3m tmpfs store";
    must_fail_on(
        &large(),
        store,
        "ls -A store/tmp store/blobs/sha256 | grep -v :; ls -A out",
        FAILED,
        &["No space left on device"],
    );
    // No room at all, not even for folders.
    let store = "mkdir store; mount -t tmpfs -o size=1m,nr_inodes=4 tmpfs store";
    must_fail_on(
        &large(),
        store,
        "ls -A out",
        FAILED,
        &["No space left on device"],
    );
    // For the archive.
    let out = "mount -t tmpfs -o size=1m tmpfs out";
    must_fail_on(
        &large(),
        out,
        "ls -A out store/tmp | grep -v :",
        FAILED,
        &["image.tar", "No space left on device"],
    );
    // For what an archive in the context holds.
    let case = Case::new("[[steps]]\nunpack = { paths = [\"tar\"], to = \"/app\" }\n");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(8 << 20);
    let noise = Random::new(6).bytes(8 << 20);
    tar.append_data(&mut header, "noise", &noise[..]).unwrap();
    std::fs::write(case.context("tar"), tar.into_inner().unwrap()).unwrap();
    let store = "mkdir store; mount -t tmpfs -o size=3m tmpfs store";
    must_fail_on(
        &case,
        store,
        "ls -A store/tmp; ls -A out",
        FAILED,
        &["No space left on device"],
    );
}

#[test]
fn a_disk_that_fills_up_anywhere_leaves_a_store_that_works() {
    if !may_mount() {
        return;
    }
    // The same file system, with more and more room, until the build comes through.
    let case = large();
    let script = "set -e; mkdir store; mount -t tmpfs -o size=256k tmpfs store\n\
        for size in 512k 1m 2m 4m 6m 8m 8256k 8512k 9m 9256k 10m 12m 16m 32m; do\n\
        if \"$@\" 2>error; then exit; fi\n\
        grep -q 'No space left' error || { cat error >&2; exit 98; }\n\
        [ -z \"$(ls -A store/tmp out)\" ] || [ \"$(ls -A store/tmp out | grep -v : | grep .)\" = '' ] || exit 97\n\
        mount -o remount,size=$size store\n\
        done; exit 96";
    let mut command = in_mounts(&case, script);
    command
        .args(case.arguments())
        .arg("--store")
        .arg(case.path("store"));
    let digest = crate::support::run(&mut command);
    // As with all the room in the world.
    std::fs::remove_file(case.path("out/image.tar")).unwrap();
    let mut plain = cairn(&case.path("elsewhere"));
    let expected = crate::support::run(plain.args(case.arguments()));
    assert_eq!(digest.trim_end(), expected.trim_end());
}

#[test]
fn a_read_only_store_is_said_and_can_be_looked_at() {
    if !may_mount() {
        return;
    }
    let case = large();
    let mount = "mkdir -p store; mount --bind store store; mount -o remount,ro,bind store";
    must_fail_on(
        &case,
        mount,
        "ls -A out",
        FAILED,
        &["Read-only file system"],
    );
    case.must_build();
    std::fs::remove_file(case.path("out/image.tar")).unwrap();
    must_fail_on(
        &case,
        mount,
        "ls -A out",
        FAILED,
        &["Read-only file system"],
    );
    let script = format!("{mount}; exec \"$@\"");
    let mut command = in_mounts(&case, &script);
    command.args(["images", "--quiet", "--store", "store"]);
    assert!(crate::support::run(&mut command).starts_with("sha256:"));
}

#[test]
fn a_store_that_is_no_folder_is_named() {
    let case = large();
    std::fs::write(case.path("store"), "a file").unwrap();
    for path in ["store", "store/below"] {
        let mut command = cairn(&case.path(path));
        let output = command.args(case.arguments()).output().unwrap();
        must_be_clear(&output, FAILED, &["store"]);
    }
    assert_eq!(std::fs::read(case.path("store")).unwrap(), b"a file");
    let mut command = cairn(&case.path("missing"));
    let list = crate::support::run(command.arg("images"));
    assert!(!case.path("missing").exists(), "{list}");
}

#[test]
fn outputs_that_cant_be_written_are_named() {
    let case = large();
    std::fs::write(case.path("file"), "").unwrap();
    for (kind, dest) in [
        ("oci", "file/below"),
        ("oci", "missing/below"),
        ("oci-dir", "file"),
        ("local", "file"),
        ("tar", "out"),
    ] {
        let mut command = cairn(&case.path("store"));
        command
            .args(["build", "--quiet", "-f"])
            .arg(case.path("cairn.toml"));
        command.arg(case.path("context")).arg("-o");
        command.arg(format!("type={kind},dest={}", case.path(dest).display()));
        let output = command.output().unwrap();
        must_be_clear(&output, FAILED, &[dest]);
        case.must_be_clean();
    }
    for option in ["--iidfile", "--metadata-file"] {
        let mut command = cairn(&case.path("store"));
        command
            .args(["build", "--quiet", "-f"])
            .arg(case.path("cairn.toml"));
        command
            .arg(case.path("context"))
            .arg(option)
            .arg(case.path("file/below"));
        let output = command.output().unwrap();
        must_be_clear(&output, FAILED, &["file/below"]);
    }
}
