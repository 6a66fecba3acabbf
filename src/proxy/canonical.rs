//! Requests and answers as a record has them: what decides the answer, and nothing that proves who
//! asked.
//!
//! In: URLs and header fields as they came. Out: those of them that are kept. Pure.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{self, HeaderName};

use super::credentials;

/// Fields of a request that servers choose their answer by. Those of credentials, of what a client
/// has already (conditions) and of how it is told (compression) are not among them, nor what says
/// who asks.
const ASKED: [&str; 8] = [
    "accept",
    "content-type",
    "depth",
    "git-protocol",
    "range",
    "soapaction",
    "x-github-api-version",
    "x-http-method-override",
];

/// Fields of an answer that programs go by. What differs each time (`date`, `age`, the numbers that
/// servers give requests) is not among them, nor cookies.
const KEPT: [&str; 31] = [
    "accept-ranges",
    "allow",
    "api-version",
    "cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "dav",
    "digest",
    "docker-content-digest",
    "docker-distribution-api-version",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "pragma",
    "repr-digest",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-goog-hash",
    "x-next-page",
    "x-pypi-last-serial",
    "x-repo-commit",
    "x-total-count",
];

/// Further ones by how their names begin: checksums of Maven's repositories and of large files,
/// what Subversion's servers can, gRPC's status.
const KEPT_BEGINNINGS: [&str; 4] = ["x-checksum-", "x-linked-", "svn-", "grpc-"];

/// The URL of a request: `path` is what follows the host, with its query.
pub fn url(is_tls: bool, host: &str, port: u16, path: &str) -> String {
    let (scheme, usual) = match is_tls {
        true => ("https", 443),
        false => ("http", 80),
    };
    let port = match port == usual {
        true => String::new(),
        false => format!(":{port}"),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    without_secrets(&format!("{scheme}://{host}{port}{slash}{path}"))
}

/// `url`, or a reference to one, without what proves who asked: credentials before the host,
/// parameters of the query.
pub fn without_secrets(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (before, query) = match url.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (url, None),
    };
    let mut clean = without_user(before);
    let query = query.map(clean_query).filter(|query| !query.is_empty());
    if let Some(query) = query {
        clean.push('?');
        clean.push_str(&query);
    }
    clean
}

/// `before`, which has no query, without the user that may stand before its host.
fn without_user(before: &str) -> String {
    let Some(at) = before.find("//") else {
        return before.to_owned();
    };
    let (scheme, rest) = before.split_at(at + 2);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        // A path may have both in it.
        Some((_, host)) if !scheme.trim_end_matches("//").contains('/') => {
            format!("{scheme}{host}{path}")
        }
        _ => before.to_owned(),
    }
}

fn clean_query(query: &str) -> String {
    let (others, _) = credentials::divided(query);
    others.join("&")
}

/// What stands for a secret.
const MASKED: &str = "***";

/// `url` with `***` in place of each part of its path, and of each value of its query, that `mask`
/// changes.
pub fn masked(url: &str, mask: &dyn Fn(&str) -> String) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let start = start + rest.find(['/', '?']).unwrap_or(rest.len());
    let (server, rest) = url.split_at(start);
    let is_secret = |text: &str| {
        let plain = url::form_urlencoded::parse(text.as_bytes());
        let plain: String = plain
            .map(|(name, value)| format!("{name}{value}"))
            .collect();
        mask(text) != text || mask(&plain) != plain
    };
    let part = |part: &str| match is_secret(part) {
        true => MASKED.to_owned(),
        false => part.to_owned(),
    };
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => format!("{}={}", part(name), part(value)),
        None => part(parameter),
    };
    let joined = |parts: Vec<String>, by: &str| parts.join(by);
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let path = joined(path.split('/').map(part).collect(), "/");
    let query = query.map(|query| joined(query.split('&').map(parameter).collect(), "&"));
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{server}{path}{query}")
}

/// Whether a recorded URL has secrets in it.
pub fn is_masked(url: &str) -> bool {
    url.contains(MASKED)
}

/// Whether `url` is `recorded` but for secrets, whoever's they are.
pub fn matches(recorded: &str, url: &str) -> bool {
    let (mut recorded, mut url) = (recorded.split(MASKED), url);
    let Some(rest) = recorded.next().and_then(|first| url.strip_prefix(first)) else {
        return false;
    };
    url = rest;
    for after in recorded {
        let end = url.find(['/', '?', '&']).unwrap_or(url.len());
        let Some(rest) = url.get(end..).and_then(|rest| rest.strip_prefix(after)) else {
            return false;
        };
        url = rest;
    }
    url.is_empty()
}

/// The fields of a request that are recorded.
pub fn asked(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut asked = fields(headers, |name| ASKED.contains(&name));
    // Whoever says that takes whatever is given to who says nothing (RFC 9110, 12.5.1).
    if asked.get("accept").is_some_and(|accept| accept == "*/*") {
        asked.remove("accept");
    }
    asked
}

/// The fields of an answer that are recorded.
pub fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut kept = fields(headers, is_kept);
    for name in ["location", "content-location"] {
        if let Some(url) = kept.get_mut(name) {
            *url = without_secrets(url);
        }
    }
    if let Some(links) = kept.get_mut("link") {
        *links = clean_links(links);
    }
    if let Some(challenge) = kept.get_mut("www-authenticate") {
        let scheme = challenge.split(' ').next().unwrap_or_default();
        // What follows these is a part of a conversation that proves who asks.
        if ["negotiate", "ntlm"].contains(&&*scheme.to_ascii_lowercase()) {
            *challenge = scheme.to_owned();
        }
    }
    kept
}

