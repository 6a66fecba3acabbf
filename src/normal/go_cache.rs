//! When Go's cache of builds got what it has.
//!
//! In: an entry, which says what an action's output is: `v1`, the digests of both, how large it is and when
//! it was put there, in nanoseconds, in columns (Go, `cmd/go/internal/cache`, `entrySize`). Out: the
//! same with the epoch, if that was by the command. Go looks at it only for tests that are to run again.

use super::File;

/// Bytes of an entry, and where in it the time is.
const ENTRY: usize = 175;
const TIME: std::ops::Range<usize> = 154..174;
/// Nanoseconds.
const SECOND: i64 = 1_000_000_000;

pub(super) fn entry(file: &File<'_>) -> Option<Vec<u8>> {
    let content = file.content;
    if content.len() != ENTRY || !content.starts_with(b"v1 ") || !content.ends_with(b"\n") {
        return None;
    }
    let column = std::str::from_utf8(content.get(TIME)?).ok()?;
    let time: i64 = column.trim_start_matches(' ').parse().ok()?;
    if time < 0 || !file.times.made(time / SECOND) {
        return None;
    }
    let epoch = file.times.epoch.max(0).checked_mul(SECOND)?;
    let mut changed = content.to_vec();
    changed[TIME].copy_from_slice(format!("{epoch:20}").as_bytes());
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    #[test]
    fn the_time_of_an_entry_becomes_the_epoch() {
        let (action, output) = ("a1".repeat(32), "b2".repeat(32));
        let entry_of = |size: u64, time: i64| format!("v1 {action} {output} {size:20} {time:20}\n");
        let judge = |text: &str| judged(entry, text.as_bytes());
        for seconds in [1_000_000_003, 1_790_000_003] {
            let changed = judge(&entry_of(29, seconds * SECOND + 500_560_000)).unwrap();
            let expected = entry_of(29, 315_532_800 * SECOND);
            assert_eq!(String::from_utf8(changed).unwrap(), expected);
        }
        for other in [
            // From elsewhere, or none.
            entry_of(29, 1_500_000_000 * SECOND),
            entry_of(29, -1),
            entry_of(29, 1_790_000_003 * SECOND).replace("v1", "v2"),
            format!("{} ", entry_of(29, 1_790_000_003 * SECOND)),
        ] {
            assert_eq!(judge(&other), None, "{other}");
        }
    }
}
