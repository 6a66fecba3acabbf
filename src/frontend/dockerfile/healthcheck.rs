//! `HEALTHCHECK`.
//!
//! In: what follows its name. Out: [`Healthcheck`]. Times are those of Go's `time.ParseDuration`:
//! numbers with units, `1m30s`; 0, or at least a millisecond.

use super::flag::Flags;
use super::instruction::Reader;
use super::joined::Part;
use super::syntax::*;
use super::words;
use crate::canon::Problem;

/// The shortest time other than none, in nanoseconds.
const SHORTEST: u64 = 1_000_000;

pub(super) fn read(
    reader: &mut Reader<'_>,
    keyword: Part<'_>,
    rest: Part<'_>,
) -> Option<Healthcheck> {
    let (written, rest) = words::flags(rest);
    let (kind, rest) = words::keyword(rest);
    let hint = "write `HEALTHCHECK CMD …`, or `HEALTHCHECK NONE`";
    if kind.text().eq_ignore_ascii_case("NONE") {
        Flags::new(keyword, written, reader.problems).end();
        return match rest.is_empty() {
            true => Some(Healthcheck::None),
            false => reader.fail(rest.span(), "nothing may follow HEALTHCHECK NONE", hint),
        };
    }
    let mut flags = Flags::new(keyword, written, reader.problems);
    let interval = flags.text("interval");
    let timeout = flags.text("timeout");
    let start_period = flags.text("start-period");
    let start_interval = flags.text("start-interval");
    let retries = flags.text("retries");
    flags.end();
    let is_command = kind.text().eq_ignore_ascii_case("CMD");
    if !is_command {
        return match kind.is_empty() {
            true => reader.fail(keyword.span(), "HEALTHCHECK needs a command", hint),
            false => {
                let message = format!("HEALTHCHECK knows no `{}`", kind.text());
                reader.fail(kind.span(), message, hint)
            }
        };
    }
    let command = match reader.command(rest)? {
        CommandLine::Shell(text) if text.value.is_empty() => {
            return reader.fail(kind.span(), "HEALTHCHECK CMD needs a command", hint);
        }
        CommandLine::Exec(words) if words.is_empty() => {
            return reader.fail(kind.span(), "HEALTHCHECK CMD needs a command", hint);
        }
        command => command,
    };
    let mut time = |word: Option<Word>| match word.map(time) {
        Some(Err(problem)) => {
            reader.problems.push(*problem);
            None
        }
        Some(Ok(time)) => Some(time),
        None => None,
    };
    let command = HealthcheckCommand {
        interval: time(interval),
        timeout: time(timeout),
        start_period: time(start_period),
        start_interval: time(start_interval),
        retries: None,
        command,
    };
    let retries = match retries {
        None => None,
        Some(word) => match word.raw.parse::<u32>() {
            Ok(number) if i32::try_from(number).is_ok() => Some(Spanned::new(number, word.span)),
            _ => {
                let message = format!("`{}` is no number of retries", word.raw);
                reader.fail(word.span, message, "write a whole number, 0 or more")
            }
        },
    };
    Some(Healthcheck::Command(Box::new(HealthcheckCommand {
        retries,
        ..command
    })))
}

fn time(word: Word) -> Result<Spanned<u64>, Box<Problem>> {
    let problem = |message: String, hint: &str| {
        Box::new(Problem::new(message).at(word.span.clone()).hint(hint))
    };
    // As with no flag at all.
    if word.raw.is_empty() {
        return Ok(Spanned::new(0, word.span));
    }
    let Some(nanoseconds) = nanoseconds(&word.raw) else {
        let message = format!("`{}` is no time", word.raw);
        return Err(problem(
            message,
            "write it with its unit, as `30s` or `1m30s`",
        ));
    };
    if nanoseconds != 0 && nanoseconds < SHORTEST {
        let message = format!("`{}` is less than a millisecond", word.raw);
        return Err(problem(
            message,
            "write `1ms` or more, or `0s` for the default",
        ));
    }
    Ok(Spanned::new(nanoseconds, word.span))
}

/// A duration as Go writes it; not negative, and less than 2^63.
fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut sum: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, behind) = behind.split_at(end.unwrap_or(behind.len()));
        let size: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        // More digits than this are below a nanosecond.
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let parse = |digits: &str| match digits {
            "" => Some(0),
            digits => digits.parse::<u64>().ok().map(u128::from),
        };
        sum += parse(whole)? * size + parse(fraction)? * size / scale;
        rest = behind;
    }
    (!text.is_empty() && sum < 1 << 63).then_some(u64::try_from(sum).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_go() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("300ms", Some(300_000_000)),
            ("2us", Some(2_000)),
            ("2µs", Some(2_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("+1s", Some(1_000_000_000)),
            ("2562047h", Some(9_223_369_200_000_000_000)),
            ("2562048h", None),
            ("-1s", None),
            ("1", None),
            ("s", None),
            (".s", None),
            ("1x", None),
            ("1.1.1s", None),
            ("99999999999999999999s", None),
            ("", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }
}
