//! Who waits by the clock.
//!
//! In: calls that sleep, and calls with a deadline of the time of day. Out: what is slept passes on
//! the step's clock; a deadline is moved to the machine's clock, by which the kernel waits, so that it
//! takes as long as it was meant to. The kernel reads the deadline anew, so it is changed where the
//! caller has it; who waits again with the same one is known by what it was changed to.

use rustix::io::Errno;
use rustix::time::{ClockId, Itimerspec, TimerfdTimerFlags, Timespec};

use super::SECOND;
use super::calls::{Clock, machine, monotonic, nanoseconds};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Condition, Is, Rule};
use crate::sandbox::notify::{Answer, Caller};
use crate::sandbox::processes;

/// What is slept until an instant of the monotonic clock is told in such steps: how long the caller
/// took until it slept would else be in it.
const STEP: i64 = 1_000_000;
/// Most deadlines that are remembered.
const MOST: usize = 1 << 14;

/// futex(2): `FUTEX_LOCK_PI`, and `FUTEX_WAIT_BITSET`, `FUTEX_WAIT_REQUEUE_PI` and `FUTEX_LOCK_PI2`
/// with `FUTEX_CLOCK_REALTIME`; `FUTEX_PRIVATE_FLAG` is another bit.
const FUTEX_OPERATIONS: [u32; 4] = [6, 256 | 9, 256 | 11, 256 | 13];
const FUTEX_PRIVATE: u32 = 128;

/// Which calls wait.
pub fn rules() -> Vec<Rule> {
    let notify = Action::Notify;
    let sleeps = [Call::ClockNanosleep, Call::ClockNanosleep64];
    let mut rules: Vec<Rule> = sleeps.map(|call| Rule::always(call, notify)).to_vec();
    // Who doesn't ask for what is left is Go, which watches over its threads so, thousands of times a
    // second.
    let asks = Is::Set;
    rules.push(Rule::when(Call::Nanosleep, 1, !0, asks, notify));
    let is_there = |argument| Condition {
        argument,
        mask: !0,
        is: Is::Set,
    };
    for call in [Call::Futex, Call::Futex64] {
        let operation = Condition {
            argument: 1,
            mask: !FUTEX_PRIVATE,
            is: Is::OneOf(FUTEX_OPERATIONS.to_vec()),
        };
        rules.push(Rule {
            when: vec![operation, is_there(3)],
            ..Rule::always(call, notify)
        });
    }
    // `TIMER_ABSTIME`, too.
    let absolute = libc::TFD_TIMER_ABSTIME.cast_unsigned();
    for call in [
        Call::TimerfdSettime,
        Call::TimerfdSettime64,
        Call::TimerSettime,
        Call::TimerSettime64,
    ] {
        rules.push(Rule::when(call, 1, absolute, Is::Set, notify));
    }
    for call in [
        Call::MqTimedsend,
        Call::MqTimedsend64,
        Call::MqTimedreceive,
        Call::MqTimedreceive64,
    ] {
        rules.push(Rule {
            when: vec![is_there(4)],
            ..Rule::always(call, notify)
        });
    }
    rules
}

/// Whether a call of a program of 32 bits has its times in the form of 64.
fn is_wide(call: Call) -> bool {
    [
        Call::ClockNanosleep64,
        Call::Futex64,
        Call::MqTimedreceive64,
        Call::MqTimedsend64,
        Call::TimerfdSettime64,
        Call::TimerSettime64,
    ]
    .contains(&call)
}

/// A time as the caller has it: none where the kernel will refuse it, or where it is so far away that
/// it means forever.
fn time(bytes: &[u8]) -> Option<i64> {
    let (seconds, rest) = bytes.split_at(bytes.len() / 2);
    let number = |bytes: &[u8]| match bytes.len() {
        4 => bytes.try_into().ok().map(i32::from_le_bytes).map(i64::from),
        _ => bytes.try_into().ok().map(i64::from_le_bytes),
    };
    let (seconds, rest) = (number(seconds)?, number(rest)?);
    let is_sound = (0..SECOND).contains(&rest) && (0..i64::MAX / SECOND / 2).contains(&seconds);
    is_sound.then(|| seconds * SECOND + rest)
}

