//! Dates of the Gregorian calendar, in UTC.
//!
//! In: seconds since 1970. Out: a date and a time of day, and back.

/// A moment as calendars and clocks have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: u8,
    /// From 1.
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

pub(super) const SECONDS_OF_A_DAY: i64 = 86_400;
/// Days of 400 years, after which the calendar begins again.
const DAYS_OF_AN_ERA: i64 = 146_097;
/// Days from 1 March 0 to 1 January 1970: counted from a March, a leap day is the last of its year.
const DAYS_BEFORE: i64 = 719_468;

impl Moment {
    /// Of seconds since 1970; none of years that no format here holds.
    pub(super) fn of(seconds: i64) -> Option<Moment> {
        const LAST: i64 = 253_402_300_799;
        if !(0..=LAST).contains(&seconds) {
            return None;
        }
        let days = seconds / SECONDS_OF_A_DAY + DAYS_BEFORE;
        let (era, day) = (days / DAYS_OF_AN_ERA, days % DAYS_OF_AN_ERA);
        // Without the leap days of 4, 100 and 400 years, all years are of 365 days.
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Five months from March on have 153 days together, and so have the next five.
        let month = (5 * day + 2) / 153;
        let of_day = seconds % SECONDS_OF_A_DAY;
        let small = |number: i64| u8::try_from(number).ok();
        Some(Moment {
            year: 400 * era + year + i64::from(month >= 10),
            month: small(if month < 10 { month + 3 } else { month - 9 })?,
            day: small(day - (153 * month + 2) / 5 + 1)?,
            hour: small(of_day / 3_600)?,
            minute: small(of_day / 60 % 60)?,
            second: small(of_day % 60)?,
        })
    }

    /// Seconds since 1970; none where there is no such date, or before.
    pub(super) fn seconds(self) -> Option<i64> {
        let is_time = self.hour < 24 && self.minute < 60 && self.second < 60;
        if !(1970..=9999).contains(&self.year) || !(1..=12).contains(&self.month) || !is_time {
            return None;
        }
        let month = i64::from(self.month);
        let (year, month) = match month > 2 {
            true => (self.year, month - 3),
            false => (self.year - 1, month + 9),
        };
        let (era, of_era) = (year / 400, year % 400);
        let day = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let days = DAYS_OF_AN_ERA * era + 365 * of_era + of_era / 4 - of_era / 100 + day;
        let clock = (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60;
        let seconds = (days - DAYS_BEFORE) * SECONDS_OF_A_DAY + clock + i64::from(self.second);
        // The 31st of a shorter month is another date.
        (Moment::of(seconds)? == self).then_some(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(date: (i64, u8, u8), time: (u8, u8, u8)) -> Moment {
        Moment {
            year: date.0,
            month: date.1,
            day: date.2,
            hour: time.0,
            minute: time.1,
            second: time.2,
        }
    }

    /// The numbers are those of `date -u -d @SECONDS`.
    #[test]
    fn dates_are_those_of_date() {
        for (seconds, date, time) in [
            (0, (1970, 1, 1), (0, 0, 0)),
            (315_532_800, (1980, 1, 1), (0, 0, 0)),
            (951_782_400, (2000, 2, 29), (0, 0, 0)),
            (951_868_799, (2000, 2, 29), (23, 59, 59)),
            (951_868_800, (2000, 3, 1), (0, 0, 0)),
            (1_790_000_003, (2026, 9, 21), (14, 13, 23)),
            (4_107_542_400, (2100, 3, 1), (0, 0, 0)),
            (253_402_300_799, (9999, 12, 31), (23, 59, 59)),
        ] {
            assert_eq!(Moment::of(seconds), Some(moment(date, time)));
            assert_eq!(moment(date, time).seconds(), Some(seconds));
        }
    }

    #[test]
    fn every_day_is_another_and_there_and_back() {
        let mut last = None;
        for day in 0..100_000 {
            let moment = Moment::of(day * SECONDS_OF_A_DAY);
            assert_eq!(moment.unwrap().seconds(), Some(day * SECONDS_OF_A_DAY));
            assert_ne!(moment, last);
            last = moment;
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        assert_eq!(Moment::of(-1), None);
        assert_eq!(Moment::of(i64::MAX), None);
        for (date, time) in [
            ((2026, 2, 29), (0, 0, 0)),
            ((2026, 0, 1), (0, 0, 0)),
            ((2026, 13, 1), (0, 0, 0)),
            ((2026, 1, 0), (0, 0, 0)),
            ((2026, 4, 31), (0, 0, 0)),
            ((2026, 1, 1), (24, 0, 0)),
            ((1969, 1, 1), (0, 0, 0)),
            ((i64::MAX, 1, 1), (0, 0, 0)),
        ] {
            assert_eq!(moment(date, time).seconds(), None, "{date:?} {time:?}");
        }
    }
}
