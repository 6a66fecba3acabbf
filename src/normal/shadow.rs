//! The days on which passwords were changed.
//!
//! In: `/etc/shadow`. Out: the same with the epoch's day in lines that the command wrote today.
//!
//! shadow's own programs take SOURCE_DATE_EPOCH for today; PAM's module and BusyBox don't. A day has
//! meaning where a password grows old: such lines stay as they are.

use std::collections::BTreeSet;

use super::File;
use super::calendar::SECONDS_OF_A_DAY;

/// Of the normaliser.
pub(super) const NAME: &str = "shadow";
/// The lines of this file that were there before aren't new; those of its backup are of it, too.
pub(super) const BELOW: &str = "etc/shadow";

/// With the epoch's day wherever a line is new and has a day on which the command ran.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let below: BTreeSet<&[u8]> = file.below.unwrap_or_default().split(is_end).collect();
    let lines = file.content.split(is_end).map(|line| {
        let dated = match below.contains(line) {
            true => None,
            false => dated_line(line, file),
        };
        dated.unwrap_or_else(|| line.to_vec())
    });
    Some(lines.collect::<Vec<_>>().join(&b'\n'))
}

fn is_end(byte: &u8) -> bool {
    *byte == b'\n'
}

/// A line with the epoch's day; none where that would say something else (shadow(5)).
fn dated_line(line: &[u8], file: &File<'_>) -> Option<Vec<u8>> {
    let mut fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
    let &[_, _, day, _, most, _, _, until, _] = &fields[..] else {
        return None;
    };
    // 99999 days are no limit, and what useradd writes (login.defs(5), `PASS_MAX_DAYS`).
    let grows_old = !matches!(most, b"" | b"99999") || !until.is_empty();
    let day: i64 = std::str::from_utf8(day).ok()?.parse().ok()?;
    if grows_old || !file.times.leaked_day(day) {
        return None;
    }
    // On day 0 the password has to be changed at once.
    let epoch = (file.times.epoch / SECONDS_OF_A_DAY).max(1).to_string();
    fields[2] = epoch.as_bytes();
    Some(fields.join(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::times;

    fn dated_over(below: &str, content: &str) -> String {
        let times = times();
        let file = File {
            content: content.as_bytes(),
            below: Some(below.as_bytes()),
            times: &times,
        };
        String::from_utf8(dated(&file).unwrap()).unwrap()
    }

    #[test]
    fn the_day_of_what_was_written_today_is_the_epochs() {
        // 1 790 000 000 seconds are 20 717 days.
        let old = "root:*:20717:0:99999:7:::\n";
        let content = format!(
            "{old}a:!:20717:0:99999:7:::\nb:!:20717::::::\nc:!:20000:0:99999:7:::\n\
             d:!:20717:0:90:7:::\ne:!:20717:0:99999:7::30000:\nf:!::0:99999:7:::\ng:!\n\n# 20717"
        );
        let expected = format!(
            "{old}a:!:3652:0:99999:7:::\nb:!:3652::::::\nc:!:20000:0:99999:7:::\n\
             d:!:20717:0:90:7:::\ne:!:20717:0:99999:7::30000:\nf:!::0:99999:7:::\ng:!\n\n# 20717"
        );
        assert_eq!(dated_over(old, &content), expected);
        assert_eq!(dated_over("", old), "root:*:3652:0:99999:7:::\n");
        assert_eq!(dated_over("", ""), "");
    }
}
