//! Recording: requests go to the world, and what comes is kept.
//!
//! In: requests. Out: answers as they come, and at the end a [`Record`], whose bodies are in the store.
//! What a server breaks off, or never says, isn't recorded but as no answer, where the command went
//! on without; what a program doesn't read to its end is, whole.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Error as ClientError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::body::{Body, Sink, pieces};
use super::hashing::Keeper;
use super::names::Verdict;
use super::recorded::Recorded;
use super::secrets::{self, LARGEST};
use super::serve::{Asked, Broken, not_modified, response};
use super::upstream::{Upstream, cause};
use super::{Error, Finished, Shared, canonical, dial, runtime};
use crate::lock::{self, Record};
use crate::sandbox::network::destination::Reach;
use crate::store::{Batch, Store};

/// Until a body of which nothing comes counts as broken.
const SILENCE: Duration = Duration::from_secs(120);
/// How long answers may take to their end after the step has ended.
const REST: Duration = Duration::from_secs(300);

/// Bytes that are taken of an answer after the program has hung up: all of it belongs to the record,
/// and some never end.
const UNREAD: u64 = 1 << 30;
/// Names that a step may ask for; there are no others.
const MOST_NAMES: usize = 10_000;

/// The fields of an answer that the program gets as they are, though the record has less of them,
/// or nothing.
const WHOLE: [HeaderName; 6] = [
    header::CONTENT_LOCATION,
    header::LINK,
    header::LOCATION,
    header::SET_COOKIE,
    header::TRAILER,
    header::WWW_AUTHENTICATE,
];

/// Records one step.
pub struct Recorder {
    instant: i64,
    upstream: Upstream,
    batch: Batch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    recorded: Recorded,
    names: BTreeMap<String, Verdict>,
    /// Told when no answer is on its way any more.
    done: Option<mpsc::Sender<()>>,
}

