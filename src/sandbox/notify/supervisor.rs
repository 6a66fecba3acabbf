//! The supervisor: answers the notified calls of a step's processes, one after another, in the order in
//! which they come, or where processes take turns in that of [`super::turns`].
//!
//! In: the filter's listener and [`Handler`]s. Out: an answer to each call. What a process has in
//! its memory is read once, and what was opened by a process's number is used only after the call
//! was seen to wait still: numbers are given out again. [`Answer::Continue`] lets the kernel read
//! the arguments anew, so another thread may have changed them: it is for calls that the process
//! may make anyway.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Caller;
use super::call::{ARCHITECTURE, ARCHITECTURE_OF_32_BITS, Call};
use super::filter::{Action, Rule};
use super::turns::{self, Birth, Next, Proc, Turns, Waiting};
use crate::sandbox::sys_notify::{self, Notification, Reply};

/// Most calls that are answered before its caller has a say.
const MOST: usize = 64;
/// After what time who runs is looked at again, at first and at last.
const SOON: Duration = Duration::from_micros(50);
const LATER: Duration = Duration::from_millis(2);

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

fn waiting((notification, process): &(Notification, u32)) -> Waiting {
    Waiting {
        thread: notification.pid,
        process: *process,
    }
}

/// What a call makes.
fn birth(notification: &Notification) -> Birth {
    let has_number = |call: &Call| {
        let number = match notification.architecture == ARCHITECTURE {
            true => call.number(),
            false => call.number_of_32_bits(),
        };
        number == Some(notification.number)
    };
    let mut calls = [Call::Clone, Call::Clone3, Call::Fork, Call::Vfork].into_iter();
    let flags = |at| {
        let mut flags = [0; 8];
        // What can't be read is none that the kernel makes anything of.
        let read = sys_notify::read_memory(notification.pid, at, &mut flags);
        read.map_or(0, |_| u64::from_le_bytes(flags))
    };
    let call = calls.find(has_number);
    call.map_or(Birth::None, |call| {
        turns::birth(call, &notification.arguments, flags)
    })
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

    /// But for these calls, which are the kernel's.
    pub fn without(mut self, calls: &[Call]) -> Answering<'a> {
        self.rules.retain(|rule| !calls.contains(&rule.call));
        self
    }
}

/// Answers the calls of all processes under one filter.
pub struct Supervisor<'a> {
    listener: OwnedFd,
    /// What was received and isn't answered yet, in the order in which it came, with the number of its
    /// process where that is asked for. What was received no signal breaks off any more, so nothing is
    /// left to wait longer than it must.
    waiting: Vec<(Notification, u32)>,
    /// Who looks at processes, where they take turns.
    look: Option<Proc>,
    turns: Turns,
    /// By when it has to look at them again, though nobody calls.
    again: Option<Duration>,
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
    pub fn new(
        listener: OwnedFd,
        handlers: Vec<Answering<'a>>,
        takes_turns: bool,
    ) -> Supervisor<'a> {
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
            waiting: Vec::new(),
            look: takes_turns.then(Proc::new),
            turns: Turns::default(),
            again: None,
            handlers,
            by_number,
        }
    }

    /// After what time [`Supervisor::serve`] has something to do though nobody calls.
    pub fn again(&self) -> Option<Duration> {
        self.again
    }

    /// Answers the calls that wait, and leaves those whose turn it isn't; not for ever, if they come ever
    /// faster. poll(2) tells when there are some, and by `POLLHUP` that no more can come.
    ///
    /// # Errors
    /// The kernel's, about the listener itself: the processes under it hang, so end them.
    pub fn serve(&mut self) -> Result<(), Errno> {
        self.receive(Duration::ZERO)?;
        if self.look.is_some() {
            return self.serve_in_turn();
        }
        for (notification, _) in std::mem::take(&mut self.waiting) {
            self.answer(notification)?;
        }
        Ok(())
    }

    fn serve_in_turn(&mut self) -> Result<(), Errno> {
        for _ in 0..MOST {
            let Some(look) = &self.look else {
                break;
            };
            let next = self.turns.next(self.waiting.iter().map(waiting), look);
            // Who seemed to wait for others may wait for its answer.
            let is_new = matches!(next, Next::Answer { is_new: true, .. });
            if is_new && self.receive(Duration::ZERO)? {
                continue;
            }
            match next {
                Next::Answer { at, .. } => {
                    if let Some(look) = &self.look {
                        look.answers();
                    }
                    let call = self.waiting.remove(at);
                    // Killed meanwhile: it makes nothing, and nobody hears the answer.
                    if !sys_notify::is_waiting(self.listener.as_fd(), call.0.id) {
                        continue;
                    }
                    self.turns.answered(waiting(&call), birth(&call.0));
                    self.answer(call.0)?;
                    self.again = Some(SOON);
                    self.receive(SOON)?;
                }
                Next::Soon => {
                    let again = self.again.map_or(SOON, |again| again * 2);
                    self.again = Some(again.clamp(SOON, LATER));
                    return Ok(());
                }
                Next::Idle => {
                    self.again = None;
                    return Ok(());
                }
            }
        }
        self.again = Some(Duration::ZERO);
        Ok(())
    }

    /// Receives what there is, if there is something within such a time; whether there was.
    fn receive(&mut self, within: Duration) -> Result<bool, Errno> {
        let before = self.waiting.len();
        let mut within = within;
        for _ in 0..MOST {
            let time = Timespec::try_from(within).map_err(|_| Errno::INVAL)?;
            let mut asked = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut asked, Some(&time)) {
                Ok(_) if asked[0].revents().contains(PollFlags::IN) => {}
                Ok(_) | Err(Errno::INTR) => break,
                Err(error) => return Err(error),
            }
            within = Duration::ZERO;
            let Some(notification) = sys_notify::receive(self.listener.as_fd())? else {
                continue;
            };
            let listener = self.listener.as_fd();
            let caller = Caller {
                listener,
                notification,
            };
            let process = match self.look {
                Some(_) => caller.process().unwrap_or(notification.pid),
                None => notification.pid,
            };
            self.waiting.push((notification, process));
        }
        Ok(self.waiting.len() > before)
    }

    fn answer(&mut self, notification: Notification) -> Result<(), Errno> {
        let listener = self.listener.as_fd();
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
