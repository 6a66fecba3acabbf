//! The calls that the clock needs to see: who executes something, who reads a clock, who waits by one.
//!
//! In: a step's calls. Out: answers. A process that reads the clock in its own memory keeps there what
//! it read last, and a call of the same process goes on from that; of the others it is kept here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};

use super::exec::{self, Followed};
use super::pace::{Pace, TICK, aged};
use super::vdso::{self, Patch};
use super::waits::Wait;
use super::{ClockWay, SECOND, waits};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};
use crate::sandbox::sys_trace::{self, Cell};
use crate::sandbox::{Error, sys_notify};

/// The clocks that tell the time of day, by their numbers (clock_gettime(2)): `CLOCK_REALTIME`,
/// `_COARSE`, `_ALARM`, `CLOCK_TAI`.
const TIMES_OF_DAY: [u32; 4] = [0, 5, 8, 11];
/// What arch_prctl(2) does to put another vDSO into a process (`ARCH_MAP_VDSO_X32`, `_32`, `_64`).
const OTHER_VDSOS: [u32; 3] = [0x2001, 0x2002, 0x2003];
/// Most processes that something is kept of here.
const PROCESSES: usize = 4096;

/// The clock of one step.
#[derive(Debug)]
pub struct Clock {
    pace: Pace,
    /// None where it is hidden from programs how to read a clock without a call.
    patch: Option<Patch>,
    followed: Option<Followed>,
    /// By their processes.
    kept: BTreeMap<u32, Kept>,
    /// Deadlines that were moved to the machine's clock: nanoseconds since 1970.
    pub(super) moved: BTreeSet<i64>,
    /// By when they end (monotonic).
    pub(super) waits: BTreeMap<i64, Wait>,
    failed: Option<Error>,
}

/// What is kept of a process here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// What it read last, if it doesn't keep that itself; 0 if nothing.
    read: i64,
    /// Since when it runs (monotonic), if it doesn't keep that itself.
    begin: i64,
    /// Until when it sleeps (monotonic), which has passed on its clock already.
    pub slept: i64,
}

/// Where a process has its clock.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In its own memory.
    Own(Cell),
    /// Here.
    Kept(u32),
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
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}

