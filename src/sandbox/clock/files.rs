//! File times as a step's programs see them: of the step's clock.
//!
//! In: the calls that ask for a file's times. Out: of what was read, written or made since the step
//! began, the instant at which its clock begins, where the kernel would tell real time. Times from
//! before stay: they are inputs; so does what a program set itself, by the step's clock. Those that no
//! program can set, of the last change of what is told of a file and of its making, are none: they tell
//! when the step's folders were made.
//!
//! Within that instant's second nothing tells the times of two files apart, so that who writes a time
//! down writes the same in every run. Who decides by which of two files is newer sees that, too:
//! programs that build ([`COMPARING`]) see the order in the nanoseconds. Everybody else who compares
//! finds files of one step to be equally old.
//!
//! What else of a file is another on each machine is shown as everywhere, as these calls are answered
//! anyway: how large directories are and how much room files take, by [`disk::room`]; and root as the
//! owner of what the kernel keeps, where it finds none.
//!
//! Still real: when a file from below the step was last read, where the store's file system notes that; to
//! users who aren't let to every file, when what is told of one from below last changed, and its making;
//! the files of `/proc`; what programs of 32 bits see.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;

use super::linked::{Linked, Links};
use super::numbers::Numbers;
use super::{SECOND, pace};
use crate::sandbox::facts::{Given, disk};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Rule};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::notify::stat::{self, Stamp, Time, Told};
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
/// Who owns what no user of the step's user namespace does (`overflowuid`).
const NOBODY: u32 = 65534;
/// Nanoseconds after which half of the order's room is used.
const HALF: i64 = 60 * SECOND;

/// How what is shown differs from what the kernel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Not at all.
    None,
    /// In when the step's folders were made, and in nothing else.
    Making,
    /// In what commands go by.
    Some,
}

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
    /// For which others some stand.
    given: Given,
}

impl FileTimes {
    /// Of a step that began then, whose clock begins at `instant`.
    pub fn new(began: i64, instant: i64, numbers: Numbers) -> FileTimes {
        FileTimes {
            began,
            instant,
            numbers,
            linked: Linked::default(),
            given: Given::default(),
        }
    }

    /// Where it is kept what stands for another file.
    pub fn given(&self) -> Given {
        self.given.clone()
    }

    /// What links files, so that they are shown as they were.
    pub fn links(&self, users: Users) -> Links {
        Links::new(self.linked.clone(), users)
    }

