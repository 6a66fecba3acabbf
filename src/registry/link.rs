//! A link to one host: requests with credentials, redirects and retries.
//!
//! In: an [`Ask`]. Out: a response, whatever it says but for what is handled here: 401 (a token
//! is fetched, once), 403, 429 and 5xx (asked again later), redirects of GET and HEAD (followed;
//! credentials and headers of hosts.toml only go to the host that they are for).
//!
//! `oci-client` isn't what sends these: its answers lack the headers that say when to come back
//! (`Retry-After`), where an upload goes on (`Location`, `Range`), it reads bodies of any length
//! into memory, and can't send hosts.toml's headers or paths.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, Url};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::auth::Scope;
use super::challenge::{self, Challenge};
use super::client::Inner;
use super::connection::{Connection, causes, is_same_origin};
use super::error::Error;
use super::hosts::Endpoint;
use super::retry;

/// One host in use.
pub(super) struct Link {
    pub(super) inner: Arc<Inner>,
    pub(super) endpoint: Endpoint,
    pub(super) connection: Arc<Connection>,
    /// How often a request is made before it counts as failed.
    pub(super) tries: u32,
}

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    /// For messages: `manifest x of y`.
    pub(super) what: String,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scope: Scope,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// What is sent along.
#[derive(Clone)]
pub(super) enum Body {
    None,
    Bytes(Bytes),
    /// A piece of a file, read while it is sent.
    Piece {
        path: PathBuf,
        offset: u64,
        length: u64,
        /// Hears how many bytes of the file went out.
        sent: Arc<dyn Fn(u64) + Send + Sync>,
    },
}

/// Longest redirect chain: what browsers allow, halved.
const REDIRECTS: usize = 10;
/// Bytes of an error's body that are read.
const LARGEST_REFUSAL: u64 = 64 << 10;

impl Link {
    /// The host, for messages.
    pub(super) fn host(&self) -> String {
        self.endpoint.host.clone()
    }

    /// The URL of `rest` (`manifests/…`, `blobs/…`) in the repository.
    pub(super) async fn url(&self, rest: &str) -> Result<Url, Error> {
        let Endpoint {
            host,
            path,
            repository,
            namespace,
            ..
        } = &self.endpoint;
        let scheme = self.connection.scheme(&self.inner.events).await?;
        let url = format!("{scheme}://{host}{path}/{repository}/{rest}");
        let mut url = Url::parse(&url).map_err(|error| Error::Unreachable {
            host: host.clone(),
            cause: format!("`{url}`: {error}"),
        })?;
        if let Some(namespace) = namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        Ok(url)
    }

    /// A request without headers or body.
    pub(super) async fn ask(
        &self,
        what: &str,
        method: Method,
        rest: &str,
        scope: Scope,
    ) -> Result<Ask, Error> {
        Ok(Ask {
            what: what.to_owned(),
            method,
            url: self.url(rest).await?,
            scope,
            headers: HeaderMap::new(),
            body: Body::None,
        })
    }

