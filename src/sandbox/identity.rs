//! The session's user namespace, and which users there are in it.
//!
//! In: what the machine gives: `/proc/self/uid_map` to root, `/etc/subuid` and `/etc/subgid`
//! through newuidmap(1) and newgidmap(1) to others. Out: [`enter`] leaves the process in a user
//! namespace and a mount namespace of its own, as root there.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::MountPropagationFlags;
use rustix::process::Pid;
use rustix::thread::{Gid, Uid, UnshareFlags};

use super::error::{Doing as _, Error, Told};
use super::session::{Identity, Wanted};
use super::sys::{self, Alone, Forked};

/// Largest file of those that are read here, in bytes.
const LARGEST_FILE: u64 = 16 << 20;
/// Where the programs are that write maps for others.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/bin", "/bin", "/run/wrappers/bin", "/usr/local/bin"];

/// A line of a map: ids inside from, ids outside from, how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    inside: u32,
    outside: u32,
    count: u32,
}

/// The maps of users and of groups.
#[derive(Debug, PartialEq, Eq)]
struct Maps {
    users: Vec<Span>,
    groups: Vec<Span>,
}

/// Makes the namespaces and moves this process there. A child stays outside meanwhile: only from
/// there can more than one user be mapped.
pub(super) fn enter(alone: &Alone, wanted: Wanted) -> Result<Identity, Error> {
    let me = rustix::process::getpid();
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (begin, to_begin) = pipe().doing(|| "make a pipe".to_owned())?;
    let (told, to_tell) = pipe().doing(|| "make a pipe".to_owned())?;
    let child = match sys::fork(alone).doing(|| "fork".to_owned())? {
        Forked::Child(_) => {
            drop((to_begin, told));
            let mut byte = [0];
            let begun = std::fs::File::from(begin).read_exact(&mut byte);
            let result = match begun {
                Ok(()) => map(me, wanted, uid.as_raw(), gid.as_raw()).map_err(Told::from),
                // The parent could not even begin.
                Err(_) => sys::exit(1),
            };
            let text = serde_json::to_vec(&result).unwrap_or_default();
            let written = std::fs::File::from(to_tell).write_all(&text);
            sys::exit(u8::from(written.is_err()));
        }
        Forked::Parent(child) => child,
    };
    drop((begin, to_tell));
    let unshared = sys::unshare(alone, UnshareFlags::NEWUSER | UnshareFlags::NEWNS);
    if unshared.is_ok() {
        let _ = std::fs::File::from(to_begin).write_all(&[1]);
    } else {
        drop(to_begin);
    }
    let mut text = Vec::new();
    let read = std::fs::File::from(told).read_to_end(&mut text);
    let _ = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    unshared.map_err(|cause| no_namespace(&cause))?;
    read.doing(|| "hear of the maps of users".to_owned())?;
    let result: Result<Identity, Told> = serde_json::from_slice(&text).map_err(|_| Error::Ended)?;
    let identity = result.map_err(Error::from)?;
    become_root(identity).map_err(|cause| no_namespace(&cause))?;
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(|cause| no_namespace(&cause.into()))?;
    Ok(identity)
}

fn become_root(identity: Identity) -> std::io::Result<()> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    if identity != Identity::Single {
        rustix::thread::set_thread_groups(&[])?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // What was lost with the change of users, as of a program that may not be read.
    let behaviour = rustix::process::DumpableBehavior::Dumpable;
    Ok(rustix::process::set_dumpable_behavior(behaviour)?)
}

fn no_namespace(cause: &std::io::Error) -> Error {
    let setting = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let is_off = |path: &str| setting(path).trim() == "0";
    let hint = if is_off("/proc/sys/kernel/unprivileged_userns_clone") {
        "as root, run `sysctl -w kernel.unprivileged_userns_clone=1`"
    } else if is_off("/proc/sys/user/max_user_namespaces") {
        "as root, run `sysctl -w user.max_user_namespaces=10000`"
    } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").trim() == "1" {
        "as root, run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or give cairn an AppArmor profile with `userns,`"
    } else {
        confined(
            &setting("/proc/self/status"),
            &setting("/proc/self/attr/current"),
        )
    };
    Error::Unsupported {
        what: "make a user namespace".to_owned(),
        cause: cause.to_string(),
        hint: hint.to_owned(),
    }
}

