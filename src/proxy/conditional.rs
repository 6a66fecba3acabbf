//! Conditions and ranges (RFC 9110, 13 and 14), as the proxy answers them itself: a record must hold
//! whole answers, whatever a client had already.
//!
//! In: a client's fields, those of an answer. Out: whether it has that already; which bytes of it
//! are wanted. Pure.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{self, HeaderName};

/// What a client has already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    none_match: Option<String>,
    modified_since: Option<String>,
}

/// Fields that make an answer depend on what the client has.
const CONDITIONS: [HeaderName; 3] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_RANGE,
];

impl Conditions {
    /// Takes them out of `headers`. A range that is wanted only if nothing changed becomes all of
    /// it, which a client must be able to take.
    pub fn take(headers: &mut HeaderMap) -> Conditions {
        let text = |name: &HeaderName| {
            let values = headers.get_all(name).iter();
            let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let conditions = Conditions {
            none_match: text(&header::IF_NONE_MATCH),
            modified_since: text(&header::IF_MODIFIED_SINCE),
        };
        if headers.contains_key(header::IF_RANGE) {
            headers.remove(header::RANGE);
        }
        for name in &CONDITIONS {
            headers.remove(name);
        }
        conditions
    }

    /// Whether the client has what an answer with these fields has.
    pub fn hold(&self, fields: &BTreeMap<String, String>) -> bool {
        if let Some(tags) = &self.none_match {
            // Weakly: what differs in a way that doesn't matter is the same here.
            let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            let has = fields.get("etag").map(|tag| bare(tag));
            return has.is_some_and(|has| {
                tags.trim() == "*" || tags.split(',').any(|tag| bare(tag) == has)
            });
        }
        let time = |text: &String| httpdate::parse_http_date(text).ok();
        let since = self.modified_since.as_ref().and_then(time);
        let modified = fields.get("last-modified").and_then(time);
        matches!((modified, since), (Some(modified), Some(since)) if modified <= since)
    }
}

/// Bytes of a body: the first, and the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

/// What a `Range` field asks for of a body of `size` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: what isn't understood, or is of several parts, may be taken for that.
    All,
    /// Those.
    Span(Span),
    /// None that there are: 416.
    Nothing,
}

/// What `range` asks for of a body of `size` bytes.
pub fn wanted(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|span| span.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse::<u64>().map(Some).map_err(drop)
        }
        _ => Err(()),
    };
    let (from, to) = match (number(first), number(last)) {
        (Ok(Some(first)), Ok(Some(last))) if first <= last => (first, last.saturating_add(1)),
        (Ok(Some(first)), Ok(None)) => (first, size),
        (Ok(None), Ok(Some(0))) => return Wanted::Nothing,
        (Ok(None), Ok(Some(length))) => (size.saturating_sub(length), size),
        _ => return Wanted::All,
    };
    match from < size {
        true => Wanted::Span(Span {
            from,
            to: to.min(size),
        }),
        false => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_as_http_says() {
        let span = |from, to| Wanted::Span(Span { from, to });
        for (range, expected) in [
            ("bytes=0-0", span(0, 1)),
            ("bytes=3-", span(3, 10)),
            ("bytes=-3", span(7, 10)),
            ("bytes=-30", span(0, 10)),
            ("bytes=5-99", span(5, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::All),
        ] {
            assert_eq!(wanted(range, 10), expected, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn what_a_client_has_is_told_by_tags_first_then_by_times() {
        let conditions = |fields: &[(HeaderName, &str)]| {
            let fields = fields.iter().cloned();
            let mut headers: HeaderMap = fields
                .map(|(name, value)| (name, value.parse().unwrap()))
                .collect();
            let taken = Conditions::take(&mut headers);
            (taken, headers)
        };
        let answered = [
            ("etag", "\"a\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ];
        let answered = answered.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let answered = BTreeMap::from(answered);
        let (tag, since) = (header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE);
        let later = "Mon, 07 Nov 1994 08:49:37 GMT";
        for (asked, holds) in [
            (&[(tag.clone(), "W/\"b\", W/\"a\"")][..], true),
            (&[(tag.clone(), "*")], true),
            (&[(tag.clone(), "\"b\""), (since.clone(), later)], false),
            (&[(since.clone(), later)], true),
            (&[(since.clone(), "Sun, 06 Nov 1994 08:49:36 GMT")], false),
            (&[(since, "yesterday")], false),
            (&[], false),
        ] {
            let (taken, left) = conditions(asked);
            assert_eq!(taken.hold(&answered), holds, "{asked:?}");
            assert!(left.is_empty());
            assert!(!taken.hold(&BTreeMap::new()));
        }
        let partly = [(header::IF_RANGE, "\"a\""), (header::RANGE, "bytes=1-")];
        assert!(conditions(&partly).1.is_empty());
    }
}
