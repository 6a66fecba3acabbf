//! The supervisor: answers the notified calls of a step's processes, one after another.
//!
//! In: the filter's listener and [`Handler`]s. Out: an answer to each call. What a process has in
//! its memory is read once, and what was opened by a process's number is used only after the call
//! was seen to wait still: numbers are given out again. [`Answer::Continue`] lets the kernel read
//! the arguments anew, so another thread may have changed them: it is for calls that the process
//! may make anyway.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use super::call::{ARCHITECTURE, ARCHITECTURE_OF_32_BITS, Call};
use super::filter::{Action, Rule};
use crate::sandbox::sys_notify::{self, Notification, Reply};
use crate::sandbox::sys_trace;

/// Most bytes of a path with its end, as the kernel has it (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// What to answer.
#[derive(Debug)]
pub enum Answer {
    /// Nothing: the kernel carries the call out. If several handlers want a call, the next is
    /// asked first.
    Continue,
    /// As [`Answer::Continue`], but no other handler is asked, and this one sees what comes of it
    /// ([`Handler::follow`]).
    Follow,
    /// Nothing: no process may run on.
    End,
    /// It succeeds with this.
    Value(i64),
    /// It fails with this.
    Fail(Errno),
    /// It succeeds with a descriptor of this file.
    Descriptor {
        /// The file.
        file: OwnedFd,
        /// Whether an exec closes it.
        close_on_exec: bool,
    },
}

impl From<Result<Answer, Errno>> for Answer {
    fn from(result: Result<Answer, Errno>) -> Answer {
        result.unwrap_or_else(Answer::Fail)
    }
}

/// Something that answers calls.
pub trait Handler {
    /// What a filter needs so that it is asked: rules with [`super::filter::Action::Notify`], first
    /// of all.
    fn rules() -> Vec<Rule>
    where
        Self: Sized;

    /// The answer to a call that they hand over.
    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer;

    /// Sees what comes of a call that was answered with [`Answer::Follow`], and that the kernel now
    /// carries out.
    ///
    /// # Errors
    /// No process may run on.
    fn follow(&mut self, _caller: &Caller<'_>) -> Result<(), Errno> {
        Ok(())
    }
}

/// Whoever lends a handler has what it kept when all is over.
impl<H: Handler> Handler for &mut H {
    fn rules() -> Vec<Rule> {
        H::rules()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        H::answer(self, call, caller)
    }

    fn follow(&mut self, caller: &Caller<'_>) -> Result<(), Errno> {
        H::follow(self, caller)
    }
}

/// A handler, and the rules by which it is asked.
pub struct Answering<'a> {
    rules: Vec<Rule>,
    handler: Box<dyn Handler + Send + 'a>,
}

impl<'a> Answering<'a> {
    /// By a handler.
    pub fn by<H: Handler + Send + 'a>(handler: H) -> Answering<'a> {
        Answering {
            rules: H::rules(),
            handler: Box::new(handler),
        }
    }
}

/// A thread whose call waits.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    listener: BorrowedFd<'a>,
    notification: Notification,
}

