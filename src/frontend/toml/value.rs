//! Single values of a recipe: paths, modes, owners, times, ports, names.
//!
//! In: text without NUL. Out: the plan's values in their one normal form, or a [`Fault`] that
//! says what is wrong and the way out.

use crate::canon::EntryPath;
use crate::canon::path::Error as PathError;
use crate::frontend::suggest;
use crate::plan::step::Destination;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As [`crate::canon::Problem::message`].
    pub message: String,
    /// As [`crate::canon::Problem::hint`]; empty for none.
    pub hint: String,
}

/// A fault with a message and a hint.
pub fn fault<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        message: message.into(),
        hint: hint.into(),
    })
}

/// A value as messages show it: in backticks, cut where it is long.
pub fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        _ if text.is_empty() => "empty text".to_owned(),
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// An absolute path of the image.
pub fn absolute(text: &str) -> Result<EntryPath, Fault> {
    if text.is_empty() {
        return fault("the path is empty", "");
    }
    if !text.starts_with('/') {
        let hint = format!("write `/{}`", text.trim_start_matches("./"));
        return fault(format!("{} is not an absolute path", quoted(text)), hint);
    }
    EntryPath::new(text.as_bytes()).map_err(|error| path_fault(text, error))
}

/// The fault of a path that is none.
pub fn path_fault(text: &str, error: PathError) -> Fault {
    let hint = match error {
        PathError::Parent => "write the path that is meant",
        PathError::Nul | PathError::TooLong => "",
    };
    Fault {
        message: format!("{} is no path of an image: {error}", quoted(text)),
        hint: hint.to_owned(),
    }
}

/// An absolute path of something that is no directory.
pub fn absolute_name(text: &str) -> Result<EntryPath, Fault> {
    let path = absolute(text)?;
    if path.is_root() || text.ends_with('/') {
        return fault(
            format!("{} names a directory", quoted(text)),
            "end it with a name",
        );
    }
    Ok(path)
}

/// What a file is called in its directory.
pub fn file_name(text: &str) -> Result<String, Fault> {
    let is_name = !text.contains('/') && !matches!(text, "" | "." | "..");
    match is_name && absolute(&format!("/{text}")).is_ok() {
        true => Ok(text.to_owned()),
        false => fault(
            format!("{} is no name of a file", quoted(text)),
            "write one that has no slash",
        ),
    }
}

/// The name of a host: what Linux and `/etc/hosts` take.
pub fn hostname(text: &str) -> Result<String, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => fault(
            format!("{} is no name of a host", quoted(text)),
            "write up to 64 letters, digits, `.`, `-` and `_`",
        ),
    }
}

/// What a symbolic link says.
pub fn link_target(text: &str) -> Result<String, Fault> {
    match text.len() {
        0 => fault("the target is empty", ""),
        1..=crate::canon::path::LONGEST => Ok(text.to_owned()),
        _ => fault("the target is longer than 4095 bytes", ""),
    }
}

/// Where copied files go; a slash at the end makes it a directory.
pub fn destination(text: &str) -> Result<Destination, Fault> {
    let path = absolute(text)?;
    let is_directory = text.ends_with('/') || text.ends_with("/.") || path.is_root();
    Ok(Destination { path, is_directory })
}

/// Permission bits: three or four octal digits.
pub fn mode(text: &str) -> Result<u16, Fault> {
    let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u16::from_str_radix(text, 8) {
        Ok(mode) if is_octal && (3..=4).contains(&text.len()) => Ok(mode),
        _ => fault(
            format!("{} is no mode", quoted(text)),
            "write four octal digits: `\"0644\"`, or `\"0755\"` for what can be run",
        ),
    }
}

/// `user[:group]`, by number or name.
pub fn owner(text: &str) -> Result<String, Fault> {
    // 4294967295 is "no change" to chown(2).
    let is_sound = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => part.parse::<u32>().is_ok_and(|id| id < u32::MAX),
        false => part
            .chars()
            .all(|character| !character.is_control() && !character.is_whitespace()),
    };
    let parts: Vec<_> = text.split(':').collect();
    if parts.len() <= 2 && parts.iter().all(|part| !part.is_empty() && is_sound(part)) {
        return Ok(text.to_owned());
    }
    fault(
        format!("{} is no owner", quoted(text)),
        "write `user` or `user:group`, by number or name: `\"0:0\"`, `\"app:app\"`",
    )
}

/// A time such as `1m30s`, in nanoseconds.
pub fn duration(text: &str) -> Result<i64, Fault> {
    parse_duration(text).map_or_else(
        || {
            fault(
                format!("{} is no length of time", quoted(text)),
                "write whole numbers with `h`, `m`, `s` or `ms`, such as `\"30s\"` or `\"1m30s\"`",
            )
        },
        Ok,
    )
}

fn parse_duration(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        let nanoseconds = match &rest[digits..unit] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(nanoseconds)?)?;
        rest = &rest[unit..];
    }
    // Canonical JSON holds integers up to 2⁵³−1: 104 days.
    (1..1 << 53).contains(&total).then_some(total)
}

/// A port in normal form: `8080` is `8080/tcp`.
pub fn port(text: &str) -> Result<String, Fault> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_number =
        number.parse::<u16>().is_ok_and(|number| number > 0) && !number.starts_with(['+', '0']);
    if is_number && matches!(protocol, "tcp" | "udp" | "sctp") {
        return Ok(format!("{number}/{protocol}"));
    }
    fault(
        format!("{} is no port", quoted(text)),
        "write a number from 1 to 65535, with `/udp` or `/sctp` behind it where it isn't TCP",
    )
}

