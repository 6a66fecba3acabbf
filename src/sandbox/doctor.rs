//! What this machine lets the sandbox do, each thing really tried.
//!
//! In: an empty folder of the store's file system. Out: [`Finding`]s, in the order in which one
//! needs the other: what is there, what is slower for want of it, what can't be, and the way out.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::groups::{self, Group};
use super::{
    ClockWay, Constants, Error, Exit, Guarantee, Identity, Limits, Network, Request, Seed, Session,
    SessionSettings, Wanted, Ways, identity, ways,
};

/// How well something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should.
    Good,
    /// In another way, which is slower or does less.
    Slower,
    /// Not at all: commands that need it fail.
    Missing,
    /// Not tried, as something before it is missing.
    Untried,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `user namespaces`.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// What was found, for people.
    pub found: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn new(name: &'static str, state: State, found: impl Into<String>) -> Finding {
        Finding {
            name,
            state,
            found: found.into(),
            remedy: None,
        }
    }

    fn remedy(self, remedy: impl Into<String>) -> Finding {
        Finding {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    /// What failed, and the way out that the error tells, if it does.
    fn failed(name: &'static str, state: State, error: &Error) -> Finding {
        let text = error.to_string();
        let (found, remedy) = match text.split_once("\nhint: ") {
            Some((found, hint)) => (found, Some(hint.to_owned())),
            None => (text.as_str(), None),
        };
        let finding = Finding::new(name, state, found);
        Finding { remedy, ..finding }
    }

    /// As [`Finding::failed`], with a way out where the error tells none.
    fn or_remedy(self, remedy: &str) -> Finding {
        let remedy = self.remedy.or_else(|| Some(remedy.to_owned()));
        Finding { remedy, ..self }
    }
}

/// The first kernel whose overlay a user may mount, with attributes of the user's.
const KERNEL: (u32, u32) = (5, 11);

/// What needs a command that runs.
const RUNS: [&str; 3] = ["system call notification", "clock", "network"];
/// What needs a user namespace beside these.
const INSIDE: [&str; 5] = [
    "users",
    "proc",
    "the same everywhere",
    "overlay",
    "commands",
];

/// Tries everything. `folder` is an empty folder; something may be left in it.
pub fn examine(folder: &Path, settings: &SessionSettings) -> Vec<Finding> {
    let mut findings = vec![kernel(), sysctls()];
    let untried = |names: &[&'static str], why| -> Vec<Finding> {
        let untried = names.iter();
        let untried = untried.map(|name| Finding::new(name, State::Untried, why));
        untried.collect()
    };
    match Session::open(settings) {
        Err(error) => {
            let failed = Finding::failed("user namespaces", State::Missing, &error);
            findings.push(failed);
            let why = "needs a user namespace";
            findings.extend(untried(&INSIDE, why));
            findings.extend(untried(&RUNS, why));
        }
        Ok(session) => {
            let found = "cairn may make them";
            findings.push(Finding::new("user namespaces", State::Good, found));
            findings.push(users(session.identity()));
            findings.push(proc(session.ways()));
            findings.push(guarantees(&session));
            findings.push(overlay(&session, folder));
            let place = |name: &str| folder.join(name);
            let name = "commands";
            match attempt(&session, &place(name), Request::default()) {
                Ok(()) => {
                    findings.push(Finding::new(name, State::Good, "one ran on a layer"));
                    let notification = place("notification");
                    findings.push(notified(settings, session.identity(), &notification));
                    findings.push(clock(&session, &place("clock")));
                    findings.push(network(&session, &place("network")));
                }
                Err(error) => {
                    findings.push(Finding::failed(name, State::Missing, &error));
                    findings.extend(untried(&RUNS, "needs a command that runs"));
                }
            }
        }
    }
    findings.push(limits());
    findings
}

fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    let version = next().unwrap_or(0);
    let version: (u32, u32) = (version, next().unwrap_or(0));
    match version >= KERNEL {
        true => Finding::new("kernel", State::Good, release),
        false => Finding::new("kernel", State::Missing, release).remedy("use Linux 5.11 or newer"),
    }
}

/// What an administrator may have set; whether it hurts is tried below.
fn sysctls() -> Finding {
    let settings = [
        "user/max_user_namespaces",
        "kernel/unprivileged_userns_clone",
        "kernel/apparmor_restrict_unprivileged_userns",
    ];
    let read = |path: &&str| {
        let text = std::fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
        Some(format!("{} = {}", path.replace('/', "."), text.trim()))
    };
    let values: Vec<_> = settings.iter().filter_map(read).collect();
    let found = match values.is_empty() {
        true => "none that concern cairn".to_owned(),
        false => values.join(", "),
    };
    Finding::new("kernel settings", State::Good, found)
}

