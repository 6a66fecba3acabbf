//! Replaying: requests are answered from a record and the store, and from nowhere else.
//!
//! In: a record, requests in whatever order and on whatever connections. Out: the answers that were
//! recorded. Each body is checked against its digest on its way out; its end is held back until it
//! is known to be right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};

use super::body::{Body, Sink, empty, full, pieces};
use super::conditional::{Span, Wanted, wanted};
use super::names::Verdict;
use super::nearest::nearest;
use super::serve::{Asked, Broken, header_map, not_modified, refusal, response};
use super::{Error, Shared, canonical, names};
use crate::canon::Digest;
use crate::canon::digest::Hasher;
use crate::lock::{self, Record};
use crate::store::{self, Blob, Store};

/// Bodies that are read whole before they are given.
const SMALL: u64 = 256 << 10;
/// Bytes that are read at once of others.
const PIECE: usize = 256 << 10;
/// Pieces that may wait for their digest.
const WAITING: usize = 8;

/// Replays one step.
pub struct Replayer {
    names: BTreeSet<String>,
    answers: BTreeMap<lock::Request, Vec<Arc<lock::Response>>>,
    /// URLs that have secrets in them.
    masked: BTreeSet<String>,
    /// How often each request was made.
    made: Mutex<BTreeMap<lock::Request, usize>>,
    /// Blobs that were checked whole, for their parts.
    checked: Arc<Mutex<BTreeSet<Digest>>>,
}

/// How an answer is had from a recorded one.
enum Found {
    /// It is the same.
    Same(Arc<lock::Response>),
    /// It is that without its body.
    Head(Arc<lock::Response>),
    /// It is a part of that.
    Part(Arc<lock::Response>, String),
}

impl Replayer {
    /// Takes the answers of `record`.
    pub fn new(record: Record) -> Replayer {
        let mut answers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for exchange in record.exchanges {
            let of_request = answers.entry(exchange.request).or_default();
            of_request.push(Arc::new(exchange.response));
        }
        let urls = answers.keys().map(|request: &lock::Request| &request.url);
        let masked = urls.filter(|url| canonical::is_masked(url)).cloned();
        Replayer {
            masked: masked.collect(),
            names: record
                .names
                .iter()
                .filter_map(|name| names::host(name))
                .collect(),
            answers,
            made: Mutex::default(),
            checked: Arc::default(),
        }
    }

    /// Whether the record has `name`.
    pub fn resolve(&self, name: &str) -> Verdict {
        match self.names.contains(name) {
            true => Verdict::Exists,
            false => Verdict::Missing,
        }
    }

    /// Answers `asked` as the record has it.
    pub async fn answer(
        &self,
        shared: &Arc<Shared>,
        asked: Asked,
    ) -> Result<Response<Body>, Broken> {
        let request = &asked.request;
        let Some(found) = self.find(request) else {
            let recorded = self.answers.keys();
            let error = Error::NotRecorded {
                method: request.method.clone(),
                url: request.url.clone(),
                nearest: nearest(request, recorded),
            };
            let text = format!("cairn: {error}\n");
            shared.fail(error);
            return Ok(refusal(StatusCode::BAD_GATEWAY, text));
        };
        let recorded = match &found {
            Found::Same(recorded) | Found::Head(recorded) | Found::Part(recorded, _) => recorded,
        };
        if recorded.status == lock::NO_ANSWER {
            return Err(Broken);
        }
        if recorded.status == 200
            && let Err(error) = asked.check(recorded.body.as_ref())
        {
            shared.fail(error);
            return Err(Broken);
        }
        let is_read = matches!(asked.method, Method::GET | Method::HEAD);
        if is_read && recorded.status == 200 && asked.conditions.hold(&recorded.headers) {
            return Ok(not_modified(&recorded.headers));
        }
        let given = match &found {
            Found::Same(recorded) => whole(shared, request, recorded).await,
            Found::Head(recorded) => Ok(head(recorded)),
            Found::Part(recorded, range) => part(shared, &self.checked, recorded, range).await,
        };
        given.map_err(|source| {
            let url = request.url.clone();
            shared.fail(Error::Blob { url, source });
            Broken
        })
    }

