//! Answers that are credentials themselves: tokens that a server gives for others.
//!
//! In: the body of a small answer, in JSON or as a form. Out: the same without what proves who asked. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::canonical::without_secrets;
use super::credentials;

/// Bytes of the largest answer that is looked at.
pub const LARGEST: usize = 256 << 10;
/// Shorter ones would be found where they aren't meant.
const SHORTEST: usize = 8;
/// What stands where a token was.
const REMOVED: &str = "removed-by-cairn";

/// Members whose value is a token in whatever answer (OAuth 2, RFC 6749, 5.1; OpenID Connect; the
/// header fields that servers of git's large files want).
const TOKENS: [&str; 7] = [
    "access_token",
    "authorization",
    "authorizationtoken",
    "id_token",
    "refresh_token",
    "secretaccesskey",
    "sessiontoken",
];

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON.
    Json,
    /// As forms are sent, `name=value&…`.
    Form,
}

/// How an answer of that type is written, where it may hold tokens; without a type it may be JSON.
/// Of other JSON than `application/json` those alone may that answer what was sent (`is_sent`).
pub fn kind(content_type: Option<&str>, is_sent: bool) -> Option<Kind> {
    let Some(content_type) = content_type else {
        return Some(Kind::Json);
    };
    let essence = content_type.split(';').next().unwrap_or_default();
    match &*essence.trim().to_ascii_lowercase() {
        "application/json" | "application/vnd.git-lfs+json" => Some(Kind::Json),
        "application/x-www-form-urlencoded" => Some(Kind::Form),
        amazon if amazon.starts_with("application/x-amz-json-") => Some(Kind::Json),
        other => (is_sent && other.ends_with("+json")).then_some(Kind::Json),
    }
}

/// `body` without tokens; none, if there are none. `url` is the request's: where it asks for a
/// token, or something was sent there (`is_sent`), each member of a token's name is one.
pub fn removed(url: &str, is_sent: bool, kind: Kind, body: &[u8]) -> Option<Vec<u8>> {
    let path = url.split('?').next().unwrap_or_default();
    let gives_tokens = ["/token", "/auth", "/login"]
        .iter()
        .any(|end| path.trim_end_matches('/').ends_with(end));
    let is_token = |name: &str| {
        TOKENS.contains(&&*name.to_ascii_lowercase())
            || (gives_tokens || is_sent) && credentials::is_given(name)
    };
    let text = std::str::from_utf8(body).ok()?;
    if kind == Kind::Form {
        let clean = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) if is_token(name) && value.len() >= SHORTEST => {
                format!("{name}={REMOVED}")
            }
            _ => parameter.to_owned(),
        };
        let clean: Vec<String> = text.split('&').map(clean).collect();
        let clean = clean.join("&");
        return (clean != text).then(|| clean.into_bytes());
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    let mut found = BTreeSet::new();
    collect(&value, &is_token, &mut found);
    let mut clean = text.to_owned();
    for (secret, instead) in found {
        let (secret, instead) = (quoted(&secret)?, quoted(&instead)?);
        clean = clean.replace(&secret, &instead);
        // As some write what needs no escape.
        clean = clean.replace(&secret.replace('/', "\\/"), &instead);
    }
    // There are more ways to write a string than those: then all of it is written anew.
    let mut left = BTreeSet::new();
    let mut value: Value = serde_json::from_str(&clean).ok()?;
    collect(&value, &is_token, &mut left);
    left.retain(|(secret, instead)| secret != instead && secret != REMOVED);
    if !left.is_empty() {
        replace(&mut value, &left.into_iter().collect());
        return serde_json::to_vec(&value).ok();
    }
    (clean != text).then(|| clean.into_bytes())
}

/// Puts others in the place of strings.
fn replace(value: &mut Value, others: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|it| replace(it, others)),
        Value::Array(items) => items.iter_mut().for_each(|it| replace(it, others)),
        Value::String(text) => {
            if let Some(other) = others.get(text) {
                text.clone_from(other);
            }
        }
        _ => {}
    }
}

fn quoted(text: &str) -> Option<String> {
    serde_json::to_string(text).ok()
}

