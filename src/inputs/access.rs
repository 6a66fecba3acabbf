//! What servers are shown to let cairn in.
//!
//! In: the secrets and the agent that the caller gives, and the login of an address. Out:
//! [`Authorization`], the value of a header, for one address. It goes to that address alone, and
//! into no key, log, list of processes or store.
//!
//! The names of the secrets are BuildKit's: for git `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN`, with
//! `.HOST` for one host alone; for other files `HTTP_AUTH_HEADER_HOST` and `HTTP_AUTH_TOKEN_HOST`.
//! A header is sent as it is, of a token what its kind makes of it. They go before a login.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::canon::{Login, base64};

/// What the caller gives.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Secrets by name.
    pub secrets: &'a BTreeMap<String, Vec<u8>>,
    /// The socket of the SSH agent that git asks.
    pub agent: Option<&'a Path>,
}

/// A secret that no header can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret `{0}` is empty, or holds what no HTTP header can\nhint: give it the text of the token or header alone"
)]
pub struct BadSecret(String);

/// The value of an `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    value: String,
    /// Whether it is from an address, and with that of its server.
    is_login: bool,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authorization(…)")
    }
}

impl Authorization {
    /// The value, for who sends it.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Up to where the repositories are that are asked in the same way as `url`, such as
    /// submodules: with a login all of that server, as git takes it along to addresses that are
    /// relative to this one; of one great host all, as other people's tools have it; else the
    /// repository alone.
    pub fn scope<'u>(&self, url: &'u str) -> &'u str {
        if self.is_login {
            let start = url.find("://").map_or(0, |at| at + "://".len());
            let end = url[start..].find('/').map_or(url.len(), |at| start + at);
            return &url[..end];
        }
        let shared = ["https://github.com/", "https://www.github.com/"];
        let shared = shared.iter().find(|prefix| url.starts_with(**prefix));
        shared.map_or(url, |prefix| &url[..prefix.len()])
    }

    fn secret(value: String) -> Authorization {
        Authorization {
            value,
            is_login: false,
        }
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", base64::encode(pair.as_bytes()))
    }

    fn login(login: &Login) -> Authorization {
        Authorization {
            value: Authorization::basic(&login.pair()),
            is_login: true,
        }
    }
}

impl Access<'_> {
    /// For a file at `url`.
    pub fn to_file(
        &self,
        url: &str,
        login: Option<&Login>,
    ) -> Result<Option<Authorization>, BadSecret> {
        let (name, _) = host(url);
        let token = self.secret(&format!("HTTP_AUTH_TOKEN_{name}"))?;
        let header = self.secret(&format!("HTTP_AUTH_HEADER_{name}"))?;
        Ok(match (token, header) {
            (Some(token), _) => Some(Authorization::secret(format!("Bearer {token}"))),
            (None, Some(header)) => Some(Authorization::secret(header)),
            (None, None) => login.map(Authorization::login),
        })
    }

    /// For git at `url`; none where git asks with other means.
    pub fn to_repository(
        &self,
        url: &str,
        login: Option<&Login>,
    ) -> Result<Option<Authorization>, BadSecret> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Ok(None);
        }
        let (_, with_port) = host(url);
        for suffix in [format!(".{with_port}"), String::new()] {
            if let Some(header) = self.secret(&format!("GIT_AUTH_HEADER{suffix}"))? {
                return Ok(Some(Authorization::secret(header)));
            }
            if let Some(token) = self.secret(&format!("GIT_AUTH_TOKEN{suffix}"))? {
                let pair = format!("x-access-token:{token}");
                return Ok(Some(Authorization::secret(Authorization::basic(&pair))));
            }
        }
        Ok(login.map(Authorization::login))
    }

    /// A secret, without the line end that files have.
    fn secret(&self, name: &str) -> Result<Option<String>, BadSecret> {
        let Some(secret) = self.secrets.get(name) else {
            return Ok(None);
        };
        let bad = || BadSecret(name.to_owned());
        let text = std::str::from_utf8(secret).map_err(|_| bad())?;
        let text = text.trim_end_matches(['\r', '\n']);
        match text.is_empty() || text.chars().any(char::is_control) {
            true => Err(bad()),
            false => Ok(Some(text.to_owned())),
        }
    }
}

