//! Referrers: artifacts that say which image they belong to.
//!
//! In: an artifact of the store whose manifest has a `subject`; or an image, and a type of
//! artifacts. Out: the artifact in the registry, listed there; or those that are listed
//! (distribution-spec, "Listing Referrers"). A registry that doesn't list them by itself has the
//! list under a tag (there, "Referrers Tag Schema").

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{self, HeaderValue};

use super::auth::Scope;
use super::client::Inner;
use super::error::Error;
use super::link::{Link, read_bounded};
use super::push;
use super::resolve::ACCEPT;
use crate::canon::{Digest, Reference, json};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Index};
use crate::store::Store;

/// The tag that the artifacts of `subject` are listed under.
fn tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// Pushes `artifact` beside the image `subject`, whose repository `place` names.
pub(super) async fn attach(
    inner: &Arc<Inner>,
    store: &Store,
    place: &Reference,
    subject: &Digest,
    artifact: &Descriptor,
) -> Result<(), Error> {
    let reference = Reference {
        tag: None,
        digest: Some(artifact.digest),
        ..place.clone()
    };
    push::push(inner, store, artifact, &reference, &[]).await?;
    let link = inner.target(&reference)?;
    let is_listed = |index: &Index| {
        let mut members = index.manifests.iter();
        members.any(|member| member.digest == artifact.digest)
    };
    if listed(&link, &format!("referrers/{subject}"))
        .await?
        .is_some_and(|index| is_listed(&index))
    {
        return Ok(());
    }
    let rest = format!("manifests/{}", tag(subject));
    let mut index = listed(&link, &rest).await?.unwrap_or_else(|| Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        manifests: Vec::new(),
        annotations: None,
        foreign: Default::default(),
    });
    if is_listed(&index) {
        return Ok(());
    }
    index.manifests.push(artifact.clone());
    let bytes =
        json::to_vec(&index).map_err(|error| link.nonsense("the list", error.to_string()))?;
    let digest = Digest::of(&bytes);
    push::put(&link, &tag(subject), media_type::INDEX, &bytes, &digest).await
}

/// The artifacts of that type that belong to the image `subject`.
pub(super) async fn find(
    inner: &Arc<Inner>,
    place: &Reference,
    subject: &Digest,
    artifact_type: &str,
) -> Result<Vec<Descriptor>, Error> {
    let link = inner.target(place)?;
    let index = match listed(&link, &format!("referrers/{subject}")).await? {
        Some(index) => Some(index),
        None => listed(&link, &format!("manifests/{}", tag(subject))).await?,
    };
    let members = index.into_iter().flat_map(|index| index.manifests);
    let is_meant = |member: &Descriptor| {
        let kind = member.foreign.get("artifactType");
        kind.and_then(|kind| kind.as_str()) == Some(artifact_type)
    };
    Ok(members.filter(is_meant).collect())
}

/// The index at `rest`; none where there is none, or the registry knows no such place.
async fn listed(link: &Link, rest: &str) -> Result<Option<Index>, Error> {
    let what = "the list of referrers";
    let mut ask = link.ask(what, Method::GET, rest, Scope::PULL).await?;
    ask.headers
        .insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
    let mut response = link.send(&ask).await?;
    if response.status().as_u16() != 200 {
        return Ok(None);
    }
    let bytes = read_bounded(&mut response, LARGEST_DOCUMENT).await;
    let bytes = bytes.map_err(|cause| Error::Unreachable {
        host: link.host(),
        cause,
    })?;
    // What is no index is some page of a server that knows no referrers.
    let document = bytes.and_then(|bytes| Document::parse(&bytes).ok());
    Ok(match document {
        Some(Document::Index(index)) => Some(index),
        _ => None,
    })
}
