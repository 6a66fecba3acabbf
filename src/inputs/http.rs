//! One file from an HTTP server, by the digest that it must have, or whatever it is.
//!
//! In: a URL, and maybe a sha256. Out: a blob in the store. What has a digest and is in the store
//! is not fetched again.

use std::io::Write;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::access::{self, Authorization};
use crate::canon::event::Events;
use crate::canon::{Digest, login};
use crate::registry::retry;
use crate::store::{Blob, Store};

/// Why a file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The transfer.
    #[error("can't fetch `{url}`: {reason}")]
    Fetch {
        /// From where, without its query, which may hold a secret.
        url: String,
        /// Why.
        reason: String,
    },
    /// Other bytes than the recipe says.
    #[error(
        "`{url}` is not what {by} says\n  expected {expected}\n  got      {got}\n  cause: the server changed it, or the transfer was tampered with; nothing was stored\nhint: if the new bytes are meant, {}", by.way_out(url)
    )]
    DigestMismatch {
        /// From where.
        url: String,
        /// Who says what it is.
        by: By,
        /// As the recipe has it.
        expected: Digest,
        /// As it is.
        got: Digest,
    },
    /// Nothing outside is to be asked.
    #[error(transparent)]
    Offline(#[from] Offline),
    /// A secret for the server.
    #[error(transparent)]
    Secret(#[from] super::access::BadSecret),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

/// Something that only the network could bring, in a build that may not use it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, and `--offline` keeps the build off the network\nhint: {BRING}")]
pub struct Offline {
    /// What, and how it is with it in the store.
    what: String,
}

impl Offline {
    /// What is at `url`, which must have that digest, if one is given.
    pub fn new(url: &str, digest: Option<&Digest>, store: &Store) -> Offline {
        let what = match digest {
            None => format!("`{url}` is not in the store"),
            Some(digest) if store.blob(digest).is_some() => {
                format!("`{url}` is damaged in the store, as its blob {digest} has other bytes")
            }
            Some(digest) => format!("`{url}` ({digest}) is not in the store"),
        };
        Offline { what }
    }
}

/// The way out where something isn't in the store and nothing is to be fetched.
pub const BRING: &str = "`cairn pull --inputs` or a build without `--offline` brings it";

/// Who says what a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The recipe.
    Recipe,
    /// The recipe, or a source policy that changes what it says.
    Policy,
    /// The lock.
    Lock,
    /// A provenance that the lock begins with.
    Provenance,
}

impl By {
    fn way_out(self, url: &str) -> String {
        match self {
            By::Recipe => "put their digest into the recipe".to_owned(),
            By::Policy => "put their digest where it stands".to_owned(),
            By::Lock => format!("take them into the lock: `cairn lock --update {url}`"),
            By::Provenance => "lock it without the provenance".to_owned(),
        }
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            By::Recipe => "the recipe",
            By::Policy => "the recipe or the source policy",
            By::Lock => "the lock",
            By::Provenance => "the provenance",
        })
    }
}

/// A file to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where it is.
    pub url: &'a str,
    /// What proves who asks: for that address alone, not for where it leads.
    pub authorization: Option<&'a Authorization>,
    /// What it must be, and who says so.
    pub digest: Option<(&'a Digest, By)>,
    /// Whether it may only come from the store.
    pub offline: bool,
}

const TRIES: u32 = 4;

/// Largest file that is fetched, in bytes.
const LARGEST: u64 = 1 << 40;

/// A file that was fetched.
pub struct Fetched {
    /// What it holds.
    pub blob: Blob,
    /// `Last-Modified`, in seconds since 1970: of what has no digest alone, as it is no part of
    /// what a digest names.
    pub modified: Option<i64>,
}