    /// Sends, with everything that the module's head says.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response, Error> {
        self.send_tries(ask, self.tries).await
    }

    /// As [`Link::send`], with a number of tries of its own.
    pub(super) async fn send_tries(&self, ask: &Ask, tries: u32) -> Result<Response, Error> {
        let mut authorization = self.inner.cached_authorization(self, &ask.scope).await;
        let mut was_refused = false;
        let mut failures = 0;
        loop {
            let response = match self.follow(ask, authorization.as_ref()).await {
                Ok(response) => response,
                Err(error @ Error::Unreachable { .. }) => {
                    failures += 1;
                    self.wait_or(error, failures, tries, None).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let status = response.status().as_u16();
            match status {
                401 if !was_refused => {
                    was_refused = true;
                    let challenges = challenges(response.headers());
                    drop(response);
                    let old = authorization.take();
                    let fetched = self
                        .inner
                        .authorize(self, &ask.scope, &challenges, old.as_ref())
                        .await?;
                    authorization = Some(fetched);
                }
                401 | 403 => {
                    let answer = refusal(response).await;
                    return Err(self.unauthorised(status, &answer));
                }
                _ if retry::is_passing(status) => {
                    failures += 1;
                    let wish = retry_after(response.headers());
                    let error = self.refused(response, &ask.what).await;
                    self.wait_or(error, failures, tries, wish).await?;
                }
                _ => return Ok(response),
            }
        }
    }

    /// Waits before the next try, or gives the error where there is none.
    pub(super) async fn wait_or(
        &self,
        error: Error,
        failures: u32,
        tries: u32,
        wish: Option<std::time::Duration>,
    ) -> Result<(), Error> {
        if failures >= tries {
            return Err(error);
        }
        let delay = retry::delay(self.inner.first_delay, failures, wish);
        let said = error.to_string();
        self.inner.events.note(format!(
            "{}; retrying in {:.1} s, attempt {} of {tries}",
            said.lines().next().unwrap_or_default(),
            delay.as_secs_f64(),
            failures + 1,
        ));
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// The error for a response with a status that wasn't expected.
    pub(super) async fn refused(&self, response: Response, what: &str) -> Error {
        let status = response.status().as_u16();
        let answer = refusal(response).await;
        match status {
            401 | 403 => self.unauthorised(status, &answer),
            404 => Error::NotFound {
                host: self.host(),
                what: what.to_owned(),
            },
            _ => Error::Status {
                host: self.host(),
                what: what.to_owned(),
                status,
                message: match answer.is_empty() {
                    true => String::new(),
                    false => format!(": {answer}"),
                },
            },
        }
    }

    pub(super) fn unauthorised(&self, status: u16, answer: &str) -> Error {
        let answer = match answer {
            "" => format!("status {status}"),
            answer => format!("status {status}: {answer}"),
        };
        Error::Unauthorised {
            host: self.host(),
            name: self.endpoint.repository.clone(),
            credentials: self.inner.credentials_used(&self.endpoint),
            answer,
        }
    }

    pub(super) fn nonsense(&self, what: &str, reason: impl Into<String>) -> Error {
        Error::Nonsense {
            host: self.host(),
            what: what.to_owned(),
            reason: reason.into(),
        }
    }

    /// Sends once, and follows redirects.
    async fn follow(
        &self,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let base = self.url("").await?;
        let mut url = ask.url.clone();
        for _ in 0..REDIRECTS {
            let is_ours = is_same_origin(&base, &url);
            let mut request = self
                .connection
                .http
                .request(ask.method.clone(), url.clone())
                .headers(ask.headers.clone());
            if is_ours {
                request = request.headers(self.own_headers()?);
                if let Some(authorization) = authorization {
                    request = request.header(header::AUTHORIZATION, authorization.clone());
                }
            }
            request = match &ask.body {
                Body::None if matches!(ask.method, Method::GET | Method::HEAD) => request,
                Body::None => request.header(header::CONTENT_LENGTH, 0),
                Body::Bytes(bytes) => request.body(bytes.clone()),
                Body::Piece {
                    path,
                    offset,
                    length,
                    sent,
                } => request
                    .header(header::CONTENT_LENGTH, *length)
                    .body(piece(path, *offset, *length, sent.clone()).await?),
            };
            let response = request
                .send()
                .await
                .map_err(|error| self.connection.failure(&error))?;
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || !matches!(ask.method, Method::GET | Method::HEAD) {
                return Ok(response);
            }
            url = self.location(&response, &ask.what)?;
            if !is_same_origin(&base, &url) {
                let host = url.host_str().unwrap_or_default();
                self.inner.events.debug(format!(
                    "{}: {} is at {host}, asked there without credentials",
                    self.endpoint.host, ask.what
                ));
            }
        }
        Err(self.nonsense(&ask.what, "it redirects again and again"))
    }

    /// Where `Location` leads.
    pub(super) fn location(&self, response: &Response, what: &str) -> Result<Url, Error> {
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let url = location.and_then(|text| response.url().join(text).ok());
        url.filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| self.nonsense(what, "its `Location` is no URL"))
    }

    fn own_headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.endpoint.headers {
            let parsed = HeaderName::try_from(name).ok().zip(
                HeaderValue::try_from(value)
                    .map(|mut value| {
                        value.set_sensitive(true);
                        value
                    })
                    .ok(),
            );
            let Some((name, value)) = parsed else {
                return Err(Error::Configuration {
                    path: self.endpoint.why.clone(),
                    reason: format!("the header `{name}` can't be sent"),
                });
            };
            headers.append(name, value);
        }
        Ok(headers)
    }
}

/// The body's bytes, at most `limit`; none where it is longer. An error is a broken connection.
pub(super) async fn read_bounded(
    response: &mut Response,
    limit: u64,
) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Ok(None);
    }
    while let Some(piece) = response.chunk().await.map_err(|error| causes(&error))? {
        if (bytes.len() + piece.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

/// What a refusing registry says: distribution-spec, "Error Codes", or its text.
pub(super) async fn refusal(mut response: Response) -> String {
    let body = read_bounded(&mut response, LARGEST_REFUSAL).await;
    let Ok(Some(body)) = body else {
        return String::new();
    };
    super::error::plain(&refusal_text(&body))
}

fn refusal_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body).trim().to_owned();
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        // A page for people says nothing here.
        return match text.starts_with('<') {
            true => String::new(),
            false => text,
        };
    };
    let word = |pointer: &str| {
        let word = value.pointer(pointer).and_then(|word| word.as_str());
        word.filter(|word| !word.is_empty())
    };
    let said = [
        "/errors/0/message",
        "/errors/0/code",
        "/details",
        "/message",
        "/error",
    ];
    said.into_iter().find_map(word).map_or(text, str::to_owned)
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(challenge::parse)
        .collect()
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<std::time::Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    retry::retry_after(text(header::RETRY_AFTER)?, text(header::DATE))
}

/// A piece of a file as a body; memory holds a buffer of it.
async fn piece(
    path: &std::path::Path,
    offset: u64,
    length: u64,
    sent: Arc<dyn Fn(u64) + Send + Sync>,
) -> Result<reqwest::Body, Error> {
    let open = async {
        let mut file = tokio::fs::File::open(path).await?;
        file.seek(std::io::SeekFrom::Start(offset)).await?;
        Ok(file)
    };
    let file = open.await.map_err(crate::store::io_error("read", path))?;
    let mut done = offset;
    let stream = tokio_util::io::ReaderStream::with_capacity(file.take(length), 256 << 10);
    let stream = stream.inspect(move |bytes| {
        if let Ok(bytes) = bytes {
            done += bytes.len() as u64;
            sent(done);
        }
    });
    Ok(reqwest::Body::wrap_stream(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_its_message_and_never_a_page() {
        for (body, said) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#,
                "not you",
            ),
            (r#"{"errors":[{"code":"DENIED","message":""}]}"#, "DENIED"),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            ("<html>...</html>", ""),
            ("too many\n", "too many"),
            ("", ""),
        ] {
            assert_eq!(refusal_text(body.as_bytes()), said);
        }
    }
}
