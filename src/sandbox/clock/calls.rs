//! The calls that the clock needs to see: who executes something, who reads a clock, who waits by one.
//!
//! In: a step's calls. Out: answers. A process that reads the clock in its own memory keeps there what
//! it read last, and a call of the same process goes on from that; of the others it is kept here.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};

use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};

use super::exec::{self, Followed};
use super::numbers::Numbers;
use super::own::Own;
use super::pace::{Pace, TICK, slept};
use super::patience::{END, Since, Toil};
use super::processor::Processors;
use super::vdso::Patch;
use super::{ClockWay, SECOND, spent, stamps, told, waits};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};
use crate::sandbox::random::{self, Shared};
use crate::sandbox::{Error, sys_trace};

/// What arch_prctl(2) does to put another vDSO into a process (`ARCH_MAP_VDSO_X32`, `_32`, `_64`).
const OTHER_VDSOS: [u32; 3] = [0x2001, 0x2002, 0x2003];
/// Most nanoseconds that a process has spent of a processor from one time that it asks to the next: longer than
/// anybody measures by it at once, which for GnuPG is 0.3 s.
const MOST_SPENT: i64 = 16 * SECOND;
/// Most processes that something is kept of here.
const PROCESSES: usize = 4096;
/// Most waits that are looked after.
const WAITS: usize = 1024;

/// The clock of one step.
#[derive(Debug)]
pub struct Clock {
    pace: Pace,
    toil: Toil,
    /// None where it is hidden from programs how to read a clock without a call.
    patch: Option<Patch>,
    /// What the randomness of a program begins with.
    random: Shared,
    /// What some programs are shown for numbers of files.
    numbers: Numbers,
    followed: Option<Followed>,
    processors: Processors,
    /// By their processes.
    kept: BTreeMap<u32, Kept>,
    /// Deadlines that were moved to the machine's clock: nanoseconds since 1970.
    pub(super) moved: BTreeSet<i64>,
    /// By when they end (monotonic).
    waits: BTreeMap<i64, Wait>,
    failed: Option<Error>,
}

/// What is kept of a process here.
#[derive(Debug, Clone, Copy)]
struct Kept {
    /// What it read last, if it doesn't keep that itself; 0 if nothing.
    read: i64,
    /// When it was seen first (monotonic).
    began: i64,
    /// Since when its patience counts, if it doesn't keep that itself.
    since: Since,
    /// Until when it sleeps (monotonic), which has passed on its clock already.
    slept: i64,
    /// What it was told last that it has spent of a processor.
    spent: i64,
}

/// A wait that the kernel carries out.
#[derive(Debug)]
struct Wait {
    process: u32,
    /// Who waits; none where that is a timer.
    thread: Option<u32>,
    /// What the clock says when it ends.
    time: i64,
}

/// The clock of a process.
#[derive(Debug, Clone, Copy)]
struct View {
    process: u32,
    /// Where it is in the process itself, if it is.
    own: Option<Own>,
    /// What was read last; 0 if nothing.
    read: i64,
    since: Since,
}

/// Nanoseconds of a clock of the machine.
pub(super) fn machine(clock: ClockId) -> i64 {
    nanoseconds(&rustix::time::clock_gettime(clock))
}

/// The monotonic clock now.
pub(super) fn monotonic() -> i64 {
    machine(ClockId::Monotonic)
}

pub(super) fn nanoseconds(time: &Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(SECOND)
        .saturating_add(time.tv_nsec)
}

impl Clock {
    /// A clock that begins so many seconds after 1970, for programs that are made to read it in such a
    /// way.
    pub fn new(
        seconds: i64,
        way: ClockWay,
        random: Shared,
        numbers: Numbers,
    ) -> Result<Clock, Error> {
        let pace = Pace::new(seconds).ok_or_else(|| {
            Error::Refused(format!(
                "a step's clock can't begin {seconds} seconds after 1970: it may be from 0 to 6060000000"
            ))
        })?;
        let patch = match way {
            ClockWay::Hidden => None,
            ClockWay::Rewritten => patch(),
        };
        Ok(Clock {
            pace,
            toil: Toil::default(),
            patch,
            random,
            numbers,
            followed: None,
            processors: Processors::own(),
            kept: BTreeMap::new(),
            moved: BTreeSet::new(),
            waits: BTreeMap::new(),
            failed: None,
        })
    }

    /// Why the step had to end, if it had to.
    pub fn into_failure(self) -> Option<Error> {
        self.failed
    }

    fn execute(&mut self, caller: &Caller<'_>) -> Answer {
        match Followed::new(caller.pid(), || caller.process()) {
            Ok(followed) => {
                if followed.is_first() {
                    self.processors.join(caller.pid());
                }
                self.followed = Some(followed);
                Answer::Follow
            }
            // Killed meanwhile: nobody hears the answer.
            Err(_) if caller.check().is_err() => Answer::Continue,
            Err(error) => {
                self.fail(caller.pid(), error);
                Answer::End
            }
        }
    }