    /// What is shown for a time, if that is another.
    fn shown(&self, stamp: Stamp, (seconds, rest): Time, has_order: bool) -> Option<Time> {
        if seconds < self.began {
            let is_known = match stamp {
                Stamp::Settable => false,
                Stamp::Changed => true,
                Stamp::Made => (seconds, rest) != (0, 0),
            };
            return is_known.then_some((self.instant, 0));
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

    /// Has what is `told` of `file` as it is shown to the caller.
    pub fn show(&self, caller: &Caller<'_>, told: &mut Told, file: &OwnedFd) -> Difference {
        let linked = self.linked.shown(told.place(), file.as_fd());
        if let Some(number) = linked {
            told.set_number(number);
        }
        let is_other = show_owner(told, file) || linked.is_some();
        match self.show_by_itself(caller, told) {
            _ if is_other => Difference::Some,
            difference => difference,
        }
    }

    /// Whether the file itself has to be seen for what is shown of it.
    fn needs_file(&self, told: &Told) -> bool {
        told.owner() == (NOBODY, NOBODY) || self.linked.has(told.place())
    }

    fn show_by_itself(&self, caller: &Caller<'_>, told: &mut Told) -> Difference {
        let real = self.given.real(told.place());
        if let Some(real) = real {
            told.set_place(real);
        }
        let number = self.numbers.shown(caller.pid(), || told.place());
        if let Some(number) = number {
            told.set_number_alone(number);
        }
        let has_order = std::cell::OnceCell::new();
        let is_written = std::cell::Cell::new(false);
        let has_times = told.set_times(|stamp, time| {
            // Asked only then: most files are from before.
            let is_own = time.0 >= self.began;
            is_written.set(is_written.get() | is_own);
            let has_order = is_own && *has_order.get_or_init(|| runs_one_of(caller, &COMPARING));
            self.shown(stamp, time, has_order)
        });
        let has_made = told.tells_making() && runs_one_of(caller, &KEEPING);
        if has_made {
            told.set_made_when_changed();
        }
        let is_other = show_room(told) || has_made || real.is_some();
        match is_other || is_written.get() || number.is_some() {
            true => Difference::Some,
            false if has_times => Difference::Making,
            false => Difference::None,
        }
    }
}

/// Root, where who owns what is the kernel's can't be said in the step's user namespace.
fn show_owner(told: &mut Told, file: &OwnedFd) -> bool {
    if told.owner() != (NOBODY, NOBODY) {
        return false;
    }
    let is_device = told.mode() & libc::S_IFMT == libc::S_IFCHR;
    let is_nobodys = is_device || rustix::fs::fstatfs(file).is_ok_and(|it| disk::is_nobodys(&it));
    if is_nobodys {
        told.set_owner(0, 0);
    }
    is_nobodys
}

fn show_room(told: &mut Told) -> bool {
    let kind = told.mode() & libc::S_IFMT;
    if !matches!(kind, libc::S_IFDIR | libc::S_IFREG) {
        return false;
    }
    let real = told.room();
    let room = disk::room(kind == libc::S_IFDIR, real);
    told.set_room(room);
    room != real
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
    /// Whether processes may be in user namespaces of their own.
    has_namespaces: bool,
}

impl Files {
    /// As `times` has them, to processes that may be in user namespaces of their own, or can't.
    pub fn new(times: FileTimes, has_namespaces: bool) -> Files {
        Files {
            times,
            has_namespaces,
        }
    }

    fn show(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        // Decided before anything is looked up: another thread may change the path meanwhile.
        if stat::is_of_open(call, caller) {
            return self.show_open(call, caller);
        }
        // What is as it is the kernel tells by itself, and to whom it may: so rights don't matter yet.
        let file = stat::file(call, caller, &Rights::own())?;
        let mut told = Told::of(call, caller, &file)?;
        let difference = self.times.show(caller, &mut told, &file);
        if difference == Difference::None {
            return Ok(Answer::Continue);
        }
        if !self.has_namespaces && Rights::reach_all(caller)? {
            return told.tell(caller);
        }
        // To find out who else is let to a file takes several times as long as all the rest.
        if difference == Difference::Making {
            return Ok(Answer::Continue);
        }
        let file = stat::file(call, caller, &Rights::of(caller, Users::Many)?)?;
        let mut told = Told::of(call, caller, &file)?;
        self.times.show(caller, &mut told, &file);
        told.tell(caller)
    }

    /// Of what a caller has open it may be told all, whatever its rights.
    fn show_open(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        // Each program opens its libraries when it begins: of them it is told in fewer calls.
        let glance = stat::at_a_glance(call, caller).filter(|told| !self.times.needs_file(told));
        let (told, difference) = match glance {
            Some(mut told) => {
                let difference = self.times.show_by_itself(caller, &mut told);
                (told, difference)
            }
            None => {
                let file = caller.descriptor(caller.int(0))?;
                let mut told = Told::of(call, caller, &file)?;
                let difference = self.times.show(caller, &mut told, &file);
                (told, difference)
            }
        };
        match difference {
            Difference::None => Ok(Answer::Continue),
            _ => told.tell(caller),
        }
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
        let shown = |time, has_order| times.shown(Stamp::Settable, time, has_order);
        assert_eq!(shown((4_999, 999_999_999), false), None);
        assert_eq!(shown((1, 0), true), None);
        for stamp in [Stamp::Settable, Stamp::Changed, Stamp::Made] {
            assert_eq!(times.shown(stamp, (5_000, 0), false), Some((77, 0)));
            assert_eq!(times.shown(stamp, (9_000, 5), false), Some((77, 0)));
            assert_eq!(times.shown(stamp, (5_000, 0), true), Some((77, 0)));
        }
        // When a layer was unpacked is nobody's business.
        for stamp in [Stamp::Changed, Stamp::Made] {
            assert_eq!(times.shown(stamp, (4_999, 5), true), Some((77, 0)));
        }
        assert_eq!(times.shown(Stamp::Made, (0, 0), false), None);
    }

    #[test]
    fn order_is_kept_within_the_second() {
        let times = FileTimes::new(5_000, 77, Numbers::default());
        let shown = |seconds, rest| times.shown(Stamp::Settable, (seconds, rest), true).unwrap();
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