    fn find(&self, request: &lock::Request) -> Option<Found> {
        self.find_by(request).or_else(|| {
            // With another secret in its URL, or none.
            let is_same = |url: &&String| canonical::matches(url, &request.url);
            let url = self.masked.iter().find(is_same)?.clone();
            self.find_by(&lock::Request {
                url,
                ..request.clone()
            })
        })
    }

    fn find_by(&self, request: &lock::Request) -> Option<Found> {
        if let Some(same) = self.next(request) {
            return Some(Found::Same(same));
        }
        if request.method == "HEAD" {
            let mut get = request.clone();
            get.method = "GET".to_owned();
            return Some(Found::Head(self.next(&get)?));
        }
        let mut all = request.clone();
        let range = all.asked.remove("range")?;
        let found = self.next(&all)?;
        (request.method == "GET" && found.status == 200).then_some(Found::Part(found, range))
    }

    /// The next answer of a request; the last one again and again.
    fn next(&self, request: &lock::Request) -> Option<Arc<lock::Response>> {
        let answers = self.answers.get(request)?;
        if let [only] = &answers[..] {
            return Some(Arc::clone(only));
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.entry(request.clone()).or_default();
        let next = answers.get(*made).or(answers.last());
        *made = made.saturating_add(1);
        next.cloned()
    }
}

/// The blob of a body, which must be of the size that the record says.
fn blob(store: &Store, body: lock::Body) -> Result<Blob, store::Error> {
    let blob = store.require_blob(&body.sha256)?;
    match blob.size == body.size {
        true => Ok(blob),
        false => Err(store::Error::SizeMismatch {
            what: format!("blob {}", body.sha256),
            expected: body.size,
            got: blob.size,
        }),
    }
}

/// Runs something that waits for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, store::Error> {
    let lost = |_| store::Error::Missing("answer: its reader is gone".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

async fn whole(
    shared: &Arc<Shared>,
    request: &lock::Request,
    recorded: &lock::Response,
) -> Result<Response<Body>, store::Error> {
    let mut given = response(recorded.status, &recorded.headers);
    if request.method != "HEAD" {
        given.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let trailers = header_map(&recorded.trailers);
    if let Ok(named) = names_of(&trailers).parse() {
        given.headers_mut().insert(header::TRAILER, named);
    }
    let Some(body) = recorded.body else {
        if !trailers.is_empty() {
            let (to_program, sink) = pieces(None);
            tokio::spawn(async move { sink.trailers(trailers).await });
            *given.body_mut() = to_program;
        }
        return Ok(given);
    };
    let (store, url) = (shared.store.clone(), request.url.clone());
    if body.size <= SMALL && trailers.is_empty() {
        let read = move || {
            let blob = blob(&store, body)?;
            let read = store.read(&blob.digest, SMALL)?;
            Ok(Bytes::copy_from_slice(&read))
        };
        *given.body_mut() = full(blocking(read).await?);
        return Ok(given);
    }
    let opened = blocking(move || blob(&store, body)?.open()).await?;
    let (to_program, sink) = pieces(trailers.is_empty().then_some(body.size));
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        if let Err(source) = stream(opened, body, &sink, trailers) {
            shared.fail(Error::Blob { url, source });
            sink.blocking_break(io::ErrorKind::InvalidData.into());
        }
    });
    *given.body_mut() = to_program;
    Ok(given)
}

fn names_of(trailers: &HeaderMap) -> String {
    let names: Vec<_> = trailers.keys().map(header::HeaderName::as_str).collect();
    names.join(", ")
}

/// Gives all of `file`, its last piece after its digest is known to be right: that is made beside.
fn stream(
    file: File,
    body: lock::Body,
    sink: &Sink,
    trailers: HeaderMap,
) -> Result<(), store::Error> {
    let what = || format!("blob {}", body.sha256);
    let failed = |source| store::Error::Io {
        action: "read",
        path: what().into(),
        source,
    };
    let (read, to_hash) = mpsc::sync_channel::<Bytes>(WAITING);
    let (last, got) = std::thread::scope(|scope| {
        let hash = scope.spawn(move || {
            let mut hasher = Hasher::new();
            to_hash.iter().for_each(|piece| hasher.update(&piece));
            hasher.finish()
        });
        let last = give(&file, sink, &read);
        drop(read);
        let got = hash
            .join()
            .map_err(|_| io::Error::other("its hasher is gone"));
        (last, got)
    });
    let Some(last) = last.map_err(failed)? else {
        // Nobody wants the rest.
        return Ok(());
    };
    let got = got.map_err(failed)?;
    if got != body.sha256 {
        return Err(store::Error::DigestMismatch {
            what: what(),
            expected: body.sha256,
            got,
        });
    }
    sink.blocking_data(last);
    if !trailers.is_empty() {
        sink.blocking_trailers(trailers);
    }
    Ok(())
}

/// Gives all pieces of `file` but the last, which comes back; none where nobody wants it. Each is
/// told to who has `read`.
fn give(file: &File, sink: &Sink, read: &mpsc::SyncSender<Bytes>) -> io::Result<Option<Bytes>> {
    let mut held = Bytes::new();
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        if file.take(PIECE as u64).read_to_end(&mut piece)? == 0 {
            return Ok(Some(held));
        }
        let piece = Bytes::from(piece);
        // It waits for all that it is told.
        let _ = read.send(piece.clone());
        let before = std::mem::replace(&mut held, piece);
        if !before.is_empty() && !sink.blocking_data(before) {
            return Ok(None);
        }
    }
}

