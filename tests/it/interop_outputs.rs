//! Where an image goes: files, folders, pipes and engines, and what is written about it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cairn::canon::Digest;
use serde_json::{Value, json};

use crate::support::engines::{Containerd, Containers, Daemon};
use crate::support::programs::{program, run};
use crate::support::sample::{Sample, sample};
use crate::support::tree::{self, What};
use crate::support::{cairn, copy_program, require, temp};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The sample, a store, and room for outputs.
struct Bench {
    sample: Sample,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let (sample, folder) = (sample(), temp());
        Bench { sample, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn build(&self, arguments: &[&str]) -> Command {
        let mut command = cairn(&self.at("home"));
        command
            .args(["build", "-q", "-t", "demo:1"])
            .args(arguments);
        command.arg(self.sample.folder.path());
        command
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn several_outputs_of_one_build_agree() {
    let bench = Bench::new();
    let dest = |kind: &str| format!("type={kind},dest={}", text(&bench.at(kind)));
    let digest = run(&mut bench.build(&[
        "-o",
        &dest("oci"),
        "-o",
        &dest("oci-dir"),
        "-o",
        &dest("docker"),
        "-o",
        &dest("tar"),
        "-o",
        &dest("local"),
        "-o",
        text(&bench.at("bare")),
        "--iidfile",
        text(&bench.at("iid")),
        "--metadata-file",
        text(&bench.at("metadata")),
    ]));
    let digest = digest.strip_suffix('\n').unwrap();
    let index = read_json(&bench.at("oci-dir").join("index.json"));
    assert_eq!(index["manifests"][0]["digest"], digest);
    for kind in ["oci", "docker", "tar"] {
        let folder = bench.at(&format!("{kind}-unpacked"));
        std::fs::create_dir(&folder).unwrap();
        run(&mut program(
            "tar",
            &["-xf", text(&bench.at(kind)), "-C", text(&folder)],
        ));
    }
    let expected = tree::read(&bench.at("oci-dir"));
    let same = |kind: &str| {
        let mut got = tree::read(&bench.at(&format!("{kind}-unpacked")));
        got.remove(&b"manifest.json"[..]);
        let content = |tree: &tree::Tree| -> Vec<_> {
            tree.iter()
                .map(|(path, row)| (path.clone(), row.what.clone()))
                .collect()
        };
        assert_eq!(content(&got), content(&expected), "{kind}");
    };
    same("oci");
    same("docker");

    let blob = |digest: &Value| {
        let (_, hex) = digest.as_str().unwrap().split_once(':').unwrap();
        bench.at("oci-dir").join("blobs/sha256").join(hex)
    };
    let manifest = read_json(&blob(&index["manifests"][0]["digest"]));
    let config = &manifest["config"]["digest"];
    assert_eq!(
        std::fs::read_to_string(bench.at("iid")).unwrap(),
        config.as_str().unwrap()
    );
    // As `docker buildx build --metadata-file` writes it.
    let size = std::fs::metadata(blob(&digest.into())).unwrap().len();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let descriptor = json!({"mediaType": media_type, "digest": digest, "size": size});
    let metadata = json!({
        "containerimage.config.digest": config,
        "containerimage.descriptor": descriptor,
        "containerimage.digest": digest,
        "image.name": "docker.io/library/demo:1",
    });
    assert_eq!(read_json(&bench.at("metadata")), metadata);

    // Folders belong to whoever builds, so that no file runs as its owner; devices, pipes and
    // xattrs stay in the image.
    let mut files = bench.sample.expected.clone();
    files.retain(|_, row| !matches!(row.what, What::Character(..) | What::Block(..) | What::Fifo));
    let owner = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    for row in files.values_mut() {
        row.owner = owner;
        row.mode &= if matches!(row.what, What::Directory) {
            0o1777
        } else {
            0o777
        };
        row.xattrs.clear();
    }
    for kind in ["local", "bare"] {
        tree::assert_same(kind, &tree::read(&bench.at(kind)), &files);
    }
}

#[test]
fn several_platforms_are_an_index_and_a_folder_each() {
    let bench = Bench::new();
    let recipe = "platforms = [\"linux/amd64\", \"linux/arm/v7\"]\nfrom = \"scratch\"\n[[steps]]\nfile = { path = \"/a\", content = \"a\" }\n";
    std::fs::write(bench.sample.folder.path().join("cairn.toml"), recipe).unwrap();
    let local = format!("type=local,dest={}", text(&bench.at("local")));
    let digest = run(&mut bench.build(&[
        "-o",
        &local,
        "--iidfile",
        text(&bench.at("iid")),
        "--metadata-file",
        text(&bench.at("metadata")),
    ]));
    let digest = digest.trim_end();
    assert_eq!(std::fs::read_to_string(bench.at("iid")).unwrap(), digest);
    let metadata = read_json(&bench.at("metadata"));
    assert_eq!(metadata["containerimage.digest"], digest);
    let media_type = "application/vnd.oci.image.index.v1+json";
    assert_eq!(
        metadata["containerimage.descriptor"]["mediaType"],
        media_type
    );
    assert!(metadata.get("containerimage.config.digest").is_none());
    for platform in ["linux_amd64", "linux_arm_v7"] {
        assert_eq!(
            std::fs::read(bench.at("local").join(platform).join("a")).unwrap(),
            b"a"
        );
    }
    for one in ["docker", "tar"] {
        let output = format!("type={one},dest={}", text(&bench.at("one")));
        let refused = bench.build(&["-o", &output]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{one}");
        assert!(!bench.at("one").exists());
    }
}

/// An ordinary user: root may write to any folder.
#[test]
fn a_folder_is_written_again_over_what_nobody_may_write_to() {
    const USER: u32 = 1234;
    let folder = temp();
    let at = |name: &str| folder.path().join(name);
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n[[steps]]\nunpack = { paths = [\"a.tar\"], to = \"/\" }\n";
    std::fs::write(at("cairn.toml"), recipe).unwrap();
    let script = "mkdir -p tree/closed/below tree/hidden; echo 1 > tree/closed/below/file; \
                  echo 2 > tree/hidden/file; tar -C tree -cf a.tar --mode=a-w closed; \
                  tar -C tree -rf a.tar --mode=0 hidden";
    run(program("sh", &["-euc", script]).current_dir(folder.path()));
    copy_program(&at("cairn"));
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(folder.path(), Some(USER), Some(USER)).unwrap();
    }
    let export = || {
        let mut command = Command::new(at("cairn"));
        command
            .env_clear()
            .args(["build", "-q", "-o", "files", "--store", "store"])
            .current_dir(folder.path());
        if is_root {
            command.uid(USER).gid(USER);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut modes = Command::new("find");
        modes
            .args(["files", "-printf", "%P %m\\n"])
            .current_dir(folder.path());
        String::from_utf8(modes.output().unwrap().stdout).unwrap()
    };
    let once = export();
    for line in ["closed 555", "closed/below 555", "hidden 0"] {
        assert!(once.lines().any(|found| found == line), "{once}");
    }
    assert_eq!(export(), once);
    assert_eq!(
        std::fs::read(at("files/closed/below/file")).unwrap(),
        b"1\n"
    );
}

/// As `COPY --parents` has it, also of what comes from a stage.
#[test]
fn kept_parents_are_as_they_are_in_their_source() {
    let folder = temp();
    let recipe = r#"
platforms = ["linux/amd64"]
from = "scratch"
[stages.files]
from = "scratch"
[[stages.files.steps]]
directory = { path = "/top", mode = "0711", owner = "3:4" }
[[stages.files.steps]]
directory = { path = "/top/private", mode = "0700", owner = "1:2" }
[[stages.files.steps]]
file = { path = "/top/private/key", content = "k" }
[[steps]]
copy = { from = { stage = "files" }, paths = ["top/private/key"], to = "/all", parents = true }
[[steps]]
copy = { from = { stage = "files" }, paths = ["/top/./*/key"], to = "/some", parents = true, owner = "5", mode = "0600" }
"#;
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    let mut build = cairn(&folder.path().join("home"));
    build.args(["build", "-q", "-o", "type=tar,dest=-"]);
    build.current_dir(folder.path());
    let list = piped(
        build,
        &mut program("tar", &["-tvf", "-", "--numeric-owner"]),
    );
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let list = list.lines().map(words);
    let list: Vec<_> = list
        .map(|words| format!("{} {} {}", words[0], words[1], words[5]))
        .collect();
    let expected = [
        "drwxr-xr-x 0/0 all/",
        "drwx--x--x 3/4 all/top/",
        "drwx------ 1/2 all/top/private/",
        "-rw-r--r-- 0/0 all/top/private/key",
        "drwxr-xr-x 5/5 some/",
        "drwx------ 5/5 some/private/",
        "-rw------- 5/5 some/private/key",
    ];
    // The first is the root.
    assert_eq!(list[1..], expected);
}

/// Runs `command` with what `cairn` writes on standard output.
#[track_caller]
fn piped(mut cairn: Command, command: &mut Command) -> String {
    let mut writer = cairn
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    command.stdin(writer.stdout.take().unwrap());
    let said = run(command);
    let output = writer.wait_with_output().unwrap();
    let digest = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{digest}");
    // The digest has to make room.
    let (_, digest) = digest
        .trim_end()
        .rsplit_once('\n')
        .unwrap_or(("", digest.trim_end()));
    assert!(digest.parse::<Digest>().is_ok(), "{digest}");
    said
}

#[test]
fn archives_go_through_pipes() {
    let bench = Bench::new();
    if require("skopeo") {
        // It follows links to its input, which lead nowhere from `/dev/stdin`.
        let fifo = bench.at("fifo");
        run(&mut program("mkfifo", &[text(&fifo)]));
        let from = format!("oci-archive:{}", text(&fifo));
        let to = format!("oci:{}:demo", text(&bench.at("oci")));
        let copy = "exec 3<&0; cat <&3 > \"$0\" & skopeo copy -q \"$1\" \"$2\" && wait";
        let mut skopeo = program("sh", &["-c", copy, text(&fifo), &from, &to]);
        piped(bench.build(&["-o", "type=oci,dest=-"]), &mut skopeo);
        assert!(bench.at("oci/index.json").is_file());
    }
    if require("podman") {
        let podman = Containers::new("podman", "vfs", bench.folder.path());
        let mut load = podman.command(&["load", "--quiet"]);
        let said = piped(bench.build(&["-o", "type=docker,dest=-"]), &mut load);
        assert_eq!(said, "Loaded image: docker.io/library/demo:1\n");
    }
    if require("bsdtar") {
        let said = piped(
            bench.build(&["-o", "-"]),
            program("bsdtar", &["-tf", "-"]).env("LC_ALL", "C.UTF-8"),
        );
        assert!(said.lines().any(|line| line == "bin/busybox"), "{said}");
        let count = said.lines().count();
        assert_eq!(
            count,
            bench.sample.expected.len() + usize::from(said.contains("./\n"))
        );
    }
}

/// A folder with nothing but these programs, for PATH.
fn path_of(folder: &Path, names: &[&str]) -> PathBuf {
    std::fs::create_dir(folder).unwrap();
    for name in names {
        let found = run(&mut program("sh", &["-c", &format!("command -v {name}")]));
        std::os::unix::fs::symlink(found.trim_end(), folder.join(name)).unwrap();
    }
    folder.to_owned()
}

/// What `--load` says, and that it says so.
#[track_caller]
fn load(bench: &Bench, path: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = bench.build(&["--load", "--debug"]);
    command.env("PATH", path).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// A private storage.conf for podman.
fn storage(bench: &Bench) -> String {
    let at = |name: &str| bench.at("podman").join(name);
    let conf = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
        text(&at("root")),
        text(&at("run"))
    );
    std::fs::write(bench.at("storage.conf"), conf).unwrap();
    text(&bench.at("storage.conf")).to_owned()
}

#[test]
fn load_takes_podman_where_docker_does_not_answer() {
    if !require("podman") || !require("docker") {
        return;
    }
    let bench = Bench::new();
    let conf = storage(&bench);
    let dead = format!("unix://{}", text(&bench.at("nobody.sock")));
    let runtime = text(bench.folder.path()).to_owned();
    let variables = [
        ("CONTAINERS_STORAGE_CONF", &conf[..]),
        ("DOCKER_HOST", &dead),
        ("XDG_RUNTIME_DIR", &runtime),
    ];
    let said = load(
        &bench,
        &path_of(&bench.at("bin"), &["podman", "docker"]),
        &variables,
    );
    assert!(said.contains("loaded into podman"), "{said}");
    let podman = Containers::new("podman", "vfs", bench.folder.path());
    let names = podman.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(names, "docker.io/library/demo:1");
}

#[test]
fn load_takes_docker_and_says_why_it_refuses_zstd() {
    if !require("docker") || !require("dockerd") || !require("containerd") {
        return;
    }
    let bench = Bench::new();
    let folder = bench.at("daemon");
    std::fs::create_dir(&folder).unwrap();
    let Some(daemon) = Daemon::start(&folder) else {
        return;
    };
    let path = path_of(&bench.at("bin"), &["docker"]);
    let version = run(&mut daemon.docker(&["version", "--format", "{{.Server.Version}}"]));
    let mut zstd = bench.build(&["--load", "--compression", "zstd"]);
    zstd.env("PATH", &path).env("DOCKER_HOST", &daemon.socket);
    let output = zstd.output().unwrap();
    if version.starts_with("20.") {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("hint: older versions of Docker read no zstd"),
            "{said}"
        );
    }

    let said = load(&bench, &path, &[("DOCKER_HOST", &daemon.socket)]);
    assert!(said.contains("loaded into docker"), "{said}");
    let mut build = bench.build(&["--iidfile", text(&bench.at("iid"))]);
    run(&mut build);
    let id = run(&mut daemon.docker(&["images", "--quiet", "--no-trunc", "demo:1"]));
    assert_eq!(
        id.trim_end(),
        std::fs::read_to_string(bench.at("iid")).unwrap()
    );
}

#[test]
fn load_takes_containerd_with_several_platforms() {
    if !require("containerd") || !require("ctr") {
        return;
    }
    let bench = Bench::new();
    let folder = bench.at("containerd");
    std::fs::create_dir(&folder).unwrap();
    let Some(containerd) = Containerd::start(&folder) else {
        return;
    };
    let path = path_of(&bench.at("bin"), &["ctr"]);
    let variables = [
        ("CONTAINERD_ADDRESS", &containerd.socket[..]),
        ("CONTAINERD_SNAPSHOTTER", "native"),
    ];
    for platforms in ["linux/amd64", "linux/amd64,linux/arm64"] {
        let mut build = bench.build(&["--load", "--debug", "--platform", platforms]);
        build.env("PATH", &path).envs(variables);
        let output = build.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("loaded into containerd"), "{said}");
        let digest = String::from_utf8(output.stdout).unwrap();
        let images = containerd.run(&["images", "ls"]);
        assert!(images.contains(digest.trim_end()), "{images}");
    }
}

#[test]
fn load_says_who_does_not_answer() {
    let bench = Bench::new();
    let mut command = bench.build(&["--load"]);
    let output = command.env("PATH", bench.at("nothing")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("neither docker, podman nor containerd answers"),
        "{said}"
    );
    assert!(said.contains("hint: "), "{said}");
}
