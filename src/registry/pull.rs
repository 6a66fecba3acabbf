//! Pulling: documents and blobs from a registry into the store.
//!
//! In: a reference, a platform or none. Out: everything that it names, in the store, each byte
//! checked against its digest; blobs first, then the documents that name them, so that what was
//! broken off leaves no document without its blobs. A broken connection goes on at the byte where
//! it stopped (RFC 9110, section 14; distribution-spec, "Pulling blobs").

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Response};

use super::auth::Scope;
use super::client::{Inner, Source};
use super::connection::causes;
use super::error::Error;
use super::link::Link;
use super::resolve::{self, choose, header_text, no_platform};
use super::tasks::Tasks;
use crate::canon::event::{Outcome, Work};
use crate::canon::{Digest, Platform, Reference};
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document};
use crate::store::{BlobWriter, Store, Verified, io_error};

/// Indexes in indexes in ….
const DEEPEST: usize = 4;
/// Documents that one reference may name.
const MOST_DOCUMENTS: usize = 1000;
/// Bytes of all documents that one reference may name: they are held until their blobs are there.
const MOST_BYTES: u64 = 64 << 20;
/// After so many more bytes a broken connection is forgiven.
const FORGIVEN: u64 = 1 << 20;

pub(super) async fn pull(
    inner: &Arc<Inner>,
    store: &Store,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<Descriptor, Error> {
    let source = Arc::new(inner.source(reference)?);
    let what = format!("`{reference}`");
    let in_store = reference
        .digest
        .as_ref()
        .and_then(|digest| kept(store, digest));
    let (top, document, bytes) = match in_store {
        Some((document, bytes)) => {
            let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
            let top = Descriptor::new(document.media_type(), digest, size);
            inner
                .events
                .debug(format!("{what}: its document is in the store"));
            (top, document, bytes)
        }
        None => {
            let resolved = resolve::resolve(&source, reference).await?;
            (resolved.descriptor, resolved.document, resolved.bytes)
        }
    };
    let mut blobs = BTreeMap::new();
    let mut held = bytes.len() as u64;
    let mut documents = vec![bytes];
    let mut open = vec![(document, 1)];
    while let Some((document, depth)) = open.pop() {
        let index = match document {
            Document::Manifest(manifest) => {
                let named = std::iter::once(manifest.config).chain(manifest.layers);
                blobs.extend(named.map(|descriptor| (descriptor.digest, descriptor)));
                continue;
            }
            Document::Index(index) => index,
        };
        let too_many = |reason: String| Error::TooMany {
            what: what.clone(),
            reason,
        };
        if depth > DEEPEST {
            return Err(too_many(format!(
                "indexes are nested more than {DEEPEST} deep"
            )));
        }
        let members = match platform {
            None => index.manifests.iter().collect(),
            Some(platform) => match choose(&index, platform) {
                Some(member) => vec![member],
                None => return Err(no_platform(&what, &index, platform)),
            },
        };
        for member in members {
            if documents.len() >= MOST_DOCUMENTS {
                return Err(too_many(format!("more than {MOST_DOCUMENTS}")));
            }
            held = held.saturating_add(member.size);
            if held > MOST_BYTES {
                return Err(too_many(format!("they have more than {MOST_BYTES} bytes")));
            }
            let bytes = match kept(store, &member.digest) {
                Some((_, bytes)) if bytes.len() as u64 == member.size => bytes,
                _ => resolve::member(&source, member).await?,
            };
            if let Ok(document) = Document::parse(&bytes) {
                open.push((document, depth + 1));
            } else if member.is_document() {
                return Err(Error::Nonsense {
                    host: reference.registry.clone(),
                    what: format!("document {}", member.digest),
                    reason: "it is no image manifest or index".to_owned(),
                });
            }
            documents.push(bytes);
        }
    }
    fetch_all(inner, &source, store, reference, blobs).await?;
    for bytes in documents.iter().rev() {
        tokio::task::block_in_place(|| store.put(bytes))?;
    }
    Ok(top)
}

/// A document that the store has.
fn kept(store: &Store, digest: &Digest) -> Option<(Document, Verified)> {
    store.blob(digest)?;
    let bytes = store.read(digest, LARGEST_DOCUMENT).ok()?;
    Some((Document::parse(&bytes).ok()?, bytes))
}

async fn fetch_all(
    inner: &Arc<Inner>,
    source: &Arc<Source>,
    store: &Store,
    reference: &Reference,
    blobs: BTreeMap<Digest, Descriptor>,
) -> Result<(), Error> {
    let mut tasks = Tasks::default();
    for descriptor in blobs.into_values() {
        let digest = descriptor.digest;
        let name = format!("pull {} sha256:{}", reference.name(), digest.short());
        let work = inner.events.start(name);
        // Where the sizes differ, either is wrong, and fetching tells which.
        if store.whole_blob(&digest, descriptor.size).is_some() {
            work.finish(Outcome::Cached);
            continue;
        }
        let (source, store) = (source.clone(), store.clone());
        let task = async move {
            let give = |link: Arc<Link>| {
                let (store, descriptor, work) = (&store, &descriptor, &work);
                async move { fetch(&link, store, descriptor, work).await }
            };
            source
                .first_good(
                    &format!("blob {digest}"),
                    |endpoint| endpoint.can_pull,
                    give,
                )
                .await?;
            work.finish(Outcome::Done);
            Ok(())
        };
        tasks.begin(task).await?;
    }
    tasks.finish().await
}

/// One blob from one host.
async fn fetch(
    link: &Link,
    store: &Store,
    descriptor: &Descriptor,
    work: &Work,
) -> Result<(), Error> {
    let Descriptor { digest, size, .. } = *descriptor;
    let what = format!("blob {digest}");
    let place = format!("{what} from {}", link.host());
    let mut ask = link
        .ask(&what, Method::GET, &format!("blobs/{digest}"), Scope::PULL)
        .await?;
    let mut writer = store.write_blob()?;
    let (mut failures, mut forgiven_at) = (0, 0);
    let (mut was_resumed, mut may_resume) = (false, true);
    loop {
        let start = writer.size();
        ask.headers.remove(header::RANGE);
        if start > 0 {
            let range = HeaderValue::try_from(format!("bytes={start}-"));
            let range = range.map_err(|error| link.nonsense(&what, error.to_string()))?;
            ask.headers.insert(header::RANGE, range);
        }
        let mut response = link.send(&ask).await?;
        let status = response.status().as_u16();
        let goes_on = status == 206 && range_start(&response) == Some(start);
        match status {
            206 if goes_on => {
                was_resumed = true;
                let events = &link.inner.events;
                events.debug(format!("{place}: goes on at byte {start}"));
            }
            // Some answer a range that they don't like with all of it, or with 416.
            200 if start > 0 => writer = store.write_blob()?,
            206 | 416 if start > 0 => {
                writer = store.write_blob()?;
                failures += 1;
                may_resume = false;
                let error = link.nonsense(&what, "it gives another range than was asked for");
                link.wait_or(error, failures, link.tries, None).await?;
                continue;
            }
            200 => {}
            _ => return Err(link.refused(response, &what).await),
        }
        let broken = copy(&mut response, &mut writer, store, &place, size, work).await?;
        if writer.size() == size {
            let written = tokio::task::block_in_place(|| writer.finish_as(&place, &digest));
            return match written {
                Ok(_) => Ok(()),
                // The pieces may be of two different blobs: once more in one piece.
                Err(_) if was_resumed => {
                    link.inner.events.debug(format!(
                        "{place}: its pieces don't fit together, so once more from the start"
                    ));
                    (was_resumed, may_resume) = (false, false);
                    writer = store.write_blob()?;
                    continue;
                }
                Err(error) => Err(error.into()),
            };
        }
        if writer.size() >= forgiven_at + FORGIVEN {
            (failures, forgiven_at) = (0, writer.size());
        }
        failures += 1;
        let cause = broken
            .unwrap_or_else(|| format!("{what} ends after {} of {size} bytes", writer.size()));
        let host = link.host();
        let error = Error::Unreachable { host, cause };
        link.wait_or(error, failures, link.tries, None).await?;
        if !may_resume {
            writer = store.write_blob()?;
        }
    }
}

/// Writes what comes, and says what broke it off. More bytes than announced are an error.
async fn copy(
    response: &mut Response,
    writer: &mut BlobWriter,
    store: &Store,
    place: &str,
    size: u64,
    work: &Work,
) -> Result<Option<String>, Error> {
    let too_many = |got| Error::SizeMismatch {
        what: place.to_owned(),
        expected: size,
        got,
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > size - writer.size().min(size) {
        return Err(too_many(writer.size().saturating_add(announced)));
    }
    loop {
        let piece = match response.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(causes(&error))),
        };
        let got = writer.size() + piece.len() as u64;
        if got > size {
            return Err(too_many(got));
        }
        writer
            .write_all(&piece)
            .map_err(io_error("write in", &store.root().join("tmp")))?;
        work.progress(got, Some(size));
    }
}

/// Where the range of a 206 begins: `bytes 100-199/200`.
fn range_start(response: &Response) -> Option<u64> {
    let range = header_text(response, header::CONTENT_RANGE.as_str())?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}
