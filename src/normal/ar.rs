//! The times in libraries, and in other archives of `ar`.
//!
//! In: an archive as ar(5) has it. Out: the same with other times of its members.

use std::ops::Range;

use super::File;

const MAGIC: &[u8] = b"!<arch>\n";
const HEAD: usize = 60;
const TIME: Range<usize> = 16..28;
const SIZE: Range<usize> = 48..58;
const END: Range<usize> = 58..60;

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// With the epoch where the command's own moment stands.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let mut content = file.content.to_vec();
    let epoch = format!("{:<12}", file.times.epoch);
    let mut at = MAGIC.len();
    if !begins(&content) || epoch.len() != TIME.len() {
        return None;
    }
    while at < content.len() {
        let head = content.get_mut(at..at.checked_add(HEAD)?)?;
        if &head[END] != b"`\n" {
            return None;
        }
        let size = usize::try_from(number(&head[SIZE])?).ok()?;
        // Special members of some systems have no time.
        if number(&head[TIME]).is_some_and(|time| file.times.leaked(time)) {
            head[TIME].copy_from_slice(epoch.as_bytes());
        }
        // Members begin at even places.
        let end = at.checked_add(HEAD)?.checked_add(size)?;
        if end > content.len() {
            return None;
        }
        at = end.checked_add(size % 2)?;
    }
    Some(content)
}

fn number(field: &[u8]) -> Option<i64> {
    str::from_utf8(field)
        .ok()?
        .trim_end_matches(' ')
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    fn archive(times: [i64; 2]) -> Vec<u8> {
        let member = |time: i64, name: &str, content: &str| {
            let size = content.len();
            let head = format!(
                "{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                0, 0, 644
            );
            let end = if size % 2 == 1 { "\n" } else { "" };
            format!("{head}{content}{end}")
        };
        let members = [
            member(times[0], "one.o/", "odd"),
            member(times[1], "two.o/", "even"),
        ];
        [MAGIC, members.concat().as_bytes()].concat()
    }

    #[test]
    fn the_moment_becomes_the_epoch_and_other_times_stay() {
        let other = 1_000_000_003;
        let now = archive([1_790_000_003, other]);
        assert_eq!(judged(dated, &now), Some(archive([315_532_800, other])));
        let first = HEAD + MAGIC.len() + 4;
        for length in 0..now.len() {
            let is_whole = length == first || length == first - 1 || length == MAGIC.len();
            let changed = judged(dated, &now[..length]);
            assert!(is_whole || changed.is_none(), "{length}");
        }
    }
}
