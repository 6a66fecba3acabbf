//! How a step's clock runs. Pure, and the only place that decides it.
//!
//! In: the instant at which it begins, who reads it, who sleeps. Out: what is read.
//!
//! The clock must give the same output in every run, so it doesn't follow the machine's: it stands
//! still, but for what would never end otherwise.
//! - Each read in a process adds a [`TICK`], so that time differs from read to read, and a loop that
//!   asks for seconds to pass ends.
//! - What a process of one thread sleeps by nanosleep(2) and clock_nanosleep(2) has passed afterwards,
//!   for it and for all that begins then, unless it has children.
//! - A second has passed when one and the same command has read the clock in [`READERS`] processes, so
//!   that a loop of a shell ends that runs `date` again and again.
//! - A program that waits for something else sees real time in the end ([`super::patience`]).

use std::collections::BTreeMap;

use super::SECOND;

/// Nanoseconds of its first second that have passed when a clock begins: what was written since then is
/// to be before it, in some order.
pub const BEGIN: i64 = SECOND / 2;
/// Nanoseconds from one read of a process to its next.
pub const TICK: i64 = 1_000;
/// How many processes of one command read the clock in one of its seconds.
const READERS: u64 = 1_000;
/// Most commands that are told apart; those beyond are one.
const COMMANDS: usize = 1 << 16;
/// Most sleeps at once that are looked at; what is slept beyond has not passed.
const SLEEPS: usize = 4096;

/// The clock of one step. All times are in nanoseconds: since 1970, or of the monotonic clock where
/// it is said.
#[derive(Debug)]
pub struct Pace {
    /// What has passed for all; without the seconds that readers add.
    now: i64,
    /// Seconds.
    added: i64,
    /// By what tells commands apart: in how many processes each has read.
    readers: BTreeMap<u64, u64>,
    /// By when it ends (monotonic): what the clock is then at least.
    sleeps: BTreeMap<i64, i64>,
}

impl Pace {
    /// A clock that begins so many seconds after 1970; none where that can't be told in nanoseconds.
    pub fn new(seconds: i64) -> Option<Pace> {
        // A century before what 64 bits hold, so that nothing that is added overflows.
        let is_sound = (0..i64::MAX / SECOND - 100 * 366 * 86_400).contains(&seconds);
        is_sound.then(|| Pace {
            now: seconds * SECOND + BEGIN,
            added: 0,
            readers: BTreeMap::new(),
            sleeps: BTreeMap::new(),
        })
    }

    /// What a process reads that has not read before; `command` tells its command from others.
    pub fn first(&mut self, monotonic: i64, command: u64) -> i64 {
        let first = self.now(monotonic);
        let is_known = self.readers.len() < COMMANDS || self.readers.contains_key(&command);
        let command = if is_known { command } else { 0 };
        let readers = self.readers.entry(command).or_default();
        *readers += 1;
        if *readers == READERS {
            *readers = 0;
            self.added += 1;
        }
        first + TICK
    }

    /// What it is for all, without asking as a reader does.
    pub fn now(&mut self, monotonic: i64) -> i64 {
        while let Some(sleep) = self.sleeps.first_entry()
            && *sleep.key() <= monotonic
        {
            self.now = self.now.max(sleep.remove());
        }
        self.now + self.added * SECOND
    }

    /// A process sleeps from now on.
    pub fn sleep(&mut self, monotonic: i64, duration: i64) {
        let now = self.now(monotonic) - self.added * SECOND;
        let then = now.saturating_add(duration);
        let end = monotonic.saturating_add(duration);
        if self.sleeps.len() < SLEEPS {
            let known = self.sleeps.entry(end).or_insert(then);
            *known = then.max(*known);
        }
    }
}

/// A program that has read so much sleeps for so long: what it has read then.
pub fn slept(read: i64, duration: i64) -> i64 {
    match read {
        // It begins with what has passed for all by then.
        0 => 0,
        read => read.saturating_add(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_for_all_that_begin() {
        let mut pace = Pace::new(1_000).unwrap();
        for (monotonic, command) in [(5, 1), (5, 1), (900 * SECOND, 2)] {
            assert_eq!(
                pace.first(monotonic, command),
                1_000 * SECOND + BEGIN + TICK
            );
        }
        for command in 0..10 * READERS {
            assert_eq!(pace.first(0, command), 1_000 * SECOND + BEGIN + TICK);
        }
    }

    #[test]
    fn what_is_slept_has_passed_once_it_is_over() {
        let mut pace = Pace::new(1_000).unwrap();
        pace.sleep(0, 5 * SECOND);
        // Side by side with the first.
        pace.sleep(SECOND, 3 * SECOND);
        assert_eq!(pace.now(4 * SECOND - 1), 1_000 * SECOND + BEGIN);
        assert_eq!(pace.now(4 * SECOND), 1_003 * SECOND + BEGIN);
        assert_eq!(pace.now(5 * SECOND), 1_005 * SECOND + BEGIN);
        // One after the other.
        pace.sleep(6 * SECOND, 2 * SECOND);
        assert_eq!(pace.now(7 * SECOND), 1_005 * SECOND + BEGIN);
        assert_eq!(pace.now(9 * SECOND), 1_007 * SECOND + BEGIN);
        pace.sleep(9 * SECOND, i64::MAX);
        assert_eq!(pace.now(900 * SECOND), 1_007 * SECOND + BEGIN);
    }

    #[test]
    fn a_command_that_asks_again_and_again_moves_it() {
        let mut pace = Pace::new(0).unwrap();
        let mut last = 0;
        for other in 0..2 * READERS {
            pace.first(0, other + 8);
            let next = pace.first(0, 7);
            assert!(next >= last);
            last = next;
        }
        assert_eq!(pace.now(0), 2 * SECOND + BEGIN);
        assert_eq!(last, SECOND + BEGIN + TICK);
    }

    #[test]
    fn a_sleep_moves_what_was_read() {
        assert_eq!(slept(7, 50), 57);
        assert_eq!(slept(0, 50), 0);
    }

    #[test]
    fn only_what_fits_is_a_clock() {
        assert!(Pace::new(-1).is_none() && Pace::new(i64::MAX / SECOND).is_none());
        assert!(Pace::new(6_060_000_000).is_some());
    }
}