    fn fail(&mut self, process: u32, error: Errno) {
        let name = std::fs::read_to_string(format!("/proc/{process}/comm"));
        let name = name.unwrap_or_default();
        let name = match name.trim_end() {
            "" => "a process that executes something".to_owned(),
            name => format!("the process `{name}`"),
        };
        self.failed = Some(Error::Unsupported {
            what: format!("set the clock of {name}"),
            cause: std::io::Error::from(error).to_string(),
            hint: "let no debugger or tracer of yours follow the step's processes, and see what `cairn doctor` says".to_owned(),
        });
    }

    /// What is kept of the caller's process, by its number.
    fn kept(&mut self, process: u32) -> &mut Kept {
        if self.kept.len() >= PROCESSES && !self.kept.contains_key(&process) {
            self.kept.retain(|process, _| random::is_there(*process));
        }
        self.kept.entry(process).or_insert_with(|| {
            let began = monotonic();
            Kept {
                read: 0,
                began,
                since: Since::at(began),
                slept: 0,
                spent: 0,
            }
        })
    }

    /// The caller's clock.
    fn view(&mut self, caller: &Caller<'_>) -> Result<View, Errno> {
        let process = caller.process()?;
        let own = self.patch.as_ref().filter(|_| !caller.is_of_32_bits());
        let own = own.and_then(|patch| Own::of(patch, caller.pid()));
        let Kept { read, since, .. } = *self.kept(process);
        let view = match own {
            None => View {
                process,
                own: None,
                read,
                since,
            },
            Some(own) => View {
                process,
                own: Some(own),
                read: match load(caller, own.cell.read)? {
                    0 => read,
                    read => read,
                },
                since: since.max(Since::of(own.cell.since)),
            },
        };
        caller.check()?;
        Ok(view)
    }

    /// The caller's process has read so much. It goes on by itself, unless it waits for what only
    /// cairn sees.
    fn keep(&mut self, caller: &Caller<'_>, view: &View, read: i64) -> Result<(), Errno> {
        let waits = self.waits.values().any(|wait| wait.process == view.process);
        let (own, here) = match view.own {
            Some(_) if !waits => (read, 0),
            _ => (0, read),
        };
        if let Some(it) = view.own {
            caller.write(it.cell.read, &own.to_le_bytes())?;
        }
        let kept = self.kept(view.process);
        (kept.read, kept.since) = (here, view.since);
        Ok(())
    }

    /// The caller's process once its patience was looked at, if that is over.
    fn looked_at(&mut self, caller: &Caller<'_>, view: View, monotonic: i64) -> View {
        if !view.since.is_over(monotonic) {
            return view;
        }
        let began = self.kept(view.process).began;
        let spent = || spent::by_step_of(view.process);
        let since = self.toil.judge(view.since, monotonic, began, spent);
        self.kept(view.process).since = since;
        if let Some(own) = view.own {
            // Where nobody may write there who doesn't follow the process, it asks each time from now on.
            own.set_since(caller.pid(), since);
        }
        View { since, ..view }
    }

    /// What the clock of the caller's process says next.
    pub(super) fn read(&mut self, caller: &Caller<'_>) -> Result<i64, Errno> {
        // Who reads waits no more.
        self.waits
            .retain(|_, wait| wait.thread != Some(caller.pid()));
        let view = self.view(caller)?;
        let monotonic = monotonic();
        let view = self.looked_at(caller, view, monotonic);
        let next = match view.read {
            0 => self.pace.first(monotonic, command(view.process)),
            read => read.saturating_add(TICK),
        };
        self.keep(caller, &view, next)?;
        Ok(next.saturating_add(view.since.passed(monotonic)))
    }

    /// What the caller has spent of a processor: each time that it asks twice as much as before, so that who
    /// works until some has passed between two asks, as GnuPG does, has soon enough; and real time once that
    /// passes.
    pub(super) fn spent(&mut self, caller: &Caller<'_>) -> Result<i64, Errno> {
        let view = self.view(caller)?;
        let monotonic = monotonic();
        let view = self.looked_at(caller, view, monotonic);
        let kept = self.kept(view.process);
        let more = (kept.spent + TICK).min(MOST_SPENT);
        kept.spent = kept.spent.saturating_add(more);
        Ok(kept.spent.saturating_add(view.since.passed(monotonic)))
    }

