//! Uploading one blob.
//!
//! In: a blob of the store, and repositories that may have it. Out: the blob in the registry
//! (distribution-spec, "Pushing blobs"): it is there already, or is mounted, or is sent: a small
//! one in one request, a large one in chunks, so that what broke goes on at the byte that the
//! registry says it has. A registry that takes no chunks gets it in one piece. Memory holds a
//! buffer of it at most.

use std::sync::{Arc, Mutex};

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Response, Url};

use super::auth::Scope;
use super::error::Error;
use super::link::{Ask, Body, Link};
use super::push::{check_digest, exists};
use super::resolve::header_text;
use super::retry;
use crate::canon::event::{Outcome, Work};
use crate::store::Blob;

/// Where an upload goes on.
struct Session {
    url: Url,
    /// Bytes that the registry has.
    offset: u64,
    /// The smallest chunk that it takes, but for the last.
    least: u64,
}

/// How an attempt can fail.
enum Failure {
    /// For good.
    Final(Error),
    /// This session is lost; another may do.
    Again(Error),
    /// The registry takes no chunks.
    NoChunks,
}

/// The work's life is shared with the bodies that report to it.
#[derive(Clone)]
struct Progress(Arc<Mutex<Option<Work>>>);

impl Progress {
    fn say(&self, bytes: u64, total: u64) {
        if let Some(work) = &*self.0.lock().unwrap_or_else(|held| held.into_inner()) {
            work.progress(bytes, Some(total));
        }
    }

    fn finish(&self, outcome: Outcome) {
        let mut work = self.0.lock().unwrap_or_else(|held| held.into_inner());
        if let Some(work) = work.take() {
            work.finish(outcome);
        }
    }
}

struct Upload<'a> {
    link: &'a Link,
    blob: &'a Blob,
    what: String,
    progress: Progress,
}

pub(super) async fn upload(
    link: &Link,
    blob: &Blob,
    sources: &[String],
    work: Work,
) -> Result<(), Error> {
    let upload = Upload {
        link,
        blob,
        what: format!("blob {}", blob.digest),
        progress: Progress(Arc::new(Mutex::new(Some(work)))),
    };
    let result = upload.run(sources).await;
    upload.progress.finish(match &result {
        Ok(outcome) => *outcome,
        Err(_) => Outcome::Failed,
    });
    result.map(drop)
}

