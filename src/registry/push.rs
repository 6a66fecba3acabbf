//! Pushing: a document of the store and everything under it into a registry.
//!
//! In: a descriptor, a reference. Out: the document in the registry, under the reference's tag.
//! Blobs come first, then documents, an index after its members (distribution-spec, "Pushing
//! Manifests": a registry may refuse what names something that it doesn't have).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{self, HeaderValue};

use super::auth::Scope;
use super::client::Inner;
use super::error::Error;
use super::hosts;
use super::link::{Body, Link};
use super::resolve::{ACCEPT, header_text};
use super::tasks::Tasks;
use super::upload;
use crate::canon::event::Outcome;
use crate::canon::{Digest, Reference};
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document};
use crate::store::{Store, Verified};

/// Repositories that are asked for a blob before it is uploaded.
const MOST_SOURCES: usize = 4;

pub(super) async fn push(
    inner: &Arc<Inner>,
    store: &Store,
    descriptor: &Descriptor,
    reference: &Reference,
    mount_from: &[Reference],
) -> Result<Digest, Error> {
    if let Some(expected) = reference
        .digest
        .filter(|digest| *digest != descriptor.digest)
    {
        return Err(Error::OtherDigest {
            expected,
            got: descriptor.digest,
        });
    }
    let link = Arc::new(inner.target(reference)?);
    let sources = Arc::new(mount_sources(inner, &link, mount_from)?);
    let mut plan = Plan::default();
    plan.add(store, &link, descriptor).await?;
    push_blobs(inner, store, reference, &link, &sources, plan.blobs).await?;
    for (digest, (document, bytes)) in plan.order.iter().filter_map(|digest| {
        let planned = plan.documents.get(digest);
        planned.map(|planned| (digest, planned))
    }) {
        let is_top = *digest == descriptor.digest;
        let name = match (&reference.tag, is_top) {
            (Some(tag), true) => tag.clone(),
            _ => digest.to_string(),
        };
        let name_for_people = format!("push {} sha256:{}", reference.name(), digest.short());
        let work = inner.events.start(name_for_people);
        put(&link, &name, document.media_type(), bytes, digest).await?;
        work.finish(Outcome::Done);
    }
    Ok(descriptor.digest)
}

/// Repositories of the same host that may have the blobs, the target's own left out.
fn mount_sources(
    inner: &Inner,
    link: &Link,
    mount_from: &[Reference],
) -> Result<Vec<String>, Error> {
    let mut sources = Vec::new();
    for reference in mount_from {
        let Ok(place) = hosts::place_to_push(reference, &inner.files.registries) else {
            continue;
        };
        let toml = inner.files.hosts_toml(&place.registry)?;
        let toml = toml.as_ref().map(|(toml, _)| toml);
        let Ok(endpoint) = hosts::endpoint_to_push(&place, toml) else {
            continue;
        };
        let is_there = (&endpoint.host, &endpoint.path)
            == (&link.endpoint.host, &link.endpoint.path)
            && endpoint.repository != link.endpoint.repository;
        if is_there && !sources.contains(&endpoint.repository) && sources.len() < MOST_SOURCES {
            sources.push(endpoint.repository);
        }
    }
    Ok(sources)
}

/// What is to be pushed.
#[derive(Default)]
struct Plan {
    blobs: BTreeMap<Digest, Descriptor>,
    documents: BTreeMap<Digest, (Document, Verified)>,
    /// Of the documents: members before their index.
    order: Vec<Digest>,
    seen: BTreeSet<Digest>,
}