impl Caller<'_> {
    /// The thread's number, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.notification.pid
    }

    /// Whether the call is one of a program of 32 bits.
    pub fn is_of_32_bits(&self) -> bool {
        self.notification.architecture != ARCHITECTURE
    }

    /// An argument as it is; 0 if there is none such.
    pub fn argument(&self, at: usize) -> u64 {
        let argument = self.notification.arguments.get(at);
        argument.copied().unwrap_or(0)
    }

    /// The low half of an argument, all that the kernel looks at of an `unsigned int`.
    pub fn word(&self, at: usize) -> u32 {
        (self.argument(at) & 0xffff_ffff) as u32
    }

    /// The low half of an argument, as an `int`.
    pub fn int(&self, at: usize) -> i32 {
        self.word(at).cast_signed()
    }

    /// Whether the call still waits; else what was found by its thread's number may be another's.
    ///
    /// # Errors
    /// `ESRCH`: it doesn't, and nobody hears the answer.
    pub fn check(&self) -> Result<(), Errno> {
        match sys_notify::is_waiting(self.listener, self.notification.id) {
            true => Ok(()),
            false => Err(Errno::SRCH),
        }
    }

    /// Fills `into` from the caller's memory.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let read = sys_notify::read_memory(self.pid(), address, into)?;
        self.check()?;
        match read == into.len() {
            true => Ok(()),
            false => Err(Errno::FAULT),
        }
    }

    /// Fills of `into` as much as there is in the caller's memory; how much that was. It is the caller's
    /// only if the call is seen to wait still ([`Caller::check`]).
    pub fn glance(&self, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
        sys_notify::read_memory(self.pid(), address, into)
    }

    /// The process of the thread.
    pub fn process(&self) -> Result<u32, Errno> {
        let process = match sys_trace::is_leader(self.pid()) {
            true => self.pid(),
            false => self.status("Tgid")?.parse().map_err(|_| Errno::SRCH)?,
        };
        self.check()?;
        Ok(process)
    }

    /// Writes to the caller's memory.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.check()?;
        sys_notify::write_memory(self.pid(), address, bytes)
    }

    /// The path at `address`, without its end.
    ///
    /// # Errors
    /// `EFAULT`, `ENAMETOOLONG`, as the kernel has them.
    pub fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        const PAGE: u64 = 4096;
        let mut path = Vec::new();
        let mut from = address;
        while path.len() < LONGEST_PATH {
            // To the page's end: the next one may not be there. Paths are short, most of all.
            let rest = usize::try_from(PAGE - from % PAGE).unwrap_or(LONGEST_PATH);
            let mut part = [0; 256];
            let part = &mut part[..rest.min(256)];
            let read = sys_notify::read_memory(self.pid(), from, part)?;
            let part = &part[..read];
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                path.extend_from_slice(&part[..end]);
                self.check()?;
                return match path.len() < LONGEST_PATH {
                    true => Ok(path),
                    false => Err(Errno::NAMETOOLONG),
                };
            }
            path.extend_from_slice(part);
            from = from.checked_add(read as u64).ok_or(Errno::FAULT)?;
        }
        Err(Errno::NAMETOOLONG)
    }

    /// The caller's root.
    pub fn root(&self) -> Result<OwnedFd, Errno> {
        self.open("root")
    }

    /// What relative paths start from: the caller's working directory, or one of its descriptors.
    pub fn start(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        match descriptor {
            libc::AT_FDCWD => self.open("cwd"),
            _ => self.descriptor(descriptor),
        }
    }

    /// The file of one of the caller's descriptors, to name it only (`O_PATH`).
    ///
    /// # Errors
    /// `EBADF`: there is none.
    pub fn descriptor(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        match descriptor {
            0.. => self.open(&format!("fd/{descriptor}")),
            _ => Err(Errno::BADF),
        }
        .map_err(|error| match error {
            Errno::NOENT => Errno::BADF,
            other => other,
        })
    }

    /// One of the caller's descriptors itself, to do with it what the caller could.
    pub fn taken(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        let leader = Pid::from_raw(self.process()?.cast_signed()).ok_or(Errno::SRCH)?;
        let process = rustix::process::pidfd_open(leader, PidfdFlags::empty())?;
        self.check()?;
        rustix::process::pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())
    }

    fn open(&self, what: &str) -> Result<OwnedFd, Errno> {
        let path = format!("/proc/{}/{what}", self.pid());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        self.check()?;
        Ok(file)
    }

    /// A value of the caller's `/proc/PID/status`.
    pub fn status(&self, key: &str) -> Result<String, Errno> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let text = text.map_err(|_| Errno::SRCH)?;
        self.check()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let value = lines.find(|(name, _)| *name == key);
        Ok(value.ok_or(Errno::SRCH)?.1.trim().to_owned())
    }

    /// The caller's umask.
    pub fn umask(&self) -> Result<u32, Errno> {
        u32::from_str_radix(&self.status("Umask")?, 8).map_err(|_| Errno::SRCH)
    }
}

