//! Cairns that are ended while a command runs: no process, mount or half a record is left, what the
//! command wrote can be read, and the next build works.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::commands::processes;
use crate::support::recipes::entries;
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// How long what is to end may take to.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who ends it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Signal(Signal),
    /// Its terminal is closed.
    Terminal,
}

const ENDS: [(End, Option<i32>); 5] = [
    (End::Signal(Signal::INT), Some(130)),
    (End::Signal(Signal::TERM), Some(143)),
    (End::Signal(Signal::HUP), Some(129)),
    (End::Signal(Signal::KILL), None),
    (End::Terminal, None),
];

/// Runs until it is ended, whatever signals it gets, with a child that tries to get away.
fn stubborn(marker: &str) -> String {
    format!(
        "FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n\
         RUN --mount=type=cache,target=/c trap '' INT TERM HUP QUIT; touch /c/begun /begun; \
         (setsid sh -c 'trap \"\" INT TERM HUP; while :; do sleep 1000; done # {marker}' &); \
         echo is up; while :; do sleep 1000; done # {marker}\n"
    )
}

/// Starts `build`, and waits until its command runs.
fn start(mut build: Command) -> Child {
    let mut child = build
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let has_begun = |from: &mut dyn std::io::Read| {
        let mut lines = BufReader::new(from).lines();
        lines.any(|line| line.is_ok_and(|line| line.contains("is up") && !line.contains("run ")))
    };
    // script(1) has all on standard output, cairn on standard error.
    let is_script = build.get_program() == "script";
    let begun = match is_script {
        true => has_begun(child.stdout.as_mut().unwrap()),
        false => has_begun(child.stderr.as_mut().unwrap()),
    };
    assert!(begun, "{build:?} ended before its command ran");
    child
}

/// Waits until no process has the marker.
fn wait_until_gone(marker: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut left = processes();
        left.retain(|line| line.contains(marker));
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "left: {left:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_build_that_is_ended_while_a_command_runs_leaves_nothing() {
    if !(require("busybox") && require("script")) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    users.write("context/empty", "");
    std::fs::copy("/bin/busybox", users.path("context/busybox")).unwrap();
    for user in User::ALL {
        for (end, code) in ENDS {
            let marker = format!("ended-{}-{user:?}-{end:?}", std::process::id());
            let marker = marker.replace(['(', ')', ' '], "-");
            let file = users.text("Dockerfile");
            std::fs::write(&file, stubborn(&marker)).unwrap();
            let mut build = users.cairn(user);
            let context = users.text("context");
            build.args(["build", "--progress=plain", "--network=none", "-f", &file]);
            build.args(["-t", "ended", &context]);
            let mut child = match end {
                End::Signal(_) => start(build),
                End::Terminal => {
                    let words = std::iter::once(build.get_program()).chain(build.get_args());
                    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
                    let mut script = Command::new("script");
                    script.args(["-qec", &words.join(" "), "/dev/null"]);
                    script.env_clear().stdin(Stdio::null());
                    for (name, value) in build.get_envs() {
                        script.env(name, value.unwrap_or_default());
                    }
                    start(script)
                }
            };
            let signal = match end {
                End::Signal(signal) => signal,
                End::Terminal => Signal::KILL,
            };
            let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            kill_process(id, signal).unwrap();
            // Nobody reads any more.
            drop((child.stdout.take(), child.stderr.take()));
            let status = child.wait().unwrap();
            match code {
                Some(code) => assert_eq!(status.code(), Some(code), "{marker}"),
                None => assert_eq!(status.signal(), Some(9), "{marker}"),
            }
            wait_until_gone(&marker);
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
            assert!(!mounts.contains(&users.text("")), "{marker}: {mounts}");
            // What it wrote until then can be read.
            let list = run(users.cairn(user).arg("log"));
            let row = list.lines().last().unwrap();
            assert!(row.contains("unfinished"), "{marker}: {list}");
            let key = row.split_whitespace().next().unwrap();
            let log = run(users.cairn(user).args(["log", key]));
            assert_eq!(log, "is up\n", "{marker}");
            let images = run(users.cairn(user).arg("images"));
            assert_eq!(images.lines().count(), 1, "{marker}: {images}");
            // The next one has all that it needs, the cache included, and tidies up.
            let text = stubborn(&marker);
            let (before, _) = text.split_once("RUN --mount").unwrap();
            let next = "RUN --mount=type=cache,target=/c test -e /c/begun && test ! -e /begun";
            std::fs::write(&file, format!("{before}{next}\n")).unwrap();
            let mut next = users.cairn(user);
            next.args([
                "build",
                "-q",
                "--network=none",
                "--no-cache-filter=0",
                "-f",
                &file,
            ]);
            run(next.arg(&context));
            let left = entries(&users.store(user).join("tmp"));
            assert!(left.is_empty(), "{marker}: {left:?}");
            std::fs::remove_dir_all(users.store(user)).unwrap();
        }
    }
}