fn users(identity: Identity) -> Finding {
    let name = "users";
    match identity {
        Identity::Whole => Finding::new(name, State::Good, "all of them: cairn is root here"),
        Identity::Range { users, groups } => {
            let found = format!("{users} users and {groups} groups of /etc/subuid and /etc/subgid");
            Finding::new(name, State::Good, found)
        }
        Identity::Single if rustix::process::geteuid().is_root() => {
            let found = "one, as root may act for no others here: owners are emulated, each call of chown and stat";
            Finding::new(name, State::Slower, found).remedy(
                "leave root the capabilities SETUID and SETGID (`--cap-add` of a container)",
            )
        }
        Identity::Single => {
            let what = match identity::has_mappers() {
                true => "no range in /etc/subuid and /etc/subgid",
                false => "no newuidmap and newgidmap",
            };
            let found = format!(
                "one, as there is {what}: owners are emulated, each call of chown and stat"
            );
            let package = match identity::has_mappers() {
                true => "",
                false => "install newuidmap (of the package uidmap, or shadow), and ",
            };
            Finding::new(name, State::Slower, found).remedy(format!(
                "{package}as root, run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`"
            ))
        }
    }
}

fn proc(ways: Ways) -> Finding {
    let name = "proc";
    match ways.shares_proc {
        false => Finding::new(name, State::Good, "each command has one of its own"),
        true => {
            let found = "the container's, as parts of it are masked: commands run one at a time, what is in it is read-only and goes by the container's process numbers (`ps` of procps fails), and no command may have every capability";
            Finding::new(name, State::Slower, found).remedy(ways::UNMASK)
        }
    }
}

fn guarantees(session: &Session) -> Finding {
    let name = "the same everywhere";
    let missing = session.missing();
    let joined = |text: fn(Guarantee) -> &'static str| {
        let texts: Vec<_> = missing.iter().map(|guarantee| text(*guarantee)).collect();
        texts.join("; ")
    };
    match missing.is_empty() {
        true => Finding::new(name, State::Good, "what commands see of the machine"),
        // They run all the same.
        false => Finding::new(name, State::Slower, joined(Guarantee::what))
            .remedy(joined(Guarantee::remedy)),
    }
}

fn overlay(session: &Session, folder: &Path) -> Finding {
    let name = "overlay";
    match session.no_overlay(folder) {
        Ok(None) => Finding::new(name, State::Good, "layers lie on each other"),
        Ok(Some(why)) => {
            let cause = why.cause();
            let found = format!("layers are copied for each command, as {cause}");
            Finding::new(name, State::Slower, found).remedy(why.remedy())
        }
        Err(error) => Finding::failed(name, State::Missing, &error),
    }
}

/// Calls that cairn answers are most where owners are emulated.
fn notified(settings: &SessionSettings, identity: Identity, place: &Path) -> Finding {
    let name = "system call notification";
    let single = SessionSettings {
        identity: Wanted::Single,
        ..settings.clone()
    };
    let tried =
        Session::open(&single).and_then(|session| attempt(&session, place, Request::default()));
    match tried {
        Ok(()) => Finding::new(name, State::Good, "a command ran with emulated owners"),
        Err(error) => {
            let state = match identity {
                Identity::Single => State::Missing,
                _ => State::Slower,
            };
            Finding::failed(name, state, &error)
        }
    }
}

/// A command with a clock of its own.
fn clock(session: &Session, place: &Path) -> Finding {
    let name = "clock";
    let request = Request {
        constants: Some(Constants {
            instant: 0,
            seed: Seed::default(),
        }),
        ..Request::default()
    };
    let tried = session.clock_way().and_then(|way| {
        attempt(session, place, request)?;
        Ok(way)
    });
    match tried {
        Ok(ClockWay::Rewritten) => {
            let found = "commands read one of their own without a system call";
            Finding::new(name, State::Good, found)
        }
        Ok(ClockWay::Hidden) => {
            let found = "cairn answers each read of it, as nobody may change a program's vDSO here";
            let remedy = "on x86_64, boot without `proc_mem.force_override=never`";
            Finding::new(name, State::Slower, found).remedy(remedy)
        }
        // Commands run, but those that need a clock of their own.
        Err(error) => Finding::failed(name, State::Slower, &error),
    }
}