impl Plan {
    /// Takes in a document and what is under it.
    async fn add(&mut self, store: &Store, link: &Link, top: &Descriptor) -> Result<(), Error> {
        // Each document is met twice: to open it, and, its members done, to place it.
        let mut open = vec![(top.clone(), false)];
        while let Some((descriptor, members_are_done)) = open.pop() {
            let digest = descriptor.digest;
            if members_are_done {
                self.order.push(digest);
                continue;
            }
            if !self.seen.insert(digest) {
                continue;
            }
            let is_top = digest == top.digest;
            if store.blob(&digest).is_none() && !is_top {
                let what = format!("document {digest}");
                let rest = format!("manifests/{digest}");
                if exists(link, &what, &rest).await? {
                    continue;
                }
                return Err(Error::MissingForPush {
                    what,
                    hint: "pull the image for all its platforms, then push it again".to_owned(),
                });
            }
            let bytes = store.read(&digest, LARGEST_DOCUMENT)?;
            let document = Document::parse(&bytes).map_err(|error| Error::Nonsense {
                host: "the store".to_owned(),
                what: format!("document {digest}"),
                reason: error.to_string(),
            })?;
            open.push((descriptor, true));
            match &document {
                Document::Manifest(manifest) => {
                    let named = std::iter::once(&manifest.config).chain(&manifest.layers);
                    self.blobs
                        .extend(named.map(|blob| (blob.digest, blob.clone())));
                }
                Document::Index(index) => {
                    let members = index.manifests.iter().rev();
                    open.extend(members.map(|member| (member.clone(), false)));
                }
            }
            self.documents.insert(digest, (document, bytes));
        }
        Ok(())
    }
}

/// Whether the registry has it.
pub(super) async fn exists(link: &Link, what: &str, rest: &str) -> Result<bool, Error> {
    let mut ask = link.ask(what, Method::HEAD, rest, Scope::PUSH).await?;
    ask.headers
        .insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
    let response = link.send(&ask).await?;
    match response.status().as_u16() {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(link.refused(response, what).await),
    }
}

async fn push_blobs(
    inner: &Arc<Inner>,
    store: &Store,
    reference: &Reference,
    link: &Arc<Link>,
    sources: &Arc<Vec<String>>,
    blobs: BTreeMap<Digest, Descriptor>,
) -> Result<(), Error> {
    let mut tasks = Tasks::default();
    for descriptor in blobs.into_values() {
        let digest = descriptor.digest;
        let name = format!("push {} sha256:{}", reference.name(), digest.short());
        let work = inner.events.start(name);
        let (link, sources) = (link.clone(), sources.clone());
        let blob = store.blob(&digest);
        let task = async move {
            let what = format!("blob {digest}");
            let Some(blob) = blob else {
                if exists(&link, &what, &format!("blobs/{digest}")).await? {
                    work.finish(Outcome::Cached);
                    return Ok(());
                }
                let is_foreign = descriptor.foreign.contains_key("urls");
                return Err(Error::MissingForPush {
                    what,
                    hint: match is_foreign {
                        true => "it is a foreign layer, which its `urls` name: pull the image first, and where its licence allows it, push it",
                        false => "pull or build the image again, then push it",
                    }
                    .to_owned(),
                });
            };
            if blob.size != descriptor.size {
                return Err(Error::SizeMismatch {
                    what: format!("{what}, as its document describes it,"),
                    expected: descriptor.size,
                    got: blob.size,
                });
            }
            let uploaded = upload::upload(&link, &blob, &sources, work).await;
            // A registry that refuses a damaged blob is right.
            uploaded.map_err(|error| blob.check().map_or_else(Error::Store, |()| error))
        };
        tasks.begin(task).await?;
    }
    tasks.finish().await
}

/// Puts one document.
pub(super) async fn put(
    link: &Link,
    name: &str,
    media_type: &str,
    bytes: &[u8],
    digest: &Digest,
) -> Result<(), Error> {
    let what = format!("document {digest}");
    let rest = format!("manifests/{name}");
    let mut ask = link.ask(&what, Method::PUT, &rest, Scope::PUSH).await?;
    let media_type = HeaderValue::try_from(media_type);
    let media_type = media_type.map_err(|error| link.nonsense(&what, error.to_string()))?;
    ask.headers.insert(header::CONTENT_TYPE, media_type);
    ask.body = Body::Bytes(bytes::Bytes::copy_from_slice(bytes));
    let response = link.send(&ask).await?;
    if !response.status().is_success() {
        return Err(link.refused(response, &what).await);
    }
    check_digest(link, &response, &what, digest)
}

/// What the registry says that it took must be what was sent.
pub(super) fn check_digest(
    link: &Link,
    response: &reqwest::Response,
    what: &str,
    digest: &Digest,
) -> Result<(), Error> {
    let named = header_text(response, "docker-content-digest");
    let named = named.and_then(|named| named.parse().ok());
    match named {
        Some(got) if got != *digest => Err(Error::DigestMismatch {
            what: format!("{what}, as {} took it,", link.host()),
            expected: *digest,
            got,
        }),
        _ => Ok(()),
    }
}