fn bytes(time: i64, is_narrow: bool) -> Vec<u8> {
    let (seconds, rest) = (time / SECOND, time % SECOND);
    match is_narrow {
        true => {
            let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
            [seconds.to_le_bytes(), (rest as i32).to_le_bytes()].concat()
        }
        false => [seconds.to_le_bytes(), rest.to_le_bytes()].concat(),
    }
}

/// Bytes of a time.
fn width(is_narrow: bool) -> usize {
    match is_narrow {
        true => 8,
        false => 16,
    }
}

/// The time at an address.
fn given(caller: &Caller<'_>, at: u64, is_narrow: bool) -> Result<Option<i64>, Errno> {
    let mut room = [0; 16];
    let given = &mut room[..width(is_narrow)];
    caller.read(at, given)?;
    Ok(time(given))
}

/// Whether a timer of timer_create(2), which the caller names first, is one of the time of day. Who
/// can't learn it leaves it to the machine's clock.
fn is_of_day(caller: &Caller<'_>) -> Result<bool, Errno> {
    let timers = std::fs::read_to_string(format!("/proc/{}/timers", caller.pid()));
    caller.check()?;
    let id = format!("ID: {}", caller.int(0));
    let timers = timers.unwrap_or_default();
    let lines = timers.lines().skip_while(|line| *line != id);
    let clock = lines
        .into_iter()
        .find_map(|line| line.strip_prefix("ClockID: "));
    let of_day = [
        libc::CLOCK_REALTIME,
        libc::CLOCK_REALTIME_ALARM,
        libc::CLOCK_TAI,
    ];
    Ok(of_day
        .iter()
        .any(|of_day| clock == Some(&of_day.to_string())))
}

impl Clock {
    /// Answers a call that waits.
    pub(super) fn wait(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let is_narrow = caller.is_of_32_bits() && !is_wide(call);
        match call {
            Call::Nanosleep => self.sleeps(caller, 0, is_narrow),
            Call::ClockNanosleep | Call::ClockNanosleep64 => {
                let is_absolute = caller.int(1) & libc::TIMER_ABSTIME != 0;
                match (caller.int(0), is_absolute) {
                    (libc::CLOCK_REALTIME | libc::CLOCK_TAI, true) => {
                        self.move_deadline(caller, caller.argument(2), is_narrow, true)
                    }
                    (libc::CLOCK_MONOTONIC, true) => {
                        if let Some(end) = given(caller, caller.argument(2), is_narrow)? {
                            let left = end.saturating_sub(monotonic());
                            let steps = left.saturating_add(STEP / 2) / STEP;
                            self.sleep_alone(caller, steps.max(0) * STEP)?;
                        }
                        Ok(Answer::Continue)
                    }
                    (_, true) => Ok(Answer::Continue),
                    (_, false) => self.sleeps(caller, 2, is_narrow),
                }
            }
            Call::Futex | Call::Futex64 => {
                self.move_deadline(caller, caller.argument(3), is_narrow, true)
            }
            Call::TimerfdSettime | Call::TimerfdSettime64 => self.set_timer(caller, is_narrow),
            Call::TimerSettime | Call::TimerSettime64 => {
                if !is_of_day(caller)? {
                    return Ok(Answer::Continue);
                }
                // Behind the interval.
                let first = caller.argument(2).checked_add(width(is_narrow) as u64);
                let first = first.ok_or(Errno::FAULT)?;
                self.move_deadline(caller, first, is_narrow, false)
            }
            _ => self.move_deadline(caller, caller.argument(4), is_narrow, true),
        }
    }

    fn sleeps(&mut self, caller: &Caller<'_>, at: usize, is_narrow: bool) -> Result<Answer, Errno> {
        if let Some(duration) = given(caller, caller.argument(at), is_narrow)? {
            self.sleep_alone(caller, duration)?;
        }
        Ok(Answer::Continue)
    }

    /// While one of several threads sleeps, the others don't: it is their process's heartbeat, by which
    /// the clock would be as fast as the machine's. And who has children sleeps until it looks at them
    /// again, which it does the more often the longer they take.
    fn sleep_alone(&mut self, caller: &Caller<'_>, duration: i64) -> Result<(), Errno> {
        let is_alone = caller.status("Threads")? == "1";
        match is_alone && processes::children(caller.process()?).is_empty() {
            true => self.sleep(caller, duration),
            false => Ok(()),
        }
    }

