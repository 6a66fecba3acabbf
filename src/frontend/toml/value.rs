//! Single values of a recipe: paths, patterns, modes, owners, addresses, times.
//!
//! In: text without NUL. Out: the plan's values in their one normal form, or a [`Fault`] that
//! says what is wrong and the way out.

use crate::canon::path::Error as PathError;
use crate::canon::{Digest, EntryPath};
use crate::plan::step::Destination;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As [`crate::canon::Problem::message`].
    pub message: String,
    /// As [`crate::canon::Problem::hint`]; empty for none.
    pub hint: String,
}

fn fault<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        message: message.into(),
        hint: hint.into(),
    })
}

/// An absolute path of the image.
pub fn absolute(text: &str) -> Result<EntryPath, Fault> {
    if text.is_empty() {
        return fault("the path is empty", "");
    }
    if !text.starts_with('/') {
        let hint = format!("`/{}`", text.trim_start_matches("./"));
        return fault(format!("`{text}` is not an absolute path"), hint);
    }
    EntryPath::new(text.as_bytes()).map_err(|error| path_fault(text, error))
}

fn path_fault(text: &str, error: PathError) -> Fault {
    let hint = match error {
        PathError::Parent => "write the path that is meant",
        PathError::Nul | PathError::TooLong => "",
    };
    Fault {
        message: format!("`{text}` is no path of an image: {error}"),
        hint: hint.to_owned(),
    }
}

/// An absolute path of something that is no directory.
pub fn absolute_name(text: &str) -> Result<EntryPath, Fault> {
    let path = absolute(text)?;
    if path.is_root() || text.ends_with('/') {
        return fault(format!("`{text}` names a directory"), "end it with a name");
    }
    Ok(path)
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

/// A source below a folder's root: leading, double and trailing slashes and `.` components go;
/// `.` is all of it.
pub fn source(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return fault("the path is empty", "`\".\"` is all of it");
    }
    let mut components = Vec::new();
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                let hint = "name another folder in `[contexts]`, and copy from that";
                return fault(format!("`{text}` leads out of the folder"), hint);
            }
            _ => {
                pattern_component(component)
                    .or_else(|why| fault(format!("`{text}` is no pattern: {why}"), BACKSLASH))?;
                components.push(component);
            }
        }
    }
    Ok(match components.as_slice() {
        [] => ".".to_owned(),
        _ => components.join("/"),
    })
}

const BACKSLASH: &str = "a backslash in front takes a character as it is";

/// A pattern of absolute paths; comes out without the leading slash.
pub fn absolute_pattern(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        return absolute(text).map(|_| String::new());
    }
    if text.split('/').any(|component| component == "..") {
        return Err(path_fault(text, PathError::Parent));
    }
    match source(text)?.as_str() {
        "." => fault("the root can't be removed", "`\"/*\"` is all that it holds"),
        pattern => Ok(pattern.to_owned()),
    }
}

/// A line of `include` or `exclude`, as `.dockerignore` has them; stays as it is.
pub fn filter(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return fault("the pattern is empty", "`\"**\"` matches everything");
    }
    for component in text.split('/') {
        pattern_component(component)
            .or_else(|why| fault(format!("`{text}` is no pattern: {why}"), BACKSLASH))?;
    }
    Ok(text.to_owned())
}

/// Checks what Go's `filepath.Match` calls a bad pattern: a bracket or an escape without its end.
fn pattern_component(text: &str) -> Result<(), &'static str> {
    const BACKSLASH: &str = "nothing follows the `\\`";
    const BRACKET: &str = "a `[` has no `]`, or an empty range";
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => drop(rest.next().ok_or(BACKSLASH)?),
            '[' => {
                rest.next_if_eq(&'^');
                let mut ranges = 0;
                while ranges == 0 || rest.next_if_eq(&']').is_none() {
                    range_end(&mut rest).ok_or(BRACKET)?;
                    if rest.next_if_eq(&'-').is_some() {
                        range_end(&mut rest).ok_or(BRACKET)?;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn range_end(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '\\' => rest.next(),
        '-' | ']' => None,
        other => Some(other),
    }
}

/// A name taken as it is, as a pattern.
pub fn literal(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Permission bits: three or four octal digits.
pub fn mode(text: &str) -> Result<u16, Fault> {
    let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u16::from_str_radix(text, 8) {
        Ok(mode) if is_octal && (3..=4).contains(&text.len()) => Ok(mode),
        _ => fault(
            format!("`{text}` is no mode"),
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
        format!("`{text}` is no owner"),
        "write `user` or `user:group`, by number or name: `\"0:0\"`, `\"app:app\"`",
    )
}

/// A sha256, with or without the algorithm in front.
pub fn sha256(text: &str) -> Result<Digest, Fault> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    Digest::from_hex(hex).or_else(|_| {
        fault(
            format!("`{text}` is no sha256"),
            "write the 64 lower-case hex digits that `sha256sum` prints",
        )
    })
}

/// A git commit.
pub fn commit(text: &str) -> Result<String, Fault> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 40 && text.bytes().all(is_hex) {
        return Ok(text.to_owned());
    }
    let hint = "write all 40 lower-case hex digits: `git rev-parse NAME` prints them";
    fault(format!("`{text}` is no commit"), hint)
}

/// `http:` or `https:` with a host and without a password.
pub fn http_url(text: &str) -> Result<String, Fault> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) => url_rest(text, rest),
        None => fault(
            format!("`{text}` is no HTTP address"),
            "begin it with `https://` or `http://`",
        ),
    }
}

