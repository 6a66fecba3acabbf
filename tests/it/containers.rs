//! cairn inside of other people's containers, as they make them unless told otherwise.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::engines::{Containers, Daemon, drivers};
use crate::support::programs::{program, skipped};
use crate::support::{cairn, copy_program, require, run, temp};

/// The same inside and outside: what commands are told of the machine, and what `/proc` is good for.
const RECIPE: &str = r#"
FROM scratch
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /a/b /c; echo one >/a/b/f; ln /a/b/f /c/f; mkfifo /c/p; chown 7:8 /c/p; mknod /c/d c 1 3
RUN hostname >/told; uname -n >>/told; cat /proc/sys/kernel/hostname /etc/hostname >>/told; \
  linux32 uname -nm >>/told
RUN rm -r /a; mkdir /a; chmod 700 /c; readlink /proc/self/exe >/seen; ls /proc/self/fd >>/seen; \
  echo through >/dev/stdout; echo by-number | cat /dev/fd/0 >>/seen; cat /proc/self/comm >>/seen; \
  ps | grep -q 'ps$' && echo ps >>/seen; stat -c '%u:%g' /c/p >>/seen; \
  test -r /proc/meminfo && test ! -s /proc/keys && echo masked >>/seen
"#;

/// Processes of the container that began before the command, and while it runs: of those the names
/// are seen, and nothing else.
const NOSY: &str = r#"
FROM scratch
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN if grep -l 'sleep.78[1]' /proc/[0-9]*/cmdline; then exit 9; fi; echo ready; \
  while ! there=$(grep -l '^sleep.78[2]' /proc/[0-9]*/cmdline 2>/dev/null); do :; done; \
  there=${there%/cmdline}; grep sleep $there/comm || exit 5; for what in environ maps root cwd fd/0 mem syscall exe; do \
  if ls $there/$what/ || readlink $there/$what || head -c 9 $there/$what; then exit 8; fi; done; \
  if (echo 999 >$there/oom_score_adj) || kill -9 ${there#/proc/}; then exit 7; fi; \
  if (echo 1 >/proc/self/oom_score_adj) || (echo x >/proc/sys/kernel/domainname); then exit 6; fi
RUN --security=insecure true
"#;

/// Commands that need nothing of each other, and would be in each other's way.
const TURNS: &str = r#"
FROM scratch AS base
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS one
RUN --mount=type=cache,id=turn,target=/turn mkdir /turn/mine && for i in $(seq 500); do /bin/busybox true;   done && rmdir /turn/mine && touch /one
FROM base AS two
RUN --mount=type=cache,id=turn,target=/turn mkdir /turn/mine && for i in $(seq 500); do /bin/busybox true;   done && rmdir /turn/mine && touch /two
FROM scratch
COPY --from=one /one /
COPY --from=two /two /
"#;

/// A root with cairn, busybox, and what the program is linked with, as a tar; and a context.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Option<Ground> {
        if !(require("busybox") && require("ldd")) {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            skipped("these containers are root's");
            return None;
        }
        let ground = Ground { folder: temp() };
        let folder = |name: &str| {
            let path = ground.path(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let bin = folder("root/bin");
        copy_program(&bin.join("cairn"));
        std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for name in run(&mut program("busybox", &["--list"])).split_whitespace() {
            let made = std::os::unix::fs::symlink("busybox", bin.join(name));
            assert!(made.is_ok() || name == "busybox", "{name}");
        }
        for library in libraries() {
            let place = ground.path("root").join(library.strip_prefix("/").unwrap());
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(&library, place).unwrap();
        }
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\n";
        std::fs::create_dir(ground.path("root/etc")).unwrap();
        std::fs::write(ground.path("root/etc/passwd"), passwd).unwrap();
        let context = folder("root/context");
        std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
        std::fs::write(context.join("Dockerfile"), RECIPE).unwrap();
        std::fs::write(context.join("nosy"), NOSY).unwrap();
        std::fs::write(context.join("turns"), TURNS).unwrap();
        let tmp = folder("root/tmp");
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        std::fs::set_permissions(tmp, all).unwrap();
        let (tar, root) = (ground.text("root.tar"), ground.text("root"));
        run(&mut program("tar", &["-C", &root, "-cf", &tar, "."]));
        Some(ground)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The digest outside.
    fn digest(&self) -> String {
        let mut cairn = cairn(&self.path("store"));
        cairn.args(["build", "--network", "none"]);
        run(cairn.arg(self.path("root/context")))
    }
}

/// What the program needs beside itself.
fn libraries() -> Vec<PathBuf> {
    let told = run(&mut program("ldd", &[env!("CARGO_BIN_EXE_cairn")]));
    let words = told.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

/// What builds inside; `HOME` is where everyone may write.
const BUILD: &str = "HOME=/tmp/home cairn build --network none /context";
const DOCTOR: &str = "HOME=/tmp/home cairn doctor";
const PROC_NOTE: &str = "the container's `/proc` is the only one to be had";
const COPY_NOTE: &str = "layers are copied for each command";

#[track_caller]
fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn builds(command: &mut Command, digest: &str, is_copied: bool) {
    let output = command.output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(out, digest, "{err}");
    assert_eq!(err.matches(PROC_NOTE).count(), 1, "{err}");
    assert_eq!(err.contains(COPY_NOTE), is_copied, "{err}");
}

#[track_caller]
fn fails(command: &mut Command, way_out: &str) {
    let output = command.output().unwrap();
    let (out, err) = said(&output);
    assert!(!output.status.success(), "{out}{err}");
    assert!(format!("{out}{err}").contains(way_out), "{out}{err}");
}

fn podman(driver: &'static str, folder: &Path, tar: &str) -> (Containers, String) {
    let podman = Containers::new("podman", driver, folder);
    let image = podman.run(&["import", "--quiet", tar]);
    (podman, image)
}

/// A container as Podman makes it, on any machine's kernel and limits.
fn podman_run(podman: &Containers, image: &str, options: &[&str], script: &str) -> Command {
    let run = ["--runtime", "runc", "run", "--rm", "--network", "none"];
    let limits = [
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=1024:1024",
    ];
    let command = [image, "sh", "-c", script];
    podman.command(&[&run[..], &limits, options, &command].concat())
}

#[test]
fn commands_run_in_a_container_of_podman() {
    if !(require("podman") && require("runc")) {
        return;
    }
    let Some(ground) = Ground::new() else {
        return;
    };
    let digest = ground.digest();
    let driver = drivers("vfs", "overlay").pop().unwrap();
    let (podman, image) = podman(driver, ground.folder.path(), &ground.text("root.tar"));
    let is_copied = driver == "overlay";
    for options in [&[][..], &["--user", "1000"]] {
        builds(
            &mut podman_run(&podman, &image, options, BUILD),
            &digest,
            is_copied,
        );
    }
    let turns = format!("{BUILD} -f /context/turns");
    let output = podman_run(&podman, &image, &[], &turns).output().unwrap();
    assert!(output.status.success(), "{}", said(&output).1);
    // Root without any right is nobody's root, not even of itself.
    let powerless = ["--cap-drop", "all"];
    let way_out = "leave root the capabilities SETFCAP, SETUID and SETGID";
    fails(&mut podman_run(&podman, &image, &powerless, BUILD), way_out);
    let itself = [&powerless[..], &["--cap-add", "SETFCAP"]].concat();
    builds(
        &mut podman_run(&podman, &image, &itself, BUILD),
        &digest,
        is_copied,
    );
    let user = ["--user", "1000"];
    let output = podman_run(&podman, &image, &user, DOCTOR).output().unwrap();
    let (out, err) = said(&output);
    assert!(out.contains("good     clock: "), "{out}{err}");
    let output = podman_run(&podman, &image, &[], DOCTOR).output().unwrap();
    let (out, err) = said(&output);
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("good     clock: "), "{out}");
    for (name, way_out) in [
        ("proc", "`--security-opt unmask=ALL`"),
        ("the same everywhere", "`--security-opt seccomp=unconfined`"),
        ("limits", "limit the container itself"),
        ("overlay", "put the store"),
    ] {
        let begin = format!("slower   {name}: ");
        let mut lines = out.lines().skip_while(|line| !line.starts_with(&begin));
        let is_told = lines.nth(1).is_some_and(|line| line.contains(way_out));
        assert_eq!(is_told, name != "overlay" || is_copied, "{name}: {out}");
    }
    // A store that overlays can be written to, and a container that hides nothing.
    let volume = ["--tmpfs", "/tmp:rw,exec,mode=1777"];
    builds(
        &mut podman_run(&podman, &image, &volume, BUILD),
        &digest,
        false,
    );
    let open = ["--security-opt", "unmask=ALL"];
    let output = podman_run(&podman, &image, &open, BUILD).output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(out, digest, "{err}");
    assert!(!err.contains(PROC_NOTE), "{err}");
}

#[test]
fn the_containers_processes_are_nobodys_business() {
    if !(require("podman") && require("runc")) {
        return;
    }
    let Some(ground) = Ground::new() else {
        return;
    };
    let driver = drivers("vfs", "overlay").pop().unwrap();
    let (podman, image) = podman(driver, ground.folder.path(), &ground.text("root.tar"));
    // The second process begins when the command says that it has seen none.
    let script = "sleep 781 & HOME=/tmp cairn build --network none --allow security.insecure \
                  --progress plain -f /context/nosy /context 2>&1 | while read -r line; do \
                  echo \"$line\"; case $line in *' ready') sleep 782 & ;; esac; done";
    for options in [&[][..], &["--user", "1000"]] {
        let output = podman_run(&podman, &image, options, script)
            .output()
            .unwrap();
        let (out, err) = said(&output);
        assert!(out.contains("#3 done in"), "{out}{err}");
        let refused = "this machine doesn't let cairn give a command every capability";
        assert!(out.contains(refused), "{out}{err}");
    }
}

#[test]
fn commands_run_in_a_container_of_docker_without_its_filter() {
    if !(require("dockerd") && require("docker")) {
        return;
    }
    let Some(ground) = Ground::new() else {
        return;
    };
    let digest = ground.digest();
    let folder = ground.path("docker");
    std::fs::create_dir(&folder).unwrap();
    let Some(daemon) = Daemon::start(&folder) else {
        return;
    };
    let image = run(&mut daemon.docker(&["import", &ground.text("root.tar")]));
    let docker = |options: &[&str], script: &str| {
        let run = ["run", "--rm", "--network", "none"];
        let command = [image.trim(), "sh", "-c", script];
        daemon.docker(&[&run[..], options, &command].concat())
    };
    let open = ["--security-opt", "seccomp=unconfined"];
    builds(&mut docker(&open, BUILD), &digest, false);
    let user = ["--security-opt", "seccomp=unconfined", "--user", "1000"];
    builds(&mut docker(&user, BUILD), &digest, false);
    // The way out of the rest is the one that was just gone.
    let way_out = "start the container with `--security-opt seccomp=unconfined`";
    for (options, script) in [
        (&[][..], BUILD),
        (&[], DOCTOR),
        // Whose filter lets namespaces be made, and nobody change their root.
        (&["--cap-add", "SYS_ADMIN"], BUILD),
    ] {
        fails(&mut docker(options, script), way_out);
    }
}
