//! Files of archives over HTTP: several at a time, over connections that are kept.
//!
//! In: addresses, the digest and size that each file must have. Out: blobs in the store. What is
//! there isn't fetched again.

use std::io::Write;

use futures_util::{StreamExt, TryStreamExt, stream};

use reqwest::header::AUTHORIZATION;

use super::{Error, Resolver};
use crate::canon::Digest;
use crate::canon::event::Work;
use crate::inputs::http::{self, Attempt, Offline, again, shown};
use crate::registry::retry;
use crate::store::Blob;

/// How many files are fetched at a time.
const AT_ONCE: usize = 8;
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
    by: &'a Resolver<'a>,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Why a file can't be had from a server.
enum Refusal {
    /// The server doesn't have it.
    Missing(String),
    /// Anything else.
    Other(Error),
}

type Failure = Attempt<Refusal>;

/// For good.
fn never(error: impl Into<Error>) -> Failure {
    Attempt::Never(Refusal::Other(error.into()))
}

impl<'a> Downloader<'a> {
    /// One with connections of its own.
    pub fn new(by: &'a Resolver<'a>) -> Result<Downloader<'a>, Error> {
        let failed = |reason: String| Error::Fetch {
            url: "packages".to_owned(),
            reason,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let client = http::client().build();
        Ok(Downloader {
            by,
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
                    return Err(never(Error::Fetch {
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
        let sizes = wanted.iter().map(|one| one.size);
        let total = sizes.fold(0, u64::saturating_add);
        let done = std::cell::Cell::new(0_u64);
        let fetched = stream::iter(wanted)
            .map(async |one| {
                let there = self.by.store.checked_blob(&one.sha256);
                let there = there.filter(|blob| blob.size == one.size);
                let blob = match there {
                    Some(blob) => blob,
                    None if self.by.offline => {
                        let url = one.urls.first().map_or("", String::as_str);
                        let digest = Some(&one.sha256);
                        return Err(Offline::new(&shown(url), digest, self.by.store).into());
                    }
                    None => {
                        self.tried(&one.urls, async |url| self.blob(url, one).await)
                            .await?
                    }
                };
                done.set(done.get().saturating_add(one.size));
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
            let attempt = async || get(url).await;
            match http::retried(&shown(url), self.by.events, attempt).await {
                Ok(got) => return Ok(got),
                Err(Attempt::Never(Refusal::Other(error))) => return Err(error),
                Err(Attempt::Never(Refusal::Missing(reason))) => {
                    missing.get_or_insert(fetch(reason));
                }
                Err(Attempt::Again(reason)) => return Err(fetch(reason)),
            }
        }
        Err(missing.unwrap_or_else(|| Error::Fetch {
            url: String::new(),
            reason: "it has no address".to_owned(),
        }))
    }

    async fn ask(&self, url: &str) -> Result<reqwest::Response, Failure> {
        let authorization = self.by.access.to_file(url, self.by.settings.login(url));
        let authorization = authorization.map_err(never)?;
        let fetch = |reason| Error::Fetch {
            url: shown(url),
            reason,
        };
        let mut request = self.client.get(url);
        if let Some(authorization) = &authorization {
            let value = http::header(authorization).map_err(|reason| never(fetch(reason)))?;
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(again)?;
        let status = response.status();
        let reason = http::refusal(status, url, authorization.is_some());
        match status.as_u16() {
            _ if status.is_success() => Ok(response),
            code if retry::is_passing(code) => Err(Attempt::Again(reason)),
            404 | 410 => Err(Attempt::Never(Refusal::Missing(reason))),
            _ => Err(never(fetch(reason))),
        }
    }

    async fn blob(&self, url: &str, wanted: &Wanted) -> Result<Blob, Failure> {
        let size = |got| {
            never(Error::Size {
                url: shown(url),
                expected: wanted.size,
                got,
            })
        };
        let mut body = self.ask(url).await?.bytes_stream();
        let mut writer = self.by.store.write_blob().map_err(never)?;
        while let Some(part) = body.next().await {
            let written = writer.write_all(&part.map_err(again)?);
            written.map_err(|error| {
                never(Error::Fetch {
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
                Err(never(Error::DigestMismatch {
                    url: shown(url),
                    expected,
                    got,
                }))
            }
            Ok(Err(error)) => Err(never(error)),
            Err(error) => Err(Attempt::Again(error.to_string())),
        }
    }
}
