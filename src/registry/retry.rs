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

/// What `Retry-After` says, where it is a number of seconds (RFC 9110, section 10.2.3). A date
/// would need a clock, and is passed over.
pub fn retry_after(value: &str) -> Option<Duration> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_a_servers_wish_is_followed_within_reason() {
        let first = Duration::from_millis(500);
        let waits: Vec<_> = (1..=5).map(|n| delay(first, n, None).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000]);
        let wish = |text| delay(first, 1, retry_after(text));
        assert_eq!(wish("0"), Duration::ZERO);
        assert_eq!(wish("7"), Duration::from_secs(7));
        assert_eq!(wish("99999999999999999999999"), LONGEST_DELAY);
        for no_number in ["", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(wish(no_number), first);
        }
        assert_eq!(delay(first, u32::MAX, None), LONGEST_DELAY);
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
