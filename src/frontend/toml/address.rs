//! What a recipe fetches: addresses, and the digests and commits that they must have.
//!
//! In: text without NUL. Out: the text, checked, or a [`Fault`]. A secret in an address is
//! refused: it would be in the image's history.

use std::net::Ipv6Addr;

use super::value::{Fault, fault, quoted};
use crate::canon::Digest;

/// A sha256, with or without the algorithm in front.
pub fn sha256(text: &str) -> Result<Digest, Fault> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    Digest::from_hex(hex).or_else(|_| {
        fault(
            format!("{} is no sha256", quoted(text)),
            "write the 64 lower-case hex digits that `sha256sum` prints",
        )
    })
}

/// A git commit: 40 digits of SHA-1, or 64 of SHA-256.
pub fn commit(text: &str) -> Result<String, Fault> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if matches!(text.len(), 40 | 64) && text.bytes().all(is_hex) {
        return Ok(text.to_owned());
    }
    let hint = "write all 40 lower-case hex digits, or 64: `git rev-parse NAME` prints them";
    fault(format!("{} is no commit", quoted(text)), hint)
}

/// `http:` or `https:` with a host and without a password.
pub fn http_url(text: &str) -> Result<String, Fault> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) => url_rest(text, rest),
        None => fault(
            format!("{} is no HTTP address", quoted(text)),
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
        format!("{} is no address that git fetches from", quoted(text)),
        "write it as `https://host/path` or `user@host:path`",
    )
}

fn url_rest(text: &str, rest: &str) -> Result<String, Fault> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() || host.starts_with('-') || login.starts_with('-') {
        return fault(format!("{} names no host", quoted(text)), "");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let hint = "write a space as `%20`";
        return fault("the address holds white space or control characters", hint);
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, port),
        _ => (host, "1"),
    };
    let is_host = match name.strip_prefix('[').map(|name| name.strip_suffix(']')) {
        Some(address) => address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        // Letters of all scripts: whoever fetches spells them as DNS does.
        None => name.split('.').all(|label| {
            !label.starts_with('-')
                && label
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-_".contains(c))
        }),
    };
    if !is_host || name.is_empty() {
        return fault(format!("{} is no host", quoted(name)), "");
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || port.parse::<u16>().unwrap_or(0) == 0 {
        let hint = "write a number from 1 to 65535";
        return fault(format!("{} is no port", quoted(port)), hint);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_addresses_have_a_host_and_no_secret() {
        for text in [
            "https://a.example/x?y#z",
            "http://[::1]:5000/",
            "http://[::1]",
            "http://a",
            "http://a_b.b-c:65535/@:",
            "https://b\u{fc}cher.example/",
        ] {
            assert_eq!(http_url(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "ftp://a/b",
            "https://",
            "https:///x",
            "https://:80/x",
            "https://a:/x",
            "https://a:0/x",
            "https://a:66000/x",
            "https://a:+1/x",
            "https://a:b/x",
            "https://[a/x",
            "https://[::g]/x",
            "https://a%20b/x",
            "https://a,b/x",
            "HTTPS://a/b",
            "https://me:secret@a/b",
            "https://token@a/b",
            "https://a/b c",
            "https://a/\u{7f}",
            "file:///etc/passwd",
        ] {
            assert!(http_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn git_starts_no_program() {
        for text in [
            "https://a.example/b.git",
            "ssh://git@a.example:22/b",
            "git@a.example:b/c.git",
            "git://a/b",
            "file:///srv/b.git",
        ] {
            assert_eq!(git_url(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "ext::sh -c true",
            "--upload-pack=true",
            "ssh://-oProxyCommand=true/x",
            "ssh://-o@a/x",
            "-a@b:c",
            "a@-b:c",
            "a@b::c",
            "../repository",
            "/srv/b.git",
            "https://me:secret@a/b",
            "ssh://me:secret@a/b",
        ] {
            assert!(git_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn file_names_come_from_the_last_component() {
        for (url, expected) in [
            ("https://a/b/c.tgz?x=/y#z", Some("c.tgz")),
            ("https://a/two%20words", Some("two words")),
            ("https://a", None),
            ("https://a/b/", None),
            ("https://a/%2F", None),
            ("https://a/%2e%2e", None),
            ("https://a/%00", None),
            ("https://a/%ff", None),
            ("https://a/%zz", None),
            ("https://a/%4", Some("%4")),
        ] {
            assert_eq!(url_file_name(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn digests_and_commits_are_whole_and_lower_case() {
        let hex = Digest::of(b"").hex();
        for text in [hex.clone(), format!("sha256:{hex}")] {
            assert_eq!(sha256(&text), Ok(Digest::of(b"")));
        }
        assert!(sha256(&hex.to_uppercase()).is_err() && sha256(&hex[1..]).is_err());
        assert!(commit(&hex[..40]).is_ok() && commit(&hex).is_ok());
        for text in [
            "main",
            &hex[..39],
            &hex[..41],
            &hex[..40].to_uppercase(),
            "HEAD",
        ] {
            assert!(commit(text).is_err(), "{text}");
        }
    }
}
