//! Dockerfiles whose commands mean harm, built by root, by a user with a range of others, and by
//! one without: nothing outside is harmed, and what failed says what happened.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use super::must_be_empty;
use crate::support::programs::skipped;
use crate::support::recipes::entries;
use crate::support::users::{User, Users};
use crate::support::{require, run, temp};

/// What the canary holds, which nobody may write to.
const UNTOUCHED: &str = "untouched\n";
/// What the caller's environment holds, which nobody may read.
const SECRET: &str = "correct-horse-9120";

/// A Dockerfile on the image, and how its build ends. `{canary}` is a file of the caller's,
/// `{beside}` its folder, `{marker}` what processes of this case are known by, `{socket}` the name
/// of an abstract socket outside.
struct Recipe {
    name: &'static str,
    lines: &'static str,
    flags: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
}

const fn harmless(name: &'static str, lines: &'static str) -> Recipe {
    fails(name, lines, &[], 0, &[])
}

const fn fails(
    name: &'static str,
    lines: &'static str,
    flags: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
) -> Recipe {
    Recipe {
        name,
        lines,
        flags,
        code,
        says,
    }
}

const RECIPES: &[Recipe] = &[
    harmless("system calls", "RUN harm all"),
    harmless("system calls of a user", "USER ann\nRUN harm all"),
    harmless(
        "set-user-ID programs",
        "RUN cp /bin/harm /bin/set && chmod 6755 /bin/set\nUSER ann\nRUN set all",
    ),
    harmless(
        "a user's streams by their names",
        "USER ann\nRUN cat < /dev/stdin && echo out > /dev/stdout && echo err > /dev/stderr",
    ),
    fails(
        "a fork bomb",
        // What would have to be forked or executed could fail for lack of processes, and end it early.
        "RUN bomb() { bomb | bomb & }; bomb; while :; do :; done",
        &["--processes=64", "--timeout=2s"],
        1,
        &["can't fork", "its time was over"],
    ),
    fails(
        "a disk filler",
        "RUN cat /dev/zero > /fill",
        &["--ulimit=fsize=1000000"],
        1,
        &["SIGXFSZ"],
    ),
    fails(
        "a memory filler",
        "RUN [\"tail\", \"-c\", \"999999999\", \"/dev/zero\"]",
        &["--memory=64m"],
        1,
        &["memory"],
    ),
    fails(
        "endless output",
        "RUN yes",
        &["--timeout=500ms"],
        1,
        &["its time was over", "cairn log"],
    ),
    fails(
        "endless time",
        "RUN trap '' TERM INT HUP; while :; do sleep 1000; done",
        &["--timeout=200ms"],
        1,
        &["its time was over", "--timeout"],
    ),
    harmless(
        "a mount on a link that leads out",
        "RUN ln -s /../../../..{canary} /x\nRUN --mount=type=tmpfs,target=/x/d \
         --mount=type=bind,target=/y,rw echo evil > /y/evil; echo evil > /x/d/evil",
    ),
    harmless(
        "a copy through a link that leads out",
        "RUN ln -s /../../../..{beside} /x\nCOPY evil /x/canary\nADD --chown=1:1 evil /x/other\n\
         RUN grep evil {canary}",
    ),
    harmless(
        "a working directory behind a link that leads out",
        "RUN ln -s /../../../..{beside} /x\nWORKDIR /x/made\nRUN touch here",
    ),
    harmless(
        "a cache with a link that leads out",
        "RUN --mount=type=cache,target=/c ln -sfn /../../../..{beside} /c/l\n\
         RUN --mount=type=cache,target=/c ! echo evil > /c/l/canary",
    ),
    fails(
        "a mount of a link that leads out",
        "FROM base AS out\nRUN ln -s {canary} /x\nFROM base\n\
         RUN --mount=type=bind,from=out,source=/x,target=/y cat /y",
        &[],
        1,
        &["No such file"],
    ),
    harmless(
        "roots of processes",
        "RUN for p in /proc/[0-9]* /proc/self /proc/thread-self; do cat $p/root{canary} $p/cwd{canary}; \
         cat $p/environ; done 2>/dev/null; ls /proc/1/root/; true",
    ),
    harmless("a way out of the root", "RUN ! harm leave {canary}"),
    harmless(
        "the caller's environment",
        "RUN env; cat /proc/*/environ | tr '\\0' '\\n'; echo $HARM $CAIRN_HOME",
    ),
    harmless(
        "devices",
        "RUN mknod /disk b 259 0; mknod /tmp/mem c 1 1; ! dd if=/disk of=/dev/null count=1; \
         ! dd if=/tmp/mem of=/dev/null count=1; rm -f /disk /tmp/mem",
    ),
    fails(
        "kill -1",
        "RUN sleep 1000 & harm kill-all; true",
        &[],
        1,
        &["signal 9 (SIGKILL)"],
    ),
    fails(
        "kill -9 $$",
        "RUN kill -9 $$",
        &[],
        1,
        &["signal 9 (SIGKILL)"],
    ),
    fails(
        "signals to the first process",
        "RUN kill -9 1; kill -STOP 1; kill -TERM 1; kill -USR1 1; exit 7",
        &[],
        1,
        &["exit code 7"],
    ),
    harmless(
        "a process that outlives its command",
        "RUN harm stay {marker} & echo done",
    ),
    fails(
        "a daemon that outlives a failure",
        "RUN (setsid harm stay {marker} &) ; (harm stay {marker} & ) & exit 4",
        &[],
        1,
        &["exit code 4"],
    ),
    harmless("an abstract socket", "RUN ! harm reach {socket}"),
    harmless(
        "an abstract socket, with the network",
        "RUN --network=default ! harm reach {socket}",
    ),
    fails(
        "what is to be allowed",
        "RUN --security=insecure mount -t tmpfs none /tmp",
        &[],
        1,
        &["security.insecure"],
    ),
    fails(
        "a billion arguments",
        "ARG A=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nARG B=$A$A$A$A$A$A$A$A\nARG C=$B$B$B$B$B$B$B$B\n\
         ARG D=$C$C$C$C$C$C$C$C\nARG E=$D$D$D$D$D$D$D$D\nARG F=$E$E$E$E$E$E$E$E\nARG G=$F$F$F$F$F$F$F$F\n\
         ARG H=$G$G$G$G$G$G$G$G\nARG I=$H$H$H$H$H$H$H$H\nARG J=$I$I$I$I$I$I$I$I\nRUN echo $J",
        &[],
        1,
        &["it expands to more than 1048576 bytes", "ARG G="],
    ),
    fails(
        "what a terminal obeys",
        "RUN printf '\\033]0;evil\\007\\033[2Jcolour\\n'; touch \"$(printf '/\\033[2J')\"; false",
        &[],
        1,
        &["colour", "exit code 1"],
    ),
    fails(
        "a tree too deep for any layer",
        "RUN i=0; while [ $i -lt 1500 ]; do p=$p/d; i=$((i+1)); done; mkdir -p /a$p /b$p && mv /b /a$p",
        &[],
        1,
        &["a path below `/a/d/d"],
    ),
];

