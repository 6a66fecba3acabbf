//! The first process of a step: makes the command's world, starts the command, and reaps.
//!
//! In: a request, in new namespaces. Out: reports to the worker. It holds every signal and asks
//! for them one by one: `SIGCHLD` means that somebody is to be reaped, any other that comes from
//! outside is handed on to the command. From inside nobody can send it one, as the kernel has it
//! for the first process of a namespace. When the command ends, so does this, and the kernel ends
//! all that is left.

use std::convert::Infallible;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::UnshareFlags;

use super::channel::Channel;
use super::error::{Doing as _, Error, Told};
use super::groups::Held;
use super::protocol::Report;
use super::request::Network;
use super::session::Identity;
use super::sys::{self, Alone, Forked};
use super::{Request, child, etc, root, sockets};

/// How readily the kernel kills a step when memory runs out: the most that there is.
const OUT_OF_MEMORY: &str = "1000";

/// What the command's output goes to.
pub(super) enum Streams {
    /// The caller's pipes; the input is empty.
    Pipes {
        /// Of standard output.
        output: OwnedFd,
        /// Of standard error.
        error: OwnedFd,
    },
    /// A terminal of the step's own.
    Terminal,
}

/// What a step is given of what is outside.
pub(super) struct Ends {
    /// For the command.
    pub streams: Streams,
    /// For its first process, to report to the worker.
    pub report: Channel,
    /// Where its sockets go, if it has some: who relays them listens there.
    pub sockets: Option<OwnedFd>,
}

/// Runs the step in this process, which is the first of its pid namespace.
pub(super) fn run(
    alone: &Alone,
    request: &Request,
    ends: Ends,
    identity: Identity,
    held: Held,
) -> ! {
    let Ends {
        streams,
        report,
        sockets,
    } = ends;
    // What the worker has open is the host's: its folders, and who it speaks to.
    let mut kept = vec![report.as_fd()];
    kept.extend(sockets.iter().map(|sockets| sockets.as_fd()));
    if let Streams::Pipes { output, error } = &streams {
        kept.extend([output.as_fd(), error.as_fd()]);
    }
    if sys::close_all_but(alone, &kept).is_err() {
        sys::exit(1);
    }
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // A worker that ended before that sends nothing.
    if tied.is_err() || report.receive_plain::<()>().is_err() {
        sys::exit(1);
    }
    let step = Step {
        request,
        identity,
        held,
    };
    let Err(error) = step.run(alone, streams, sockets, &report);
    let _ = report.send(&Report::Failed(Told::from(error)), &[]);
    sys::exit(1)
}

/// What the first process and the command's know.
pub(super) struct Step<'a> {
    pub request: &'a Request,
    pub identity: Identity,
    pub held: Held,
}

