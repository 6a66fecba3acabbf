//! Answers that are credentials themselves: tokens that a server gives for others.
//!
//! In: the body of a small answer in JSON. Out: the same without what proves who asked. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::canonical::without_secrets;

/// Bytes of the largest answer that is looked at.
pub const LARGEST: usize = 256 << 10;
/// Shorter ones would be found where they aren't meant.
const SHORTEST: usize = 8;
/// What stands where a token was.
const REMOVED: &str = "removed-by-cairn";

/// Members whose value is a token (OAuth 2, RFC 6749, 5.1; OpenID Connect; the header fields that
/// servers of git's large files want).
const TOKENS: [&str; 4] = ["access_token", "authorization", "id_token", "refresh_token"];

/// Whether an answer of that type is looked at.
pub fn is_looked_at(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    matches!(
        essence.trim().to_ascii_lowercase().as_str(),
        "application/json" | "application/vnd.git-lfs+json"
    )
}

/// `body` without tokens; none, if there are none. `url` is the request's: where it asks for a
/// token, a member `token` is one (Docker's registries).
pub fn removed(url: &str, body: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let path = url.split('?').next().unwrap_or_default();
    let gives_tokens = ["/token", "/auth", "/login"]
        .iter()
        .any(|end| path.trim_end_matches('/').ends_with(end));
    let mut found = BTreeSet::new();
    let is_token = |name: &str| {
        let name = name.to_ascii_lowercase();
        TOKENS.contains(&&*name) || gives_tokens && name == "token"
    };
    collect(&value, &is_token, &mut found);
    let text = std::str::from_utf8(body).ok()?;
    let mut clean = text.to_owned();
    for (secret, instead) in found {
        let (secret, instead) = (quoted(&secret)?, quoted(&instead)?);
        clean = clean.replace(&secret, &instead);
        // As some write what needs no escape.
        clean = clean.replace(&secret.replace('/', "\\/"), &instead);
    }
    (clean != text).then(|| clean.into_bytes())
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

    fn removed(url: &str, body: &str) -> Option<String> {
        super::removed(url, body.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
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
    fn only_json_is_looked_at() {
        assert!(is_looked_at("application/json; charset=utf-8"));
        assert!(is_looked_at("Application/vnd.git-lfs+json"));
        assert!(!is_looked_at("text/html"));
        assert!(!is_looked_at("application/vnd.npm.install-v1+json"));
    }
}
