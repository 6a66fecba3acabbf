//! Manifests and indexes: distribution-spec, "Pulling manifests", "Pushing Manifests",
//! "Deleting Manifests".
//!
//! In: a tag or digest, and the document where one is pushed. Out: the document byte for byte; a
//! pushed one is named in the store's index once everything that it points at is there.
//!
//! What is pushed as a tag is named `localhost/NAME:TAG`. What is pushed by its digest is named
//! `localhost/NAME@DIGEST`, so that it is kept and found again, and loses that name when a tag, or
//! an index that holds it, comes to keep it: a client pushes the members of an index first, and
//! they would stand among the images for ever.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;

use super::error::Failure;
use super::members::{Members, has_tag};
use super::names::Repository;
use super::routes::TagOrDigest;
use super::{CONTENT_DIGEST, Shared, respond};
use crate::canon::{Digest, Reference};
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document};
use crate::store::Store;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Answers GET and, without `wants_body`, HEAD.
pub(super) async fn get(
    shared: &Shared,
    repository: Repository,
    reference: TagOrDigest,
    wants_body: bool,
) -> Result<Response, Failure> {
    let (digest, bytes, document) = shared
        .with_store(move |store| {
            let digest = Members::read(store, &repository)?
                .find(store, &reference)
                .ok_or_else(|| Failure::manifest_unknown(&reference))?;
            let bytes = store.read(&digest, LARGEST_DOCUMENT)?.to_vec();
            let document = Document::parse(&bytes).map_err(Failure::internal)?;
            Ok((digest, bytes, document))
        })
        .await?;
    respond(StatusCode::OK)
        .header(CONTENT_TYPE, document.media_type())
        .header(CONTENT_LENGTH, bytes.len())
        .header(CONTENT_DIGEST, digest.to_string())
        .header(ETAG, format!("\"{digest}\""))
        .body(if wants_body {
            Body::from(bytes)
        } else {
            Body::empty()
        })
        .map_err(Failure::internal)
}

/// Takes in a manifest or index.
pub(super) async fn put(
    shared: &Shared,
    repository: Repository,
    reference: TagOrDigest,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = read_document(shared, headers, body).await?;
    let content_type = headers.get(CONTENT_TYPE).cloned();
    let name = repository.name.clone();
    let (digest, subject) = shared
        .with_store(move |store| {
            let digest = Digest::of(&bytes);
            if matches!(&reference, TagOrDigest::Digest(named) if *named != digest) {
                let message = format!("the manifest has the digest {digest} and not {reference}");
                return Err(Failure::digest_invalid(message));
            }
            let document = Document::parse(&bytes)
                .map_err(|error| Failure::manifest_invalid(error.to_string()))?;
            let content_type = content_type.as_ref().map(|value| value.as_bytes());
            check_content_type(&document, content_type)?;
            let subject = subject(&document)?;
            check_descriptors(store, &document)?;
            store.put(&bytes)?;
            let descriptor = Descriptor::new(document.media_type(), digest, bytes.len() as u64);
            keep(store, &repository, &reference, &descriptor, &document)?;
            Ok((digest, subject))
        })
        .await?;
    let mut response = respond(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/manifests/{digest}"))
        .header(CONTENT_DIGEST, digest.to_string());
    if let Some(subject) = subject {
        response = response.header(SUBJECT, subject.digest.to_string());
    }
    response.body(Body::empty()).map_err(Failure::internal)
}

/// Reads a body of at most [`LARGEST_DOCUMENT`] bytes.
async fn read_document(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let message = format!("a manifest has {LARGEST_DOCUMENT} bytes at most");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| {
        let length = length.to_str().ok()?;
        length.parse::<u64>().ok()
    });
    if announced.is_some_and(|announced| announced > LARGEST_DOCUMENT) {
        return Err(too_large());
    }
    let mut body = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(shared.limits.silence, body.next()).await {
            Ok(Some(Ok(piece))) => {
                if (bytes.len() + piece.len()) as u64 > LARGEST_DOCUMENT {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(error))) => {
                let message = format!("the body broke off: {error}");
                return Err(Failure::manifest_invalid(message));
            }
            Err(_) => {
                let message = "the body stopped coming";
                let status = StatusCode::REQUEST_TIMEOUT;
                return Err(Failure::new(status, "MANIFEST_INVALID", message));
            }
        }
    }
}

/// A document must be what its header calls it, or two readers take it for two things.
fn check_content_type(document: &Document, content_type: Option<&[u8]>) -> Result<(), Failure> {
    let Some(content_type) = content_type else {
        return Ok(());
    };
    let content_type = String::from_utf8_lossy(content_type);
    let named = content_type.split(';').next().unwrap_or_default().trim();
    let is = document.media_type();
    if named == is {
        return Ok(());
    }
    let message = format!("Content-Type says `{named}`, and the manifest is `{is}`");
    Err(Failure::manifest_invalid(message))
}

