//! When real time passes for a program. Pure, and the only place that decides it.
//!
//! In: since when it runs, and what its step's processes have spent of processors. Out: whether it goes
//! on by the step's clock. Who waits with several threads, or in a call, until its clock says so much
//! would wait for ever on a clock that stands still, so that such a program sees real time in the end.
//! What works must not, however long it takes: what it notes would be another time in every run, and on a
//! loaded machine all takes long. So a program is left alone as long as its step spends processors' time,
//! and sees real time once it has run for [`PATIENCE`] in a step that waits.

use super::SECOND;

/// Nanoseconds that a program runs before it is looked at, and again while it works.
pub const PATIENCE: i64 = 60 * SECOND;
/// Nanoseconds that a step is looked at to tell whether it works.
const GLANCE: i64 = 10 * SECOND;
/// Which part of one processor a step spends that works.
const PART: i64 = 50;
/// Nanoseconds after which real time passes for a program whatever its step does.
pub const END: i64 = 3_600 * SECOND;
/// What is told of a program for which real time passes is so much less.
const REAL: i64 = 1 << 62;

/// Since when a program's patience counts (monotonic), and whether it is at an end: the later one counts
/// of two, and the end before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since {
    is_real: bool,
    at: i64,
}

impl Since {
    /// Since an instant of the monotonic clock.
    pub fn at(monotonic: i64) -> Since {
        Since {
            is_real: false,
            at: monotonic,
        }
    }

    /// As a process keeps it: what the code there takes the monotonic clock for is past its patience at
    /// once where that is at an end, so that it asks.
    pub fn kept(self) -> i64 {
        match self.is_real {
            true => self.at - REAL,
            false => self.at,
        }
    }

    /// What a process keeps, which may have written there itself.
    pub fn of(kept: i64) -> Since {
        match kept < 0 {
            true => Since {
                is_real: true,
                at: kept.saturating_add(REAL),
            },
            false => Since::at(kept),
        }
    }

    /// What real time adds to the clock of the program.
    pub fn passed(self, monotonic: i64) -> i64 {
        match self.is_real {
            true => monotonic.saturating_sub(self.at).max(0),
            false => 0,
        }
    }

    /// Whether the program has to be looked at before it goes on by the step's clock.
    pub fn is_over(self, monotonic: i64) -> bool {
        !self.is_real && monotonic.saturating_sub(self.at) >= PATIENCE
    }

    /// Whether real time passes for it.
    pub fn is_real(self) -> bool {
        self.is_real
    }

    /// What has passed for it by other means doesn't pass a second time.
    pub fn without(self, duration: i64) -> Since {
        match self.is_real {
            true => self,
            false => Since::at(self.at.saturating_add(duration).min(REAL - 1)),
        }
    }
}

/// Whether a step works.
#[derive(Debug, Default)]
pub struct Toil {
    /// When it was looked at last (monotonic), and what its processes had spent by then.
    last: Option<(i64, i64)>,
}

impl Toil {
    /// What a program's patience counts from that is over, and that began so long ago; `spent` tells what
    /// all processes of the step have spent of processors. All in nanoseconds.
    pub fn judge(
        &mut self,
        since: Since,
        monotonic: i64,
        began: i64,
        spent: impl FnOnce() -> i64,
    ) -> Since {
        let real = Since {
            is_real: true,
            ..since
        };
        if monotonic.saturating_sub(began) >= END {
            return real;
        }
        // It is over again when the step has been looked at for long enough.
        let again = |last: i64| Since::at(last + GLANCE - PATIENCE);
        match self.last {
            Some((last, _)) if monotonic.saturating_sub(last) < GLANCE => again(last),
            None => {
                self.last = Some((monotonic, spent()));
                again(monotonic)
            }
            Some((last, before)) => {
                let spent = spent();
                self.last = Some((monotonic, spent));
                // What those have spent that nobody waits for isn't told once they have ended.
                if spent < before {
                    return again(monotonic);
                }
                let works = spent - before >= (monotonic - last) / PART;
                match works {
                    true => Since::at(monotonic),
                    false => real,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_passes_for_what_waits_alone() {
        let mut toil = Toil::default();
        let since = Since::at(5);
        let over = 5 + PATIENCE;
        assert!(!since.is_over(over - 1) && since.is_over(over));
        assert_eq!(since.passed(i64::MAX), 0);
        // Looked at for the first time, and again before there is anything to tell.
        let first = toil.judge(since, over, 5, || 7);
        for early in [over, over + 1, over + GLANCE - 1] {
            assert!(!first.is_over(early));
            let other = toil.judge(since, early, 5, || panic!("it isn't time"));
            assert_eq!(other, first);
        }
        let again = over + GLANCE;
        assert!(first.is_over(again));
        let works = toil.judge(first, again, 5, || 7 + GLANCE / PART);
        assert_eq!(works, Since::at(again));
        let waits = toil.judge(works, again + PATIENCE, 5, || 7 + GLANCE / PART);
        assert_eq!(waits.passed(again + PATIENCE), PATIENCE);
        assert!(waits.is_real() && !waits.is_over(i64::MAX));
        assert!(waits > works && waits > Since::at(i64::MAX));
    }

    #[test]
    fn who_seems_to_have_spent_less_than_nothing_is_looked_at_again() {
        let mut toil = Toil::default();
        let first = toil.judge(Since::at(0), PATIENCE, 0, || 50);
        let now = PATIENCE + GLANCE;
        let second = toil.judge(first, now, 0, || 20);
        assert!(!second.is_real() && !second.is_over(now) && second.is_over(now + GLANCE));
    }

    #[test]
    fn it_passes_for_all_in_the_end() {
        let (mut toil, mut since, mut now) = (Toil::default(), Since::at(0), 0);
        while !since.is_real() {
            assert!(now <= END + PATIENCE);
            now += SECOND;
            if since.is_over(now) {
                since = toil.judge(since, now, 0, || now);
            }
        }
        assert!(now >= END);
    }

    #[test]
    fn a_process_keeps_it_in_one_number() {
        for since in [Since::at(0), Since::at(9 * SECOND)] {
            let real = Since {
                is_real: true,
                ..since
            };
            for since in [since, real] {
                assert_eq!(Since::of(since.kept()), since);
            }
            // The code there asks.
            assert!(SECOND - real.kept() >= PATIENCE);
        }
        // Whatever it wrote there itself.
        for kept in [i64::MIN, -1, i64::MAX] {
            for monotonic in [0, i64::MAX] {
                let since = Since::of(kept);
                assert!(since.passed(monotonic) >= 0);
                since.is_over(monotonic);
                since.without(i64::MAX).kept();
            }
        }
    }

    #[test]
    fn what_was_slept_counts_not_again() {
        let slept = Since::at(3).without(50);
        assert_eq!(slept, Since::at(53));
        let real = Since::of(3 - REAL);
        assert_eq!(real.without(50), real);
    }
}
