//! When a command ran, and which times are of that.
//!
//! In: the epoch, the seconds in which a command really ran, and those of a clock of its own. Out:
//! whether a time came about by its running.

use std::ops::RangeInclusive;

use super::calendar::SECONDS_OF_A_DAY;

/// When a command ran, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// What times become that came about.
    pub epoch: i64,
    /// The seconds in which it really ran: no time among them was set, as far as can be told.
    pub ran: RangeInclusive<i64>,
    /// The seconds in which it ran by a clock of its own, if it had one.
    pub own: Option<RangeInclusive<i64>>,
}

impl Times {
    /// Whether that is a time of the moment in which it really ran. A time of its own clock is none, even
    /// where that tells the very moment, as it does while a lock is made: whoever runs it again by the
    /// lock's clock has the same time then, and keeps it.
    pub fn leaked(&self, seconds: i64) -> bool {
        self.ran.contains(&seconds) && !self.is_own(seconds)
    }

    /// Whether that is a time of its running, by any clock.
    pub fn made(&self, seconds: i64) -> bool {
        self.ran.contains(&seconds) || self.is_own(seconds)
    }

    /// Whether that is one of the days in which it really ran, of which the same holds; days since 1970.
    pub fn leaked_day(&self, day: i64) -> bool {
        let has = |seconds: &RangeInclusive<i64>| {
            let days = [seconds.start(), seconds.end()];
            let [first, last] = days.map(|seconds| seconds.div_euclid(SECONDS_OF_A_DAY));
            (first..=last).contains(&day)
        };
        has(&self.ran) && !self.own.as_ref().is_some_and(has)
    }

    fn is_own(&self, seconds: i64) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| own.contains(&seconds))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::normal::File;

    /// A command that ran in 2026, on a clock of 2001.
    pub(in crate::normal) fn times() -> Times {
        Times {
            epoch: 315_532_800,
            ran: 1_790_000_000..=1_790_000_010,
            own: Some(1_000_000_000..=1_000_000_010),
        }
    }

    /// What `rewrite` makes of a file that holds `content`; none where it stays.
    pub(in crate::normal) fn judged(
        rewrite: fn(&File<'_>) -> Option<Vec<u8>>,
        content: &[u8],
    ) -> Option<Vec<u8>> {
        let times = times();
        let file = File {
            content,
            below: None,
            times: &times,
        };
        rewrite(&file).filter(|bytes| bytes != content)
    }

    #[test]
    fn a_time_came_about_by_either_clock_and_leaked_by_one() {
        let times = times();
        for (seconds, made, leaked) in [
            (1_789_999_999, false, false),
            (1_790_000_000, true, true),
            (1_790_000_010, true, true),
            (1_790_000_011, false, false),
            (1_000_000_005, true, false),
            (999_999_999, false, false),
        ] {
            assert_eq!(times.made(seconds), made, "{seconds}");
            assert_eq!(times.leaked(seconds), leaked, "{seconds}");
        }
    }

    #[test]
    fn a_clock_that_tells_the_very_moment_leaks_nothing() {
        let times = Times {
            own: Some(1_790_000_000..=1_790_000_011),
            ..times()
        };
        for seconds in [1_790_000_000, 1_790_000_010] {
            assert!(times.made(seconds) && !times.leaked(seconds), "{seconds}");
        }
        let today = 1_790_000_000 / SECONDS_OF_A_DAY;
        assert!(!times.leaked_day(today));
    }

    #[test]
    fn a_day_leaks_as_its_seconds_do() {
        let times = times();
        let today = 1_790_000_000 / SECONDS_OF_A_DAY;
        let of_its_clock = 1_000_000_000 / SECONDS_OF_A_DAY;
        let leaked = [today - 1, today, today + 1, of_its_clock].map(|day| times.leaked_day(day));
        assert_eq!(leaked, [false, true, false, false]);
    }
}
