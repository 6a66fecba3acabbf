//! A worker: serves one operation and ends.
//!
//! In: a channel of the session. Out: its answers there. Of a run it is the supervisor: it makes
//! the step's first process in new namespaces, waits for what that says, and ends it when its
//! time is over or nobody waits any more.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use super::channel::{Channel, retried};
use super::error::{Doing as _, Error, Told};
use super::folder;
use super::groups::{self, Group};
use super::init::{self, Ends, Streams};
use super::limits;
use super::network::Ports;
use super::notify::{Answers, Links, Supervisor};
use super::outcome::{Exit, Outcome};
use super::protocol::{self, Ended, Operation, Overlay, Report};
use super::request::Network;
use super::session::Identity;
use super::sys::{self, Alone, Forked};
use super::watchdog::Watchdog;
use super::{Layers, Request, clock, copy, list, unpack, ways};
use crate::canon::EntryPath;

/// Most entries of one answer to `List`.
const BATCH: usize = 1000;

/// Serves what the channel asks for. An error is one of the channel itself: nobody is there.
pub(super) fn serve(alone: &Alone, channel: &Channel, identity: Identity) -> io::Result<()> {
    let (operation, descriptors) = channel.receive::<Operation>()?;
    let mut descriptors = descriptors.into_iter();
    let told = |result: Result<(), Error>| result.map_err(Told::from);
    match operation {
        Operation::Run(request) => {
            let (Some(output), Some(error)) = (descriptors.next(), descriptors.next()) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let streams = Streams::Pipes { output, error };
            let given = Given::new(&request, streams, descriptors);
            let ended = run(alone, channel, &request, given, identity);
            let ended: Ended = ended.map_err(Told::from);
            channel.send(&ended, &[])
        }
        Operation::Interact(request) => {
            let given = Given::new(&request, Streams::Terminal, descriptors);
            let ended = run(alone, channel, &request, given, identity);
            let ended: Ended = ended.map_err(Told::from);
            channel.send(&ended, &[])
        }
        Operation::Unpack(folder, lowers) => {
            let tar = descriptors.next().ok_or(io::ErrorKind::InvalidData)?;
            let result = unpack::unpack(std::fs::File::from(tar), &folder, &lowers);
            channel.send(&told(result), &[])
        }
        Operation::List(folder, links) => match list::list(&folder, &links) {
            Err(error) => channel.send(&Err::<Vec<super::Found>, _>(Told::from(error)), &[]),
            Ok(found) => {
                for batch in found.chunks(BATCH) {
                    channel.send(&Ok::<_, Told>(batch), &[])?;
                }
                channel.send(&Ok::<[super::Found; 0], Told>([]), &[])
            }
        },
        Operation::Read(folder, path) => read(channel, folder, path),
        Operation::Measure(folder) => {
            channel.send(&folder::measure(&folder).map_err(Told::from), &[])
        }
        Operation::Remove(folder) => channel.send(&told(folder::remove(&folder)), &[]),
        Operation::TryOverlay(folder) => {
            let tried: Overlay = ways::try_overlay(&folder).map_err(Told::from);
            channel.send(&tried, &[])
        }
        Operation::TryClock => {
            let tried: protocol::Clock = clock::attempt(alone).map_err(Told::from);
            channel.send(&tried, &[])
        }
    }
}

