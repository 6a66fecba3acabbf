//! The command's process, up to where the command is it.
//!
//! In: a step whose world is made. Out: the command, as its user, with no more capabilities than
//! a `RUN` under Docker has, or why it can't be. `no_new_privs` stays off, so that `su` and the
//! like work: a filter may be installed without it as long as the process is administrator of its
//! user namespace, so that right goes last.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::channel::Channel;
use super::error::{Doing as _, Error, Told};
use super::init::Step;
use super::limits;
use super::notify;
use super::request::Security;
use super::session::Identity;
use super::sys::{self, Alone};

/// What a process may do as root of a container, as Docker has it.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);
/// Where programs are looked for if the environment doesn't say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command's standard streams.
pub(super) struct Streams {
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub error: OwnedFd,
    /// Whether they are a terminal, which becomes the command's.
    pub is_terminal: bool,
}

/// Becomes the command. What keeps it from that is written to `to_fail`, which closes if nothing
/// does.
pub(super) fn run(
    alone: &Alone,
    step: &Step<'_>,
    streams: &Streams,
    report: &Channel,
    to_fail: OwnedFd,
) -> ! {
    let Err(error) = become_command(alone, step, streams, report, &to_fail);
    let text = serde_json::to_vec(&Told::from(error)).unwrap_or_default();
    let _ = std::fs::File::from(to_fail).write_all(&text);
    sys::exit(1)
}

fn become_command(
    alone: &Alone,
    step: &Step<'_>,
    streams: &Streams,
    report: &Channel,
    to_fail: &OwnedFd,
) -> Result<Infallible, Error> {
    let request = step.request;
    let program = Program::new(&request.arguments, &request.env)?;
    match streams.is_terminal {
        true => sys::take_terminal(streams.input.as_fd()),
        false => rustix::process::setsid().map(drop).map_err(io::Error::from),
    }
    .doing(|| "begin the command".to_owned())?;
    let all = [&streams.input, &streams.output, &streams.error];
    for (number, stream) in (0..).zip(all) {
        let put = sys::put_stream(alone, stream.as_fd(), number);
        put.doing(|| "set the command's streams".to_owned())?;
    }
    give_streams(step, streams)?;
    rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    limits::set(request, step.held)?;
    // Who is idle and may not be nicer stays so.
    let _ = sys::schedule_as_usual();
    if !request.ways.randomises_addresses {
        sys::fix_addresses().doing(|| "fix the addresses of programs".to_owned())?;
    }
    set_groups(step)?;
    if request.security == Security::Sandbox {
        bound(CAPABILITIES).doing(|| "give up capabilities".to_owned())?;
    }
    set_user(step)?;
    let kept = match request.security {
        Security::Sandbox => CAPABILITIES,
        Security::Insecure => CapabilitySet::from_bits_retain(u64::MAX),
    };
    let listener = install_filter(step, report).doing(|| "install the filter".to_owned())?;
    let sent = report.send(&super::protocol::Report::Listener, &[listener.as_fd()]);
    sent.doing(|| "speak to the sandbox's worker".to_owned())?;
    drop(listener);
    let kept = match (request.uid, step.identity) {
        // To the kernel whoever is alone is root all the same, who would gain them again by executing
        // something; and who gains any there, loses what fixes addresses.
        (0, _) | (_, Identity::Single) => kept,
        _ => CapabilitySet::empty(),
    };
    keep(kept).doing(|| "give up capabilities".to_owned())?;
    sys::reset_signals();
    // Not only on exec: the program's path is looked up before that, and may lead through
    // `/proc/self/fd`. What is left leads nowhere: it is a pipe, and closes on exec.
    let closed = sys::close_all_but(alone, &[to_fail.as_fd()]);
    closed.doing(|| "close what is not the command's".to_owned())?;
    Err(program.execute())
}

/// Makes the streams the command's user's, who may open `/dev/stdout` and the like then. The input
/// that is no terminal is `/dev/null`, which anybody may.
fn give_streams(step: &Step<'_>, streams: &Streams) -> Result<(), Error> {
    if step.identity == Identity::Single || step.request.uid == 0 {
        return Ok(());
    }
    let user = Uid::from_raw(step.request.uid);
    for stream in [&streams.output, &streams.error] {
        match rustix::fs::fchown(stream, Some(user), None) {
            // There is no such user, which is told where this process becomes it; or the streams
            // are of one who has no number here, whom nothing can be taken from.
            Err(Errno::INVAL | Errno::OVERFLOW | Errno::PERM) => {}
            other => other.doing(|| "give the streams to the command's user".to_owned())?,
        }
    }
    Ok(())
}

/// Installs the filter of system calls, for which this process still is administrator of its user
/// namespace. What comes back is for who decides on those that the filter asks about.
fn install_filter(step: &Step<'_>, report: &Channel) -> io::Result<OwnedFd> {
    let program = notify::filter_for(step.request, step.identity, report.as_fd());
    Ok(notify::install(&program.map_err(io::Error::other)?)?)
}