/// The manifest that this one is about; it need not be there.
pub(super) fn subject(document: &Document) -> Result<Option<Descriptor>, Failure> {
    let foreign = match document {
        Document::Manifest(manifest) => &manifest.foreign,
        Document::Index(index) => &index.foreign,
    };
    match foreign.get("subject") {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(subject) => serde_json::from_value(subject.clone())
            .map(Some)
            .map_err(|error| Failure::manifest_invalid(format!("its subject: {error}"))),
    }
}

/// Everything that a document points at must be in the store, at the size that it says.
fn check_descriptors(store: &Store, document: &Document) -> Result<(), Failure> {
    for descriptor in document.descriptors() {
        let digest = &descriptor.digest;
        match store.blob(digest) {
            Some(blob) if blob.size == descriptor.size => {}
            Some(blob) => {
                return Err(Failure::manifest_invalid(format!(
                    "it says that {digest} has {} bytes, and it has {}",
                    descriptor.size, blob.size
                )));
            }
            None if is_elsewhere(descriptor) => {}
            None => {
                let message = format!("push {digest} first: the store does not have it");
                let status = StatusCode::NOT_FOUND;
                return Err(Failure::new(status, "MANIFEST_BLOB_UNKNOWN", message));
            }
        }
    }
    Ok(())
}

/// Whether a layer may be had elsewhere only: image-spec, layer.md, "Non-Distributable Layers",
/// and Docker's foreign layers.
fn is_elsewhere(descriptor: &Descriptor) -> bool {
    let media_type = &descriptor.media_type;
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// Names a pushed document, and takes away the names by digest that it makes superfluous.
fn keep(
    store: &Store,
    repository: &Repository,
    reference: &TagOrDigest,
    descriptor: &Descriptor,
    document: &Document,
) -> Result<(), Failure> {
    let mut superfluous: Vec<Reference> = match document {
        Document::Manifest(_) => Vec::new(),
        Document::Index(index) => {
            let members = index.manifests.iter();
            members.map(|member| repository.at(member.digest)).collect()
        }
    };
    match reference {
        TagOrDigest::Tag(tag) => {
            store.name_image(Some(&repository.tagged(tag)), descriptor)?;
            superfluous.push(repository.at(descriptor.digest));
        }
        TagOrDigest::Digest(digest) => {
            if !Members::read(store, repository)?.names_lead_to(store, digest) {
                store.name_image(Some(&repository.at(*digest)), descriptor)?;
            }
        }
    }
    superfluous.sort();
    let is_superfluous = |reference: &Option<Reference>| matches!(reference, Some(name) if superfluous.binary_search(name).is_ok());
    let images = store.images()?;
    if images.iter().any(|image| is_superfluous(&image.reference)) {
        store.forget_image(|image| is_superfluous(&image.reference))?;
    }
    Ok(())
}

/// Takes away a tag, or an image with all its tags. Blobs stay until the store is tidied up, which
/// is not done while a server works with it.
pub(super) async fn delete(
    shared: &Shared,
    repository: Repository,
    reference: TagOrDigest,
) -> Result<Response, Failure> {
    shared
        .with_store(move |store| {
            let members = Members::read(store, &repository)?;
            match &reference {
                TagOrDigest::Tag(tag) => delete_tag(store, &repository, &members, tag),
                TagOrDigest::Digest(digest) => delete_image(store, &repository, &members, digest),
            }
        })
        .await?;
    respond(StatusCode::ACCEPTED)
        .body(Body::empty())
        .map_err(Failure::internal)
}

/// The image stays: its digest is not what was deleted.
fn delete_tag(
    store: &Store,
    repository: &Repository,
    members: &Members,
    tag: &str,
) -> Result<(), Failure> {
    let (tagged, others): (Vec<_>, Vec<_>) = members.roots().partition(|image| has_tag(image, tag));
    if tagged.is_empty() {
        return Err(Failure::manifest_unknown(tag));
    }
    for image in &tagged {
        let digest = image.descriptor.digest;
        if !others.iter().any(|other| other.descriptor.digest == digest) {
            store.name_image(Some(&repository.at(digest)), &image.descriptor)?;
        }
    }
    store.forget_image(|image| {
        let is_here = |name| repository.rank(name).is_some();
        image.reference.as_ref().is_some_and(is_here) && has_tag(image, tag)
    })?;
    Ok(())
}

fn delete_image(
    store: &Store,
    repository: &Repository,
    members: &Members,
    digest: &Digest,
) -> Result<(), Failure> {
    if !members
        .roots()
        .any(|image| image.descriptor.digest == *digest)
    {
        let found = members.find(store, &TagOrDigest::Digest(*digest));
        return Err(match found {
            Some(_) => Failure::unsupported("it is a member of an index: delete that"),
            None => Failure::manifest_unknown(digest),
        });
    }
    store.forget_image(|image| {
        let name = image.reference.as_ref();
        let is_here = name.is_none_or(|name| repository.rank(name).is_some());
        is_here && image.descriptor.digest == *digest
    })?;
    Ok(())
}
