//! A program that begins: its clock is set before its first instruction.
//!
//! In: a thread that is about to execute something, and waits for cairn. Out: the program that it
//! became reads the step's clock; or why it can't, and is dead. The thread is followed as long as the
//! exec takes, and no longer, so that signals, forks and waits are as ever. A supervisor has other
//! children: it waits for the thread alone, which an exec makes the first of its process.

use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::stack;
use super::vdso::Patch;
use crate::sandbox::processes;
use crate::sandbox::sys_notify;
use crate::sandbox::sys_trace::{self, Cell};

/// `AT_IGNORE`.
const IGNORE: u64 = 1;
/// Bytes that the kernel leaves each program of chance (`AT_RANDOM`, getauxval(3)).
pub const RANDOM: usize = 16;
/// `PTRACE_EVENT_EXEC`, `PTRACE_EVENT_STOP`.
const EXECUTED: i32 = 4;
const STOPPED: i32 = 128;
/// How long a thread that isn't the first of its process is left alone before it is looked at again.
const NAP: Duration = Duration::from_micros(50);

/// A thread that is followed.
#[derive(Debug, Clone, Copy)]
pub struct Followed {
    thread: u32,
    /// Its process, whose number is its own after an exec.
    process: u32,
}

/// What a wait came back with.
enum Event {
    /// It has executed something.
    Executed,
    /// It has not, and runs on with that signal.
    Failed(i32),
    /// It has ended.
    Gone,
}

impl Followed {
    /// Begins to follow a thread, which waits.
    pub fn new(
        thread: u32,
        process: impl FnOnce() -> Result<u32, Errno>,
    ) -> Result<Followed, Errno> {
        let process = match sys_trace::is_leader(thread) {
            true => thread,
            false => process()?,
        };
        sys_trace::seize(thread)?;
        let followed = Followed { thread, process };
        // It stops even if it executes nothing; and before it runs on, as it might then wait for another
        // that waits for this process. The call itself waits on (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`,
        // without which there is no clock).
        match sys_trace::interrupt(thread) {
            Ok(()) => Ok(followed),
            Err(error) => Err(followed.end(error).err().unwrap_or(error)),
        }
    }

    /// Whether it is the first of its process, and stays it whatever it executes.
    pub fn is_first(&self) -> bool {
        self.thread == self.process
    }

    /// Waits for the exec to end, and sets the clock of what began and what the kernel left it of chance,
    /// which `random` gives for the process and its arguments, if that is to be set: the number of its
    /// process, or none where nothing began.
    ///
    /// # Errors
    /// The clock could not be set. The process is dead.
    pub fn finish(
        self,
        patch: Option<&Patch>,
        now: i64,
        random: impl FnOnce(u32, &[u8]) -> Option<[u8; RANDOM]>,
    ) -> Result<Option<u32>, Errno> {
        let (number, event) = self.wait()?;
        match event {
            Event::Gone => Ok(None),
            Event::Failed(signal) => match sys_trace::detach(number, signal) {
                Ok(()) => Ok(None),
                Err(error) => self.end(error).map(|()| None),
            },
            Event::Executed => {
                let set = set(number, patch, now, |arguments| random(number, arguments));
                let done = set.and_then(|()| sys_trace::detach(number, 0));
                match done {
                    Ok(()) => Ok(Some(number)),
                    // It stays where it was stopped, unless it is killed: whatever that makes of its
                    // memory and its files in `/proc`.
                    Err(error) => {
                        let is_there = sys_trace::start(number) != Err(Errno::SRCH);
                        let error = if is_there { error } else { Errno::SRCH };
                        self.end(error).map(|()| None)
                    }
                }
            }
        }
    }