/// The host of an HTTP address, without its port and with it.
pub(super) fn host(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, _)) if !authority.ends_with(']') => name,
        _ => authority,
    };
    let name = name.strip_prefix('[').unwrap_or(name);
    (name.strip_suffix(']').unwrap_or(name), authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(secrets: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        secrets.iter().map(owned).collect()
    }

    fn shown(asked: Result<Option<Authorization>, BadSecret>) -> String {
        asked.unwrap().map_or_else(String::new, |given| given.value)
    }

    #[test]
    fn the_secret_of_the_host_goes_first() {
        let url = "https://a.test:8443/b.git";
        let (_, login) = crate::canon::login::split("https://me:pw@a.test/");
        let names = [
            ("GIT_AUTH_HEADER.a.test:8443", "one\n", "one"),
            (
                "GIT_AUTH_TOKEN.a.test:8443",
                "t",
                "Basic eC1hY2Nlc3MtdG9rZW46dA==",
            ),
            ("GIT_AUTH_HEADER", "three", "three"),
            ("GIT_AUTH_TOKEN", "t", "Basic eC1hY2Nlc3MtdG9rZW46dA=="),
            ("GIT_AUTH_TOKEN.a.test", "other", "Basic bWU6cHc="),
        ];
        for first in 0..names.len() {
            let rest: Vec<_> = names[first..].iter().map(|row| (row.0, row.1)).collect();
            let secrets = given(&rest);
            let access = Access {
                secrets: &secrets,
                agent: None,
            };
            let asked = access.to_repository(url, login.as_ref());
            assert_eq!(shown(asked), names[first].2, "{rest:?}");
            assert_eq!(shown(access.to_repository("ssh://a.test:8443/b", None)), "");
        }
    }

    #[test]
    fn files_have_secrets_of_their_host_alone() {
        let secrets = given(&[
            ("HTTP_AUTH_HEADER_a.test", "Basic x"),
            ("HTTP_AUTH_TOKEN_b.test", "t"),
            ("HTTP_AUTH_TOKEN_::1", "six"),
            ("HTTP_AUTH_TOKEN_c.test", "a\nX-Other: b"),
            ("GIT_AUTH_TOKEN", "no"),
        ]);
        let access = Access {
            secrets: &secrets,
            agent: None,
        };
        for (url, expected) in [
            ("http://a.test:80/x", "Basic x"),
            ("http://b.test", "Bearer t"),
            ("http://[::1]:80/x", "Bearer six"),
            ("http://[::1]/x", "Bearer six"),
            ("http://d.test/x", ""),
        ] {
            assert_eq!(shown(access.to_file(url, None)), expected, "{url}");
        }
        let bad = access.to_file("http://c.test/", None).unwrap_err();
        assert!(!bad.to_string().contains("X-Other"));
    }

    #[test]
    fn what_is_shown_is_for_one_repository_or_server() {
        let (_, login) = crate::canon::login::split("https://me:pw@a.test/");
        let login = Authorization::login(&login.unwrap());
        let secret = Authorization::secret("x".to_owned());
        for (url, of_login, of_secret) in [
            (
                "http://a.test:80/b/c.git",
                "http://a.test:80",
                "http://a.test:80/b/c.git",
            ),
            ("http://a.test", "http://a.test", "http://a.test"),
            (
                "https://github.com/a/b",
                "https://github.com",
                "https://github.com/",
            ),
            (
                "https://github.com.test/a",
                "https://github.com.test",
                "https://github.com.test/a",
            ),
        ] {
            assert_eq!((login.scope(url), secret.scope(url)), (of_login, of_secret));
        }
    }
}