/// Linux' signals (signal(7)) by the names that Docker knows, but for those counted from
/// `RTMIN` and `RTMAX`.
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
    "XFSZ",
];

/// A signal by name, with or without `SIG` and in any case, or by number (moby/sys, `signal`).
pub fn signal(text: &str) -> Result<String, Fault> {
    // Which numbers are signals, the machine knows that it is sent on.
    if text.parse::<i64>().is_ok_and(|number| number != 0) {
        return Ok(text.to_owned());
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let beyond = |start: &str, most: u8| {
        let number = name.strip_prefix(start).unwrap_or_default();
        !number.starts_with(['+', '0'])
            && number
                .parse()
                .is_ok_and(|number| (1..=most).contains(&number))
    };
    if SIGNALS.contains(&name) || beyond("RTMIN+", 15) || beyond("RTMAX-", 14) {
        return Ok(text.to_owned());
    }
    let names = SIGNALS.map(|name| format!("SIG{name}"));
    let near = suggest::near(
        &format!("SIG{}", name.trim()),
        names.iter().map(String::as_str),
    );
    let other = "write its name, such as `SIGTERM`, or its number";
    let hint = near.unwrap_or_else(|| other.to_owned());
    fault(format!("{} is no signal", quoted(text)), &hint)
}

/// The name of a stage or context.
pub fn name(text: &str) -> Result<String, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= 128 && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    fault(
        format!("{} is no name", quoted(text)),
        "a name has letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
    )
}

/// A folder or file beside the recipe.
pub fn relative(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return fault("the path is empty", "`\".\"` is the recipe's own folder");
    }
    if text.starts_with('/') {
        let hint = "write it relative to the recipe, or give it on the command line";
        return fault(format!("{} is the path of one machine", quoted(text)), hint);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text form of what comes out, or the message.
    fn read<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(fault) => format!("! {}", fault.message),
        }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for (text, expected) in [
            ("/a//b/./c", "`/a/b/c`"),
            ("/", "`/`"),
            ("a/b", "! `a/b` is not an absolute path"),
            ("", "! the path is empty"),
            (
                "/a/../b",
                "! `/a/../b` is no path of an image: it holds `..`",
            ),
        ] {
            assert_eq!(read(absolute(text)), expected, "{text}");
        }
        assert_eq!(absolute("./a").unwrap_err().hint, "write `/a`");
        assert_eq!(read(absolute_name("/a/")), "! `/a/` names a directory");
        assert_eq!(read(absolute_name("/")), "! `/` names a directory");
    }

    #[test]
    fn destination_with_a_slash_is_a_directory() {
        for (text, is_directory) in [("/a", false), ("/a/", true), ("/a/.", true), ("/", true)] {
            assert_eq!(
                destination(text).unwrap().is_directory,
                is_directory,
                "{text}"
            );
        }
    }

    #[test]
    fn modes_are_three_or_four_octal_digits() {
        for (text, mode_bits) in [
            ("0755", Some(0o755)),
            ("644", Some(0o644)),
            ("7777", Some(0o7777)),
            ("0000", Some(0)),
            ("0o755", None),
            ("+755", None),
            ("75", None),
            ("00755", None),
            ("0788", None),
            ("u+x", None),
            ("", None),
        ] {
            assert_eq!(mode(text).ok(), mode_bits, "{text}");
        }
    }

    #[test]
    fn owners_are_one_or_two_names_or_numbers() {
        for text in ["0", "0:0", "app", "app:staff", "1000:staff", "4294967294"] {
            assert_eq!(owner(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            ":",
            "a:",
            ":b",
            "a:b:c",
            "a b",
            "4294967295",
            "99999999999",
            "a\n",
        ] {
            assert!(owner(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_are_whole_numbers_with_units() {
        for (text, nanoseconds) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("500ms", Some(500_000_000)),
            ("1h", Some(3_600_000_000_000)),
            ("0s", None),
            ("", None),
            ("30", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999999h", None),
            ("2502h", None),
            ("9223372036854775807s", None),
        ] {
            assert_eq!(duration(text).ok(), nanoseconds, "{text}");
        }
    }

    #[test]
    fn ports_have_one_form_and_signals_dockers() {
        for (text, expected) in [
            ("80", Some("80/tcp")),
            ("53/udp", Some("53/udp")),
            ("1/sctp", Some("1/sctp")),
            ("0", None),
            ("65536", None),
            ("+80", None),
            ("080", None),
            ("80/TCP", None),
            ("80-90", None),
            ("", None),
        ] {
            assert_eq!(port(text).ok().as_deref(), expected, "{text}");
        }
        for text in [
            "SIGTERM",
            "SIGRTMIN+3",
            "SIGRTMAX-14",
            "SIGRTMIN",
            "9",
            "65",
            "-9",
            "09",
            "term",
            "sigRtMax-1",
        ] {
            assert_eq!(signal(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "SIG",
            "SIGFOO",
            "0",
            "00",
            "SIGSIGTERM",
            "SIGRTMIN+16",
            "SIGRTMAX-15",
            "SIGRTMIN+",
            "SIGTERM+1",
            "SIGRTMIN-1",
        ] {
            assert!(signal(text).is_err(), "{text:?}");
        }
        for text in ["TREM", "sigtrem", "SIGTERM ", "Termm"] {
            let hint = signal(text).unwrap_err().hint;
            assert!(hint.contains("`SIGTERM`?"), "{text:?}: {hint}");
        }
    }

    #[test]
    fn names_are_words() {
        for text in ["a", "build-1", "A.b_c", "0"] {
            assert!(name(text).is_ok(), "{text}");
        }
        for text in ["", "-a", ".a", "a b", "a/b", "é", &"a".repeat(129)] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }
}