impl Recorder {
    /// `instant` is that of the record, in seconds since 1970.
    pub fn new(
        instant: i64,
        reach: Reach,
        proxies: &[(String, String)],
        store: &Store,
    ) -> Result<Recorder, Error> {
        Ok(Recorder {
            instant,
            upstream: Upstream::new(reach, proxies)?,
            batch: store.write_blobs()?,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `name` exists outside. A proxy of the caller's knows names that nobody here does.
    pub async fn resolve(&self, name: &str) -> Verdict {
        if let Some(known) = self.state().names.get(name) {
            return *known;
        }
        if self.state().names.len() >= MOST_NAMES {
            return Verdict::Missing;
        }
        let exists = self.upstream.is_proxied(name)
            || dial::resolve(name, 0)
                .await
                .is_ok_and(|found| !found.is_empty());
        let verdict = match exists {
            true => Verdict::Exists,
            false => Verdict::Missing,
        };
        *self.state().names.entry(name.to_owned()).or_insert(verdict)
    }

    /// Has the world answer `asked`.
    pub async fn answer(
        self: Arc<Self>,
        shared: &Arc<Shared>,
        asked: Asked,
    ) -> Result<Response<Body>, Broken> {
        let begun = self.state().recorded.begin(&asked.request);
        let number = begun.map_err(|error| {
            shared.fail(error);
            Broken
        })?;
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(shared);
        // By itself: that a program doesn't wait for it makes it no other answer.
        runtime::spawn(async move {
            tokio::select! {
                () = shared.over.cancelled() => {}
                () = self.exchange(&shared, number, asked, answer) => {}
            }
        });
        answered.await.map_err(|_| Broken)
    }

    /// One request and its answer, from the first byte to the last. A dropped `answer` breaks the
    /// program's connection.
    async fn exchange(
        &self,
        shared: &Shared,
        number: u64,
        asked: Asked,
        answer: oneshot::Sender<Response<Body>>,
    ) {
        let failed = |cause: String| {
            let (method, url) = (&asked.method, &asked.request.url);
            shared.note(format!("{method} {url}: {cause}"));
            self.record(|recorded| recorded.fail(number));
        };
        let came = match self.send(&asked).await {
            Ok(came) => came,
            Err(error) => return failed(error),
        };
        self.state().recorded.answered(number);
        let (parts, body) = came.into_parts();
        let mut kept = canonical::kept(&parts.headers);
        for value in kept.values_mut() {
            *value = (shared.mask)(value);
        }
        let is_head = asked.method == Method::HEAD;
        if is_head {
            let is_size = |name: &str| name == header::CONTENT_LENGTH.as_str();
            kept.extend(canonical::fields(&parts.headers, is_size));
        }
        let status = parts.status.as_u16();
        let may_have = matches!(asked.method, Method::GET | Method::HEAD) && status == 200;
        let has = may_have && asked.conditions.hold(&kept);
        let size = match is_head || matches!(status, 204 | 304) {
            true => Some(0),
            false => body.size_hint().exact(),
        };
        let (to_program, sink) = pieces(size);
        let mut given = match has {
            true => not_modified(&kept),
            false => {
                let mut given = response(status, &kept);
                *given.body_mut() = to_program;
                given
            }
        };
        let is_otherwise = copy_whole(&parts.headers, given.headers_mut());
        // A program that is gone wants no answer.
        let _ = answer.send(given);
        let is_sent = !matches!(asked.method, Method::GET | Method::HEAD);
        let kind = kept.get("content-type").map(String::as_str);
        let kind = secrets::kind(kind, is_sent);
        let kind = kind.filter(|_| !kept.contains_key("content-encoding"));
        let looked_at = kind.map(|kind| (&*asked.request.url, is_sent, kind));
        let taken = match self.body(body, looked_at, &sink).await {
            Ok(taken) => taken,
            Err(Broke::World(error)) => {
                // It had a part of it.
                self.record(|recorded| recorded.differs());
                failed(error.to_string());
                return sink.broken(error).await;
            }
            Err(Broke::Endless) => {
                shared.fail(Error::Unfinished(asked.request.url.clone()));
                return self.record(|recorded| recorded.fail(number));
            }
            Err(Broke::Store(error)) => {
                shared.fail(error);
                self.record(|recorded| recorded.fail(number));
                return sink.broken(io::ErrorKind::Other.into()).await;
            }
        };
        let Taken { body, trailers, .. } = taken;
        let mut kept_trailers = canonical::kept(&trailers);
        for value in kept_trailers.values_mut() {
            *value = (shared.mask)(value);
        }
        let is_otherwise = is_otherwise
            || taken.is_otherwise
            || canonical::fields(&trailers, |_| true) != kept_trailers;
        let response = lock::Response {
            status,
            headers: kept,
            body,
            trailers: kept_trailers,
        };
        let checked = match status {
            200 => asked.check(body.as_ref()),
            _ => Ok(()),
        };
        // What ends the step is known before whoever waits for this hears that it is over.
        let ended = self.record(|recorded| {
            if is_otherwise {
                recorded.differs();
            }
            let ended = match checked {
                Ok(()) => recorded.end(number, response, asked.credentials),
                Err(error) => {
                    recorded.fail(number);
                    Err(error)
                }
            };
            ended.map_err(|error| shared.fail(error))
        });
        if ended.is_err() {
            return sink.broken(io::ErrorKind::Other.into()).await;
        }
        if !trailers.is_empty() {
            sink.trailers(trailers).await;
        }
    }

    /// Notes something that is over.
    fn record<T>(&self, note: impl FnOnce(&mut Recorded) -> T) -> T {
        let mut state = self.state();
        let noted = note(&mut state.recorded);
        if state.recorded.coming().is_none() {
            state.done = None;
        }
        noted
    }

    /// Sends a request; once more where a connection that was kept turns out to be gone.
    async fn send(&self, asked: &Asked) -> Result<Response<Incoming>, String> {
        let request = || -> io::Result<Request<Body>> {
            let mut request = Request::new(asked.body.body()?);
            *request.method_mut() = asked.method.clone();
            *request.uri_mut() = asked.uri.clone();
            *request.headers_mut() = asked.headers.clone();
            Ok(request)
        };
        let send = || async {
            let request = request().map_err(|error| (false, error.to_string()))?;
            let sent = self.upstream.send(asked.to, request).await;
            sent.map_err(|error| (is_stale(&error), cause(&error)))
        };
        let is_safe = matches!(asked.method, Method::GET | Method::HEAD);
        match send().await {
            Err((true, _)) if is_safe => send().await.map_err(|(_, cause)| cause),
            sent => sent.map_err(|(_, cause)| cause),
        }
    }

    /// Takes a body to its end, for the store and for the program, as long as that is there. What is
    /// `looked_at` (the request's URL, whether something was sent there), and is small, gets into the store
    /// without tokens.
    async fn body(
        &self,
        mut body: Incoming,
        looked_at: Option<(&str, bool, secrets::Kind)>,
        sink: &Sink,
    ) -> Result<Taken, Broke> {
        let mut keeper: Option<Keeper> = None;
        let mut trailers = HeaderMap::new();
        let mut held = Bytes::new();
        let mut small = looked_at.map(|about| (about, Vec::new()));
        let mut unread = 0;
        loop {
            let frame = match timeout(SILENCE, body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(Broke::World(io::Error::other(error))),
                Err(_) => return Err(Broke::World(io::ErrorKind::TimedOut.into())),
            };
            match frame.into_data() {
                Ok(data) => {
                    let before = keeper.take();
                    let before = before.unwrap_or_else(|| Keeper::new(self.batch.begin()));
                    keeper = Some(before.add(&data).await?);
                    small = small.filter(|(_, small)| small.len() + data.len() <= LARGEST);
                    if let Some((_, small)) = &mut small {
                        small.extend_from_slice(&data);
                    }
                    // The last piece goes out after the whole is on disk: what a program has taken
                    // whole is recorded.
                    let before = std::mem::replace(&mut held, data);
                    let size = before.len() as u64;
                    if !before.is_empty() && !sink.data(before).await {
                        unread += size;
                    }
                    if unread > UNREAD {
                        return Err(Broke::Endless);
                    }
                }
                Err(frame) => {
                    if let Ok(came) = frame.into_trailers() {
                        trailers.extend(came);
                    }
                }
            }
        }
        let clean = small
            .and_then(|((url, is_sent, kind), small)| secrets::removed(url, is_sent, kind, &small));
        let is_otherwise = clean.is_some();
        if let Some(clean) = clean {
            let anew = Keeper::new(self.batch.begin());
            keeper = Some(anew.add(&clean.into()).await?);
        }
        let body = match keeper {
            None => None,
            Some(keeper) => {
                let (sha256, size) = keeper.finish().await?;
                (size > 0).then_some(lock::Body { sha256, size })
            }
        };
        if !held.is_empty() {
            sink.data(held).await;
        }
        Ok(Taken {
            body,
            trailers,
            is_otherwise,
        })
    }

    /// Waits for what is on its way; gives the record, once its bodies are in the store.
    pub fn finish(&self) -> Result<Finished, Error> {
        let (done, is_done) = mpsc::channel();
        {
            let mut state = self.state();
            // Dropped where there is nothing to wait for.
            state.done = Some(done).filter(|_| state.recorded.coming().is_some());
        }
        if is_done.recv_timeout(REST) == Err(mpsc::RecvTimeoutError::Timeout) {
            let url = self.state().recorded.coming().map(str::to_owned);
            return Err(Error::Unfinished(url.unwrap_or_default()));
        }
        let State {
            recorded, names, ..
        } = std::mem::take(&mut *self.state());
        let (exchanges, is_as_recorded) = recorded.finish()?;
        self.batch.keep()?;
        let names = names.into_iter();
        let names = names.filter(|(_, verdict)| *verdict == Verdict::Exists);
        let record = Record {
            instant: self.instant,
            names: names.map(|(name, _)| name).collect(),
            exchanges,
        };
        Ok(Finished {
            record: Some(record),
            is_as_recorded,
        })
    }
}

/// Whether it failed on a connection that the server had closed meanwhile.
fn is_stale(error: &ClientError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    !error.is_connect()
        && cause.is_some_and(|cause: &hyper::Error| {
            cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed()
        })
}

/// Gives the program what the record has less of; whether it has.
fn copy_whole(came: &HeaderMap, given: &mut HeaderMap) -> bool {
    let is_told = |name: &str| name != header::TRAILER.as_str();
    let recorded = canonical::fields(given, is_told);
    for name in &WHOLE {
        if came.contains_key(name) {
            given.remove(name);
        }
        for value in came.get_all(name) {
            given.append(name, value.clone());
        }
    }
    canonical::fields(given, is_told) != recorded
}

/// An answer's body, taken to its end.
struct Taken {
    /// As it is in the store.
    body: Option<lock::Body>,
    trailers: HeaderMap,
    /// Whether the program got another one.
    is_otherwise: bool,
}

/// What broke a body off.
enum Broke {
    World(io::Error),
    Store(Error),
    Endless,
}

impl From<crate::store::Error> for Broke {
    fn from(error: crate::store::Error) -> Broke {
        Broke::Store(error.into())
    }
}