/// What HEAD gets where GET was recorded.
fn head(recorded: &lock::Response) -> Response<Body> {
    let mut given = response(recorded.status, &recorded.headers);
    let size = recorded.body.map_or(0, |body| body.size);
    let headers = given.headers_mut();
    headers.insert(header::CONTENT_LENGTH, size.into());
    given
}

/// A part of a body that was recorded whole.
async fn part(
    shared: &Arc<Shared>,
    checked: &Arc<Mutex<BTreeSet<Digest>>>,
    recorded: &lock::Response,
    range: &str,
) -> Result<Response<Body>, store::Error> {
    let size = recorded.body.map_or(0, |body| body.size);
    let mut given = response(206, &recorded.headers);
    let (span, said) = match wanted(range, size) {
        Wanted::Span(span) => {
            let last = span.to.saturating_sub(1);
            (span, format!("bytes {}-{last}/{size}", span.from))
        }
        Wanted::Nothing => {
            *given.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            (Span { from: 0, to: 0 }, format!("bytes */{size}"))
        }
        Wanted::All => {
            *given.status_mut() = StatusCode::OK;
            (Span { from: 0, to: size }, String::new())
        }
    };
    if let (Ok(said), false) = (said.parse(), said.is_empty()) {
        given.headers_mut().insert(header::CONTENT_RANGE, said);
    }
    let Some(body) = recorded.body.filter(|_| span.from < span.to) else {
        *given.body_mut() = empty();
        return Ok(given);
    };
    let (store, checked) = (shared.store.clone(), Arc::clone(checked));
    let open = move || {
        let blob = blob(&store, body)?;
        let known = || checked.lock().unwrap_or_else(PoisonError::into_inner);
        if !known().contains(&body.sha256) {
            blob.check()?;
            known().insert(body.sha256);
        }
        blob.open()
    };
    let mut file = blocking(open).await?;
    let (to_program, sink) = pieces(Some(span.to - span.from));
    tokio::task::spawn_blocking(move || {
        let mut left = span.to - span.from;
        let sought = file.seek(SeekFrom::Start(span.from));
        let mut failed = sought.err();
        while left > 0 && failed.is_none() {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            match file.read(&mut piece) {
                Ok(0) => failed = Some(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    piece.truncate(read);
                    left -= read as u64;
                    if !sink.blocking_data(piece.into()) {
                        return;
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            sink.blocking_break(error);
        }
    });
    *given.body_mut() = to_program;
    Ok(given)
}