/// The way out of a container's filter of system calls.
pub(super) const NO_FILTER: &str = "start the container with `--security-opt seccomp=unconfined` (in Kubernetes `seccompProfile: {type: Unconfined}`)";

/// The way out of what a container's engine put this process into: a filter of system calls, a
/// profile of AppArmor.
fn confined(status: &str, profile: &str) -> &'static str {
    let mut lines = status.lines();
    let has_filter = lines.any(|line| line.split_whitespace().eq(["Seccomp:", "2"]));
    let has_profile = profile.trim_end().ends_with("(enforce)");
    match (has_filter, has_profile) {
        (true, false) => NO_FILTER,
        (true, true) => {
            "start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined` (in Kubernetes `seccompProfile: {type: Unconfined}` and `appArmorProfile: {type: Unconfined}`)"
        }
        (false, true) => {
            "start the container with `--security-opt apparmor=unconfined` (in Kubernetes `appArmorProfile: {type: Unconfined}`)"
        }
        (false, false) => "in a chroot nobody may make one: begin cairn outside of it",
    }
}

/// Writes the maps of the process `of`, from outside.
fn map(of: Pid, wanted: Wanted, uid: u32, gid: u32) -> Result<Identity, Error> {
    let folder = format!("/proc/{}", of.as_raw_pid());
    let write = |name: &str, text: &str| std::fs::write(format!("{folder}/{name}"), text);
    if wanted == Wanted::Best && uid == 0 {
        let users = own_map("/proc/self/uid_map")?;
        let groups = own_map("/proc/self/gid_map")?;
        if write("uid_map", &lines(&users)).is_ok() {
            write("gid_map", &lines(&groups)).doing(|| "map groups".to_owned())?;
            return Ok(Identity::Whole);
        }
        // Root of a container that took its capabilities away is as anyone.
    }
    if wanted == Wanted::Best
        && let Some(maps) = subordinate(uid, gid)
        && let Some([newuidmap, newgidmap]) = mappers()
    {
        run_mapper(&newgidmap, of, &maps.groups)?;
        run_mapper(&newuidmap, of, &maps.users)?;
        let count = |spans: &[Span]| {
            spans
                .iter()
                .fold(0u32, |sum, s| sum.saturating_add(s.count))
        };
        return Ok(Identity::Range {
            users: count(&maps.users),
            groups: count(&maps.groups),
        });
    }
    // Without this a user could leave a group that keeps them out of something.
    write("setgroups", "deny").map_err(|cause| no_namespace(&cause))?;
    let mapped = write("uid_map", &format!("0 {uid} 1\n"));
    mapped.map_err(|cause| match uid {
        // user_namespaces(7): since Linux 5.12 nobody may map root who may not set capabilities of
        // files.
        0 => Error::Unsupported {
            what: "make root a user of a user namespace".to_owned(),
            cause: cause.to_string(),
            hint: "leave root the capabilities SETFCAP, SETUID and SETGID (`--cap-add` of a container), or begin cairn as another user".to_owned(),
        },
        _ => no_namespace(&cause),
    })?;
    write("gid_map", &format!("0 {gid} 1\n")).map_err(|cause| no_namespace(&cause))?;
    Ok(Identity::Single)
}

/// The programs that write maps of users and of groups for others.
fn mappers() -> Option<[PathBuf; 2]> {
    let program = |name: &str| {
        let mut places = PROGRAM_FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(name));
        places.find(|place| place.is_file())
    };
    Some([program("newuidmap")?, program("newgidmap")?])
}

/// Whether these programs are installed.
pub(super) fn has_mappers() -> bool {
    mappers().is_some()
}

/// What this process's own namespace has, each as itself.
fn own_map(path: &str) -> Result<Vec<Span>, Error> {
    let text = std::fs::read_to_string(path).doing(|| format!("read `{path}`"))?;
    let span = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        let (inside, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some(Span {
            inside,
            outside: inside,
            count,
        })
    };
    Ok(text.lines().filter_map(span).collect())
}