/// What git fetches from, but for its transports that start programs (`ext::…`).
pub fn git_url(text: &str) -> Result<String, Fault> {
    for scheme in ["https://", "http://", "ssh://", "git://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return url_rest(text, rest);
        }
    }
    let is_clean = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if text.starts_with("file:///") && is_clean(text) {
        return Ok(text.to_owned());
    }
    let is_word = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain)
    };
    if let Some((login, path)) = text.split_once(':')
        && let Some((user, host)) = login.split_once('@')
    {
        let is_path = !path.is_empty() && !path.starts_with([':', '-']) && is_clean(path);
        if is_word(user) && is_word(host) && is_path {
            return Ok(text.to_owned());
        }
    }
    fault(
        format!("`{text}` is no address that git fetches from"),
        "write it as `https://host/path` or `user@host:path`",
    )
}

fn url_rest(text: &str, rest: &str) -> Result<String, Fault> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() || host.starts_with('-') || login.starts_with('-') {
        return fault(format!("`{text}` names no host"), "");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let hint = "write a space as `%20`";
        return fault("the address holds white space or control characters", hint);
    }
    if login.contains(':') || (text.starts_with("http") && !login.is_empty()) {
        let hint = "a recipe is no place for secrets: the image's history would show it";
        return fault("the address holds a user's name or password", hint);
    }
    Ok(text.to_owned())
}

/// The last component of an address's path, decoded; none where it has none that can name a file.
pub fn url_file_name(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let path = rest.split(['?', '#']).next()?;
    let name = path.split_once('/')?.1.rsplit('/').next()?;
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        match tail {
            [a, b, tail @ ..] if *first == b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(a)? * 16 + digit(b)?).ok()?);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    let is_sound = !matches!(name.as_str(), "" | "." | "..")
        && name.len() <= crate::canon::path::LONGEST_COMPONENT
        && !name.chars().any(|c| c == '/' || c.is_control());
    is_sound.then_some(name)
}

/// A time such as `1m30s`, in nanoseconds.
pub fn duration(text: &str) -> Result<i64, Fault> {
    parse_duration(text).map_or_else(
        || {
            fault(
                format!("`{text}` is no length of time"),
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
        format!("`{text}` is no port"),
        "write a number from 1 to 65535, with `/udp` or `/sctp` behind it where it isn't TCP",
    )
}

/// A signal by name or number.
pub fn signal(text: &str) -> Result<String, Fault> {
    let is_number = text
        .parse::<u8>()
        .is_ok_and(|number| (1..=64).contains(&number));
    let is_name = text.strip_prefix("SIG").is_some_and(|name| {
        let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let ends = |c: char| matches!(c, '+' | '-');
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.len() <= 16
            && name
                .bytes()
                .all(|byte| is_plain(byte) || ends(char::from(byte)))
    });
    if (is_number && !text.starts_with(['+', '0'])) || is_name {
        return Ok(text.to_owned());
    }
    let hint = "write its name, such as `\"SIGTERM\"`, or its number";
    fault(format!("`{text}` is no signal"), hint)
}

/// The name of a stage or context.
pub fn name(text: &str) -> Result<String, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= 128 && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    fault(
        format!("`{text}` is no name"),
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
        return fault(format!("`{text}` is the path of one machine"), hint);
    }
    Ok(text.to_owned())
}