    /// Notes that the caller's process waits until its clock says so much, and gives how long that is.
    pub(super) fn begin_wait(
        &mut self,
        caller: &Caller<'_>,
        time: i64,
        is_call: bool,
    ) -> Result<i64, Errno> {
        let view = self.view(caller)?;
        let monotonic = monotonic();
        let now = match view.read {
            0 => self.pace.now(monotonic),
            read => read,
        };
        let left = time.saturating_sub(now.saturating_add(view.since.passed(monotonic)));
        self.waits
            .retain(|_, wait| wait.thread != Some(caller.pid()));
        if self.waits.len() >= WAITS {
            self.waits.retain(|_, wait| random::is_there(wait.process));
        }
        // What takes longer is past the time from which on real time passes.
        let is_kept = (1..END).contains(&left) && !view.since.is_real();
        if is_kept && self.waits.len() < WAITS {
            let wait = Wait {
                process: view.process,
                thread: is_call.then_some(caller.pid()),
                time,
            };
            // Of two that end in the same nanosecond one ends in the next.
            let mut end = monotonic.saturating_add(left);
            while self.waits.contains_key(&end) {
                end = end.saturating_add(1);
            }
            self.waits.insert(end, wait);
            self.keep(caller, &view, now)?;
        }
        Ok(left)
    }

    /// What has ended of waits, has passed for who waited.
    fn end_waits(&mut self) {
        let monotonic = monotonic();
        while let Some(wait) = self.waits.first_entry()
            && *wait.key() <= monotonic
        {
            let Wait { process, time, .. } = wait.remove();
            let kept = self.kept(process);
            // Real time has passed for it meanwhile, and its wait with it; else that doesn't count again.
            if !kept.since.is_real() {
                kept.read = kept.read.max(time);
                kept.since = kept.since.max(Since::at(monotonic));
            }
        }
    }

    /// The caller's process sleeps for so long.
    pub(super) fn sleep(&mut self, caller: &Caller<'_>, duration: i64) -> Result<(), Errno> {
        let monotonic = monotonic();
        self.pace.sleep(monotonic, duration);
        let view = self.view(caller)?;
        let kept = self.kept(view.process);
        // Of what it slept before a signal came, all has passed on its clock.
        let more = duration
            .saturating_sub((kept.slept - monotonic).max(0))
            .max(0);
        kept.slept = kept.slept.max(monotonic.saturating_add(duration));
        if view.since.is_real() {
            return Ok(());
        }
        let since = view.since.without(more);
        if let Some(own) = view.own {
            // Where nobody may write there who doesn't follow the process, it asks the sooner.
            own.set_since(caller.pid(), since);
        }
        self.keep(caller, &View { since, ..view }, slept(view.read, more))
    }
}

impl Handler for Clock {
    fn rules() -> Vec<Rule> {
        let deny = Action::Deny(libc::EPERM);
        let notify = Action::Notify;
        let mut rules = vec![
            Rule::always(Call::Execve, notify),
            Rule::always(Call::Execveat, notify),
            // A process has one tracer only, and that must be cairn when it executes something.
            Rule::always(Call::Ptrace, deny),
            Rule::when(
                Call::ArchPrctl,
                0,
                !0,
                Is::OneOf(OTHER_VDSOS.to_vec()),
                deny,
            ),
            // What they tell of the clock is the machine's.
            Rule::always(Call::Adjtimex, deny),
            Rule::always(Call::ClockAdjtime, deny),
            Rule::always(Call::ClockAdjtime64, deny),
        ];
        rules.extend(told::rules());
        rules.extend(stamps::rules());
        rules.extend(waits::rules());
        rules
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        self.end_waits();
        match call {
            Call::Execve | Call::Execveat => self.execute(caller),
            told if told::is_asked_by(told) => self.tell(call, caller).into(),
            _ => self.wait(call, caller).into(),
        }
    }

    fn follow(&mut self, caller: &Caller<'_>) -> Result<(), Errno> {
        let Some(followed) = self.followed.take() else {
            return Ok(());
        };
        let begin = |process, arguments: &[u8]| {
            self.numbers.begin(process, arguments);
            let mut streams = self.random.streams();
            let own = streams.begin(process, arguments, random::is_there);
            Some(own.bytes.take())
        };
        let finished = followed.finish(self.patch.as_ref(), monotonic(), begin);
        if followed.is_first() {
            self.processors.part(caller.pid());
        }
        match finished {
            Ok(began) => {
                if let Some(process) = began {
                    self.kept.remove(&process);
                    self.waits.retain(|_, wait| wait.process != process);
                }
                Ok(())
            }
            Err(error) => {
                self.fail(caller.pid(), error);
                Err(error)
            }
        }
    }
}

/// What makes programs read the clock on this machine, if that is known.
pub(super) fn patch() -> Option<Patch> {
    let (_, image) = exec::own_vdso()?;
    Patch::new(&image, &sys_trace::code()?)
}

/// What tells the command of a process from others: its program and arguments.
fn command(process: u32) -> u64 {
    let line = random::command_line(process);
    let mut hasher = std::hash::DefaultHasher::new();
    line.unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// A time that a process keeps.
fn load(caller: &Caller<'_>, at: u64) -> Result<i64, Errno> {
    let mut bytes = [0; 8];
    caller.read(at, &mut bytes)?;
    // It may have written there itself.
    Ok(i64::from_le_bytes(bytes).max(0))
}
