//! Recording: requests go to the world, and what comes is kept.
//!
//! In: requests. Out: answers as they come, and at the end a [`Record`], whose bodies are in the store.
//! What a server breaks off, or never says, isn't recorded but as no answer, where the command went
//! on without; what a program doesn't read to its end is, whole.

use std::collections::{BTreeMap, BTreeSet};
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
use super::names::Verdict;
use super::secrets::{self, LARGEST};
use super::serve::{Asked, Broken, not_modified, response};
use super::upstream::{Upstream, cause};
use super::{Error, Shared, canonical, dial, runtime};
use crate::lock::{self, Exchange, Record};
use crate::sandbox::network::destination::Reach;
use crate::store::{Batch, BatchWriter, Store};

/// Until a body of which nothing comes counts as broken.
const SILENCE: Duration = Duration::from_secs(120);
/// How long answers may take to their end after the step has ended.
const REST: Duration = Duration::from_secs(300);

/// Requests that a record may have.
pub const MOST_REQUESTS: usize = 200_000;
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
    /// Requests so far.
    asked: u64,
    /// With the number of each request.
    exchanges: Vec<(u64, Exchange)>,
    /// Requests that got no answer, or not all of it.
    failed: Vec<(u64, lock::Request)>,
    names: BTreeMap<String, Verdict>,
    /// The URLs of answers on their way, by the number of the request.
    begun: BTreeMap<u64, String>,
    /// Told when the last of those is done.
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
        let number = {
            let mut state = self.state();
            state.asked += 1;
            state.asked
        };
        if number > MOST_REQUESTS as u64 {
            shared.fail(Error::TooMany(MOST_REQUESTS));
            return Err(Broken);
        }
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
            let failed = (number, asked.request.clone());
            self.state().failed.push(failed);
        };
        let came = match self.send(&asked).await {
            Ok(came) => came,
            Err(error) => return failed(error),
        };
        let _begun = Begun::new(self, number, &asked.request.url);
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
        copy_whole(&parts.headers, given.headers_mut());
        // A program that is gone wants no answer.
        let _ = answer.send(given);
        let is_looked_at = !kept.contains_key("content-encoding")
            && kept
                .get("content-type")
                .is_some_and(|kind| secrets::is_looked_at(kind));
        let looked_at = is_looked_at.then_some(&*asked.request.url);
        match self.body(body, looked_at, &sink).await {
            Ok((body, trailers)) => {
                if status == 200
                    && let Err(error) = asked.check(body.as_ref())
                {
                    shared.fail(error);
                    return sink.broken(io::ErrorKind::Other.into()).await;
                }
                let response = lock::Response {
                    status,
                    headers: kept,
                    body,
                    trailers: canonical::fields(&trailers, |_| true),
                };
                let exchange = Exchange {
                    request: asked.request.clone(),
                    response,
                };
                self.state().exchanges.push((number, exchange));
                if !trailers.is_empty() {
                    sink.trailers(trailers).await;
                }
            }
            Err(Broke::World(error)) => {
                failed(error.to_string());
                sink.broken(error).await;
            }
            Err(Broke::Store(error)) => {
                shared.fail(error);
                sink.broken(io::ErrorKind::Other.into()).await;
            }
        }
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

    /// Takes a body to its end, for the store and for the program, as long as that is there. What
    /// `looked_at` names, and is small, gets into the store without tokens.
    async fn body(
        &self,
        mut body: Incoming,
        looked_at: Option<&str>,
        sink: &Sink,
    ) -> Result<(Option<lock::Body>, HeaderMap), Broke> {
        let mut writer: Option<BatchWriter> = None;
        let mut trailers = HeaderMap::new();
        let mut held = Bytes::new();
        let mut small = looked_at.map(|url| (url, Vec::new()));
        loop {
            let frame = match timeout(SILENCE, body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(Broke::World(io::Error::other(error))),
                Err(_) => return Err(Broke::World(io::ErrorKind::TimedOut.into())),
            };
            match frame.into_data() {
                Ok(data) => {
                    let writer = match &mut writer {
                        Some(writer) => writer,
                        None => writer.insert(self.batch.begin()),
                    };
                    writer.add(&data)?;
                    small = small.filter(|(_, small)| small.len() + data.len() <= LARGEST);
                    if let Some((_, small)) = &mut small {
                        small.extend_from_slice(&data);
                    }
                    // The last piece goes out after the whole is on disk: what a program has taken
                    // whole is recorded.
                    let before = std::mem::replace(&mut held, data);
                    if !before.is_empty() {
                        sink.data(before).await;
                    }
                }
                Err(frame) => {
                    if let Ok(came) = frame.into_trailers() {
                        trailers.extend(came);
                    }
                }
            }
        }
        let clean = small.and_then(|(url, small)| secrets::removed(url, &small));
        if let Some(clean) = clean {
            writer.insert(self.batch.begin()).add(&clean)?;
        }
        let body = match writer {
            None => None,
            Some(writer) => {
                let (sha256, size) = writer.finish()?;
                (size > 0).then_some(lock::Body { sha256, size })
            }
        };
        if !held.is_empty() {
            sink.data(held).await;
        }
        Ok((body, trailers))
    }

    /// Waits for what is on its way, and gives the record.
    pub fn finish(&self) -> Result<Record, Error> {
        let (done, is_done) = mpsc::channel();
        {
            let mut state = self.state();
            // Dropped where there is nothing to wait for.
            state.done = Some(done).filter(|_| !state.begun.is_empty());
        }
        if is_done.recv_timeout(REST) == Err(mpsc::RecvTimeoutError::Timeout) {
            let url = self.state().begun.pop_first();
            return Err(Error::Unfinished(url.unwrap_or_default().1));
        }
        self.batch.keep()?;
        let mut state = self.state();
        let names = std::mem::take(&mut state.names).into_iter();
        let names = names.filter(|(_, verdict)| *verdict == Verdict::Exists);
        Ok(Record {
            instant: self.instant,
            names: names.map(|(name, _)| name).collect(),
            exchanges: in_order(
                std::mem::take(&mut state.exchanges),
                std::mem::take(&mut state.failed),
            ),
        })
    }
}

