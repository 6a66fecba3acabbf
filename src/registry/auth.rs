//! Authorization: what a registry is shown, and where it comes from.
//!
//! In: a [`Scope`] and the challenges of a 401. Out: the value of the `Authorization` header,
//! kept for as long as the registry takes it.
//!
//! distribution-spec's token authentication for users, passwords and nobody; identity tokens as
//! docker does them (OAuth 2). `oci-client` isn't what does it: it reads tokens of any length into
//! memory, and sends a password to whatever realm it finds at `/v2/`, with TLS or without.

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::challenge::Challenge;
use super::client::Inner;
use super::credentials::{self, Credential};
use super::error::Error;
use super::hosts::{Endpoint, is_loopback};
use super::link::{Link, read_bounded, refusal, retry_after};
use super::retry;

/// What a request needs to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    /// To push, and not only to pull.
    pub(super) push: bool,
    /// A second repository of the same registry, to pull from.
    pub(super) from: Option<String>,
}

impl Scope {
    pub(super) const PULL: Scope = Scope {
        push: false,
        from: None,
    };
    pub(super) const PUSH: Scope = Scope {
        push: true,
        from: None,
    };

    /// distribution-spec's token scopes.
    fn texts(&self, repository: &str) -> Vec<String> {
        let actions = if self.push { "pull,push" } else { "pull" };
        let own = format!("repository:{repository}:{actions}");
        let from = self.from.iter();
        let from = from.map(|repository| format!("repository:{repository}:pull"));
        std::iter::once(own).chain(from).collect()
    }
}

/// Largest answer of a token service, in bytes.
const LARGEST_TOKEN: u64 = 1 << 20;

type Key = (String, String, Scope);

/// What was shown with success, or may be.
#[derive(Default)]
pub(super) struct Authorizations(tokio::sync::Mutex<std::collections::BTreeMap<Key, HeaderValue>>);

fn key(endpoint: &Endpoint, scope: &Scope) -> Key {
    let place = format!("{:?} {}{}", endpoint.scheme, endpoint.host, endpoint.path);
    (place, endpoint.repository.clone(), scope.clone())
}

impl Inner {
    /// What was shown the last time.
    pub(super) async fn cached_authorization(
        &self,
        link: &Link,
        scope: &Scope,
    ) -> Option<HeaderValue> {
        let cache = self.authorizations.0.lock().await;
        cache.get(&key(&link.endpoint, scope)).cloned()
    }

    /// What to show after a 401. `refused` is what was shown before; what somebody else got in
    /// the meantime is taken first.
    pub(super) async fn authorize(
        &self,
        link: &Link,
        scope: &Scope,
        challenges: &[Challenge],
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        let key = key(&link.endpoint, scope);
        let mut cache = self.authorizations.0.lock().await;
        if let Some(kept) = cache.get(&key)
            && Some(kept) != refused
        {
            return Ok(kept.clone());
        }
        let value = self.fetch_authorization(link, scope, challenges).await?;
        cache.insert(key, value.clone());
        Ok(value)
    }

