//! What a record has instead of a request that it doesn't have.
//!
//! In: a request, those of the record. Out: the nearest, and what differs. Pure.

use crate::lock::Request;

/// Requests that are compared letter by letter.
const MOST_COMPARED: usize = 2000;
/// Bytes of a URL that are compared.
const MOST_BYTES: usize = 500;

/// The end of the message that names `asked`; empty if nothing was recorded.
pub fn nearest<'a>(asked: &Request, recorded: impl Iterator<Item = &'a Request>) -> String {
    let mut recorded: Vec<&Request> = recorded.collect();
    if recorded.is_empty() {
        return ": the command fetched nothing when it was recorded".to_owned();
    }
    // Those of the same server first, where there are many.
    recorded.sort_by_key(|other| server(&other.url) != server(&asked.url));
    recorded.truncate(MOST_COMPARED);
    let distance = |other: &&&Request| {
        let is_elsewhere = server(&other.url) != server(&asked.url);
        let letters = strsim::levenshtein(cut(&other.url), cut(&asked.url));
        let differs = [
            other.method != asked.method,
            other.sent != asked.sent,
            other.asked != asked.asked,
        ];
        let differs = differs.into_iter().filter(|differs| *differs).count();
        (is_elsewhere, letters, differs)
    };
    let Some(nearest) = recorded.iter().min_by_key(distance) else {
        return String::new();
    };
    format!(
        "\nthe nearest that it has is `{} {}`{}",
        nearest.method,
        nearest.url,
        differences(asked, nearest)
    )
}

/// The scheme, host and port of a URL.
fn server(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    url.get(..start + end).unwrap_or(url)
}

fn cut(url: &str) -> &str {
    let end = (0..=MOST_BYTES.min(url.len())).rev();
    let mut ends = end.filter(|end| url.is_char_boundary(*end));
    ends.next().and_then(|end| url.get(..end)).unwrap_or(url)
}

/// How two requests differ, for people.
fn differences(asked: &Request, recorded: &Request) -> String {
    let mut told = Vec::new();
    let path = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    if asked.method != recorded.method {
        told.push("another method".to_owned());
    }
    if server(&asked.url) != server(&recorded.url) {
        told.push("another server".to_owned());
    } else if path(&asked.url) != path(&recorded.url) {
        told.push("another path".to_owned());
    } else if asked.url != recorded.url {
        told.push("another query".to_owned());
    }
    let names = asked.asked.keys().chain(recorded.asked.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    for name in names {
        let (now, then) = (asked.asked.get(name), recorded.asked.get(name));
        if now != then {
            let said = |value: Option<&String>| match value {
                Some(value) => format!("`{value}`"),
                None => "none".to_owned(),
            };
            told.push(format!("{name}: {} where it was {}", said(now), said(then)));
        }
    }
    match (&asked.sent, &recorded.sent) {
        (Some(now), Some(then)) if now != then => told.push(format!(
            "a body of digest {} where it was {}",
            now.sha256.short(),
            then.sha256.short()
        )),
        (Some(_), None) => told.push("a body where there was none".to_owned()),
        (None, Some(_)) => told.push("no body where there was one".to_owned()),
        _ => {}
    }
    match told.is_empty() {
        true => String::new(),
        false => format!(": {}", told.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;
    use crate::lock::Body;

    fn request(method: &str, url: &str) -> Request {
        Request {
            url: url.to_owned(),
            method: method.to_owned(),
            asked: Default::default(),
            sent: None,
        }
    }

    #[test]
    fn the_nearest_is_of_the_same_server_and_says_what_differs() {
        let mut posted = request("POST", "https://a/upload");
        posted.sent = Some(Body {
            sha256: Digest::of(b"1"),
            size: 1,
        });
        let mut ranged = request("GET", "https://a/large");
        ranged.asked.insert("accept".to_owned(), "x/y".to_owned());
        let recorded = [
            request("GET", "https://b/pool/x_1.2.deb"),
            request("GET", "https://a/pool/x_1.1.deb"),
            request("GET", "https://a/list?page=1"),
            posted.clone(),
            ranged,
        ];
        let told = |asked: &Request| nearest(asked, recorded.iter());
        for (asked, expected) in [
            (
                request("GET", "https://a/pool/x_1.2.deb"),
                "`GET https://a/pool/x_1.1.deb`: another path",
            ),
            (
                request("GET", "https://a/list?page=2"),
                "`GET https://a/list?page=1`: another query",
            ),
            (
                request("GET", "https://c/pool/x_1.2.deb"),
                "`GET https://b/pool/x_1.2.deb`: another server",
            ),
            (
                request("GET", "https://a/large"),
                "`GET https://a/large`: accept: none where it was `x/y`",
            ),
            (
                request("POST", "https://a/upload"),
                "`POST https://a/upload`: no body where there was one",
            ),
        ] {
            let expected = format!("\nthe nearest that it has is {expected}");
            assert_eq!(told(&asked), expected);
        }
        posted.sent = Some(Body {
            sha256: Digest::of(b"2"),
            size: 1,
        });
        let end = format!(
            "a body of digest {} where it was {}",
            Digest::of(b"2").short(),
            Digest::of(b"1").short()
        );
        assert!(told(&posted).ends_with(&end));
    }
}