fn set_groups(step: &Step<'_>) -> Result<(), Error> {
    let request = step.request;
    if step.identity == Identity::Single {
        // There is but one user and one group.
        return Ok(());
    }
    let outside = |what: &str, id: u32, errno: Errno| match errno {
        Errno::INVAL => Error::Unsupported {
            what: format!("run as {what} {id}"),
            cause: "the session's user namespace has no such one".to_owned(),
            hint: "give the user more subordinate ids in `/etc/subuid` and `/etc/subgid`"
                .to_owned(),
        },
        other => Error::Io {
            what: format!("become {what} {id}"),
            source: other.into(),
        },
    };
    let groups: Vec<_> = request
        .groups
        .iter()
        .map(|&group| Gid::from_raw(group))
        .collect();
    let set = rustix::thread::set_thread_groups(&groups);
    set.map_err(|errno| outside("group", request.groups.first().copied().unwrap_or(0), errno))?;
    let gid = Gid::from_raw(request.gid);
    let set = rustix::thread::set_thread_res_gid(gid, gid, gid);
    set.map_err(|errno| outside("group", request.gid, errno))?;
    // Asked for here as the answer is the same, and `set_user` comes when there's no way back.
    if request.uid == u32::MAX {
        return Err(outside("user", request.uid, Errno::INVAL));
    }
    Ok(())
}

/// Becomes the request's user, and keeps what root may do until the end.
fn set_user(step: &Step<'_>) -> Result<(), Error> {
    let uid = step.request.uid;
    if step.identity == Identity::Single || uid == 0 {
        return Ok(());
    }
    let user = Uid::from_raw(uid);
    let set = || -> rustix::io::Result<()> {
        let all = rustix::thread::capabilities(None)?;
        rustix::thread::set_keep_capabilities(true)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
        rustix::thread::set_keep_capabilities(false)?;
        rustix::thread::set_capabilities(
            None,
            CapabilitySets {
                effective: all.permitted,
                ..all
            },
        )
    };
    set().map_err(|errno| match errno {
        Errno::INVAL => Error::Unsupported {
            what: format!("run as user {uid}"),
            cause: "the session's user namespace has no such one".to_owned(),
            hint: "give the user more subordinate ids in `/etc/subuid`".to_owned(),
        },
        other => Error::Io {
            what: format!("become user {uid}"),
            source: other.into(),
        },
    })
}

/// Gives up for good whatever isn't in `kept`, for programs that are executed as well.
fn bound(kept: CapabilitySet) -> rustix::io::Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // The kernel knows no more.
            Err(Errno::INVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Keeps of what this process has what is in `kept`.
fn keep(kept: CapabilitySet) -> rustix::io::Result<()> {
    let now = rustix::thread::capabilities(None)?.permitted;
    rustix::thread::clear_ambient_capability_set()?;
    let kept = now.intersection(kept);
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// A program as execve(2) wants it.
struct Program {
    /// Where it may be, in the order in which it is looked for.
    places: Vec<CString>,
    arguments: Vec<CString>,
    env: Vec<CString>,
    name: String,
}

impl Program {
    fn new(arguments: &[String], env: &[(String, String)]) -> Result<Program, Error> {
        let text = |text: String| {
            let refused =
                Error::Refused("the command or its environment holds a NUL byte".to_owned());
            CString::new(text).map_err(|_| refused)
        };
        let name = arguments.first().cloned().unwrap_or_default();
        let places = if name.contains('/') {
            vec![name.clone()]
        } else {
            let path = env.iter().rev().find(|(variable, _)| variable == "PATH");
            let path = path.map_or(PATH, |(_, path)| path.as_str());
            // An empty part is where the command starts, as in execvp(3).
            let place = |folder: &str| match folder {
                "" => format!("./{name}"),
                folder => format!("{folder}/{name}"),
            };
            match name.is_empty() {
                true => Vec::new(),
                false => path.split(':').map(place).collect(),
            }
        };
        let env = env.iter().map(|(name, value)| format!("{name}={value}"));
        Ok(Program {
            places: places.into_iter().map(text).collect::<Result<_, _>>()?,
            arguments: arguments
                .iter()
                .cloned()
                .map(text)
                .collect::<Result<_, _>>()?,
            env: env.map(text).collect::<Result<_, _>>()?,
            name,
        })
    }

    /// Comes back only with why it couldn't.
    fn execute(self) -> Error {
        let mut cause = io::Error::from_raw_os_error(libc::ENOENT);
        for place in &self.places {
            let error = sys::execute(place, &self.arguments, &self.env);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => cause = error,
                _ => {
                    cause = error;
                    break;
                }
            }
        }
        let is_missing = cause.raw_os_error() == Some(libc::ENOENT);
        Error::Program {
            program: self.name,
            cause: match is_missing {
                true => "there is no such program".to_owned(),
                false => cause.to_string(),
            },
            is_missing,
        }
    }
}