impl Step<'_> {
    fn run(
        &self,
        alone: &Alone,
        streams: Streams,
        sockets: Option<OwnedFd>,
        report: &Channel,
    ) -> Result<Infallible, Error> {
        // Behind the worker's word that this process is where it shall be: seen from inside, that is
        // the root of all groups.
        sys::unshare(alone, UnshareFlags::NEWCGROUP).doing(|| "leave the groups".to_owned())?;
        // The kernel takes the step before anything else when memory runs out.
        let first = std::fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY);
        first.doing(|| "set `/proc/self/oom_score_adj`".to_owned())?;
        // What they say nobody needs to know: it is no reason not to run.
        let _ = hide_arguments();
        // Commands are told it by answers: where the kernel refuses this, nobody sees the other one.
        let _ = rustix::system::sethostname(etc::hostname(self.request).as_bytes());
        if self.request.network != Network::Host {
            sys::raise_loopback().doing(|| "bring up the loopback".to_owned())?;
        }
        // Where the kernel has no keyrings, there is none to be kept from; nor where a container's
        // filter lets nobody near them.
        match sys::new_keyring() {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                return Err(error).doing(|| "make a keyring".to_owned());
            }
            _ => {}
        }
        let root::Made { stubs, listeners } = root::make(self.request, self.identity)?;
        if let Some(sockets) = sockets {
            let handed = sockets::hand_over(&sockets, &listeners);
            handed.doing(|| "hand over the step's sockets".to_owned())?;
        }
        drop(listeners);
        let say = |said: &Report, descriptor: Option<&OwnedFd>| {
            let descriptor = descriptor.map(|descriptor| descriptor.as_fd());
            let sent = report.send(said, descriptor.as_slice());
            sent.doing(|| "speak to the sandbox's worker".to_owned())
        };
        say(&Report::Stubs(stubs), None)?;
        leave_streams(alone).doing(|| "open `/dev/null`".to_owned())?;
        let streams = match streams {
            Streams::Pipes { output, error } => {
                let input = std::fs::File::open("/dev/null");
                let input = input.doing(|| "open `/dev/null`".to_owned())?;
                child::Streams {
                    input: input.into(),
                    output,
                    error,
                    is_terminal: false,
                }
            }
            Streams::Terminal => {
                let (master, streams) = terminal().doing(|| "make a terminal".to_owned())?;
                say(&Report::Terminal, Some(&master))?;
                streams
            }
        };
        sys::hold_signals();
        let (failure, to_fail) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .doing(|| "make a pipe".to_owned())?;
        let command = match sys::fork(alone).doing(|| "fork".to_owned())? {
            Forked::Child(alone) => {
                drop(failure);
                child::run(&alone, self, &streams, report, to_fail);
            }
            Forked::Parent(command) => command,
        };
        drop((streams, to_fail));
        let mut failed = Vec::new();
        let read = std::fs::File::from(failure).read_to_end(&mut failed);
        read.doing(|| "hear of the command".to_owned())?;
        if !failed.is_empty() {
            let told: Told = serde_json::from_slice(&failed).map_err(|_| Error::Ended)?;
            return Err(Error::from(told));
        }
        let ended = reap(command).doing(|| "wait for the command".to_owned())?;
        sys::kill_all_others();
        let ended = match (ended.exit_status(), ended.terminating_signal()) {
            (Some(code), _) => Report::Code(code),
            (None, Some(signal)) => Report::Signal(signal),
            (None, None) => return Err(Error::Ended),
        };
        say(&ended, None)?;
        sys::exit(0)
    }
}

/// Has this process's command line be its name alone: who builds is in the arguments, and commands see
/// them. Where the last byte isn't zero, the kernel shows what is before the first that is.
fn hide_arguments() -> std::io::Result<()> {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name before may hold anything; of proc(5)'s words, which begin at 1, the 49th is `arg_end`.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let end = rest.split_whitespace().nth(46);
    let end = end.and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let mut memory = std::fs::File::options()
        .write(true)
        .open("/proc/self/mem")?;
    // Called by its file's name otherwise.
    rustix::thread::set_name(c"cairn")?;
    memory.seek(SeekFrom::Start(end.saturating_sub(1)))?;
    memory.write_all(b".")
}

/// Puts the step's own `/dev/null` where this process has the caller's streams: a command that may
/// do everything finds them in `/proc/1/fd`.
fn leave_streams(alone: &Alone) -> std::io::Result<()> {
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    (0..3).try_for_each(|number| sys::put_stream(alone, null.as_fd(), number))
}

/// Reaps whoever ends until the command does.
fn reap(command: Pid) -> std::io::Result<WaitStatus> {
    loop {
        let (signal, is_from_outside) = match sys::next_signal() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if signal != libc::SIGCHLD {
            if is_from_outside {
                sys::signal(command, signal);
            }
            continue;
        }
        while let Some((ended, status)) = rustix::process::wait(WaitOptions::NOHANG)? {
            if ended == command {
                return Ok(status);
            }
        }
    }
}

/// A terminal of the step's own devpts: its master end, and its other end as all the streams.
fn terminal() -> std::io::Result<(OwnedFd, child::Streams)> {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::OpenptFlags;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let end = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    let streams = child::Streams {
        input: end.try_clone()?,
        output: end.try_clone()?,
        error: end,
        is_terminal: true,
    };
    Ok((master, streams))
}
