//! File times as a step's programs see them: of the step's clock.
//!
//! In: the calls that ask for a file's times. Out: of what was read, written or made since the step
//! began, the instant at which its clock begins, where the kernel would tell real time. Times from
//! before stay: they are inputs; so does what a program set itself, by the step's clock.
//!
//! Within that instant's second nothing tells the times of two files apart, so that who writes a time
//! down writes the same in every run. Who decides by which of two files is newer sees that, too:
//! programs that build ([`COMPARING`]) see the order in the nanoseconds. Everybody else who compares
//! finds files of one step to be equally old.
//!
//! Still real: when a file from below the step was last read, or when what is told of it last changed;
//! when it was made, which is when it was unpacked, but to who writes that down ([`KEEPING`]); the files of
//! `/proc`; what programs of 32 bits see.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;

use super::linked::{Linked, Links};
use super::numbers::Numbers;
use super::{SECOND, pace};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Rule};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::notify::stat::{self, Time, Told};
use crate::sandbox::notify::{Answer, Caller, Handler};

/// Programs that compare the times of files, and write them down at most for themselves.
const COMPARING: [&[u8]; 17] = [
    b"[", b"ash", b"bash", b"bmake", b"cargo", b"dash", b"find", b"gmake", b"ksh93", b"ls",
    b"make", b"mksh", b"ninja", b"samu", b"sh", b"test", b"zsh",
];
/// Programs that write down when a file was made, and are told when it was last changed: cargo knows its
/// compiler by that.
const KEEPING: [&[u8]; 1] = [b"cargo"];
/// Programs that are many, by the name that they are called by.
const SEVERAL: [&[u8]; 3] = [b"busybox", b"coreutils", b"toybox"];
/// Nanoseconds after which half of the order's room is used.
const HALF: i64 = 60 * SECOND;

/// How file times are shown.
#[derive(Debug, Clone)]
pub struct FileTimes {
    /// From when on a time is the step's: seconds since 1970, by the machine's clock.
    began: i64,
    /// What is shown instead, likewise.
    instant: i64,
    /// What some are shown for numbers of files.
    numbers: Numbers,
    /// What all are shown for files that were linked.
    linked: Linked,
}

impl FileTimes {
    /// Of a step that began then, whose clock begins at `instant`.
    pub fn new(began: i64, instant: i64, numbers: Numbers) -> FileTimes {
        FileTimes {
            began,
            instant,
            numbers,
            linked: Linked::default(),
        }
    }

    /// What links files, so that they are shown as they were.
    pub fn links(&self, users: Users) -> Links {
        Links::new(self.linked.clone(), users)
    }

    /// What is shown for a time, if that is another.
    fn shown(&self, (seconds, rest): Time, has_order: bool) -> Option<Time> {
        if seconds < self.began {
            return None;
        }
        let rest = match has_order {
            false => 0,
            true => {
                let after = seconds.saturating_sub(self.began).saturating_mul(SECOND);
                order(after.saturating_add(i64::from(rest)))
            }
        };
        Some((self.instant, rest))
    }

    /// Has the times and the number of `file` in `told` as they are shown to the caller; whether any is
    /// another.
    pub fn show(&self, caller: &Caller<'_>, file: &OwnedFd, told: &mut Told) -> bool {
        let linked = self.linked.shown(told.place(), file.as_fd());
        if let Some(number) = linked {
            told.set_number(number);
        }
        let number = self.numbers.shown(caller.pid(), || told.place());
        if let Some(number) = number {
            told.set_number_alone(number);
        }
        let has_order = std::cell::OnceCell::new();
        let has_times = told.set_times(|time| {
            // Asked only then: most files are from before.
            let is_own = self.shown(time, false).is_some();
            let has_order = is_own && *has_order.get_or_init(|| runs_one_of(caller, &COMPARING));
            self.shown(time, has_order)
        });
        let has_made = told.tells_making() && runs_one_of(caller, &KEEPING);
        if has_made {
            told.set_made_when_changed();
        }
        has_times || has_made || linked.is_some() || number.is_some()
    }