/// Opens a file, and then what else the channel asks for, until it ends.
fn read(channel: &Channel, folder: PathBuf, path: EntryPath) -> io::Result<()> {
    let mut wanted = (folder, path);
    loop {
        match folder::open(&wanted.0, &wanted.1) {
            Ok(file) => channel.send(&Ok::<(), Told>(()), &[file.as_fd()])?,
            Err(error) => channel.send(&Err::<(), Told>(error.into()), &[])?,
        }
        wanted = match channel.receive_plain::<Operation>() {
            Ok(Operation::Read(folder, path)) => (folder, path),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
    }
}

/// What the step's first process said until it ended.
#[derive(Default)]
struct Heard {
    failed: Option<Told>,
    exit: Option<Exit>,
    stubs: Vec<EntryPath>,
    listener: Option<OwnedFd>,
}

/// What came with a request.
struct Given {
    streams: Streams,
    /// The conversation with the forwarder.
    control: Option<OwnedFd>,
    /// Where the step's sockets go.
    sockets: Option<OwnedFd>,
}

impl Given {
    /// The descriptors are there if the request needs them.
    fn new(
        request: &Request,
        streams: Streams,
        mut descriptors: impl Iterator<Item = OwnedFd>,
    ) -> Given {
        let control = match request.network {
            Network::Forwarded => descriptors.next(),
            Network::None | Network::Host => None,
        };
        Given {
            streams,
            control,
            sockets: descriptors.next(),
        }
    }
}

fn run(
    alone: &Alone,
    channel: &Channel,
    request: &Request,
    given: Given,
    identity: Identity,
) -> Result<(Outcome, Links), Error> {
    let Given {
        streams,
        control,
        sockets,
    } = given;
    let constants = clock::of(request)?;
    let links = copy::prepare(request)?;
    let agent = rustix::process::getppid();
    let cairn = agent.and_then(groups::parent).ok_or(Error::Ended)?;
    let group = Group::make(&request.limits, cairn);
    let loose = limits::loose(request, identity, group.held())?;
    let (report, theirs) = Channel::pair().doing(|| "make a socket".to_owned())?;
    let mut namespaces =
        UnshareFlags::NEWPID | UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    let carried = match (request.network, control) {
        (Network::Host, _) => None,
        (Network::Forwarded, Some(control)) => Some(Ports::lay(control)?),
        (Network::Forwarded | Network::None, _) => {
            namespaces |= UnshareFlags::NEWNET;
            None
        }
    };
    if let Some((wiring, _)) = &carried {
        wiring.enter()?;
    }
    let forked = sys::clone(alone, namespaces);
    let (pid, descriptor) = match forked.doing(|| "make the step's namespaces".to_owned())? {
        Forked::Child(alone) => {
            drop((report, carried));
            let ends = Ends {
                streams,
                report: theirs,
                sockets,
            };
            init::run(&alone, request, ends, identity, group.held());
        }
        Forked::Parent(child) => child,
    };
    drop((theirs, streams, sockets));
    // Only now, so that the step's processes never had it.
    let upper = folder::open_folder(&request.upper)
        .doing(|| format!("open the folder `{}`", request.upper.display()));
    let (links, opened) = match upper {
        Ok(upper) => (links.with_upper(upper), Ok(())),
        Err(error) => (links, Err(error)),
    };
    let mut answers = Answers::new(request, identity, links);
    answers.tell_by(constants);
    let left = carried.map_or(Ok(()), |(wiring, ports)| {
        answers.connect_by(ports);
        wiring.leave()
    });
    let end = || {
        let _ = rustix::process::pidfd_send_signal(&descriptor, Signal::KILL);
    };
    let added = group.add(pid);
    let left = left.map_err(Error::from);
    if let Err(error) = opened.and(left).and(added).and_then(|()| {
        let go = report.send(&(), &[]);
        go.doing(|| "begin the step".to_owned())
    }) {
        end();
        let _ = retried(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
        return Err(error);
    }
    // None is none, or one that no clock will show.
    let deadline = request.limits.time;
    let deadline = deadline.and_then(|time| Instant::now().checked_add(time));
    let watchdog = deadline.map(|deadline| Watchdog::start(alone, &descriptor, deadline));
    let watchdog = match watchdog.transpose() {
        Ok(watchdog) => watchdog,
        Err(error) => {
            end();
            let _ = retried(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
            return Err(error).doing(|| "watch the step's time".to_owned());
        }
    };
    let mut heard = Heard::default();
    let mut handlers = Some(answers.handlers());
    let mut supervisor: Option<Supervisor<'_>> = None;
    let is_late = loop {
        match wait(&report, channel, supervisor.as_ref(), deadline) {
            Ok(Waited::Report) => {
                if hear(&report, channel, &mut heard).is_err() {
                    break false;
                }
                if let (Some(listener), true) = (heard.listener.take(), handlers.is_some()) {
                    let handlers = handlers.take().unwrap_or_default();
                    let takes_turns = request.takes_turns;
                    supervisor = Some(Supervisor::new(listener, handlers, takes_turns));
                }
            }
            Ok(Waited::Call) => {
                let served = supervisor.as_mut().map_or(Ok(()), Supervisor::serve);
                if served.is_err() {
                    // Nobody answers what the command asks: it can't go on.
                    break false;
                }
            }
            Ok(Waited::NoCalls) => supervisor = None,
            Ok(Waited::Late) => break true,
            // Nobody waits for the answer.
            Ok(Waited::Alone) | Err(_) => {
                end();
                let _ = retried(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
                return Err(Error::Ended);
            }
        }
    };
    end();
    // It is not gone before everything in its namespace is.
    let ended = retried(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
    ended.doing(|| "wait for the step".to_owned())?;
    let was_late = is_late;
    // Where nothing was said by then, the watchdog was first.
    let is_late = is_late || deadline.is_some_and(|deadline| deadline <= Instant::now());
    drop(watchdog);
    // What it said last.
    while hear(&report, channel, &mut heard).is_ok() {}
    drop((supervisor, handlers));
    let is_out_of_memory = group.is_out_of_memory();
    drop(group);
    let (links, trace, unset) = answers.into_kept();
    if let Some(error) = unset {
        return Err(error);
    }
    let exit = match (heard.failed, heard.exit) {
        (Some(told), _) => return Err(Error::from(told)),
        (None, Some(Exit::Code(0))) => Exit::Code(0),
        (None, None) if is_late => Exit::TimedOut,
        (None, Some(_)) if was_late => Exit::TimedOut,
        (None, _) if is_out_of_memory => Exit::OutOfMemory,
        (None, Some(exit)) => exit,
        // Something outside ended it.
        (None, None) => Exit::Signal(libc::SIGKILL),
    };
    let outcome = Outcome {
        exit,
        stubs: heard.stubs,
        is_copy: request.ways.layers != Layers::Mounted,
        trace,
        loose,
    };
    Ok((outcome, links))
}

fn hear(report: &Channel, channel: &Channel, heard: &mut Heard) -> io::Result<()> {
    let (said, descriptors) = report.receive::<Report>()?;
    match said {
        Report::Listener => heard.listener = descriptors.into_iter().next(),
        Report::Terminal => {
            let master = descriptors
                .into_iter()
                .next()
                .ok_or(io::ErrorKind::InvalidData)?;
            channel.send(&Ok::<(), Told>(()), &[master.as_fd()])?;
        }
        Report::Stubs(stubs) => heard.stubs = stubs,
        Report::Failed(told) => heard.failed = Some(told),
        Report::Code(code) => heard.exit = Some(Exit::Code(code)),
        Report::Signal(signal) => heard.exit = Some(Exit::Signal(signal)),
    }
    Ok(())
}

/// Why [`wait`] came back.
enum Waited {
    /// The first process says something, or is gone.
    Report,
    /// The time is over.
    Late,
    /// A call of the command's processes is to be answered, or one that was left for later.
    Call,
    /// No process is left whose calls are.
    NoCalls,
    /// The caller is gone.
    Alone,
}

/// The deadline goes before all else: what is ready again and again, as a command's calls may be,
/// must not put it off.
fn wait(
    report: &Channel,
    channel: &Channel,
    supervisor: Option<&Supervisor<'_>>,
    deadline: Option<Instant>,
) -> io::Result<Waited> {
    // The last is polled twice where there is no third.
    let calls = supervisor.map_or(channel.as_fd(), |supervisor| supervisor.as_fd());
    let mut ends = [
        PollFd::new(report, PollFlags::IN),
        PollFd::new(channel, PollFlags::IN),
        PollFd::from_borrowed_fd(calls, PollFlags::IN),
    ];
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Waited::Late);
        }
        let again = supervisor.and_then(Supervisor::again);
        let first = left.into_iter().chain(again).min();
        let first = first.map(Timespec::try_from).transpose();
        let first = first.map_err(|_| io::ErrorKind::InvalidInput)?;
        match rustix::event::poll(&mut ends, first.as_ref()) {
            Ok(0) if again.is_some() => return Ok(Waited::Call),
            Ok(0) | Err(Errno::INTR) => continue,
            other => other?,
        };
        return Ok(if !ends[0].revents().is_empty() {
            Waited::Report
        } else if !ends[1].revents().is_empty() {
            Waited::Alone
        } else if ends[2].revents().contains(PollFlags::IN) {
            Waited::Call
        } else {
            Waited::NoCalls
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_does_not_put_off_the_deadline() {
        let (report, first_process) = Channel::pair().unwrap();
        let (channel, _caller) = Channel::pair().unwrap();
        first_process.send(&Report::Code(0), &[]).unwrap();
        let now = Instant::now();
        let waited = wait(&report, &channel, None, Some(now));
        assert!(matches!(waited, Ok(Waited::Late)));
        let later = now + Duration::from_secs(600);
        for deadline in [Some(later), None] {
            let waited = wait(&report, &channel, None, deadline);
            assert!(matches!(waited, Ok(Waited::Report)));
        }
        let (silent, _first_process) = Channel::pair().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        let waited = wait(&silent, &channel, None, Some(soon));
        assert!(matches!(waited, Ok(Waited::Late)) && Instant::now() >= soon);
    }
}
