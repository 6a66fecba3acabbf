//! Files of archives over HTTP: several at a time, over connections that are kept.
//!
//! In: addresses, the digest and size that each file must have. Out: blobs in the store. What is
//! there isn't fetched again.

use std::io::Write;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Error;
use crate::canon::Digest;
use crate::canon::event::{Events, Work};
use crate::inputs::http::{self, Offline};
use crate::registry::retry;
use crate::store::{Blob, Store};

/// How many files are fetched at a time.
const AT_ONCE: usize = 8;
/// How often a file is asked for before it can't be had.
const TRIES: u32 = 4;
/// Largest list that is signed, in bytes: Debian's are of 150 kB.
const LARGEST_RELEASE: u64 = 16 << 20;

/// A file that is wanted.
pub struct Wanted {
    /// Where it is; the later ones are asked where the earlier ones don't have it.
    pub urls: Vec<String>,
    /// Of all of it.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
}

/// Fetches files.
pub struct Downloader<'a> {
    store: &'a Store,
    events: &'a Events,
    offline: bool,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Why an attempt failed.
enum Failure {
    /// It may do better the next time.
    Again(String),
    /// The server doesn't have it.
    Missing(String),
    /// For good.
    Never(Error),
}

impl<'a> Downloader<'a> {
    /// One with connections of its own; none of them is made where everything has to be in the
    /// store: `offline`.
    pub fn new(
        store: &'a Store,
        events: &'a Events,
        offline: bool,
    ) -> Result<Downloader<'a>, Error> {
        let failed = |reason: String| Error::Fetch {
            url: "packages".to_owned(),
            reason,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let client = http::client().build();
        Ok(Downloader {
            store,
            events,
            offline,
            client: client.map_err(|error| failed(error.to_string()))?,
            runtime: runtime.map_err(|error| failed(error.to_string()))?,
        })
    }

    /// All of a small file, which nothing is known of.
    pub fn small(&self, url: &str) -> Result<Vec<u8>, Error> {
        let urls = [url.to_owned()];
        let get = async |url: &str| {
            let mut body = self.ask(url).await?.bytes_stream();
            let mut bytes = Vec::new();
            while let Some(part) = body.next().await {
                bytes.extend_from_slice(&part.map_err(again)?);
                if bytes.len() as u64 > LARGEST_RELEASE {
                    return Err(Failure::Never(Error::Fetch {
                        url: shown(url),
                        reason: format!("it is larger than {LARGEST_RELEASE} bytes"),
                    }));
                }
            }
            Ok(bytes)
        };
        self.runtime.block_on(self.tried(&urls, get))
    }

    /// All of `wanted`, in their order. `work` is told how many bytes are there.
    pub fn blobs(&self, wanted: &[Wanted], work: &Work) -> Result<Vec<Blob>, Error> {
        let total = wanted.iter().map(|one| one.size).sum();
        let done = std::cell::Cell::new(0_u64);
        let fetched = stream::iter(wanted)
            .map(async |one| {
                let there = self.store.checked_blob(&one.sha256);
                let there = there.filter(|blob| blob.size == one.size);
                let blob = match there {
                    Some(blob) => blob,
                    None if self.offline => {
                        let url = one.urls.first().map_or("", String::as_str);
                        let digest = Some(&one.sha256);
                        return Err(Offline::new(&shown(url), digest, self.store).into());
                    }
                    None => {
                        self.tried(&one.urls, async |url| self.blob(url, one).await)
                            .await?
                    }
                };
                done.set(done.get() + one.size);
                work.progress(done.get(), Some(total));
                Ok(blob)
            })
            .buffered(AT_ONCE)
            .try_collect();
        self.runtime.block_on(fetched)
    }

    /// What `get` makes of the first of `urls` that has it.
    async fn tried<T>(
        &self,
        urls: &[String],
        get: impl AsyncFn(&str) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let mut missing = None;
        for url in urls {
            let fetch = |reason| Error::Fetch {
                url: shown(url),
                reason,
            };
            let mut delay = Duration::from_millis(200);
            for attempt in 1.. {
                match get(url).await {
                    Ok(got) => return Ok(got),
                    Err(Failure::Never(error)) => return Err(error),
                    Err(Failure::Missing(reason)) => {
                        missing.get_or_insert(fetch(reason));
                        break;
                    }
                    Err(Failure::Again(reason)) if attempt >= TRIES => return Err(fetch(reason)),
                    Err(Failure::Again(reason)) => {
                        let (wait, next) = (delay.as_secs_f64(), attempt + 1);
                        let shown = shown(url);
                        self.events.note(format!(
                            "`{shown}`: {reason}; retrying in {wait:.1} s, attempt {next} of {TRIES}"
                        ));
                        tokio::time::sleep(delay).await;
                        delay *= 4;
                    }
                }
            }
        }
        Err(missing.unwrap_or_else(|| Error::Fetch {
            url: String::new(),
            reason: "it has no address".to_owned(),
        }))
    }

    async fn ask(&self, url: &str) -> Result<reqwest::Response, Failure> {
        let response = self.client.get(url).send().await.map_err(again)?;
        let status = response.status();
        let reason = format!("the server answers {status}");
        match status.as_u16() {
            _ if status.is_success() => Ok(response),
            code if retry::is_passing(code) => Err(Failure::Again(reason)),
            404 | 410 => Err(Failure::Missing(reason)),
            _ => Err(Failure::Never(Error::Fetch {
                url: shown(url),
                reason,
            })),
        }
    }

    async fn blob(&self, url: &str, wanted: &Wanted) -> Result<Blob, Failure> {
        let never = |error: crate::store::Error| Failure::Never(error.into());
        let size = |got| {
            Failure::Never(Error::Size {
                url: shown(url),
                expected: wanted.size,
                got,
            })
        };
        let mut body = self.ask(url).await?.bytes_stream();
        let mut writer = self.store.write_blob().map_err(never)?;
        while let Some(part) = body.next().await {
            let written = writer.write_all(&part.map_err(again)?);
            written.map_err(|error| {
                Failure::Never(Error::Fetch {
                    url: shown(url),
                    reason: error.to_string(),
                })
            })?;
            if writer.size() > wanted.size {
                return Err(size(writer.size()));
            }
        }
        if writer.size() != wanted.size {
            return Err(size(writer.size()));
        }
        // Waiting for the disk must not keep the others waiting.
        let (name, digest) = (shown(url), wanted.sha256);
        let finished = tokio::task::spawn_blocking(move || writer.finish_as(&name, &digest)).await;
        match finished {
            Ok(Ok(blob)) => Ok(blob),
            Ok(Err(crate::store::Error::DigestMismatch { expected, got, .. })) => {
                Err(Failure::Never(Error::DigestMismatch {
                    url: shown(url),
                    expected,
                    got,
                }))
            }
            Ok(Err(error)) => Err(never(error)),
            Err(error) => Err(Failure::Again(error.to_string())),
        }
    }
}

/// An address without its query, which may hold a secret.
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or(url).to_owned()
}

fn again(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let all = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    Failure::Again(all.collect::<Vec<_>>().join(": "))
}