    async fn fetch_authorization(
        &self,
        link: &Link,
        scope: &Scope,
        challenges: &[Challenge],
    ) -> Result<HeaderValue, Error> {
        let credential = self.credential(&link.endpoint);
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service, .. } => Some((realm, service.as_deref())),
            Challenge::Basic => None,
        });
        if let Some((realm, service)) = bearer {
            let is_tls = link.connection.scheme(&self.events).await? == "https";
            let realm = realm_url(link, realm, is_tls && credential.is_some())?;
            let credential = credential.as_ref();
            let token = self.token(link, scope, realm, service, credential).await?;
            return header(link, format!("Bearer {token}"));
        }
        match (credential, challenges.contains(&Challenge::Basic)) {
            (Some(Credential::Password { user, password }), true) => {
                // reqwest knows how to write it, but only into a request.
                let request = link
                    .connection
                    .http
                    .get(link.url("").await?)
                    .basic_auth(user, Some(password))
                    .build();
                let value = request.ok().and_then(|request| {
                    let value = request.headers().get(reqwest::header::AUTHORIZATION);
                    value.cloned()
                });
                value.ok_or_else(|| link.unauthorised(401, "the password can't be sent"))
            }
            (Some(_), true) => Err(link.unauthorised(
                401,
                "it asks for a password, and there is an identity token",
            )),
            (None, true) => Err(link.unauthorised(401, "it asks for a user and a password")),
            (_, false) => {
                Err(link.unauthorised(401, "it asks for no kind of credentials that cairn knows"))
            }
        }
    }

    /// A token from `realm`: by GET, or for an identity token by POST (docker's oauth2 flow).
    async fn token(
        &self,
        link: &Link,
        scope: &Scope,
        realm: Url,
        service: Option<&str>,
        credential: Option<&Credential>,
    ) -> Result<String, Error> {
        let scopes = scope.texts(&link.endpoint.repository);
        let http = &link.connection.http;
        let what = "a token";
        let mut failures = 0;
        loop {
            let request = match credential {
                Some(Credential::IdentityToken(refresh)) => {
                    let scopes = scopes.join(" ");
                    let mut form = vec![
                        ("grant_type", "refresh_token"),
                        ("client_id", "cairn"),
                        ("scope", &scopes),
                        ("refresh_token", refresh),
                    ];
                    form.extend(service.map(|service| ("service", service)));
                    http.post(realm.clone())
                        .header(
                            reqwest::header::CONTENT_TYPE,
                            "application/x-www-form-urlencoded",
                        )
                        .body(encoded(&form))
                }
                _ => {
                    let mut url = realm.clone();
                    for scope in &scopes {
                        url.query_pairs_mut().append_pair("scope", scope);
                    }
                    if let Some(service) = service {
                        url.query_pairs_mut().append_pair("service", service);
                    }
                    match credential {
                        Some(Credential::Password { user, password }) => {
                            http.get(url).basic_auth(user, Some(password))
                        }
                        _ => http.get(url),
                    }
                }
            };
            let mut response = match request.send().await {
                Ok(response) => response,
                Err(error) => match link.connection.failure(&error) {
                    error @ Error::Unreachable { .. } => {
                        failures += 1;
                        link.wait_or(error, failures, link.tries, None).await?;
                        continue;
                    }
                    error => return Err(error),
                },
            };
            let status = response.status().as_u16();
            if retry::is_passing(status) {
                failures += 1;
                let wish = retry_after(response.headers());
                let error = link.refused(response, what).await;
                link.wait_or(error, failures, link.tries, wish).await?;
                continue;
            }
            if status != 200 {
                let answer = refusal(response).await;
                let host = realm.host_str().unwrap_or_default();
                let answer = format!("no token from {host}: {answer}");
                return Err(link.unauthorised(status, &answer));
            }
            let body = read_bounded(&mut response, LARGEST_TOKEN).await;
            let token = body.ok().flatten().and_then(|body| token_of(&body));
            return token.ok_or_else(|| link.nonsense(what, "there is none in it"));
        }
    }

    /// The credential for an endpoint, looked up once.
    pub(super) fn credential(&self, endpoint: &Endpoint) -> Option<Credential> {
        let key = (endpoint.host.clone(), endpoint.repository.clone());
        let mut known = self
            .credentials
            .lock()
            .unwrap_or_else(|held| held.into_inner());
        let found = known.entry(key).or_insert_with(|| {
            let (host, repository) = (&endpoint.host, &endpoint.repository);
            let warn = |message| self.events.warn(message);
            // A helper is another program, and may ask the user.
            let found = tokio::task::block_in_place(|| {
                let run = &credentials::run_helper;
                credentials::find(&self.files.auth, host, repository, run, &warn)
            });
            let source = match &found {
                Some(found) => format!("{}, {:?}", found.source, found.credential),
                None => "none found".to_owned(),
            };
            let message = format!("{host}: credentials for `{repository}`: {source}");
            self.events.debug(message);
            found
        });
        found.as_ref().map(|found| found.credential.clone())
    }

    /// Which credentials an endpoint was shown, for people.
    pub(super) fn credentials_used(&self, endpoint: &Endpoint) -> String {
        let key = (endpoint.host.clone(), endpoint.repository.clone());
        let known = self
            .credentials
            .lock()
            .unwrap_or_else(|held| held.into_inner());
        match known.get(&key) {
            Some(Some(found)) => format!("{}, {:?}", found.source, found.credential),
            _ if self.files.auth_paths.is_empty() => {
                "none, for there is no file of them".to_owned()
            }
            _ => format!("none in {}", self.files.auth_paths.join(", ")),
        }
    }
}

/// The realm as a URL; a secret that came with TLS isn't sent on without.
fn realm_url(link: &Link, realm: &str, needs_tls: bool) -> Result<Url, Error> {
    let url = Url::parse(realm)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return Err(link.nonsense("a token", "the realm of its challenge is no URL"));
    };
    let host = url.host_str().unwrap_or_default();
    let is_clear = url.scheme() == "http" && !is_loopback(host);
    if is_clear && needs_tls {
        return Err(link.unauthorised(
            401,
            &format!("it wants the credentials to be sent to {host} without TLS"),
        ));
    }
    Ok(url)
}

fn header(link: &Link, text: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| link.nonsense("a token", "it holds what no header can"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn token_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let is_there = |token: &String| !token.is_empty();
    let token = answer.token.filter(is_there);
    token.or(answer.access_token.filter(is_there))
}

/// application/x-www-form-urlencoded, by the one encoder at hand: a URL's query.
fn encoded(form: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_name_both_repositories_of_a_mount() {
        let scope = Scope {
            push: true,
            from: Some("b/c".to_owned()),
        };
        assert_eq!(
            scope.texts("a"),
            ["repository:a:pull,push", "repository:b/c:pull"]
        );
        assert_eq!(Scope::PULL.texts("a"), ["repository:a:pull"]);
    }

    #[test]
    fn either_name_of_a_token_will_do_but_not_an_empty_one() {
        for (body, token) in [
            (r#"{"token":"a"}"#, Some("a")),
            (r#"{"access_token":"b"}"#, Some("b")),
            (r#"{"token":"","access_token":"b"}"#, Some("b")),
            (r#"{"token":""}"#, None),
            ("[]", None),
            ("garbage", None),
        ] {
            assert_eq!(token_of(body.as_bytes()).as_deref(), token);
        }
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(
            encoded(&[("a", "b&c=d e"), ("f", "é")]),
            "a=b%26c%3Dd+e&f=%C3%A9"
        );
    }
}
