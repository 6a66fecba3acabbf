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
use crate::sandbox::processes;

/// The clocks that tell the time of day, by their numbers (clock_gettime(2)): `CLOCK_REALTIME`,
/// `_COARSE`, `_ALARM`, `CLOCK_TAI`.
const TIMES_OF_DAY: [u32; 4] = [0, 5, 8, 11];
/// The clocks that tell what a process or thread has spent of a processor: `CLOCK_PROCESS_CPUTIME_ID`,
/// `_THREAD_`. Who makes names up takes them for chance (glibc's mkstemp(3)).
const TIMES_SPENT: [u32; 2] = [2, 3];
/// A bit of the numbers of clocks that hold whose they are: of clock_getcpuclockid(3), and those of devices.
const OF_SOMEBODY: u32 = 1 << 31;
/// Bits below the number of a process or thread, which is inverted in them, and their value in those of
/// devices (`CLOCKFD`).
const KINDS: u32 = 3;
const OF_DEVICE: u32 = 3;
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

/// Calls that ask for what is told here, whatever their arguments.
const CALLS: [Call; 4] = [Call::Gettimeofday, Call::Time, Call::Getrusage, Call::Times];
/// And for some clocks.
const CALLS_OF_CLOCKS: [Call; 2] = [Call::ClockGettime, Call::ClockGettime64];

/// Whether it asks for what is told here.
pub fn is_asked_by(call: Call) -> bool {
    CALLS.contains(&call) || CALLS_OF_CLOCKS.contains(&call)
}

/// The calls that ask, and of which clocks.
pub fn rules() -> Vec<Rule> {
    let always = CALLS.map(|call| Rule::always(call, Action::Notify));
    let of_clocks = CALLS_OF_CLOCKS.into_iter().flat_map(|call| {
        let told = Is::OneOf([&TIMES_OF_DAY[..], &TIMES_SPENT].concat());
        let of_somebody = Is::OneOf(vec![OF_SOMEBODY]);
        [
            Rule::when(call, 0, !0, told, Action::Notify),
            Rule::when(call, 0, OF_SOMEBODY, of_somebody, Action::Notify),
        ]
    });
    always.into_iter().chain(of_clocks).collect()
}

/// What a call asks for.
enum Asked {
    TimeOfDay,
    /// What the caller's process, or thread, has spent.
    Spent,
    /// What others have, or a device says.
    Other,
}

/// By the number of a clock.
fn asked(clock: u32, caller: &Caller<'_>) -> Result<Asked, Errno> {
    if TIMES_OF_DAY.contains(&clock) {
        return Ok(Asked::TimeOfDay);
    }
    if TIMES_SPENT.contains(&clock) {
        return Ok(Asked::Spent);
    }
    if clock & OF_SOMEBODY == 0 || clock & KINDS == OF_DEVICE {
        return Ok(Asked::Other);
    }
    let number = !(clock.cast_signed() >> 3);
    Ok(match caller.named(number.cast_unsigned()) {
        Ok(thread) if processes::threads(caller.process()?).contains(&thread) => Asked::Spent,
        _ => Asked::Other,
    })
}

impl Clock {
    /// Tells the caller what it asks for, in the form that its call has.
    pub(super) fn tell(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let asked = match call {
            Call::Getrusage => return self.tell_usage(caller),
            Call::Times => return self.tell_times(caller),
            Call::ClockGettime | Call::ClockGettime64 => asked(caller.word(0), caller)?,
            _ => Asked::TimeOfDay,
        };
        let time = match asked {
            Asked::TimeOfDay => self.read(caller)?,
            Asked::Spent => self.spent(caller)?,
            Asked::Other => return Ok(Answer::Continue),
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
