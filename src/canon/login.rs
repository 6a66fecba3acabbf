//! Names and passwords in addresses.
//!
//! In: an address, or any text with addresses in it. Out: the address without them, and a
//! [`Login`]; or the text with them blotted out. A password is in no key, plan or message: what is
//! kept of an address is the part that says what it is, not who asks.

use std::fmt;
use std::ops::Range;

/// What stands before the `@` of an HTTP address.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Login(…)")
    }
}

impl Login {
    /// `user:password`, as HTTP's Basic scheme has it before base64.
    pub fn pair(&self) -> String {
        format!("{}:{}", self.user, self.password)
    }
}

/// An HTTP address without its login, and that; any other address as it is.
pub fn split(url: &str) -> (String, Option<Login>) {
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    let Some(span) = userinfo(url, 0).filter(|_| is_http) else {
        return (url.to_owned(), None);
    };
    let (user, password) = url[span.clone()]
        .split_once(':')
        .unwrap_or((&url[span.clone()], ""));
    let login = Login {
        user: decoded(user),
        password: decoded(password),
    };
    let rest = format!("{}{}", &url[..span.start], &url[span.end + 1..]);
    (rest, Some(login))
}

/// The text with the logins of its addresses blotted out.
pub fn redacted(text: &str) -> String {
    let mut rest = text;
    let mut told = String::new();
    while let Some(span) = secret(rest) {
        told.push_str(&rest[..span.start]);
        told.push_str("xxxxx");
        rest = &rest[span.end..];
    }
    told + rest
}

/// The same, but as long as it was, for what points into the text.
pub fn masked(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    while let Some(span) = secret(&text[told.len()..]) {
        let begun = told.len();
        told.push_str(&text[begun..begun + span.start]);
        told.extend(std::iter::repeat_n('x', span.len()));
    }
    told.push_str(&text[told.len()..]);
    told
}

/// The first login in a text: of ssh and the like only what has a password, as the user is a part
/// of the address there.
fn secret(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let scheme_end = from + found;
        if let Some(span) = userinfo(text, from) {
            // Whatever the case: no scheme has one.
            let is_http = ["http", "https"].iter().any(|scheme| {
                let begin = scheme_end.checked_sub(scheme.len());
                let end = begin.and_then(|begin| text.get(begin..scheme_end));
                end.is_some_and(|end| end.eq_ignore_ascii_case(scheme))
            });
            if is_http || text[span.clone()].contains(':') {
                return Some(span);
            }
        }
        from = scheme_end + "://".len();
    }
    None
}

/// What stands before the last `@` of the authority of the first address after `from`.
fn userinfo(text: &str, from: usize) -> Option<Range<usize>> {
    let start = from + text[from..].find("://")? + "://".len();
    let is_end = |c: char| c.is_whitespace() || "/?#\"'`<>".contains(c);
    let end = text[start..]
        .find(is_end)
        .map_or(text.len(), |end| start + end);
    let at = text[start..end].rfind('@')?;
    (at > 0).then_some(start..start + at)
}

/// `text` with its percent-encoded bytes as what they stand for.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        rest = tail;
        match tail {
            [a, b, after @ ..] if *first == b'%' && digit(a).is_some() && digit(b).is_some() => {
                let value = digit(a).unwrap_or(0) * 16 + digit(b).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or_default());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_taken_out_of_http_addresses_alone() {
        for (url, rest, pair) in [
            ("https://a.test/b", "https://a.test/b", None),
            (
                "http://me:p%40ss@a.test:80/b?c#d",
                "http://a.test:80/b?c#d",
                Some("me:p@ss"),
            ),
            ("https://token@a.test", "https://a.test", Some("token:")),
            ("https://a:b:c@d@e/f@g", "https://e/f@g", Some("a:b:c@d")),
            ("https://a.test/b@c", "https://a.test/b@c", None),
            ("https://@a.test/b", "https://@a.test/b", None),
            ("ssh://git@a.test/b", "ssh://git@a.test/b", None),
            ("git@a.test:b", "git@a.test:b", None),
        ] {
            let (got, login) = split(url);
            assert_eq!(got, rest, "{url}");
            let got = login.map(|login| login.pair());
            assert_eq!(got.as_deref(), pair, "{url}");
        }
        let (_, login) = split("https://me:secret@a.test/");
        assert!(!format!("{login:?}").contains("secret"));
    }

    #[test]
    fn no_text_tells_a_login() {
        for (text, short, long) in [
            ("no address: a@b", "no address: a@b", "no address: a@b"),
            (
                "`http://me:pw@a/b@c` and https://token@d",
                "`http://xxxxx@a/b@c` and https://xxxxx@d",
                "`http://xxxxx@a/b@c` and https://xxxxx@d",
            ),
            (
                "HTTP://token@a Https://me:pw@b ftp://me:pw@c",
                "HTTP://xxxxx@a Https://xxxxx@b ftp://xxxxx@c",
                "HTTP://xxxxx@a Https://xxxxx@b ftp://xxxxx@c",
            ),
            (
                "ssh://git@a ssh://git:longer-pw@a http://é:p@b",
                "ssh://git@a ssh://xxxxx@a http://xxxxx@b",
                "ssh://git@a ssh://xxxxxxxxxxxxx@a http://xxxx@b",
            ),
        ] {
            assert_eq!(redacted(text), short);
            assert_eq!(masked(text), long);
            assert_eq!(masked(text).len(), text.len());
        }
    }
}