/// The image of what recipes stand on: this machine's busybox, and a program that tries harm.
/// False where that can't be made.
fn make_image(users: &Users) -> bool {
    let harm = users.text("image/harm");
    for folder in ["image", "context"] {
        std::fs::create_dir(users.path(folder)).unwrap();
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/harm.c");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O1", "-o", &harm]).arg(source);
    if !cc.output().unwrap().status.success() {
        skipped("there is no C library to link with statically");
        return false;
    }
    std::fs::copy("/bin/busybox", users.path("image/busybox")).unwrap();
    users.write(
        "image/Dockerfile",
        "FROM scratch\nCOPY --chmod=755 busybox harm /bin/\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
         RUN mkdir -m 1777 /tmp && echo root:x:0:0::/:/bin/sh > /etc/passwd && \
         echo ann:x:1000:1000::/:/bin/sh >> /etc/passwd\nENV PATH=/bin\n",
    );
    users.write("context/evil", "evil");
    true
}

/// What is otherwise than it must be after the build of a recipe by `user`.
fn harm_done(users: &Users, user: User, number: usize, recipe: &Recipe) -> Vec<String> {
    let beside = users.path(&format!("beside-{user:?}"));
    let canary = beside.join("canary");
    let marker = format!("harm-{}-{user:?}-{number}", std::process::id());
    // Abstract sockets are the network namespace's: the test's own.
    let address = SocketAddr::from_abstract_name(&marker).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let lines = recipe
        .lines
        .replace("{canary}", canary.to_str().unwrap())
        .replace("{beside}", beside.to_str().unwrap())
        .replace("{marker}", &marker)
        .replace("{socket}", &marker);
    let file = users.text(&format!("Dockerfile-{user:?}"));
    std::fs::write(&file, format!("FROM base\n{lines}\n")).unwrap();
    let mut build = users.cairn(user);
    build.args(["build", "--progress=plain", "--network=none", "-f", &file]);
    build.args(recipe.flags).env("HARM", SECRET);
    let output = build.arg(users.path("context")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let mut found = Vec::new();
    if output.status.code() != Some(recipe.code) {
        found.push(format!("ends with {:?}", output.status));
    }
    // What is said of root's processes where there are no control groups.
    let is_refused = said.contains("doesn't let cairn limit the processes of a command");
    let missing = recipe.says.iter().filter(|part| !said.contains(**part));
    for part in missing.filter(|_| !is_refused) {
        found.push(format!("doesn't say {part:?}"));
    }
    if said.contains(SECRET) || said.contains(UNTOUCHED.trim_end()) {
        found.push("shows what is the caller's".to_owned());
    }
    if said.chars().any(|c| c.is_control() && !"\n\t".contains(c)) {
        found.push("says what a terminal obeys".to_owned());
    }
    if std::fs::read_to_string(&canary).unwrap() != UNTOUCHED || entries(&beside).len() != 1 {
        found.push(format!("the caller's files: {:?}", entries(&beside)));
    }
    let left = processes()
        .into_iter()
        .filter(|line| line.contains(&marker));
    found.extend(left.map(|line| format!("left a process: {line}")));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    if mounts.contains(users.path("").to_str().unwrap()) {
        found.push(format!("left a mount: {mounts}"));
    }
    let left = entries(&users.store(user).join("tmp"));
    if !left.is_empty() {
        found.push(format!("left in the store: {left:?}"));
    }
    if !found.is_empty() {
        found.push(format!("it said:\n{}", said.trim_end()));
    }
    found
}

/// The arguments of all processes of this machine.
pub(super) fn processes() -> Vec<String> {
    let folders = entries(Path::new("/proc")).into_iter();
    // Most others are no processes, or ended meanwhile.
    let lines = folders.filter_map(|folder| std::fs::read(folder.join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

#[test]
fn commands_that_mean_harm_do_none() {
    if !(require("busybox") && require("cc")) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    if !make_image(&users) {
        return;
    }
    let all = |user: User| {
        let beside = users.path(&format!("beside-{user:?}"));
        std::fs::create_dir(&beside).unwrap();
        std::fs::write(beside.join("canary"), UNTOUCHED).unwrap();
        users.give(user, &beside);
        let mut build = users.cairn(user);
        run(build
            .args(["build", "-q", "-t", "base"])
            .arg(users.path("image")));
        let mut failures = Vec::new();
        for (number, recipe) in RECIPES.iter().enumerate() {
            let found = harm_done(&users, user, number, recipe);
            if !found.is_empty() {
                let found = found.join("\n  ");
                failures.push(format!("{} as {user:?}:\n  {found}", recipe.name));
            }
        }
        failures
    };
    let failures: Vec<_> = std::thread::scope(|scope| {
        let threads = User::ALL.map(|user| scope.spawn(move || all(user)));
        let found = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        found.collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// An agent that says again what it is told, at that path, until the tests end.
fn echo(at: &Path) {
    let listener = UnixListener::bind(at).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut said = Vec::new();
            connection.read_to_end(&mut said).unwrap();
            connection.write_all(&said).unwrap();
        }
    });
}

#[test]
fn a_command_speaks_to_the_caller_s_agent_by_a_socket_of_its_own() {
    if !(require("busybox") && require("cc")) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    make_image(&users);
    for user in User::ALL {
        let agent = users.path(&format!("agent-{user:?}"));
        echo(&agent);
        users.give(user, &agent);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&agent, mode).unwrap();
        let before = std::fs::metadata(&agent).unwrap();
        // One user alone owns all that there is, and nobody is kept out.
        let (owner, others) = match user {
            User::Single => ("0:0", ""),
            User::Me | User::Ranged => ("1000:1001", "! "),
        };
        let mount = "--mount=type=ssh,target=/agent";
        users.write(
            "context/Dockerfile",
            &format!(
                "FROM base\nRUN {mount},mode=0640,uid=1000,gid=1001 \
                   test \"$(stat -c %a:%u:%g /agent)\" = 640:{owner} && \
                   harm ask $SSH_AUTH_SOCK && harm ask /agent && chmod 0666 /agent\n\
                 RUN --network=default {mount} harm ask /agent\n\
                 USER ann\nRUN {mount},uid=1000 harm ask /agent\n\
                 RUN {mount} {others}harm ask /agent\n"
            ),
        );
        for folder in ["image", "context"] {
            let mut build = users.cairn(user);
            build.args(["build", "-q", "--network=none", "--ssh"]);
            build.arg(format!("default={}", agent.display()));
            run(build.args(["-t", "base"]).arg(users.path(folder)));
        }
        let after = std::fs::metadata(&agent).unwrap();
        let state = |found: &std::fs::Metadata| (found.mode(), found.uid(), found.ctime_nsec());
        assert_eq!(state(&after), state(&before), "{user:?}");
    }
}

#[test]
fn a_command_that_fills_the_disk_is_told_and_leaves_it() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can mount file systems");
    }
    if !(require("busybox") && require("unshare")) {
        return;
    }
    let folder = temp();
    let context = folder.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
    let line = "a".repeat(1000);
    for filler in [
        "\"dd\", \"if=/dev/zero\", \"of=/fill\"",
        &format!("\"yes\", \"{line}\""),
    ] {
        let text = format!("FROM scratch\nCOPY busybox /bin/\nRUN [\"/bin/busybox\", {filler}]\n");
        std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
        let script = "mkdir -p store && mount -t tmpfs -o size=16m none store && \
            \"$@\" build -q -f Dockerfile context; code=$?; ls -A store/tmp; exit $code";
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "sh", "-c", script, "sh"]);
        shell
            .arg(env!("CARGO_BIN_EXE_cairn"))
            .current_dir(folder.path());
        shell.env("CAIRN_HOME", folder.path().join("store"));
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{filler}: {said}");
        assert!(said.contains("No space left on device"), "{filler}: {said}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "",
            "{filler}: {said}"
        );
    }
    must_be_empty(&folder.path().join("store"));
}
