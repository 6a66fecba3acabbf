//! What proves who asks: by the names that it goes by.
//!
//! In: names of parameters, fields and members; a query; the fields of a request. Out: whether it is
//! a credential, and a digest of those that a request has, which is for memory alone: who knows it
//! could try passwords against it. Pure.

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};

use crate::canon::Digest;
use crate::canon::digest::Hasher;

/// Names that are, or belong to, a signature or a token; in lower case.
const NAMES: [&str; 12] = [
    "auth",
    "authorization",
    "awsaccesskeyid",
    "credential",
    "credentials",
    "googleaccessid",
    "hmac",
    "jwt",
    "key",
    "key-pair-id",
    "pwd",
    "sig",
];

/// Likewise, by how they end.
const ENDS: [&str; 12] = [
    "_auth",
    "access_key",
    "access-key",
    "accesskey",
    "api_key",
    "api-key",
    "apikey",
    "passwd",
    "password",
    "secret",
    "signature",
    "token",
];

/// Likewise, by how they begin: those of S3 and of the storages of Google and Alibaba.
const BEGINNINGS: [&str; 3] = ["x-amz-", "x-goog-", "x-oss-"];

/// In names of tokens that say which part of a list is wanted: what the answer goes by.
const PLACES: [&str; 5] = ["page", "next", "continuation", "cursor", "sync"];

/// Parameters that belong to a signature where there is one: Azure's, S3's older ones, CloudFront's.
const SIGNED: [&str; 16] = [
    "expires",
    "policy",
    "hash-algorithm",
    "se",
    "sp",
    "sv",
    "sr",
    "st",
    "spr",
    "sip",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
];

/// Whether what goes by `name`, in lower case, proves who asks.
pub fn is_one(name: &str) -> bool {
    NAMES.contains(&name) || is_secret(name) || BEGINNINGS.iter().any(|it| name.starts_with(it))
}

/// Whether `name`, in lower case, is a secret's by how it ends.
fn is_secret(name: &str) -> bool {
    let is_place = name.ends_with("token") && PLACES.iter().any(|place| name.contains(place));
    ENDS.iter().any(|end| name.ends_with(end)) && !is_place
}

/// Whether a member of a document that is called `name` holds a token that was given.
pub fn is_given(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_token = ["token", "secret", "password"]
        .iter()
        .any(|it| name.ends_with(it));
    name == "authorization" || is_token && is_secret(&name)
}

/// The parameters of a query that decide an answer, and those that prove who asks.
pub fn divided(query: &str) -> (Vec<&str>, Vec<&str>) {
    let name = |parameter: &str| {
        let name = parameter.split('=').next().unwrap_or_default();
        let name = url::form_urlencoded::parse(name.as_bytes()).next();
        name.map_or(String::new(), |(name, _)| name.to_ascii_lowercase())
    };
    let parameters = || {
        query
            .split('&')
            .map(|parameter| (name(parameter), parameter))
    };
    let is_signed =
        parameters().any(|(name, _)| matches!(&*name, "sig" | "signature" | "key-pair-id"));
    let (mut others, mut credentials) = (Vec::new(), Vec::new());
    for (name, parameter) in parameters() {
        match is_one(&name) || is_signed && SIGNED.contains(&&*name) {
            true => credentials.push(parameter),
            false => others.push(parameter),
        }
    }
    (others, credentials)
}

/// Whether a field of a request proves who asks.
fn is_shown(name: &HeaderName) -> bool {
    name == AUTHORIZATION || name == COOKIE || is_one(name.as_str())
}

/// Removes what proves who asks.
pub fn remove(headers: &mut HeaderMap) {
    let names: Vec<_> = headers
        .keys()
        .filter(|name| is_shown(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Of all that a request proves who asks by, if it does: by the query of `path`, by what is `hidden`
/// of its URL, by its fields.
pub fn digest(path: &str, hidden: Option<&str>, headers: &HeaderMap) -> Option<Digest> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let (_, mut shown) = divided(query);
    shown.sort_unstable();
    let shown = shown.into_iter().chain(hidden);
    let mut shown: Vec<Vec<u8>> = shown.map(Into::into).collect();
    for (name, value) in headers.iter().filter(|(name, _)| is_shown(name)) {
        shown.push([name.as_str().as_bytes(), b":", value.as_bytes()].concat());
    }
    if shown.is_empty() {
        return None;
    }
    let mut hasher = Hasher::new();
    for it in shown {
        hasher.update(&(it.len() as u64).to_le_bytes());
        hasher.update(&it);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_by_many_names() {
        for name in [
            "access_token",
            "api-key",
            "client_secret",
            "cookie_token",
            "hmac",
            "job-token",
            "key",
            "oauth_token",
            "private-token",
            "refresh_token",
            "x-amz-date",
            "x-api-key",
            "x-nuget-apikey",
        ] {
            assert!(is_one(name), "{name}");
        }
        for name in [
            "cachekey",
            "continuation-token",
            "nextpagetoken",
            "op",
            "page_token",
            "search",
            "sort_key",
            "tokens",
            "user-agent",
        ] {
            assert!(!is_one(name), "{name}");
        }
        assert!(is_given("authorizationToken") && is_given("Authorization"));
        assert!(!is_given("_npmSignature") && !is_given("nextToken") && !is_given("key"));
    }

    #[test]
    fn who_asks_with_the_same_has_the_same_digest() {
        let headers = |fields: &[(&'static str, &str)]| -> HeaderMap {
            let fields = fields
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            fields.collect()
        };
        let none = headers(&[("accept", "x"), ("user-agent", "y")]);
        let of = |path: &str, headers: &HeaderMap| digest(path, None, headers);
        assert_eq!(of("/a?b=1", &none), None);
        let one = of("/a?b=1&token=x", &none);
        assert_eq!(one, of("/a?token=x&c=2", &headers(&[])));
        assert_ne!(one, of("/a?token=y", &none));
        let cookie = of("/", &headers(&[("cookie", "a")]));
        assert!(cookie.is_some() && cookie != of("/", &headers(&[("cookie", "b")])));
        let hidden = |url| digest("/", Some(url), &none);
        assert_ne!(hidden("https://h/one"), hidden("https://h/other"));
        let mut shown = headers(&[
            ("authorization", "a"),
            ("private-token", "b"),
            ("accept", "c"),
        ]);
        assert!(of("/", &shown).is_some());
        remove(&mut shown);
        assert_eq!(shown, headers(&[("accept", "c")]));
    }
}