/// Whether a field of an answer is recorded.
pub fn is_kept(name: &str) -> bool {
    KEPT.contains(&name) || KEPT_BEGINNINGS.iter().any(|start| name.starts_with(start))
}

/// The URLs of `Link` (RFC 8288) stand in `<>`.
fn clean_links(links: &str) -> String {
    let mut clean = String::new();
    let mut rest = links;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((url, behind)) = after.split_once('>') else {
            break;
        };
        clean.extend([before, "<", &without_secrets(url), ">"]);
        rest = behind;
    }
    clean + rest
}

/// Fields by lower-case name; several of a name as one, by commas (RFC 9110, 5.3).
pub fn fields(headers: &HeaderMap, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        if !is_wanted(name.as_str()) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = value.trim();
        match fields.get_mut(name.as_str()) {
            Some(before) => {
                before.push_str(", ");
                before.push_str(value);
            }
            None => {
                fields.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
    }
    fields
}

/// Fields that are for the next hop alone (RFC 9110, 7.6.1), or that the proxy says itself.
const HOP: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes what is not for the server.
pub fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named {
        headers.remove(&name);
    }
    for name in &HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_nothing_that_proves_who_asked() {
        for (url, clean) in [
            ("https://u:p@h.example/p", "https://h.example/p"),
            ("https://h/p?a=1&token=x&b=2", "https://h/p?a=1&b=2"),
            ("https://h/p?X-Amz-Signature=x&X-Amz-Date=y", "https://h/p"),
            ("https://h/p?Expires=1", "https://h/p?Expires=1"),
            ("https://h/p?Expires=1&Signature=x&v=2", "https://h/p?v=2"),
            ("https://h/p?sv=1&se=2&sr=b&sp=r&sig=x", "https://h/p"),
            ("https://h/p?sv=1", "https://h/p?sv=1"),
            ("https://h/p?%74oken=x", "https://h/p"),
            ("https://h/@scope/a//b@c", "https://h/@scope/a//b@c"),
            ("/p?sig=x#top", "/p"),
            ("https://h/p?", "https://h/p"),
        ] {
            assert_eq!(without_secrets(url), clean);
        }
        assert_eq!(super::url(true, "h", 443, "/?key=1"), "https://h/");
        assert_eq!(super::url(true, "h", 80, ""), "https://h:80/");
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        fields.collect()
    }

    #[test]
    fn fields_that_prove_who_asked_or_change_each_time_are_not_kept() {
        let asking = headers(&[
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("cookie", "x"),
            ("if-none-match", "x"),
            ("range", "bytes=0-1"),
            ("user-agent", "x"),
            ("x-api-key", "x"),
        ]);
        assert_eq!(
            asked(&asking),
            [("range".to_owned(), "bytes=0-1".to_owned())].into()
        );
        let answered = headers(&[
            ("date", "x"),
            ("etag", "\"x\""),
            (
                "link",
                "<https://h/2?token=x&page=2>; rel=next, </3?sig=y>; rel=last",
            ),
            ("location", "https://u@h/?sig=x&a=1"),
            ("set-cookie", "x"),
            ("www-authenticate", "Negotiate YII"),
            ("x-checksum-sha1", "x"),
        ]);
        let expected = [
            ("etag", "\"x\""),
            ("link", "<https://h/2?page=2>; rel=next, </3>; rel=last"),
            ("location", "https://h/?a=1"),
            ("www-authenticate", "Negotiate"),
            ("x-checksum-sha1", "x"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(kept(&answered), expected.into());
    }

    #[test]
    fn secrets_in_urls_are_masked_and_any_other_stands_for_them() {
        let mask = |text: &str| text.replace("s3 cret", "***").replace("pa55", "***");
        for (url, expected) in [
            ("https://pa55.h/a/b?c=d", "https://pa55.h/a/b?c=d"),
            ("https://h/tokpa55/b", "https://h/***/b"),
            ("https://h/a?x=s3+cret&y=2", "https://h/a?x=***&y=2"),
            ("https://h/a/s3%20cret", "https://h/a/***"),
        ] {
            assert_eq!(masked(url, &mask), expected);
            assert!(matches(expected, url));
        }
        for (recorded, url, is_same) in [
            ("https://h/***/b?k=***&z", "https://h/1/b?k=22&z", true),
            ("https://h/***/b", "https://h/1/2/b", false),
            ("https://h/***", "https://h/1", true),
            ("https://h/***", "https://h/1?x", false),
            ("https://h/***/b", "https://h/1/c", false),
            ("https://h/a", "https://h/a", true),
            ("https://h/a", "https://h/ab", false),
        ] {
            assert_eq!(matches(recorded, url), is_same, "{recorded} {url}");
        }
        assert!(is_masked("https://h/***") && !is_masked("https://h/*"));
    }

    #[test]
    fn what_is_for_the_next_hop_stays_there() {
        let mut some = headers(&[
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("proxy-authorization", "x"),
            ("accept", "a"),
        ]);
        strip_hop(&mut some);
        assert_eq!(some, headers(&[("accept", "a")]));
    }
}
