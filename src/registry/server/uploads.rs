//! Blobs into the store: distribution-spec, "Pushing blobs": monolithic, in chunks, by mount.
//!
//! In: bodies, as they come. Out: blobs in the store, each checked against its digest.
//!
//! An upload is a temporary file of the store that is hashed as it grows; at most
//! [`super::Limits::uploads`] of them exist at once. A body that breaks off in PATCH or PUT leaves
//! what had come, so that the client can ask where it stands and go on from there; an upload that
//! nobody touches for [`super::Limits::idle`] is dropped, and so are all when the server ends. A
//! body of a POST that breaks off leaves nothing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::time::Instant;

use super::error::{Failure, blocking};
use super::names::Repository;
use super::routes::Query;
use super::{CONTENT_DIGEST, Shared, respond};
use crate::canon::Digest;
use crate::store::{self, BlobWriter};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// How long a request waits for another one that writes to the same upload.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pieces of a body between the network and the disk: few, to hold little memory.
const PIECES: usize = 8;

/// Nothing, once it was finished or given up.
type Slot = Option<BlobWriter>;

struct Upload {
    repository: String,
    slot: Arc<tokio::sync::Mutex<Slot>>,
    touched: Mutex<Instant>,
}

/// The uploads under way, by their id.
#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<String, Arc<Upload>>>);

impl Uploads {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Arc<Upload>>) -> T) -> T {
        // No code panics while it holds the lock, and a map is sound after any.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The upload `id`, if it is one of `repository`'s.
    fn find(&self, repository: &Repository, id: &str) -> Result<Arc<Upload>, Failure> {
        let upload = self.with(|uploads| uploads.get(id).cloned());
        let upload = upload
            .filter(|upload| upload.repository == repository.name)
            .ok_or_else(Failure::upload_unknown)?;
        upload.touch();
        Ok(upload)
    }

    fn remove(&self, id: &str) {
        self.with(|uploads| uploads.remove(id));
    }

    /// Drops every upload that, seen from `now`, nobody has touched for `idle`.
    pub(super) fn expire(&self, now: Instant, idle: Duration) {
        self.with(|uploads| {
            uploads.retain(|_, upload| {
                let is_idle = now.saturating_duration_since(upload.touched()) >= idle;
                !is_idle || upload.slot.try_lock().is_err()
            });
        });
    }
}

