//! When a command ran, and which times are of that.
//!
//! In: the epoch, the seconds in which a command really ran, and those of a clock of its own. Out:
//! whether a time came about by its running.

use std::ops::RangeInclusive;

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
    /// Whether that is a time of the moment in which it really ran.
    pub fn leaked(&self, seconds: i64) -> bool {
        self.ran.contains(&seconds)
    }

    /// Whether that is a time of its running, by any clock.
    pub fn made(&self, seconds: i64) -> bool {
        let own = self.own.as_ref();
        self.leaked(seconds) || own.is_some_and(|own| own.contains(&seconds))
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
}