    /// Nothing of the process may run on. That it was killed meanwhile is no error.
    fn end(self, error: Errno) -> Result<(), Errno> {
        if let Some(process) = Pid::from_raw(self.process.cast_signed()) {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
        // The dead must not wait for this process to look at them, or their namespace never ends.
        while !matches!(self.wait()?.1, Event::Gone) {}
        match error {
            Errno::SRCH => Ok(()),
            error => Err(error),
        }
    }

    fn wait(self) -> Result<(u32, Event), Errno> {
        let all = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
        if self.is_first() {
            return match wait(self.thread, all) {
                Ok(event) => Ok(event.unwrap_or((self.thread, Event::Gone))),
                Err(Errno::CHILD) => Ok((self.thread, Event::Gone)),
                Err(error) => Err(error),
            };
        }
        loop {
            let mut is_there = false;
            // In this order: it may become the first of its process meanwhile.
            for number in [self.thread, self.process] {
                match wait(number, all | WaitOptions::NOHANG) {
                    Ok(Some(event)) => return Ok(event),
                    Ok(None) => is_there = true,
                    // By that number it isn't followed.
                    Err(Errno::CHILD) => {}
                    Err(error) => return Err(error),
                }
            }
            if !is_there {
                return Ok((self.thread, Event::Gone));
            }
            std::thread::sleep(NAP);
        }
    }
}

fn wait(number: u32, options: WaitOptions) -> Result<Option<(u32, Event)>, Errno> {
    let pid = Pid::from_raw(number.cast_signed()).ok_or(Errno::SRCH)?;
    let waited = loop {
        match rustix::process::waitpid(Some(pid), options) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let Some((_, status)) = waited else {
        return Ok(None);
    };
    let event = match status.stopping_signal() {
        None => Event::Gone,
        Some(signal) => match status.as_raw() >> 16 {
            EXECUTED => Event::Executed,
            STOPPED => Event::Failed(0),
            _ => Event::Failed(signal & 0x7f),
        },
    };
    Ok(Some((number, event)))
}

/// Sets the clock of a program that has not begun, and its first randomness.
fn set(
    process: u32,
    patch: Option<&Patch>,
    now: i64,
    random: impl FnOnce(&[u8]) -> Option<[u8; RANDOM]>,
) -> Result<(), Errno> {
    let start = sys_trace::start(process)?;
    let read = |at, into: &mut [u8]| sys_notify::read_memory(process, at, into);
    let stack = stack::walk(start.stack, start.is_of_32_bits, read)?;
    let random = random(&stack.arguments);
    if let (Some(at), Some(random)) = (stack.random, random) {
        sys_notify::write_memory(process, at, &random)?;
    }
    let Some((vdso, entry)) = stack.vdso.filter(|(vdso, _)| *vdso != 0) else {
        // Every read of a clock is a system call.
        return Ok(());
    };
    let write = |at, value: u64| sys_notify::write_memory(process, at, &value.to_le_bytes());
    match patch.filter(|_| !start.is_of_32_bits) {
        Some(patch) => {
            write(stack.unused, 0)?;
            let cell = Cell {
                read: stack.unused,
                since: now,
            };
            let (at, bytes) = patch.fill(vdso, cell);
            processes::write_over(process, at, &bytes)
        }
        None if start.is_of_32_bits => {
            let ignore = (IGNORE as u32).to_le_bytes();
            sys_notify::write_memory(process, entry, &ignore)
        }
        None => write(entry, IGNORE),
    }
}

/// The vDSO that every program has, as this one has it: where it begins, and its image. None where
/// it has none.
pub fn own_vdso() -> Option<(u64, Vec<u8>)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).ok());
    let (from, to) = (from?, to?);
    let mut image = vec![0; usize::try_from(to.checked_sub(from)?).ok()?.min(1 << 20)];
    let memory = rustix::fs::openat(CWD, "/proc/self/mem", OFlags::CLOEXEC, Mode::empty()).ok()?;
    let read = rustix::io::pread(&memory, image.as_mut_slice(), from).ok()?;
    (read == image.len()).then_some((from, image))
}