/// The file that is wanted; it must have that digest, if one is given.
pub fn fetch(wanted: Wanted<'_>, store: &Store, events: &Events) -> Result<Fetched, Error> {
    let Wanted { url, digest, .. } = wanted;
    // All that it will be is taken from it, so a damaged one would be another input.
    if let Some(blob) = digest.and_then(|(digest, _)| store.checked_blob(digest)) {
        let modified = None;
        return Ok(Fetched { blob, modified });
    }
    let shown = shown(url);
    if wanted.offline {
        let digest = digest.map(|(digest, _)| digest);
        return Err(Offline::new(&shown, digest, store).into());
    }
    let failed = |reason: String| Error::Fetch {
        url: shown.clone(),
        reason,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let attempt = async || attempt_once(wanted, &shown, store).await;
    runtime
        .block_on(retried(&shown, events, attempt))
        .map_err(|failure| match failure {
            Attempt::Again(reason) => failed(reason),
            Attempt::Never(error) => error,
        })
}

/// Where the server of the repository at `url` has it today, if elsewhere on the same server: what
/// proves who asks goes to no other.
pub(super) fn moved_repository(url: &str, authorization: &Authorization) -> Option<String> {
    const QUESTION: &str = "/info/refs?service=git-upload-pack";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let own = reqwest::Url::parse(url).ok()?.origin();
    let policy = reqwest::redirect::Policy::custom(move |attempt| {
        let is_same = attempt.url().origin() == own;
        match is_same && attempt.previous().len() < 10 {
            true => attempt.follow(),
            false => attempt.stop(),
        }
    });
    let client = client().redirect(policy).build().ok()?;
    let value = header(authorization).ok()?;
    let question = format!("{}{QUESTION}", url.trim_end_matches('/'));
    let request = client.get(&question).header(AUTHORIZATION, value);
    // Timers can only be made inside the runtime.
    let response = runtime.ok()?.block_on(async { request.send().await });
    let response = response.ok()?;
    let place = response.url().as_str().strip_suffix(QUESTION)?;
    (response.status().is_success() && place != url).then(|| place.to_owned())
}

/// A client as all that is fetched here has it.
pub(super) fn client() -> reqwest::ClientBuilder {
    // A second installation is refused, and the first serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent("cairn")
        .connect_timeout(Duration::from_secs(30))
        .read_timeout(Duration::from_secs(60))
}

/// Why an attempt failed.
pub(super) enum Attempt<E> {
    /// The next one may do better.
    Again(String),
    /// For good.
    Never(E),
}

/// What comes of `attempt`, which is made again, at growing distances, where that may help.
/// `shown` is what it is about, for people.
pub(super) async fn retried<T, E>(
    shown: &str,
    events: &Events,
    attempt: impl AsyncFn() -> Result<T, Attempt<E>>,
) -> Result<T, Attempt<E>> {
    let mut delay = Duration::from_millis(200);
    for next in 2..=TRIES {
        let reason = match attempt().await {
            Err(Attempt::Again(reason)) => reason,
            other => return other,
        };
        let wait = delay.as_secs_f64();
        events.note(format!(
            "`{shown}`: {reason}; retrying in {wait:.1} s, attempt {next} of {TRIES}"
        ));
        tokio::time::sleep(delay).await;
        delay *= 4;
    }
    attempt().await
}

/// An address for people: without its query, which may hold a secret, and without a login.
pub(super) fn shown(url: &str) -> String {
    login::redacted(url.split(['?', '#']).next().unwrap_or(url))
}

/// A transfer that broke off, with all its causes.
pub(super) fn again<E>(error: reqwest::Error) -> Attempt<E> {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let all = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    Attempt::Again(all.collect::<Vec<_>>().join(": "))
}

/// A header that proves who asks; why there can be none.
pub(super) fn header(authorization: &Authorization) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(authorization.value());
    let mut value = value.map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a server's refusal means for who asked it for `url`.
pub(super) fn refusal(status: StatusCode, url: &str, is_shown_who: bool) -> String {
    let answer = format!("the server answers {status}");
    if !matches!(status.as_u16(), 401 | 403) || is_shown_who {
        return answer;
    }
    let (host, _) = access::host(url);
    format!(
        "{answer}\nhint: what it asks for can be given: `--secret id=HTTP_AUTH_TOKEN_{host},env=NAME`"
    )
}

async fn attempt_once(
    wanted: Wanted<'_>,
    shown: &str,
    store: &Store,
) -> Result<Fetched, Attempt<Error>> {
    let Wanted {
        url,
        authorization,
        digest,
        ..
    } = wanted;
    let never = |reason: String| {
        Attempt::Never(Error::Fetch {
            url: shown.to_owned(),
            reason,
        })
    };
    let client = client().build().map_err(again)?;
    let mut request = client.get(url);
    if let Some(authorization) = authorization {
        let value = header(authorization).map_err(never)?;
        request = request.header(AUTHORIZATION, value);
    }
    let response = request.send().await.map_err(again)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Attempt::Again(format!("the server answers {status}")));
    }
    if !status.is_success() {
        return Err(never(refusal(status, url, authorization.is_some())));
    }
    let modified = response.headers().get(reqwest::header::LAST_MODIFIED);
    let modified = modified.and_then(|date| retry::since_1970(date.to_str().ok()?));
    let mut writer = store
        .write_blob()
        .map_err(|error| Attempt::Never(error.into()))?;
    let mut body = response.bytes_stream();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(again)?;
        writer
            .write_all(&bytes)
            .map_err(|error| never(error.to_string()))?;
        if writer.size() > LARGEST {
            return Err(never(format!("it is larger than {LARGEST} bytes")));
        }
    }
    let Some((digest, by)) = digest else {
        let blob = writer.finish();
        let blob = blob.map_err(|error| Attempt::Never(error.into()))?;
        return Ok(Fetched { blob, modified });
    };
    match writer.finish_as(shown, digest) {
        Err(crate::store::Error::DigestMismatch { expected, got, .. }) => {
            Err(Attempt::Never(Error::DigestMismatch {
                url: shown.to_owned(),
                by,
                expected,
                got,
            }))
        }
        Err(error) => Err(Attempt::Never(error.into())),
        Ok(blob) => Ok(Fetched {
            blob,
            modified: None,
        }),
    }
}