/// Whether root of this process's user namespace is the machine's root: to the kernel that one is
/// more than its capabilities. If nothing can be learnt, it is.
pub(super) fn is_machines_root() -> bool {
    // The kernel's settings belong to the machine's root, and to nobody where that has no name.
    rustix::fs::stat("/proc/sys").map_or(true, |stat| stat.st_uid == 0)
}

fn lines(spans: &[Span]) -> String {
    let line = |s: &Span| format!("{} {} {}\n", s.inside, s.outside, s.count);
    spans.iter().map(line).collect()
}

/// The maps of a user who has subordinate users and groups.
fn subordinate(uid: u32, gid: u32) -> Option<Maps> {
    let passwd = read_limited("/etc/passwd").unwrap_or_default();
    let name = user_name(&passwd, uid);
    let users = ranges(&read_limited("/etc/subuid")?, name.as_deref(), uid);
    let groups = ranges(&read_limited("/etc/subgid")?, name.as_deref(), uid);
    (!users.is_empty() && !groups.is_empty()).then(|| Maps {
        users: behind_root(uid, &users),
        groups: behind_root(gid, &groups),
    })
}

fn read_limited(path: &str) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut text = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// What subuid(5) gives a user, by name or number: first id, how many.
fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = Some(owner) == name || owner.parse() == Ok(uid);
        let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
        let is_sound = count > 0 && first.checked_add(count).is_some();
        (is_ours && is_sound).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

/// `root` as 0, the ranges as what follows. The kernel takes 340 lines, newuidmap fewer.
fn behind_root(root: u32, ranges: &[(u32, u32)]) -> Vec<Span> {
    let mut spans = vec![Span {
        inside: 0,
        outside: root,
        count: 1,
    }];
    let mut inside: u32 = 1;
    for &(outside, count) in ranges.iter().take(32) {
        let Some(next) = inside.checked_add(count) else {
            break;
        };
        spans.push(Span {
            inside,
            outside,
            count,
        });
        inside = next;
    }
    spans
}

fn run_mapper(program: &Path, of: Pid, spans: &[Span]) -> Result<(), Error> {
    let mut command = Command::new(program);
    command.arg(of.as_raw_pid().to_string()).env_clear();
    for span in spans {
        command.args([span.inside, span.outside, span.count].map(|number| number.to_string()));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.stderr(Stdio::piped()).output();
    let output = output.doing(|| format!("run `{}`", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Unsupported {
        what: "use subordinate users".to_owned(),
        cause: format!(
            "`{}` said: {}",
            program.display(),
            said.trim().escape_debug()
        ),
        hint: "see that the program is setuid root and `/etc/subuid` and `/etc/subgid` are sound"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_belong_to_names_and_numbers() {
        let text = "ann:100000:65536\nbob:165536:65536\n1000:300000:10\nann:0:0\nann:x:1\n";
        let all = [(100_000, 65536), (300_000, 10)];
        assert_eq!(ranges(text, Some("ann"), 1000), all);
        assert_eq!(ranges(text, None, 7), []);
        assert_eq!(ranges("ann:4294967295:2", Some("ann"), 7), []);
    }

    #[test]
    fn the_caller_is_root_and_ranges_follow() {
        let spans = behind_root(1000, &[(100_000, 65536), (300_000, 10)]);
        let text = "0 1000 1\n1 100000 65536\n65537 300000 10\n";
        assert_eq!(lines(&spans), text);
    }

    #[test]
    fn the_way_out_is_of_what_holds() {
        let status = |mode| format!("Name:\tcairn\nSeccomp:\t{mode}\nSeccomp_filters:\t1\n");
        let docker = confined(&status(2), "");
        assert!(
            docker.starts_with("start the container with `--security-opt seccomp=unconfined` (")
        );
        assert!(confined(&status(2), "docker-default (enforce)\n").contains("apparmor=unconfined"));
        assert!(!confined(&status(0), "docker-default (enforce)\n").contains("seccomp"));
        assert!(confined(&status(0), "unconfined\n").contains("chroot"));
    }

    #[test]
    fn users_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(passwd, 1001), None);
    }
}