fn network(session: &Session, place: &Path) -> Finding {
    let name = "network";
    let request = Request {
        network: Network::Forwarded,
        ..Request::default()
    };
    match attempt(session, place, request) {
        Ok(()) => Finding::new(
            name,
            State::Good,
            "a command ran with cairn's own forwarder",
        ),
        Err(error) => {
            let remedy = "commands without it run: say `--network none`, or `--network host --allow network.host`";
            Finding::failed(name, State::Missing, &error).or_remedy(remedy)
        }
    }
}

fn limits() -> Finding {
    let name = "limits";
    let limits = Limits {
        memory: Some(1 << 30),
        processes: Some(1 << 10),
        time: None,
    };
    let held = Group::make(&limits, rustix::process::getpid()).held();
    match held.memory && held.processes {
        true => Finding::new(name, State::Good, "control groups, for all of a command"),
        false => {
            let found = "no control group may be made: `--memory` and `--processes` hold for each process alone, and `--processes` not at all for root";
            Finding::new(name, State::Slower, found).remedy(groups::remedy())
        }
    }
}

/// Runs the smallest program there is on a layer.
fn attempt(session: &Session, place: &Path, request: Request) -> Result<(), Error> {
    let Some(program) = program() else {
        return Err(Error::Refused(
            "nothing was tried: cairn has no program for this processor".to_owned(),
        ));
    };
    let folders = ["lower", "upper", "work"].map(|name| place.join(name));
    for folder in &folders {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            what: format!("make `{}`", folder.display()),
            source,
        })?;
    }
    let [lower, upper, work] = folders;
    session.unpack(&mut tar(&program).as_slice(), &lower, &[])?;
    let request = Request {
        lowers: vec![lower],
        upper,
        work,
        arguments: vec!["/true".to_owned()],
        ..request
    };
    let outcome = session.run(&request, &mut |_, _| Ok(()));
    let removed = session.remove(place);
    let outcome = outcome?;
    removed?;
    match outcome.exit {
        Exit::Code(0) => Ok(()),
        exit => Err(Error::Refused(format!("a command ended so: {exit:?}"))),
    }
}

/// A layer with one file, `/true`.
fn tar(program: &[u8]) -> Vec<u8> {
    use crate::canon::{Digest, EntryPath};
    use crate::layer::{Entry, Kind, Meta, tar};
    let entry = Entry {
        path: EntryPath::new(b"true").unwrap_or_default(),
        kind: Kind::File {
            size: program.len() as u64,
            digest: Digest::of(program),
        },
        meta: Meta::plain(0o755, 0),
    };
    let mut out = Vec::new();
    tar::write_header(&mut out, &entry);
    out.extend(program);
    out.extend(tar::padding(program.len() as u64));
    out.extend([0; 1024]);
    out
}

/// An ELF program that ends with exit code 0, for this processor.
fn program() -> Option<Vec<u8>> {
    let (machine, code): (u16, &[u8]) = match std::env::consts::ARCH {
        // xor edi, edi; mov eax, 231 (exit_group); syscall
        "x86_64" => (62, &[0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05]),
        // mov x0, 0; mov x8, 94 (exit_group); svc 0
        "aarch64" => (
            183,
            &[
                0x00, 0x00, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4,
            ],
        ),
        _ => return None,
    };
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut elf = Vec::new();
    // ELF-64, least significant byte first, version 1 (System V ABI, "ELF Header").
    elf.extend(b"\x7fELF\x02\x01\x01");
    elf.resize(16, 0);
    let mut put = |bytes: &[u8]| elf.write_all(bytes).is_ok();
    put(&2u16.to_le_bytes());
    put(&machine.to_le_bytes());
    put(&1u32.to_le_bytes());
    for value in [BASE + HEADERS, 64, 0] {
        put(&value.to_le_bytes());
    }
    put(&0u32.to_le_bytes());
    for value in [64u16, 56, 1, 64, 0, 0] {
        put(&value.to_le_bytes());
    }
    // One segment, read and executed: all of the file.
    put(&1u32.to_le_bytes());
    put(&5u32.to_le_bytes());
    for value in [0, BASE, BASE, size, size, 0x1000] {
        put(&value.to_le_bytes());
    }
    put(code);
    Some(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_ends_well() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("true");
        // Written by another process, so that no child of another test holds it open.
        let mut cp = std::process::Command::new("sh");
        cp.args(["-c", "cat > \"$0\""]).arg(&path);
        let mut child = cp.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let elf = program().unwrap();
        child.stdin.take().unwrap().write_all(&elf).unwrap();
        assert!(child.wait().unwrap().success());
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        let status = std::process::Command::new(&path).status().unwrap();
        assert!(status.success());
    }
}