    /// Whether all that is told of an open file is shown to the caller as it is. Seen with one call and
    /// without making sure that the caller is still there, as each program opens its libraries when it
    /// begins, and they are from before.
    fn stays(&self, caller: &Caller<'_>, descriptor: i32) -> bool {
        let path = format!("/proc/{}/fd/{descriptor}", caller.pid());
        let Ok(stat) = rustix::fs::stat(path) else {
            return false;
        };
        let is_old = |seconds| self.shown((seconds, 0), false).is_none();
        [stat.st_atime, stat.st_mtime, stat.st_ctime]
            .into_iter()
            .all(is_old)
            && !self.numbers.has(caller.pid())
    }
}

/// A time so many nanoseconds after the beginning as nanoseconds of a second: later is more, and it is
/// always before what a clock reads that has begun.
fn order(after: i64) -> u32 {
    let after = i128::from(after.max(0));
    let part = after * i128::from(pace::BEGIN) / (after + i128::from(HALF));
    u32::try_from(part).unwrap_or(0)
}

/// Whether the caller runs a program of such a name.
fn runs_one_of(caller: &Caller<'_>, names: &[&[u8]]) -> bool {
    let pid = caller.pid();
    let Ok(program) = std::fs::read_link(format!("/proc/{pid}/exe")) else {
        return false;
    };
    let name = program.file_name().unwrap_or_default().as_encoded_bytes();
    if !SEVERAL.contains(&name) {
        return names.contains(&name);
    }
    let called = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    names.contains(&called.trim_ascii())
}

/// Shows file times where the kernel knows all users.
#[derive(Debug)]
pub struct Files {
    times: FileTimes,
}

impl Files {
    /// As `times` has them.
    pub fn new(times: FileTimes) -> Files {
        Files { times }
    }

    fn show(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        if let Some(descriptor) = stat::descriptor(call, caller)
            && self.times.stays(caller, descriptor)
        {
            return Ok(Answer::Continue);
        }
        // What is not new the kernel tells by itself, and to whom it may: so rights don't matter yet.
        let file = stat::file(call, caller, &Rights::own())?;
        let mut told = Told::of(call, caller, &file)?;
        if !self.times.show(caller, &file, &mut told) {
            return Ok(Answer::Continue);
        }
        let file = match call {
            Call::Fstat => file,
            _ => stat::file(call, caller, &Rights::of(caller, Users::Many)?)?,
        };
        let mut told = Told::of(call, caller, &file)?;
        self.times.show(caller, &file, &mut told);
        told.tell(caller)
    }
}

impl Handler for Files {
    fn rules() -> Vec<Rule> {
        let always = |call| Rule::always(call, Action::Notify);
        stat::CALLS.map(always).to_vec()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
        self.show(call, caller).unwrap_or(Answer::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_steps_is_shown_at_its_instant_and_the_rest_as_it_is() {
        let times = FileTimes::new(5_000, 77, Numbers::default());
        assert_eq!(times.shown((4_999, 999_999_999), false), None);
        assert_eq!(times.shown((0, 0), true), None);
        assert_eq!(times.shown((5_000, 0), false), Some((77, 0)));
        assert_eq!(times.shown((9_000, 5), false), Some((77, 0)));
        assert_eq!(times.shown((5_000, 0), true), Some((77, 0)));
    }

    #[test]
    fn order_is_kept_within_the_second() {
        let times = FileTimes::new(5_000, 77, Numbers::default());
        let shown = |seconds, rest| times.shown((seconds, rest), true).unwrap();
        let mut last = shown(5_000, 0);
        // A tick of 4 ms, all through a day.
        for (seconds, rest) in [
            (5_000, 4_000_000),
            (5_000, 8_000_000),
            (5_060, 0),
            (5_060, 4_000_000),
            (8_600, 0),
            (8_600, 4_000_000),
            (91_400, 0),
            (91_401, 0),
        ] {
            let next = shown(seconds, rest);
            assert!(
                next > last && next.0 == 77 && next.1 < 1_000_000_000,
                "{next:?}"
            );
            last = next;
        }
        assert_eq!(i64::from(order(HALF)), pace::BEGIN / 2);
        assert!(i64::from(order(i64::MAX)) < pace::BEGIN);
    }
}