/// Exchanges as records have them. Of equal ones after each other the last is enough where nothing
/// else follows: it is given again and again. Of requests that `failed` those are there that never
/// got an answer: the command went on without, and must be let to.
fn in_order(
    mut exchanges: Vec<(u64, Exchange)>,
    failed: Vec<(u64, lock::Request)>,
) -> Vec<Exchange> {
    let answered: BTreeSet<_> = exchanges.iter().map(|(_, it)| it.request.clone()).collect();
    let failed = failed
        .into_iter()
        .filter(|(_, request)| !answered.contains(request));
    let none = lock::Response {
        status: lock::NO_ANSWER,
        headers: BTreeMap::new(),
        body: None,
        trailers: BTreeMap::new(),
    };
    exchanges.extend(failed.map(|(number, request)| {
        let response = none.clone();
        (number, Exchange { request, response })
    }));
    exchanges.sort_by(|(a, one), (b, other)| (&one.request, a).cmp(&(&other.request, b)));
    let mut ordered: Vec<Exchange> = Vec::new();
    let mut exchanges = exchanges
        .into_iter()
        .map(|(_, exchange)| exchange)
        .peekable();
    while let Some(exchange) = exchanges.next() {
        let is_last = exchanges
            .peek()
            .is_none_or(|next| next.request != exchange.request);
        ordered.push(exchange);
        while let [.., before, last] = &ordered[..]
            && is_last
            && before == last
        {
            ordered.pop();
        }
    }
    ordered
}

/// Whether it failed on a connection that the server had closed meanwhile.
fn is_stale(error: &ClientError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    !error.is_connect()
        && cause.is_some_and(|cause: &hyper::Error| {
            cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed()
        })
}

fn copy_whole(came: &HeaderMap, given: &mut HeaderMap) {
    for name in &WHOLE {
        if came.contains_key(name) {
            given.remove(name);
        }
        for value in came.get_all(name) {
            given.append(name, value.clone());
        }
    }
}

/// What broke a body off.
enum Broke {
    World(io::Error),
    Store(Error),
}

impl From<crate::store::Error> for Broke {
    fn from(error: crate::store::Error) -> Broke {
        Broke::Store(error.into())
    }
}

/// An answer on its way, until this is dropped.
struct Begun<'a> {
    recorder: &'a Recorder,
    number: u64,
}

impl<'a> Begun<'a> {
    fn new(recorder: &'a Recorder, number: u64, url: &str) -> Begun<'a> {
        recorder.state().begun.insert(number, url.to_owned());
        Begun { recorder, number }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut state = self.recorder.state();
        state.begun.remove(&self.number);
        if state.begun.is_empty() {
            state.done = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> lock::Request {
        lock::Request {
            url: url.to_owned(),
            method: "GET".to_owned(),
            asked: BTreeMap::new(),
            sent: None,
        }
    }

    #[test]
    fn records_are_sorted_and_hold_what_differs_in_the_order_of_asking() {
        let exchange = |(number, url, status)| {
            let response = lock::Response {
                status,
                headers: BTreeMap::new(),
                body: None,
                trailers: BTreeMap::new(),
            };
            let request = request(url);
            (number, Exchange { request, response })
        };
        // As they came to their ends.
        let came = [
            (7, "b", 200),
            (5, "b", 202),
            (1, "b", 202),
            (8, "b", 200),
            (9, "b", 200),
            (3, "a", 200),
            (6, "b", 200),
            (2, "b", 200),
        ];
        let failed = [(4, "c"), (10, "a"), (11, "c")].map(|(n, url)| (n, request(url)));
        let ordered = in_order(came.map(exchange).to_vec(), failed.to_vec());
        let told: Vec<_> = ordered
            .iter()
            .map(|it| (&*it.request.url, it.response.status))
            .collect();
        let expected = [
            ("a", 200),
            ("b", 202),
            ("b", 200),
            ("b", 202),
            ("b", 200),
            ("c", lock::NO_ANSWER),
        ];
        assert_eq!(told, expected);
    }
}