impl Upload {
    fn new(repository: &Repository, writer: BlobWriter) -> Upload {
        Upload {
            repository: repository.name.clone(),
            slot: Arc::new(tokio::sync::Mutex::new(Some(writer))),
            touched: Mutex::new(Instant::now()),
        }
    }

    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn touched(&self) -> Instant {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upload for this request alone, and the bytes that it has.
    async fn take(&self) -> Result<(OwnedMutexGuard<Slot>, u64), Failure> {
        let wait = tokio::time::timeout(PATIENCE, self.slot.clone().lock_owned());
        let slot = wait
            .await
            .map_err(|_| Failure::too_many("another request is still writing to this upload"))?;
        match slot.as_ref().map(BlobWriter::size) {
            Some(size) => Ok((slot, size)),
            None => Err(Failure::upload_unknown()),
        }
    }
}

/// POST: mounts a blob, takes in a whole one, or begins an upload.
pub(super) async fn start(
    shared: &Shared,
    repository: &Repository,
    parts: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let query = Query::parse(parts.uri.query());
    if let Some(digest) = query.digest("mount")? {
        // Wherever it is from: every blob of the store can be had under every name.
        if shared
            .with_store(move |store| Ok(store.blob(&digest).is_some()))
            .await?
        {
            return created(repository, &digest);
        }
    }
    let writer = shared
        .with_store(move |store| Ok(store.write_blob()?))
        .await?;
    let upload = Upload::new(repository, writer);
    if let Some(digest) = query.digest("digest")? {
        let (slot, _) = upload.take().await?;
        let slot = receive(shared, slot, &parts.headers, body).await?;
        return finish(repository, slot, digest).await;
    }
    let id = random_id()?;
    let limit = shared.limits.uploads;
    let has_room = shared.uploads.with(|uploads| {
        let has_room = uploads.len() < limit;
        if has_room {
            uploads.insert(id.clone(), Arc::new(upload));
        }
        has_room
    });
    if has_room {
        standing(StatusCode::ACCEPTED, repository, &id, 0)
    } else {
        let message = format!("{limit} uploads are under way, and no more are taken");
        Err(Failure::too_many(message))
    }
}

/// GET: says how many bytes an upload has.
pub(super) async fn status(
    shared: &Shared,
    repository: &Repository,
    id: &str,
) -> Result<Response, Failure> {
    let upload = shared.uploads.find(repository, id)?;
    let (_slot, size) = upload.take().await?;
    standing(StatusCode::NO_CONTENT, repository, id, size)
}

/// PATCH: takes in the next bytes.
pub(super) async fn append(
    shared: &Shared,
    repository: &Repository,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let slot = take_in(shared, repository, id, headers, body).await?;
    let size = slot.as_ref().map_or(0, BlobWriter::size);
    standing(StatusCode::ACCEPTED, repository, id, size)
}

/// PUT: takes in the last bytes, if there are any, and ends the upload as the blob `digest`.
pub(super) async fn complete(
    shared: &Shared,
    repository: &Repository,
    id: &str,
    parts: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let Some(digest) = Query::parse(parts.uri.query()).digest("digest")? else {
        let message = "the last request of an upload says its digest: `?digest=sha256:…`";
        return Err(Failure::digest_invalid(message));
    };
    let slot = take_in(shared, repository, id, &parts.headers, body).await?;
    shared.uploads.remove(id);
    finish(repository, slot, digest).await
}

/// DELETE: gives an upload up.
pub(super) fn cancel(
    shared: &Shared,
    repository: &Repository,
    id: &str,
) -> Result<Response, Failure> {
    shared.uploads.find(repository, id)?;
    shared.uploads.remove(id);
    respond(StatusCode::NO_CONTENT)
        .body(Body::empty())
        .map_err(Failure::internal)
}

/// Adds `body` to the upload `id`, where its `Content-Range` allows.
async fn take_in(
    shared: &Shared,
    repository: &Repository,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<OwnedMutexGuard<Slot>, Failure> {
    let upload = shared.uploads.find(repository, id)?;
    let (slot, size) = upload.take().await?;
    if let Some(range) = headers.get(CONTENT_RANGE) {
        let range = range.to_str().ok().and_then(parse_content_range);
        let expected = content_length(headers);
        match range {
            Some((first, length)) if expected.is_none_or(|expected| expected == length) => {
                if first != size {
                    let message = format!("the next byte of this upload is {size}");
                    let status = StatusCode::RANGE_NOT_SATISFIABLE;
                    return Err(Failure::new(status, "BLOB_UPLOAD_INVALID", message)
                        .with(LOCATION, location(repository, id))
                        .with(RANGE, shown_range(size))
                        .with(UPLOAD_ID, id));
                }
            }
            _ => {
                let message = "Content-Range is `FIRST-LAST` in bytes, and agrees with \
                               Content-Length";
                let status = StatusCode::BAD_REQUEST;
                return Err(Failure::new(status, "SIZE_INVALID", message));
            }
        }
    }
    let received = receive(shared, slot, headers, body).await;
    upload.touch();
    received.inspect_err(|failure| {
        // Broken off is the client's affair, and it may go on; a disk that won't take the bytes
        // is better off without the file.
        if failure.status.is_server_error() {
            shared.uploads.remove(id);
        }
    })
}

/// Writes `body` to disk as it comes.
///
/// The writer stays locked on the thread that writes, so that it is whole even where the client
/// goes away in the middle, when the future of its request is dropped.
async fn receive(
    shared: &Shared,
    mut slot: OwnedMutexGuard<Slot>,
    headers: &HeaderMap,
    body: Body,
) -> Result<OwnedMutexGuard<Slot>, Failure> {
    let declared = headers
        .get(CONTENT_RANGE)
        .and_then(|range| Some(parse_content_range(range.to_str().ok()?)?.1));
    let (sender, mut pieces) = mpsc::channel::<Bytes>(PIECES);
    let writing = tokio::task::spawn_blocking(move || {
        while let Some(piece) = pieces.blocking_recv() {
            let Some(writer) = slot.as_mut() else { break };
            if let Err(error) = writer.write_all(&piece) {
                return Err(Failure::from_io(error.kind(), error));
            }
        }
        Ok(slot)
    });
    let mut body = body.into_data_stream();
    let mut got: u64 = 0;
    let broken =
        |message: String| Failure::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message);
    let outcome = loop {
        match tokio::time::timeout(shared.limits.silence, body.next()).await {
            Ok(Some(Ok(piece))) => {
                got += piece.len() as u64;
                if declared.is_some_and(|declared| got > declared) {
                    break Err(broken(
                        "the body is longer than its Content-Range".to_owned(),
                    ));
                }
                if sender.send(piece).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) if declared.is_some_and(|declared| got < declared) => {
                break Err(broken(
                    "the body is shorter than its Content-Range".to_owned(),
                ));
            }
            Ok(None) => break Ok(()),
            Ok(Some(Err(error))) => break Err(broken(format!("the body broke off: {error}"))),
            Err(_) => {
                let seconds = shared.limits.silence.as_secs();
                let message = format!("nothing came for {seconds} seconds");
                let status = StatusCode::REQUEST_TIMEOUT;
                break Err(Failure::new(status, "BLOB_UPLOAD_INVALID", message));
            }
        }
    };
    drop(sender);
    let slot = writing.await.map_err(Failure::internal)??;
    outcome.map(|()| slot)
}

/// Ends an upload as the blob `digest`.
async fn finish(
    repository: &Repository,
    mut slot: OwnedMutexGuard<Slot>,
    digest: Digest,
) -> Result<Response, Failure> {
    let writer = slot.take().ok_or_else(Failure::upload_unknown)?;
    blocking(move || match writer.finish_as("the upload", &digest) {
        Err(store::Error::DigestMismatch { expected, got, .. }) => Err(Failure::digest_invalid(
            format!("the upload has the digest {got} and not {expected}"),
        )),
        other => Ok(other?),
    })
    .await?;
    created(repository, &digest)
}

fn created(repository: &Repository, digest: &Digest) -> Result<Response, Failure> {
    respond(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{}/blobs/{digest}", repository.name))
        .header(CONTENT_DIGEST, digest.to_string())
        .body(Body::empty())
        .map_err(Failure::internal)
}

/// Says where an upload stands.
fn standing(
    status: StatusCode,
    repository: &Repository,
    id: &str,
    size: u64,
) -> Result<Response, Failure> {
    respond(status)
        .header(LOCATION, location(repository, id))
        .header(RANGE, shown_range(size))
        .header(UPLOAD_ID, id)
        .body(Body::empty())
        .map_err(Failure::internal)
}

fn location(repository: &Repository, id: &str) -> String {
    format!("/v2/{}/blobs/uploads/{id}", repository.name)
}

/// The spec has no way to say "none yet": Docker's registry says `0-0`, and so does everybody.
fn shown_range(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

/// `FIRST-LAST`, both inclusive (distribution-spec, "Pushing a blob in chunks"), also in HTTP's
/// own form `bytes FIRST-LAST/TOTAL`, as the first byte and a length.
fn parse_content_range(text: &str) -> Option<(u64, u64)> {
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let (first, last) = text.split('/').next()?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let (first, last) = (number(first)?, number(last)?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// 128 random bits as hex digits: who doesn't know an upload's URL can't write to it.
fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if got != Ok(bytes.len()) {
        return Err(Failure::internal("the kernel gave no random bytes"));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_inclusive() {
        assert_eq!(parse_content_range("0-0"), Some((0, 1)));
        assert_eq!(parse_content_range("5-9"), Some((5, 5)));
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, 5)));
        for text in [
            "",
            "-",
            "5-",
            "-5",
            "5-4",
            "+1-2",
            "0-18446744073709551615",
            "a-b",
        ] {
            assert_eq!(parse_content_range(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn an_idle_upload_is_dropped_with_its_file_and_a_busy_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::Store::open(folder.path()).unwrap();
        let repository = Repository::new("a", "127.0.0.1:1".parse().unwrap()).unwrap();
        let uploads = Uploads::default();
        for id in ["idle", "busy"] {
            let upload = Upload::new(&repository, store.write_blob().unwrap());
            uploads.with(|uploads| uploads.insert(id.to_owned(), Arc::new(upload)));
        }
        let idle = Duration::from_secs(60);
        let busy = uploads.find(&repository, "busy").unwrap();
        let held = busy.take().await.unwrap();
        uploads.expire(Instant::now(), idle);
        assert_eq!(files(&folder.path().join("tmp")), 2);
        uploads.expire(Instant::now() + idle, idle);
        assert!(uploads.find(&repository, "idle").is_err());
        assert!(uploads.find(&repository, "busy").is_ok());
        assert_eq!(files(&folder.path().join("tmp")), 1);
        drop(held);
        uploads.expire(Instant::now() + idle, idle);
        assert!(uploads.find(&repository, "busy").is_err());
        drop(busy);
        assert_eq!(files(&folder.path().join("tmp")), 0);
    }

    #[test]
    fn another_repositorys_upload_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::Store::open(folder.path()).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let [a, b] = ["a", "b"].map(|name| Repository::new(name, address).unwrap());
        let uploads = Uploads::default();
        let upload = Arc::new(Upload::new(&a, store.write_blob().unwrap()));
        uploads.with(|uploads| uploads.insert("id".to_owned(), upload));
        assert!(uploads.find(&a, "id").is_ok());
        assert!(uploads.find(&b, "id").is_err());
    }

    #[expect(clippy::disallowed_methods, reason = "only counts")]
    fn files(folder: &std::path::Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }
}