impl Clock {
    /// A clock that begins so many seconds after 1970, for programs that are made to read it in such a
    /// way.
    pub fn new(seconds: i64, way: ClockWay) -> Result<Clock, Error> {
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
            patch,
            followed: None,
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
        let process = || number(caller.status("Tgid")?);
        match Followed::new(caller.pid(), process) {
            Ok(followed) => {
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

    /// Where the caller has its clock.
    pub(super) fn place(&self, caller: &Caller<'_>) -> Result<Place, Errno> {
        let own = self.patch.as_ref().filter(|_| !caller.is_of_32_bits());
        if let Some(cell) = own.and_then(|patch| cell(patch, caller.pid())) {
            caller.check()?;
            return Ok(Place::Own(cell));
        }
        Ok(Place::Kept(number(caller.status("Tgid")?)?))
    }

    /// What is kept of a process here.
    pub(super) fn kept(&mut self, process: u32) -> &mut Kept {
        if self.kept.len() >= PROCESSES && !self.kept.contains_key(&process) {
            let is_there = |process: &u32| rustix::fs::stat(format!("/proc/{process}")).is_ok();
            self.kept.retain(|process, _| is_there(process));
        }
        self.kept.entry(process).or_insert_with(|| Kept {
            read: 0,
            begin: monotonic(),
            slept: 0,
        })
    }

    /// What is read in a process that has read so much before and runs since then: what it has then
    /// read, and what that means.
    fn next(&mut self, read: i64, begin: i64) -> (i64, i64) {
        let monotonic = monotonic();
        let next = match read {
            0 => self.pace.first(monotonic),
            read => read.saturating_add(TICK),
        };
        (next, next.saturating_add(aged(monotonic - begin)))
    }

    fn read(&mut self, caller: &Caller<'_>) -> Result<i64, Errno> {
        match self.place(caller)? {
            Place::Own(cell) => {
                let (read, begin) = (load(caller, cell.read)?, load(caller, cell.begin)?);
                let (next, time) = self.next(read, begin);
                caller.write(cell.read, &next.to_le_bytes())?;
                Ok(time)
            }
            Place::Kept(process) => {
                let Kept { read, begin, .. } = *self.kept(process);
                let (next, time) = self.next(read, begin);
                self.kept(process).read = next;
                Ok(time)
            }
        }
    }

    /// What the clock says in the caller's process, which doesn't read it.
    pub(super) fn look(&mut self, caller: &Caller<'_>, place: Place) -> Result<i64, Errno> {
        let (read, begin) = match place {
            Place::Own(cell) => (load(caller, cell.read)?, load(caller, cell.begin)?),
            Place::Kept(process) => {
                let kept = self.kept(process);
                (kept.read, kept.begin)
            }
        };
        let monotonic = monotonic();
        let time = match read {
            0 => self.pace.now(monotonic),
            read => read,
        };
        Ok(time.saturating_add(aged(monotonic - begin)))
    }

    /// The caller's process sleeps for so long.
    pub(super) fn sleep(&mut self, caller: &Caller<'_>, duration: i64) -> Result<(), Errno> {
        let monotonic = monotonic();
        self.pace.sleep(monotonic, duration);
        let process = number(caller.status("Tgid")?)?;
        let kept = self.kept(process);
        // Of what another thread sleeps, or this one slept before a signal came, all has passed.
        let more = duration.saturating_sub((kept.slept - monotonic).max(0)).max(0);
        kept.slept = kept.slept.max(monotonic.saturating_add(duration));
        match self.place(caller)? {
            Place::Own(cell) => {
                let read = load(caller, cell.read)?;
                let begin = load(caller, cell.begin)?.saturating_add(more);
                if read != 0 {
                    caller.write(cell.read, &read.saturating_add(more).to_le_bytes())?;
                }
                caller.write(cell.begin, &begin.to_le_bytes())
            }
            Place::Kept(process) => {
                let kept = self.kept(process);
                if kept.read != 0 {
                    kept.read = kept.read.saturating_add(more);
                }
                kept.begin = kept.begin.saturating_add(more);
                Ok(())
            }
        }
    }

    /// A wait has ended: the clock of its process says at least so much.
    pub(super) fn pass(&mut self, wait: &Wait) {
        let monotonic = monotonic();
        match wait.place {
            Place::Own(known) => {
                // It may have ended, or become another program.
                let patch = self.patch.as_ref();
                let cell = patch.and_then(|patch| cell(patch, wait.process));
                if cell != Some(known) {
                    return;
                }
                let load = |at| {
                    let mut bytes = [0; 8];
                    sys_notify::read_memory(wait.process, at, &mut bytes).ok()?;
                    Some(i64::from_le_bytes(bytes))
                };
                if let (Some(read), Some(begin)) = (load(known.read), load(known.begin)) {
                    let passed = wait.time.saturating_sub(aged(monotonic - begin));
                    if passed > read {
                        let bytes = passed.to_le_bytes();
                        let _ = sys_notify::write_memory(wait.process, known.read, &bytes);
                    }
                }
            }
            Place::Kept(process) => {
                let kept = self.kept(process);
                let passed = wait.time.saturating_sub(aged(monotonic - kept.begin));
                kept.read = kept.read.max(passed);
            }
        }
    }

    /// Tells the caller the time, in the form that its call has.
    fn tell(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let time = self.read(caller)?;
        let (seconds, rest) = (time / SECOND, time % SECOND);
        let is_narrow = caller.is_of_32_bits();
        let pair = |rest: i64, is_narrow| match is_narrow {
            // As the kernel does it, which such programs will not outlive.
            true => [(seconds as i32).to_le_bytes(), (rest as i32).to_le_bytes()].concat(),
            false => [seconds.to_le_bytes(), rest.to_le_bytes()].concat(),
        };
        match call {
            Call::Time => {
                let bytes = pair(0, is_narrow);
                if caller.argument(0) != 0 {
                    caller.write(caller.argument(0), &bytes[..bytes.len() / 2])?;
                }
                return Ok(Answer::Value(seconds));
            }
            Call::Gettimeofday => {
                if caller.argument(0) != 0 {
                    caller.write(caller.argument(0), &pair(rest / 1000, is_narrow))?;
                }
                if caller.argument(1) != 0 {
                    caller.write(caller.argument(1), &[0; 8])?;
                }
            }
            Call::ClockGettime64 => caller.write(caller.argument(1), &pair(rest, false))?,
            _ => caller.write(caller.argument(1), &pair(rest, is_narrow))?,
        }
        Ok(Answer::Value(0))
    }
}

impl Handler for Clock {
    fn rules() -> Vec<Rule> {
        let deny = Action::Deny(libc::EPERM);
        let notify = Action::Notify;
        let of_day = || Is::OneOf(TIMES_OF_DAY.to_vec());
        let mut rules = vec![
            Rule::always(Call::Execve, notify),
            Rule::always(Call::Execveat, notify),
            Rule::when(Call::ClockGettime, 0, !0, of_day(), notify),
            Rule::when(Call::ClockGettime64, 0, !0, of_day(), notify),
            Rule::always(Call::Gettimeofday, notify),
            Rule::always(Call::Time, notify),
            // A process has one tracer only, and that must be cairn when it executes something.
            Rule::always(Call::Ptrace, deny),
            Rule::when(Call::ArchPrctl, 0, !0, Is::OneOf(OTHER_VDSOS.to_vec()), deny),
            // What they tell of the clock is the machine's.
            Rule::always(Call::Adjtimex, deny),
            Rule::always(Call::ClockAdjtime, deny),
            Rule::always(Call::ClockAdjtime64, deny),
        ];
        rules.extend(waits::rules());
        rules
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        self.catch_up();
        match call {
            Call::Execve | Call::Execveat => self.execute(caller),
            Call::ClockGettime | Call::ClockGettime64 | Call::Gettimeofday | Call::Time => {
                self.tell(call, caller).into()
            }
            _ => self.wait(call, caller).into(),
        }
    }

    fn follow(&mut self, caller: &Caller<'_>) -> Result<(), Errno> {
        let Some(followed) = self.followed.take() else {
            return Ok(());
        };
        match followed.finish(self.patch.as_ref(), monotonic()) {
            Ok(began) => {
                if let Some(process) = began {
                    self.kept.remove(&process);
                }
                Ok(())
            }
            Err(error) => {
                self.fail(caller.pid(), error);
                Err(error)
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let (end, _) = self.waits.first_key_value()?;
        let left = u64::try_from(end.saturating_sub(monotonic())).unwrap_or(0);
        Instant::now().checked_add(Duration::from_nanos(left))
    }

    fn catch_up(&mut self) {
        while let Some(wait) = self.waits.first_entry()
            && *wait.key() <= monotonic()
        {
            let wait = wait.remove();
            self.pass(&wait);
        }
    }
}

/// What makes programs read the clock on this machine, if that is known.
pub(super) fn patch() -> Option<Patch> {
    let (_, image) = exec::own_vdso()?;
    Patch::new(&image, &sys_trace::code()?)
}

/// The cell of a program, if it has one.
fn cell(patch: &Patch, process: u32) -> Option<Cell> {
    /// `AT_SYSINFO_EHDR`.
    const VDSO: u64 = 33;
    let vector = std::fs::read(format!("/proc/{process}/auxv")).ok()?;
    let word = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    let mut entries = vector.chunks_exact(16);
    let entry = entries.find(|entry| word(&entry[..8]) == Some(VDSO))?;
    let mut bytes = [0; 24];
    let read = sys_notify::read_memory(process, patch.cell(word(&entry[8..])?), &mut bytes);
    (read == Ok(bytes.len())).then(|| vdso::cell(&bytes))?
}

/// A number that a process keeps.
fn load(caller: &Caller<'_>, at: u64) -> Result<i64, Errno> {
    let mut bytes = [0; 8];
    caller.read(at, &mut bytes)?;
    Ok(i64::from_le_bytes(bytes))
}

pub(super) fn number(text: String) -> Result<u32, Errno> {
    text.parse().map_err(|_| Errno::SRCH)
}
