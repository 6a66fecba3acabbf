//! Limits of a step as a whole, and what is said where there can be none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cairn::sandbox::{Error, Wanted};
use rustix::process::{Pid, Signal};

use super::ground::{Ground, open};
use crate::support::users::{User, Users};
use crate::support::{programs, require};

/// Most processes of a step, if nobody says.
const PROCESSES: u64 = 32768;

/// The control groups of a process, by what the line of each hierarchy begins with.
fn groups(process: u32) -> Vec<(String, PathBuf)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap();
    let group = |line: &str| {
        let (hierarchy, path) = line.split_once(":/").unwrap();
        (hierarchy.to_owned(), PathBuf::from(path))
    };
    text.lines().map(group).collect()
}

/// Where a group is, if the machine shows it.
fn folder((hierarchy, path): &(String, PathBuf)) -> Option<PathBuf> {
    let (_, controllers) = hierarchy.split_once(':').unwrap();
    let roots = match controllers {
        "" => vec!["", "unified"],
        controllers => vec![controllers],
    };
    let root = Path::new("/sys/fs/cgroup");
    let mut folders = roots.iter().map(|name| root.join(name).join(path));
    folders.find(|folder| folder.join("cgroup.procs").exists())
}

/// The first process of a step that `process` began, at whatever remove: that which is in another
/// process namespace.
fn first_of_step(process: u32) -> Option<u32> {
    let namespace = |process: u32| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace().find_map(|child| {
        let child = child.parse().unwrap();
        match namespace(child).is_some_and(|own| Some(own) != namespace(std::process::id())) {
            true => Some(child),
            false => first_of_step(child),
        }
    })
}

#[test]
fn a_step_has_groups_below_cairn_s_own_that_the_next_removes_if_it_is_killed() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let mut limited = ground.request("true");
    limited.limits.processes = Some(100);
    let ran = ground.session.run(&limited, &mut |_, _| Ok(()));
    if !ran.is_ok_and(|outcome| outcome.loose.is_empty()) {
        return programs::skipped("this user may make no control group");
    }
    let request = ground.request("echo up; sleep 1000");
    let session = open(Path::new(env!("CARGO_BIN_EXE_cairn")), Wanted::Best);
    let mut left = Vec::new();
    let mut kill = |_, _: &[u8]| {
        let first = first_of_step(session.process()).unwrap();
        let own = groups(std::process::id());
        for (group, (_, own)) in groups(first).iter().zip(own) {
            if group.1 != own {
                assert_eq!(group.1.parent(), Some(own.as_path()));
                left.push(folder(group).unwrap());
            }
        }
        let agent = Pid::from_raw(session.process() as i32).unwrap();
        rustix::process::kill_process(agent, Signal::KILL).unwrap();
        Ok(())
    };
    let error = session.run(&request, &mut kill).unwrap_err();
    assert!(matches!(error, Error::Ended), "{error}");
    assert!(!left.is_empty());
    let limit = left
        .iter()
        .find_map(|group| std::fs::read_to_string(group.join("pids.max")).ok());
    // Another test's step may have removed it already.
    if let Some(limit) = limit {
        assert!(limit.trim().parse::<u64>().unwrap() <= PROCESSES, "{limit}");
    }
    let end = Instant::now() + Duration::from_secs(20);
    let is_used = |group: &PathBuf| {
        let processes = std::fs::read_to_string(group.join("cgroup.procs"));
        processes.is_ok_and(|processes| !processes.is_empty())
    };
    while left.iter().any(is_used) && Instant::now() < end {
        std::thread::yield_now();
    }
    ground.says("echo well", "well\n");
    assert!(left.iter().all(|group| !group.exists()), "{left:?}");
}

/// What a build says, on standard error, and its exit code.
#[track_caller]
fn says(build: &mut Command, code: i32) -> String {
    let output = build.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn a_limit_that_holds_for_less_than_a_command_is_told_and_one_that_does_not_is_refused() {
    if !(require("busybox") && require("unshare")) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    std::fs::create_dir(users.path("context")).unwrap();
    std::fs::copy("/bin/busybox", users.path("context/busybox")).unwrap();
    let lines = "FROM scratch\nCOPY --chmod=755 busybox /bin/sh\nENV PATH=/bin\n";
    users.write("context/Dockerfile", &format!("{lines}RUN true\nRUN :\n"));
    users.write("user", &format!("{lines}USER 7\nRUN true\n"));
    let arguments = |build: &mut Command, limits: &[&str]| {
        build
            .args(["build", "--network=none", "--no-cache"])
            .args(limits);
        build.arg(users.path("context"));
    };
    let both = ["--memory=100m", "--processes=100"];
    for user in [User::Ranged, User::Single] {
        let mut build = users.cairn(user);
        arguments(&mut build, &both);
        let said = says(&mut build, 0);
        assert!(said.contains("no control group here; begin "), "{said}");
        let told = "`--memory` holds for each process of a command alone, and `--processes`";
        assert_eq!(said.matches(told).count(), 1, "{said}");
    }
    // Root on a machine that shows no control groups.
    let without = |limits: &[&str], code| {
        let like = users.cairn(User::Me);
        let mut build = Command::new("unshare");
        let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
        build.args(["--mount", "sh", "-c", script, "sh"]);
        build.arg(like.get_program());
        for (name, value) in like.get_envs() {
            build.env(name, value.unwrap_or_default());
        }
        arguments(&mut build, limits);
        says(&mut build, code)
    };
    let said = without(&["--memory=100m"], 0);
    assert!(said.contains("`--memory` holds for each process"), "{said}");
    let said = without(&both, 1);
    assert!(
        said.contains("limit the processes of a command")
            && said.contains("begin ")
            && said.contains("or leave out `--processes`"),
        "{said}"
    );
    let file = users.text("user");
    let said = without(&["--processes=100", "-f", &file], 0);
    assert!(said.contains("`--processes` holds for all that"), "{said}");
    assert!(!without(&[], 0).contains("control group"));
}