    /// What the machine's clock says when the caller's says so much. The caller's process waits for
    /// that, the caller itself if it `is_call`.
    fn moved(&mut self, caller: &Caller<'_>, time: i64, is_call: bool) -> Result<i64, Errno> {
        let left = self.begin_wait(caller, time, is_call)?;
        Ok(machine(ClockId::Realtime).saturating_add(left).max(1))
    }

    /// Moves the deadline at an address, unless it was moved before, or is none (0, which switches a
    /// timer off).
    fn move_deadline(
        &mut self,
        caller: &Caller<'_>,
        at: u64,
        is_narrow: bool,
        is_call: bool,
    ) -> Result<Answer, Errno> {
        let Some(deadline) = given(caller, at, is_narrow)? else {
            return Ok(Answer::Continue);
        };
        if self.moved.contains(&deadline) || deadline == 0 {
            return Ok(Answer::Continue);
        }
        let moved = self.moved(caller, deadline, is_call)?;
        let bytes = bytes(moved, is_narrow);
        caller.write_over(at, &bytes)?;
        if self.moved.len() >= MOST {
            // The earliest: whoever waited for it waits no more.
            self.moved.pop_first();
        }
        self.moved.insert(moved);
        Ok(Answer::Continue)
    }

    /// Sets a timer of the time of day in the caller's stead.
    fn set_timer(&mut self, caller: &Caller<'_>, is_narrow: bool) -> Result<Answer, Errno> {
        let about = format!("/proc/{}/fdinfo/{}", caller.pid(), caller.int(0));
        let about = std::fs::read_to_string(about).unwrap_or_default();
        caller.check()?;
        let clock = about
            .lines()
            .find_map(|line| line.strip_prefix("clockid: "));
        let is_of_day = [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_ALARM]
            .iter()
            .any(|of_day| clock == Some(of_day.to_string().as_str()));
        if !is_of_day {
            return Ok(Answer::Continue);
        }
        let width = width(is_narrow);
        let mut room = [0; 32];
        let given = &mut room[..2 * width];
        caller.read(caller.argument(2), given)?;
        let (interval, first) = given.split_at(width);
        let (Some(interval), Some(first)) = (time(interval), time(first)) else {
            return Ok(Answer::Continue);
        };
        let first = match first {
            // It is switched off.
            0 => 0,
            first => self.moved(caller, first, false)?,
        };
        let timespec = |time: i64| Timespec {
            tv_sec: time / SECOND,
            tv_nsec: time % SECOND,
        };
        let new = Itimerspec {
            it_interval: timespec(interval),
            it_value: timespec(first),
        };
        let timer = caller.taken(caller.int(0))?;
        let flags = TimerfdTimerFlags::from_bits_retain(caller.word(1));
        let old = rustix::time::timerfd_settime(&timer, flags, &new)?;
        if caller.argument(3) != 0 {
            let [interval, first] =
                [old.it_interval, old.it_value].map(|time| bytes(nanoseconds(&time), is_narrow));
            caller.write(caller.argument(3), &[interval, first].concat())?;
        }
        Ok(Answer::Value(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_forms() {
        let instant = 1_500_000_000 * SECOND + 999_999_999;
        for is_narrow in [true, false] {
            let bytes = bytes(instant, is_narrow);
            assert_eq!(bytes.len(), if is_narrow { 8 } else { 16 });
            assert_eq!(time(&bytes), Some(instant));
        }
        assert_eq!(bytes(i64::MAX, true)[..4], i32::MAX.to_le_bytes());
    }

    #[test]
    fn what_the_kernel_refuses_or_never_comes_is_left_to_it() {
        let pair = |seconds: i64, rest: i64| {
            let bytes = [seconds.to_le_bytes(), rest.to_le_bytes()].concat();
            time(&bytes)
        };
        assert_eq!(pair(3, 7), Some(3 * SECOND + 7));
        assert_eq!(pair(-1, 0), None);
        assert_eq!(pair(0, SECOND), None);
        assert_eq!(pair(0, -1), None);
        assert_eq!(pair(i64::MAX, 0), None);
    }
}
