//! When to ask again, and how long to wait before.
//!
//! In: statuses, headers, counts of failures. Out: decisions and durations. Pure: the waiting is
//! done by whoever asks, on tokio's timer.

use std::time::Duration;

/// How often a request is made before it counts as failed.
pub const TRIES: u32 = 5;

/// The wait before the second try, unless the settings say otherwise; it doubles each time.
pub const FIRST_DELAY: Duration = Duration::from_millis(500);

/// The longest wait, whatever a server asks for.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Whether a status may be another one soon: 429 and the 5xx that are not about the request.
pub fn is_passing(status: u16) -> bool {
    status == 429 || (500..600).contains(&status) && status != 501 && status != 505
}

/// How long to wait after `failures` of them (at least one).
pub fn delay(first: Duration, failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    retry_after.unwrap_or(doubled).min(LONGEST_DELAY)
}

/// What `Retry-After` says (RFC 9110, section 10.2.3): a number of seconds, or a date, which is
/// compared with the answer's own `Date`, so that no two clocks are.
pub fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let (then, now) = (seconds(value)?, seconds(date?)?);
    Some(Duration::from_secs(then.saturating_sub(now)))
}

/// The seconds since 1970 of a date as servers send it (`Last-Modified`), none before that.
pub fn since_1970(date: &str) -> Option<i64> {
    let seventies = seconds("Thu, 01 Jan 1970 00:00:00 GMT")?;
    i64::try_from(seconds(date)?.checked_sub(seventies)?).ok()
}

/// The seconds since the year 0 of a date as all send it (RFC 9110, section 5.6.7, `IMF-fixdate`:
/// `Sun, 06 Nov 1994 08:49:37 GMT`).
fn seconds(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = date.split_once(", ")?;
    let [day, month, year, time, "GMT"] = date.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else {
        return None;
    };
    let number = |text: &str, most: u64| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number: &u64| *number <= most);
        is_number.then_some(number).flatten()
    };
    let month = MONTHS.iter().position(|other| *other == month)? as u64;
    // Years begin in March, so that a leap day is a year's last (Gregorian calendar).
    let year = number(year, 9999)?.checked_sub(u64::from(month < 2))?;
    let month = (month + 10) % 12;
    let days_before = (month * 153 + 2) / 5 + year * 365 + year / 4 - year / 100 + year / 400;
    let days = days_before + number(day, 31)?;
    Some(days * 86_400 + number(hour, 23)? * 3600 + number(minute, 59)? * 60 + number(second, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_a_servers_wish_is_followed_within_reason() {
        let first = Duration::from_millis(500);
        let waits: Vec<_> = (1..=5).map(|n| delay(first, n, None).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000]);
        let wish = |text| delay(first, 1, retry_after(text, None));
        assert_eq!(wish("0"), Duration::ZERO);
        assert_eq!(wish("7"), Duration::from_secs(7));
        assert_eq!(wish("99999999999999999999999"), LONGEST_DELAY);
        for no_number in ["", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(wish(no_number), first);
        }
        assert_eq!(delay(first, u32::MAX, None), LONGEST_DELAY);
    }

    #[test]
    fn a_date_is_compared_with_the_answers_own() {
        let wait = |then: &str, now: &str| {
            let [then, now] = [then, now].map(|date| format!("Sun, {date} GMT"));
            retry_after(&then, Some(&now)).map(|wait| wait.as_secs())
        };
        for (then, now, expected) in [
            ("06 Nov 1994 08:49:37", "06 Nov 1994 08:49:30", Some(7)),
            ("06 Nov 1994 08:49:37", "06 Nov 1994 08:50:37", Some(0)),
            ("01 Jan 2000 00:00:01", "31 Dec 1999 23:59:58", Some(3)),
            (
                "01 Mar 2024 00:00:00",
                "28 Feb 2024 00:00:00",
                Some(2 * 86_400),
            ),
            ("01 Mar 2023 00:00:00", "28 Feb 2023 00:00:00", Some(86_400)),
            ("01 Mar 2100 00:00:00", "28 Feb 2100 00:00:00", Some(86_400)),
            (
                "01 Jan 2001 00:00:00",
                "01 Jan 2000 00:00:00",
                Some(366 * 86_400),
            ),
            ("06 Nov 1994 08:49", "06 Nov 1994 08:49:30", None),
            ("06 Nov 1994 08:49:37", "06 Foo 1994 08:49:30", None),
            ("06 Nov 99999 08:49:37", "06 Nov 1994 08:49:30", None),
            ("+6 Nov 1994 08:49:37", "06 Nov 1994 08:49:30", None),
        ] {
            assert_eq!(wait(then, now), expected, "{then}");
        }
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for status in [429, 500, 502, 503, 504] {
            assert!(is_passing(status), "{status}");
        }
        for status in [200, 400, 401, 403, 404, 416, 501] {
            assert!(!is_passing(status), "{status}");
        }
    }
}
