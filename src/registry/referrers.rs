//! Referrers: artifacts that say which image they belong to.
//!
//! In: an artifact of the store whose manifest has a `subject`; or an image, and a type of
//! artifacts. Out: the artifact in the registry, listed there; or those that are listed
//! (distribution-spec, "Listing Referrers"), on however many pages. A registry that doesn't list
//! them by itself has the list under a tag (there, "Referrers Tag Schema"): that list is
//! everybody's, so it is only written where it was read, or where there surely is none.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Response, Url};

use super::auth::Scope;
use super::client::Inner;
use super::connection::is_same_origin;
use super::error::Error;
use super::link::{Link, read_bounded};
use super::push;
use super::resolve::ACCEPT;
use crate::canon::{Digest, Reference, json};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Index};
use crate::store::Store;

/// Pages that a registry may list an image's artifacts on.
const MOST_PAGES: usize = 100;
/// Artifacts that one image may have.
const MOST_REFERRERS: usize = 10_000;
/// What is asked for, for messages.
const WHAT: &str = "the list of referrers";

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
    let is_meant = |member: &Descriptor| member.digest == artifact.digest;
    let listed = listed(&link, subject).await?;
    if listed.is_some_and(|members| members.iter().any(is_meant)) {
        return Ok(());
    }
    let mut index = tagged(&link, subject).await?.unwrap_or_else(|| Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        manifests: Vec::new(),
        annotations: None,
        foreign: Default::default(),
    });
    if index.manifests.iter().any(is_meant) {
        return Ok(());
    }
    index.manifests.push(artifact.clone());
    let bytes = json::to_vec(&index).map_err(|error| link.nonsense(WHAT, error.to_string()))?;
    let digest = Digest::of(&bytes);
    let kind = index.media_type.as_deref().unwrap_or(media_type::INDEX);
    push::put(&link, &tag(subject), kind, &bytes, &digest).await
}

/// The artifacts of that type that belong to the image `subject`.
pub(super) async fn find(
    inner: &Arc<Inner>,
    place: &Reference,
    subject: &Digest,
    artifact_type: &str,
) -> Result<Vec<Descriptor>, Error> {
    let link = inner.target(place)?;
    let mut members = listed(&link, subject).await?.unwrap_or_default();
    // A registry may have learnt to list them after some were pushed, or list none.
    let tagged = tagged(&link, subject).await?;
    for member in tagged.into_iter().flat_map(|index| index.manifests) {
        if members.iter().all(|there| there.digest != member.digest) {
            members.push(member);
        }
    }
    let is_meant = |member: &Descriptor| {
        let kind = member.foreign.get("artifactType");
        kind.and_then(|kind| kind.as_str()) == Some(artifact_type)
    };
    Ok(members.into_iter().filter(is_meant).collect())
}

/// What the registry lists by itself; none where it knows no such list.
async fn listed(link: &Link, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
    let mut url = link.url(&format!("referrers/{subject}")).await?;
    let mut members = Vec::new();
    let mut seen = BTreeSet::new();
    while seen.insert(url.clone()) {
        let is_first = seen.len() == 1;
        let too_many = |reason| Error::TooMany {
            what: format!("{WHAT} of {subject} at {}", link.host()),
            reason,
        };
        if seen.len() > MOST_PAGES {
            return Err(too_many(format!("more than {MOST_PAGES} pages")));
        }
        let mut response = ask(link, url).await?;
        match response.status().as_u16() {
            200 => {}
            // As registries have it that are older than such lists.
            400 | 404 | 405 | 501 if is_first => return Ok(None),
            _ => return Err(link.refused(response, WHAT).await),
        }
        let next = next(link, &response)?;
        // What is no index is some page of a server that knows no such list.
        let index = match index(link, &mut response).await? {
            Some(index) => index,
            None if is_first => return Ok(None),
            None => return Err(link.nonsense(WHAT, "a page of it is no index")),
        };
        members.extend(index.manifests);
        if members.len() > MOST_REFERRERS {
            return Err(too_many(format!("more than {MOST_REFERRERS}")));
        }
        match next {
            Some(next) => url = next,
            None => return Ok(Some(members)),
        }
    }
    Err(link.nonsense(WHAT, "its pages lead back to one another"))
}

/// The list under the tag; none where there is no such tag.
async fn tagged(link: &Link, subject: &Digest) -> Result<Option<Index>, Error> {
    let url = link.url(&format!("manifests/{}", tag(subject))).await?;
    let mut response = ask(link, url).await?;
    match response.status().as_u16() {
        200 => {}
        404 => return Ok(None),
        _ => return Err(link.refused(response, WHAT).await),
    }
    match index(link, &mut response).await? {
        Some(index) => Ok(Some(index)),
        None => {
            let reason = format!("what the tag `{}` names is no index", tag(subject));
            Err(link.nonsense(WHAT, reason))
        }
    }
}

async fn ask(link: &Link, url: Url) -> Result<Response, Error> {
    let mut ask = link.ask(WHAT, Method::GET, "", Scope::PULL).await?;
    ask.url = url;
    ask.headers
        .insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
    link.send(&ask).await
}

/// The index that was answered; none where it is something else.
async fn index(link: &Link, response: &mut Response) -> Result<Option<Index>, Error> {
    let bytes = read_bounded(response, LARGEST_DOCUMENT).await;
    let bytes = bytes.map_err(|cause| Error::Unreachable {
        host: link.host(),
        cause,
    })?;
    let Some(bytes) = bytes else {
        let reason = format!("it is larger than {LARGEST_DOCUMENT} bytes");
        return Err(link.nonsense(WHAT, reason));
    };
    Ok(match Document::parse(&bytes) {
        Ok(Document::Index(index)) => Some(index),
        _ => None,
    })
}

/// The next page, as `Link: <…>; rel="next"` names it (RFC 8288; distribution-spec).
fn next(link: &Link, response: &Response) -> Result<Option<Url>, Error> {
    let values = response.headers().get_all(header::LINK).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let Some(target) = texts.into_iter().find_map(next_of) else {
        return Ok(None);
    };
    let url = response.url().join(target).ok();
    // Another server is not asked, and not told who asks.
    url.filter(|url| is_same_origin(response.url(), url))
        .map(Some)
        .ok_or_else(|| link.nonsense(WHAT, "its next page is at no address of its own"))
}

/// The target of the link to the next page; addresses may have commas in them.
fn next_of(mut text: &str) -> Option<&str> {
    let is_next = |parameter: &str| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
    };
    loop {
        let (target, rest) = text.trim_start().strip_prefix('<')?.split_once('>')?;
        let (parameters, others) = rest.split_once(',').unwrap_or((rest, ""));
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        text = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_one_that_is_called_so() {
        for (text, target) in [
            (
                "</v2/a/referrers/b?last=c>; rel=\"next\"",
                Some("/v2/a/referrers/b?last=c"),
            ),
            ("<?n=1>;n=2; REL=next", Some("?n=1")),
            ("<?n=1>; rel=\"last next\"", Some("?n=1")),
            ("<?n=a,b>; rel=next", Some("?n=a,b")),
            ("<?n=1>; rel=prev, <?n=2,3>; rel=next", Some("?n=2,3")),
            ("<?n=1>; rel=prev", None),
            ("<?n=1>", None),
            ("?n=1; rel=next", None),
        ] {
            assert_eq!(next_of(text), target, "{text}");
        }
    }
}
