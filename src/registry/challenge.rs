//! `WWW-Authenticate`: what a registry wants to know before it answers.
//!
//! In: the header's values. Out: [`Challenge`]s (RFC 9110, section 11.6.1; distribution-spec's
//! token authentication: `Bearer realm="…",service="…",scope="…"`). Pure.

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A user and a password.
    Basic,
    /// A token, which `realm` hands out.
    Bearer {
        /// A URL.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
        /// What the token is to be for.
        scope: Option<String>,
    },
}

/// The challenges of one header value; schemes that cairn doesn't know are left out, and so is
/// what can't be read.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let (scheme, after) = token(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = parameters(after);
        let get = |name: &str| {
            let found = parameters
                .iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            challenges.push(Challenge::Bearer {
                realm,
                service: get("service"),
                scope: get("scope"),
            });
        }
        rest = after;
    }
    challenges
}

/// `name=value` pairs up to the next scheme, and what follows them.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        let (name, after) = token(rest);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            return (parameters, rest);
        };
        if name.is_empty() {
            return (parameters, "");
        }
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, after) = token(value);
                (value.to_owned(), after)
            }
        };
        parameters.push((name.to_owned(), value));
        rest = after;
    }
}

/// Up to the quote that ends the text, without its escapes, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &text[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_of_real_registries() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/alpine:pull,push"),
                )],
            ),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"BASIC realm="a, b", bearer Realm = "https://t/\"x\"" , service=s"#,
                vec![Challenge::Basic, bearer("https://t/\"x\"", Some("s"), None)],
            ),
            (r#"Negotiate, Basic realm="x""#, vec![Challenge::Basic]),
            ("Bearer", vec![]),
            ("Bearer service=\"no realm\"", vec![]),
            ("", vec![]),
            (",,,=\"", vec![]),
            ("Bearer realm=\"open", vec![bearer("open", None, None)]),
        ] {
            assert_eq!(parse(header), expected, "{header}");
        }
    }
}
