//! What the clock tells who asks it by a call: the time, and what was spent of a processor.
//!
//! In: such calls. Out: answers, in the form that each has. What a process has spent of a processor is by
//! its clock, and its children have spent nothing: what they spend is another time in every run.

use rustix::io::Errno;

use super::SECOND;
use super::calls::{Clock, monotonic};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::{Answer, Caller};

/// The clocks that tell the time of day, by their numbers (clock_gettime(2)): `CLOCK_REALTIME`,
/// `_COARSE`, `_ALARM`, `CLOCK_TAI`.
const TIMES_OF_DAY: [u32; 4] = [0, 5, 8, 11];
/// The clocks that tell what a process or thread has spent of a processor: `CLOCK_PROCESS_CPUTIME_ID`,
/// `_THREAD_`, and as clock_getcpuclockid(3) names them of who asks. Who makes names up takes them for
/// chance (glibc's mkstemp(3)).
const TIMES_SPENT: [u32; 4] = [2, 3, !5, !1];
/// Whom getrusage(2) tells of: `RUSAGE_SELF`, `_THREAD`.
const ITSELF: [i32; 2] = [0, 1];
/// `RUSAGE_CHILDREN`.
const CHILDREN: i32 = -1;
/// The most memory that any process has had (`ru_maxrss`): KiB.
const MEMORY: i64 = 64 << 10;
/// Numbers of `struct rusage` behind its two times, of which the first is that memory.
const COUNTS: usize = 14;
/// Nanoseconds of what times(2) counts in, for every program (`USER_HZ`).
const HUNDREDTH: i64 = SECOND / 100;

/// Whether it asks for what is told here.
pub fn is_asked_by(call: Call) -> bool {
    let calls = [
        Call::ClockGettime,
        Call::ClockGettime64,
        Call::Gettimeofday,
        Call::Time,
        Call::Getrusage,
        Call::Times,
    ];
    calls.contains(&call)
}

/// The calls that ask, and of which clocks.
pub fn rules() -> [Rule; 6] {
    let told = || Is::OneOf([&TIMES_OF_DAY[..], &TIMES_SPENT].concat());
    let notify = Action::Notify;
    [
        Rule::when(Call::ClockGettime, 0, !0, told(), notify),
        Rule::when(Call::ClockGettime64, 0, !0, told(), notify),
        Rule::always(Call::Gettimeofday, notify),
        Rule::always(Call::Time, notify),
        Rule::always(Call::Getrusage, notify),
        Rule::always(Call::Times, notify),
    ]
}

impl Clock {
    /// Tells the caller what it asks for, in the form that its call has.
    pub(super) fn tell(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        match call {
            // Who traces asks for other clocks, too.
            Call::ClockGettime | Call::ClockGettime64 if !is_told(caller.word(0)) => {
                return Ok(Answer::Continue);
            }
            Call::Getrusage => return self.tell_usage(caller),
            Call::Times => return self.tell_times(caller),
            _ => {}
        }
        let is_of_clock = matches!(call, Call::ClockGettime | Call::ClockGettime64);
        let time = match is_of_clock && TIMES_SPENT.contains(&caller.word(0)) {
            true => self.spent(caller)?,
            false => self.read(caller)?,
        };
        let (seconds, rest) = (time / SECOND, time % SECOND);
        let is_narrow = caller.is_of_32_bits();
        match call {
            Call::Time => {
                if caller.argument(0) != 0 {
                    caller.write(caller.argument(0), &longs(&[seconds], is_narrow))?;
                }
                return Ok(Answer::Value(seconds));
            }
            Call::Gettimeofday => {
                if caller.argument(0) != 0 {
                    let time = longs(&[seconds, rest / 1000], is_narrow);
                    caller.write(caller.argument(0), &time)?;
                }
                if caller.argument(1) != 0 {
                    caller.write(caller.argument(1), &[0; 8])?;
                }
            }
            _ => {
                let is_narrow = is_narrow && call != Call::ClockGettime64;
                caller.write(caller.argument(1), &longs(&[seconds, rest], is_narrow))?;
            }
        }
        Ok(Answer::Value(0))
    }

    /// `struct rusage` of getrusage(2).
    fn tell_usage(&mut self, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let spent = match caller.int(0) {
            CHILDREN => 0,
            itself if ITSELF.contains(&itself) => self.spent(caller)?,
            _ => return Err(Errno::INVAL),
        };
        let times = [spent / SECOND, spent % SECOND / 1000, 0, 0];
        let mut counts = [0; COUNTS];
        counts[0] = MEMORY;
        let usage = [&times[..], &counts].concat();
        caller.write(caller.argument(1), &longs(&usage, caller.is_of_32_bits()))?;
        Ok(Answer::Value(0))
    }

    /// `struct tms` of times(2), which gives how long the machine has been up besides, as clocks do that
    /// programs wait by.
    fn tell_times(&mut self, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let is_narrow = caller.is_of_32_bits();
        if caller.argument(0) != 0 {
            let spent = self.spent(caller)? / HUNDREDTH;
            caller.write(caller.argument(0), &longs(&[spent, 0, 0, 0], is_narrow))?;
        }
        let up = monotonic() / HUNDREDTH;
        // One that has its highest bit set is an error to such programs.
        Ok(Answer::Value(match is_narrow {
            true => up & i64::from(i32::MAX),
            false => up,
        }))
    }
}

/// Whether a clock of that number is answered for.
fn is_told(clock: u32) -> bool {
    TIMES_OF_DAY.contains(&clock) || TIMES_SPENT.contains(&clock)
}

/// Numbers as the kernel has them in `long`s. Of those that don't fit into 32 bits programs of such get the
/// lower ones, as the kernel does it, which they will not outlive.
fn longs(numbers: &[i64], is_narrow: bool) -> Vec<u8> {
    let each = numbers.iter().map(|number| match is_narrow {
        true => (*number as i32).to_le_bytes().to_vec(),
        false => number.to_le_bytes().to_vec(),
    });
    each.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_as_the_headers_have_it() {
        assert_eq!(ITSELF, [libc::RUSAGE_SELF, libc::RUSAGE_THREAD]);
        assert_eq!(CHILDREN, libc::RUSAGE_CHILDREN);
        let numbers = 4 + COUNTS;
        assert_eq!(size_of::<libc::rusage>(), numbers * size_of::<i64>());
        let before = std::mem::offset_of!(libc::rusage, ru_maxrss);
        assert_eq!(before, 4 * size_of::<i64>());
        let a_second = rustix::param::clock_ticks_per_second();
        assert_eq!(i64::try_from(a_second), Ok(SECOND / HUNDREDTH));
    }

    #[test]
    fn numbers_are_as_wide_as_who_asks() {
        assert_eq!(longs(&[1, -1], true), [1, 0, 0, 0, 255, 255, 255, 255]);
        assert_eq!(longs(&[1 << 32 | 7], true), [7, 0, 0, 0]);
        assert_eq!(longs(&[1 << 32 | 7], false), [7, 0, 0, 0, 1, 0, 0, 0]);
    }
}
