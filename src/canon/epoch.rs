//! The one timestamp of a build.
//!
//! In: `SOURCE_DATE_EPOCH` (reproducible-builds.org/specs/source-date-epoch) or nothing. Out:
//! [`Epoch`], whole seconds since 1970-01-01 UTC, and its RFC 3339 text for image configs.

use std::fmt;
use std::str::FromStr;

/// Seconds since 1970-01-01T00:00:00Z, within the years 1970 to 9999 that RFC 3339 can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(i64);

/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

/// Text that is no whole number of seconds from 1970 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no epoch: a whole number of seconds since 1970, up to {LAST}")]
pub struct ParseError(pub String);

impl Epoch {
    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

/// 1980-01-01T00:00:00Z, the oldest time that a zip archive can hold.
impl Default for Epoch {
    fn default() -> Epoch {
        Epoch(315_532_800)
    }
}

impl FromStr for Epoch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Epoch, ParseError> {
        let seconds = text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(text);
        seconds
            .and_then(|text| text.parse().ok())
            .filter(|seconds| (0..=LAST).contains(seconds))
            .map(Epoch)
            .ok_or_else(|| ParseError(text.to_owned()))
    }
}

/// RFC 3339, UTC, no fraction: `1980-01-01T00:00:00Z`.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // Days to a civil date, in eras of 400 years that begin on 1 March
        // (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_of_known_instants() {
        // `date -u -d @N +%FT%TZ`
        for (seconds, text) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("315532800", "1980-01-01T00:00:00Z"),
            ("951782399", "2000-02-28T23:59:59Z"),
            ("951782400", "2000-02-29T00:00:00Z"),
            ("951868800", "2000-03-01T00:00:00Z"),
            ("4107542400", "2100-03-01T00:00:00Z"),
            ("253402300799", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(seconds.parse::<Epoch>().unwrap().to_string(), text);
        }
        assert_eq!(Epoch::default().to_string(), "1980-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_count_of_seconds_is_refused() {
        for text in ["", "-1", "+1", "1.5", "now", "253402300800", " 1"] {
            assert!(text.parse::<Epoch>().is_err(), "{text}");
        }
    }
}
