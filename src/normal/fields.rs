//! Times in what package managers of JavaScript keep.
//!
//! In: lines of JSON, or YAML. Out: the same with other values of some fields.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha1::{Digest as _, Sha1};

use super::{File, Times};

/// npm's index of its cache: in each line the SHA-1 of a value, a tab, the value (cacache,
/// `lib/entry-index.js`).
pub(super) fn npm(file: &File<'_>) -> Option<Vec<u8>> {
    let lines = file.content.split(|&byte| byte == b'\n').map(|line| {
        let Some((sum, value)) = split(line, b'\t') else {
            // The first is empty.
            return line.is_empty().then(Vec::new);
        };
        if hex(value) != sum {
            return None;
        }
        let value = changed(value, &["time", "date"], file.times);
        Some([&hex(&value)[..], b"\t", &value].concat())
    });
    Some(lines.collect::<Option<Vec<_>>>()?.join(&b'\n'))
}

/// When pnpm last threw away what nobody needs, last looked whether all is there, and whether a file of its
/// store is what it was: it looks again if that is newer.
pub(super) fn pnpm(file: &File<'_>) -> Option<Vec<u8>> {
    let names = ["checkedAt", "lastValidatedTimestamp", "prunedAt"];
    Some(changed(file.content, &names, file.times))
}

fn split(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, line)?;
    Some((&line[..place], &line[place + 1..]))
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digest = Sha1::digest(bytes);
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<String>().into_bytes()
}

/// `text` with the epoch as value of each field of these names that has the command's own moment.
fn changed(text: &[u8], names: &[&str], times: &Times) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(colon) = memchr::memchr(b':', rest) {
        let (before, behind) = rest.split_at(colon + 1);
        out.extend(before);
        rest = behind;
        let is_meant = names
            .iter()
            .any(|name| ends_with_name(&before[..colon], name));
        let blanks = rest
            .iter()
            .take_while(|&&byte| byte == b' ' || byte == b'"');
        let (blanks, value) = rest.split_at(blanks.count());
        if let Some((length, epoch)) = is_meant.then(|| epoch(value, times)).flatten() {
            out.extend(blanks);
            out.extend(epoch);
            rest = &value[length..];
        }
    }
    out.extend(rest);
    out
}

/// Whether `text` ends with that name of a field: in quotes, or as YAML has it on a line of its own.
fn ends_with_name(text: &[u8], name: &str) -> bool {
    let quoted = text.strip_suffix(b"\"");
    let before = quoted.unwrap_or(text).strip_suffix(name.as_bytes());
    before.is_some_and(|before| match (quoted, before.last()) {
        (Some(_), last) => last == Some(&b'"'),
        (None, last) => matches!(last, None | Some(b'\n' | b' ')),
    })
}

/// How long the time is that stands there, and what it becomes: milliseconds since 1970, or a date as
/// HTTP has it (RFC 9110, 5.6.7).
fn epoch(value: &[u8], times: &Times) -> Option<(usize, Vec<u8>)> {
    const DATE: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
    let since_1970 = Duration::from_secs(u64::try_from(times.epoch).ok()?);
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (length, seconds, epoch) = match digits {
        0 => {
            let date = str::from_utf8(value.get(..DATE)?).ok()?;
            let time = httpdate::parse_http_date(date).ok()?;
            let time = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
            let epoch: SystemTime = UNIX_EPOCH + since_1970;
            (DATE, time, httpdate::fmt_http_date(epoch))
        }
        // Of what is shorter the year was 2001 at most, and it isn't that of milliseconds.
        13 => {
            let digits = str::from_utf8(&value[..digits]).ok()?;
            let time = digits.parse::<u64>().ok()? / 1_000;
            (digits.len(), time, since_1970.as_millis().to_string())
        }
        _ => return None,
    };
    let is_made = times.made(i64::try_from(seconds).ok()?);
    is_made.then(|| (length, epoch.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    /// 1 790 000 003 seconds.
    const NOW: &str = "Mon, 21 Sep 2026 14:13:23 GMT";
    const EPOCH: &str = "Tue, 01 Jan 1980 00:00:00 GMT";

    #[test]
    fn npms_index_keeps_its_sums() {
        let line = |time: &str, date: &str| {
            let value = format!(
                r#"{{"key":"a","integrity":"sha512-x","time":{time},"size":1,"metadata":{{"time":{time},"url":"https://example.org/time:1790000003123","resHeaders":{{"date":"{date}"}}}}}}"#
            );
            let sum = String::from_utf8(hex(value.as_bytes())).unwrap();
            format!("\n{sum}\t{value}")
        };
        let now = line("1790000003123", NOW);
        let epoch = line("315532800000", EPOCH);
        let other = line("1700000000123", "Sun, 06 Nov 1994 08:49:37 GMT");
        let text = format!("{now}{other}");
        let changed = judged(npm, text.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(changed).unwrap(),
            format!("{epoch}{other}")
        );
        assert_eq!(judged(npm, other.as_bytes()), None);
        // One that is damaged npm doesn't read, either.
        let damaged = now.replace("\"key\"", "\"kez\"");
        assert_eq!(judged(npm, format!("{now}{damaged}").as_bytes()), None);
    }

    #[test]
    fn pnpms_moments_become_the_epoch() {
        let text = |date: &str, time: &str| {
            format!(
                "{{\n  \"prunedAt\": \"{date}\",\n  \"lastValidatedTimestamp\": {time},\n  \"x\": {time}\n}}\nprunedAt: {date}\nunprunedAt: {NOW}\n"
            )
        };
        let now = text(NOW, "1790000003123");
        let changed = String::from_utf8(judged(pnpm, now.as_bytes()).unwrap()).unwrap();
        let expected =
            text(EPOCH, "315532800000").replace("\"x\": 315532800000", "\"x\": 1790000003123");
        assert_eq!(changed, expected);
        let other = text("Sun, 06 Nov 1994 08:49:37 GMT", "1700000000123");
        assert_eq!(judged(pnpm, other.as_bytes()), None);
    }
}