impl Upload<'_> {
    async fn run(&self, sources: &[String]) -> Result<Outcome, Error> {
        let (mut failures, mut in_chunks) = (0, true);
        let rest = format!("blobs/{}", self.blob.digest);
        loop {
            if exists(self.link, &self.what, &rest).await? {
                return Ok(match failures {
                    0 => Outcome::Cached,
                    _ => Outcome::Done,
                });
            }
            let mut session = None;
            if failures == 0 && in_chunks {
                match self.mount(sources).await {
                    Mount::Done => return Ok(Outcome::Cached),
                    Mount::Session(begun) => session = Some(begun),
                    Mount::No => {}
                }
            }
            let session = match session {
                Some(session) => session,
                None => self.begin().await?,
            };
            let is_small = self.blob.size <= self.link.inner.chunk;
            let sent = match in_chunks && !is_small {
                true => self.in_chunks(session).await,
                false => self.in_one(session).await,
            };
            match sent {
                Ok(()) => return Ok(Outcome::Done),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::NoChunks) => {
                    let host = self.link.host();
                    let events = &self.link.inner.events;
                    events.debug(format!("{host}: takes no chunks, so in one piece"));
                    in_chunks = false;
                }
                Err(Failure::Again(error)) => {
                    failures += 1;
                    let tries = self.link.tries;
                    self.link.wait_or(error, failures, tries, None).await?;
                }
            }
        }
    }

    fn at(&self, method: Method, url: &Url) -> Ask {
        Ask {
            what: self.what.clone(),
            method,
            url: url.clone(),
            scope: Scope::PUSH,
            headers: header::HeaderMap::new(),
            body: Body::None,
        }
    }

    /// Asks for the blob to be taken from another repository. Whatever goes wrong with it, the
    /// blob can still be sent.
    async fn mount(&self, sources: &[String]) -> Mount {
        let mut begun = Mount::No;
        for source in sources {
            let asked = self.ask_to_mount(source).await;
            let (events, host) = (&self.link.inner.events, self.link.host());
            match asked {
                Ok(Mount::Done) => {
                    events.debug(format!("{host}: {} mounted from `{source}`", self.what));
                    return Mount::Done;
                }
                Ok(Mount::Session(session)) => {
                    if let Mount::Session(unused) = begun {
                        self.cancel(unused).await;
                    }
                    begun = Mount::Session(session);
                }
                Ok(Mount::No) => {}
                Err(error) => events.debug(format!(
                    "{host}: {} isn't mounted from `{source}`: {error}",
                    self.what
                )),
            }
        }
        begun
    }

    async fn ask_to_mount(&self, source: &str) -> Result<Mount, Error> {
        let mut url = self.link.url("blobs/uploads/").await?;
        url.query_pairs_mut()
            .append_pair("mount", &self.blob.digest.to_string())
            .append_pair("from", source);
        let mut ask = self.at(Method::POST, &url);
        ask.scope.from = Some(source.to_owned());
        let response = self.link.send(&ask).await?;
        match response.status().as_u16() {
            201 => Ok(Mount::Done),
            202 => Ok(Mount::Session(self.session(&response)?)),
            _ => Err(self.link.refused(response, &self.what).await),
        }
    }

    /// Tells the registry that a session is not needed; it would end by itself.
    async fn cancel(&self, session: Session) {
        let ask = self.at(Method::DELETE, &session.url);
        let _ = self.link.send_tries(&ask, 1).await;
    }

    async fn begin(&self) -> Result<Session, Error> {
        let url = self.link.url("blobs/uploads/").await?;
        let response = self.link.send(&self.at(Method::POST, &url)).await?;
        match response.status().as_u16() {
            202 => self.session(&response),
            _ => Err(self.link.refused(response, &self.what).await),
        }
    }

    fn session(&self, response: &Response) -> Result<Session, Error> {
        let least = header_text(response, "oci-chunk-min-length");
        Ok(Session {
            url: self.link.location(response, &self.what)?,
            offset: 0,
            least: least.and_then(|least| least.parse().ok()).unwrap_or(0),
        })
    }

    fn piece(&self, offset: u64, length: u64) -> Body {
        let (progress, total) = (self.progress.clone(), self.blob.size);
        Body::Piece {
            path: self.blob.path().to_owned(),
            offset,
            length,
            sent: Arc::new(move |bytes| progress.say(bytes, total)),
        }
    }

    async fn in_one(&self, session: Session) -> Result<(), Failure> {
        let mut ask = self.last(&session);
        ask.body = self.piece(0, self.blob.size);
        self.finish(&ask).await
    }

    /// The request that ends a session.
    fn last(&self, session: &Session) -> Ask {
        let mut url = session.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &self.blob.digest.to_string());
        let mut ask = self.at(Method::PUT, &url);
        let binary = HeaderValue::from_static("application/octet-stream");
        ask.headers.insert(header::CONTENT_TYPE, binary);
        ask
    }

    async fn finish(&self, ask: &Ask) -> Result<(), Failure> {
        let response = self.once(ask).await?;
        if !response.status().is_success() {
            let error = self.link.refused(response, &self.what).await;
            return Err(failure(error));
        }
        check_digest(self.link, &response, &self.what, &self.blob.digest).map_err(Failure::Final)
    }

    /// Sends without trying again by itself: the registry may have kept a part.
    async fn once(&self, ask: &Ask) -> Result<Response, Failure> {
        self.link.send_tries(ask, 1).await.map_err(failure)
    }

    async fn in_chunks(&self, mut session: Session) -> Result<(), Failure> {
        let size = self.blob.size;
        // What it loses of what it had is sent again, but not for ever.
        let (mut failures, mut furthest) = (0, 0);
        while session.offset < size {
            let start = session.offset;
            let chunk = self.link.inner.chunk.max(session.least);
            let length = chunk.min(size - start);
            let mut ask = self.at(Method::PATCH, &session.url);
            let binary = HeaderValue::from_static("application/octet-stream");
            ask.headers.insert(header::CONTENT_TYPE, binary);
            // distribution-spec's form, which has no unit.
            let range = HeaderValue::try_from(format!("{start}-{}", start + length - 1));
            if let Ok(range) = range {
                ask.headers.insert(header::CONTENT_RANGE, range);
            }
            ask.body = self.piece(start, length);
            let error = match self.once(&ask).await {
                Ok(response) if response.status().is_success() => {
                    self.advance(&mut session, &response, start + length)?;
                    if session.offset > furthest {
                        (failures, furthest) = (0, session.offset);
                    }
                    if session.offset > start {
                        continue;
                    }
                    self.link
                        .nonsense(&self.what, "it keeps nothing of a chunk")
                }
                Ok(response) => match response.status().as_u16() {
                    400 | 404 | 405 | 411 | 415 | 501 if start == 0 => {
                        return Err(Failure::NoChunks);
                    }
                    416 => self.link.refused(response, &self.what).await,
                    _ => return Err(failure(self.link.refused(response, &self.what).await)),
                },
                Err(Failure::Again(error)) => error,
                Err(other) => return Err(other),
            };
            failures += 1;
            let tries = self.link.tries;
            let waited = self.link.wait_or(error, failures, tries, None).await;
            waited.map_err(Failure::Final)?;
            self.ask_where(&mut session).await?;
        }
        self.finish(&self.last(&session)).await
    }

    /// Asks a session how far it is.
    async fn ask_where(&self, session: &mut Session) -> Result<(), Failure> {
        let ask = self.at(Method::GET, &session.url);
        let sent = self.link.send(&ask).await;
        let response = sent.map_err(failure)?;
        // A registry that has forgotten the session, or never tells: from the start.
        if !response.status().is_success() {
            let error = self.link.refused(response, &self.what).await;
            return Err(Failure::Again(error));
        }
        let reported = header_text(&response, header::RANGE.as_str());
        let Some(offset) = reported.and_then(|range| end_of_range(&range)) else {
            let reason = "it doesn't say how far the upload is";
            return Err(Failure::Again(self.link.nonsense(&self.what, reason)));
        };
        self.advance(session, &response, offset)?;
        let host = self.link.host();
        self.link.inner.events.debug(format!(
            "{host}: {} goes on at byte {}",
            self.what, session.offset
        ));
        Ok(())
    }

    /// Takes over what an answer says of the session; `sent` is how far it should be.
    fn advance(
        &self,
        session: &mut Session,
        response: &Response,
        sent: u64,
    ) -> Result<(), Failure> {
        if response.headers().contains_key(header::LOCATION) {
            let url = self.link.location(response, &self.what);
            session.url = url.map_err(Failure::Final)?;
        }
        let reported = header_text(response, header::RANGE.as_str());
        session.offset = match reported.and_then(|range| end_of_range(&range)) {
            Some(offset) if offset > self.blob.size => {
                let reason = "it has more of the upload than was sent";
                return Err(Failure::Again(self.link.nonsense(&self.what, reason)));
            }
            Some(offset) => offset,
            None => sent,
        };
        Ok(())
    }
}

enum Mount {
    Done,
    Session(Session),
    No,
}

/// Whether another session may do better.
fn failure(error: Error) -> Failure {
    match &error {
        Error::Unreachable { .. } => Failure::Again(error),
        Error::Status { status, .. } if retry::is_passing(*status) => Failure::Again(error),
        _ => Failure::Final(error),
    }
}

/// The number of bytes of `0-99`, or of `bytes=0-99`. `0-0` is what registries say of nothing as
/// well as of one byte: nothing is the better guess, for a wrong one is answered with 416.
fn end_of_range(range: &str) -> Option<u64> {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (start, end) = range.trim().split_once('-')?;
    match (start.parse::<u64>().ok()?, end.parse::<u64>().ok()?) {
        (0, 0) => Some(0),
        (0, end) => end.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_many_bytes_are_there() {
        for (range, bytes) in [
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("0-0", Some(0)),
            ("5-9", None),
            ("0-18446744073709551615", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(end_of_range(range), bytes, "{range}");
        }
    }
}