/// Answers the calls of all processes under one filter.
pub struct Supervisor<'a> {
    listener: OwnedFd,
    handlers: Vec<Answering<'a>>,
    /// By an architecture and the call's number there: its name, and the handlers that want it by these
    /// of their rules.
    by_number: BTreeMap<(u32, u32), Wanted>,
}

/// A call, and who wants it when.
type Wanted = (Call, Vec<(usize, Vec<Rule>)>);

impl AsFd for Supervisor<'_> {
    /// Readable when a call waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl<'a> Supervisor<'a> {
    /// Of the filter that was made of these handlers' rules.
    pub fn new(listener: OwnedFd, handlers: Vec<Answering<'a>>) -> Supervisor<'a> {
        sys_notify::take_turns(listener.as_fd());
        let mut by_number: BTreeMap<(u32, u32), Wanted> = BTreeMap::new();
        for (at, handler) in handlers.iter().enumerate() {
            let asks = |rule: &&Rule| rule.action == Action::Notify;
            for rule in handler.rules.iter().filter(asks) {
                let call = rule.call;
                let own = call.number().map(|number| (ARCHITECTURE, number));
                let of_32_bits = ARCHITECTURE_OF_32_BITS.zip(call.number_of_32_bits());
                for number in [own, of_32_bits].into_iter().flatten() {
                    let (_, wanted) = by_number.entry(number).or_insert((call, Vec::new()));
                    match wanted.last_mut() {
                        Some((last, rules)) if *last == at => rules.push(rule.clone()),
                        _ => wanted.push((at, vec![rule.clone()])),
                    }
                }
            }
        }
        Supervisor {
            listener,
            handlers,
            by_number,
        }
    }

    /// Answers one call. Waits for it: ask poll(2) first, which also tells by `POLLHUP` that no
    /// more can come.
    ///
    /// # Errors
    /// The kernel's, about the listener itself: the processes under it hang, so end them.
    pub fn serve(&mut self) -> Result<(), Errno> {
        let listener = self.listener.as_fd();
        let Some(notification) = sys_notify::receive(listener)? else {
            return Ok(());
        };
        let caller = Caller {
            listener,
            notification,
        };
        let mut answer = Answer::Continue;
        let mut follower = None;
        if let Some((call, wanted)) = self
            .by_number
            .get(&(notification.architecture, notification.number))
        {
            for (at, rules) in wanted {
                // Others may want it with other arguments.
                if !rules.iter().any(|it| it.holds(&notification.arguments)) {
                    continue;
                }
                answer = self.handlers[*at].handler.answer(*call, &caller);
                if !matches!(answer, Answer::Continue) {
                    follower = Some(*at);
                    break;
                }
            }
        }
        let reply = match answer {
            Answer::Continue => Reply::Continue,
            Answer::Follow => {
                sys_notify::reply(listener, notification.id, Reply::Continue)?;
                let follower = follower.and_then(|at| self.handlers.get_mut(at));
                return follower.map_or(Ok(()), |it| it.handler.follow(&caller));
            }
            Answer::End => return Err(Errno::CANCELED),
            Answer::Value(value) => Reply::Value(value),
            Answer::Fail(error) => Reply::Error(error),
            Answer::Descriptor {
                file,
                close_on_exec,
            } => match sys_notify::reply_descriptor(
                listener,
                notification.id,
                file.as_fd(),
                close_on_exec,
            ) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(error) => Reply::Error(error),
            },
        };
        sys_notify::reply(listener, notification.id, reply)
    }

    /// Answers calls until no process is left under the filter, where nothing else is to be done.
    ///
    /// # Errors
    /// As [`Supervisor::serve`].
    #[cfg(test)]
    pub fn serve_all(&mut self) -> Result<(), Errno> {
        use rustix::event::{PollFd, PollFlags, poll};
        loop {
            let mut asked = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut asked, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            }
            let events = asked[0].revents();
            if events.contains(PollFlags::IN) {
                self.serve()?;
            } else if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return Ok(());
            }
        }
    }
}
