//! The agent: cairn executed anew, inside the session's user namespace.
//!
//! In: the hidden first argument `__agent`, and a socket as standard input. Out: an exit code.
//! It makes the namespaces, executes itself once more from a read-only mount (so that no command
//! that gets at `/proc/self/exe` can change the program), and then forks a worker for whatever it
//! is asked. When the socket ends, which it does however the caller ends, it ends, and everything
//! that it began with it.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use rustix::mount::OpenTreeFlags;
use rustix::process::{Signal, WaitOptions};

use super::channel::{self, Channel};
use super::error::{Error, Told};
use super::protocol::{Hello, Ready};
use super::sys::{self, Alone, Forked};
use super::{identity, limits, ways, worker};
use crate::sandbox::session::Identity;

/// The first argument that makes the program the agent.
pub const ARGUMENT: &str = "__agent";

/// Serves a session if the arguments (the program's name first) say so; else none. To be called
/// before anything starts a thread.
pub fn serve_if_asked(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let identity = arguments.next().and_then(|text| {
        let text = text.into_string().ok()?;
        serde_json::from_str::<Identity>(&text).ok()
    });
    let Some(alone) = Alone::check() else {
        return Some(ExitCode::FAILURE);
    };
    Some(match identity {
        None => begin(&alone),
        Some(identity) => serve(&alone, identity),
    })
}

/// Makes the namespaces and executes the program anew in them.
fn begin(alone: &Alone) -> ExitCode {
    // Neither a terminal's Ctrl-C nor its end is for this process.
    let _ = rustix::process::setsid();
    let Ok(socket) = sys::take_input(alone) else {
        return ExitCode::FAILURE;
    };
    let socket = Channel::from(socket);
    let Ok(hello) = socket.receive_plain::<Hello>() else {
        return ExitCode::FAILURE;
    };
    // In a user namespace nobody may.
    limits::raise();
    let error = match identity::enter(alone, hello.wanted) {
        Ok(identity) => anew(alone, &socket, identity),
        Err(error) => error,
    };
    let _ = socket.send(&Ready::Err(Told::from(error)), &[]);
    ExitCode::FAILURE
}

/// Comes back only with why it couldn't.
fn anew(alone: &Alone, socket: &Channel, identity: Identity) -> Error {
    let attempt = || -> std::io::Result<std::io::Error> {
        let program = read_only_program().or_else(|_| copied_program())?;
        sys::put_stream(alone, socket.as_fd(), 0)?;
        // What the caller left open is no step's.
        sys::close_all_on_exec()?;
        let identity = serde_json::to_string(&identity)?;
        let arguments = ["cairn", ARGUMENT, &identity].map(CString::new);
        let arguments = arguments.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(sys::execute_file(program.as_fd(), &arguments))
    };
    Error::Start(attempt().unwrap_or_else(|error| error))
}

/// The program by its path, on a mount that nobody can write through. `/proc/self/exe` itself
/// belongs to the mount namespace that was left, of which nothing can be mounted.
fn read_only_program() -> std::io::Result<OwnedFd> {
    let same =
        |a: &rustix::fs::Stat, b: &rustix::fs::Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    let path = std::fs::read_link("/proc/self/exe")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let program = rustix::mount::open_tree(rustix::fs::CWD, &path, flags)?;
    if !same(
        &rustix::fs::fstat(&program)?,
        &rustix::fs::stat("/proc/self/exe")?,
    ) {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    sys::make_read_only(program.as_fd())?;
    Ok(program)
}

/// A copy of the program in memory that can't be written to, where its file has gone.
fn copied_program() -> std::io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags};
    let mut program = std::fs::File::open("/proc/self/exe")?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = std::fs::File::from(rustix::fs::memfd_create("cairn", flags)?);
    std::io::copy(&mut program, &mut copy)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

/// Forks a worker for each channel that comes, until the socket ends.
fn serve(alone: &Alone, identity: Identity) -> ExitCode {
    let Ok(socket) = sys::take_input(alone) else {
        return ExitCode::FAILURE;
    };
    let socket = Channel::from(socket);
    rustix::process::umask(rustix::fs::Mode::empty());
    let ways = ways::find(alone).map_err(|error| Told::from(Error::Start(error)));
    let ready: Ready = ways.map(|ways| (identity, ways));
    if socket.send(&ready, &[]).is_err() || ready.is_err() {
        return ExitCode::FAILURE;
    }
    let me = rustix::process::getpid();
    loop {
        let mut byte = [0];
        let Ok((count, descriptors)) = channel::receive_bytes(socket.as_fd(), &mut byte) else {
            return ExitCode::FAILURE;
        };
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if count == 0 {
            return ExitCode::SUCCESS;
        }
        let Some(descriptor) = descriptors.into_iter().next() else {
            continue;
        };
        // What can't be forked ends its channel, and the caller hears that.
        if let Ok(Forked::Child(alone)) = sys::fork(alone) {
            drop(socket);
            sys::exit(work(&alone, descriptor, identity, me));
        }
    }
}

fn work(alone: &Alone, channel: OwnedFd, identity: Identity, agent: rustix::process::Pid) -> u8 {
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // The agent may have ended before that.
    if tied.is_err() || rustix::process::getppid() != Some(agent) {
        return 1;
    }
    u8::from(worker::serve(alone, &Channel::from(channel), identity).is_err())
}