/// The strings of `value` that are secret, and what is to stand there.
fn collect(
    value: &Value,
    is_token: &impl Fn(&str) -> bool,
    found: &mut BTreeSet<(String, String)>,
) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if is_token(name) && text.len() >= SHORTEST => {
                        found.insert((text.clone(), REMOVED.to_owned()));
                    }
                    Value::String(url) if name == "href" => {
                        found.insert((url.clone(), without_secrets(url)));
                    }
                    other => collect(other, is_token, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, is_token, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(removed: Option<Vec<u8>>) -> Option<String> {
        removed.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn removed(url: &str, body: &str) -> Option<String> {
        text(super::removed(url, false, Kind::Json, body.as_bytes()))
    }

    #[test]
    fn tokens_are_removed_and_all_else_stays_as_it_is_written() {
        let of_registry =
            r#"{ "token":"eyJhbGciOi", "access_token": "eyJhbGciOi",  "expires_in":300}"#;
        let clean = r#"{ "token":"removed-by-cairn", "access_token": "removed-by-cairn",  "expires_in":300}"#;
        assert_eq!(
            removed("https://auth/token?a=b", of_registry).unwrap(),
            clean
        );
        let escaped = r#"{"id_token":"a\/b\/c\/d\/e"}"#;
        let expected = r#"{"id_token":"removed-by-cairn"}"#;
        assert_eq!(removed("https://h/x", escaped).unwrap(), expected);
        let unusual =
            r#"{"href":"https://h/o?v=1\u0026X-Amz-Signature=s3cret","id_token":"a\u002Bbcdefgh"}"#;
        let expected = r#"{"href":"https://h/o?v=1","id_token":"removed-by-cairn"}"#;
        assert_eq!(removed("https://h/x", unusual).unwrap(), expected);
        let large = r#"{"objects":[{"actions":{"download":{"href":"https://h/o?sig=s3cret&v=1",
            "header":{"Authorization":"Basic c2VjcmV0"}}}}]}"#;
        let clean = r#"{"objects":[{"actions":{"download":{"href":"https://h/o?v=1",
            "header":{"Authorization":"removed-by-cairn"}}}}]}"#;
        assert_eq!(
            removed("https://h/r/info/lfs/objects/batch", large).unwrap(),
            clean
        );
        for (url, body) in [
            ("https://h/model.json", r#"{"token":"a-word-of-some-text"}"#),
            ("https://h/token", r#"{"token":"short"}"#),
            ("https://h/token", r#"{"token":"cut-off-in-the-mid"#),
            ("https://h/token", r#"["access_token"]"#),
            ("https://h/x", r#"{"href":"https://h/o?v=1"}"#),
        ] {
            assert_eq!(removed(url, body), None, "{body}");
        }
    }

    #[test]
    fn what_answers_a_post_may_give_any_token() {
        let posted = |kind, body: &str| {
            let url = "https://h/v1/session";
            text(super::removed(url, true, kind, body.as_bytes()))
        };
        let body = r#"{"clientSecret":"0123456789","nextPageToken":"abcdefghijk"}"#;
        let clean = r#"{"clientSecret":"removed-by-cairn","nextPageToken":"abcdefghijk"}"#;
        assert_eq!(posted(Kind::Json, body).as_deref(), Some(clean));
        assert_eq!(removed("https://h/v1/session", body), None);
        let form = "access_token=gho_16C7e42F292c69&scope=repo&token_type=bearer";
        let clean = "access_token=removed-by-cairn&scope=repo&token_type=bearer";
        assert_eq!(posted(Kind::Form, form).as_deref(), Some(clean));
        assert_eq!(posted(Kind::Form, "a=b"), None);
    }

    #[test]
    fn json_and_forms_are_looked_at() {
        let json = Some(Kind::Json);
        assert_eq!(kind(Some("application/json; charset=utf-8"), false), json);
        assert_eq!(kind(Some("Application/vnd.git-lfs+json"), false), json);
        assert_eq!(kind(Some("application/vnd.api+json"), true), json);
        assert_eq!(kind(Some("application/x-amz-json-1.1"), false), json);
        assert_eq!(kind(None, false), json);
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(kind(form, false), Some(Kind::Form));
        assert_eq!(kind(Some("text/html"), true), None);
        assert_eq!(
            kind(Some("application/vnd.npm.install-v1+json"), false),
            None
        );
    }
}
