//! What there is: distribution-spec, "Listing Tags" and "Listing Referrers", and Docker's
//! `_catalog` of repositories.
//!
//! In: a repository and the query. Out: JSON, in pages where the client or [`LONGEST_PAGE`] asks
//! for them; `Link` leads to the next one (RFC 5988).

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::error::Failure;
use super::members::{Members, document};
use super::names::{Repository, name_of};
use super::routes::{Query, encode};
use super::{Shared, manifests, respond};
use crate::canon::Digest;
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Index};
use crate::store::Store;

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Most names on one page.
const LONGEST_PAGE: usize = 10_000;

/// A repository's tags.
pub(super) async fn tags(
    shared: &Shared,
    repository: Repository,
    query: &Query,
) -> Result<Response, Failure> {
    let name = repository.name.clone();
    let tags = shared
        .with_store(move |store| {
            let members = Members::read(store, &repository)?;
            if members.named.is_empty() {
                return Err(Failure::name_unknown(&repository.name));
            }
            let references = members
                .named
                .into_iter()
                .filter_map(|image| image.reference);
            Ok(references.filter_map(|name| name.tag).collect())
        })
        .await?;
    let path = format!("/v2/{name}/tags/list");
    let (tags, link) = page(tags, query, &path)?;
    list(&json!({"name": name, "tags": tags}), link)
}

/// Every repository that a URL can name.
pub(super) async fn catalog(shared: &Shared, query: &Query) -> Result<Response, Failure> {
    let address = shared.address;
    let names = shared
        .with_store(move |store| {
            let images = store.images()?;
            let references = images.iter().filter_map(|image| image.reference.as_ref());
            Ok(references
                .filter_map(|reference| name_of(reference, address))
                .collect())
        })
        .await?;
    let (names, link) = page(names, query, "/v2/_catalog")?;
    list(&json!({"repositories": names}), link)
}

fn list(body: &serde_json::Value, link: Option<String>) -> Result<Response, Failure> {
    let mut response = respond(StatusCode::OK).header(CONTENT_TYPE, "application/json");
    if let Some(link) = link {
        response = response.header(LINK, link);
    }
    response
        .body(Body::from(body.to_string()))
        .map_err(Failure::internal)
}

/// The page that the query asks for with `n` and `last`, and the link to the next one. The order
/// is the spec's: alphanumeric, upper and lower case together.
fn page(
    names: BTreeSet<String>,
    query: &Query,
    path: &str,
) -> Result<(Vec<String>, Option<String>), Failure> {
    let asked = match query.get("n") {
        None => LONGEST_PAGE,
        Some(n) => n.parse().map_err(|_| {
            let status = StatusCode::BAD_REQUEST;
            let message = "`n` is a number of names";
            Failure::new(status, "PAGINATION_NUMBER_INVALID", message)
        })?,
    };
    let length = asked.min(LONGEST_PAGE);
    let place = |name: &str| (name.to_ascii_lowercase(), name.to_owned());
    let last = query.get("last").filter(|last| !last.is_empty()).map(place);
    let mut names: Vec<_> = names
        .into_iter()
        .filter(|name| last.as_ref().is_none_or(|last| place(name) > *last))
        .collect();
    names.sort_by_key(|name| place(name));
    let has_more = names.len() > length;
    names.truncate(length);
    let next = names.last().filter(|_| has_more);
    let link = next.map(|next| format!("<{path}?n={length}&last={next}>; rel=\"next\""));
    Ok((names, link))
}

/// The manifests whose `subject` is `digest`: found by reading those of the repository, which are
/// few where a store is one person's. An index that a client keeps under the tag `sha256-HEX`
/// brings its members in like any other.
pub(super) async fn referrers(
    shared: &Shared,
    repository: Repository,
    subject: Digest,
    query: &Query,
) -> Result<Response, Failure> {
    let wanted = query.get("artifactType").map(str::to_owned);
    let last = query.digest("last")?;
    let path = format!("/v2/{}/referrers/{subject}", repository.name);
    let filter = wanted.clone();
    let (index, next) = shared
        .with_store(move |store| {
            let members = Members::read(store, &repository)?;
            let mut found = BTreeSet::new();
            members.visit(store, |descriptor| {
                let is_after = last.is_none_or(|last| descriptor.digest > last);
                if is_after && referrer(store, &descriptor.digest, &subject).is_some() {
                    found.insert(descriptor.digest);
                }
                true
            });
            referrers_page(store, &subject, found, filter.as_deref())
        })
        .await?;
    let mut response = respond(StatusCode::OK).header(CONTENT_TYPE, media_type::INDEX);
    if let Some(next) = next {
        let filter = wanted.as_deref().map(encode);
        let filter = filter.map_or(String::new(), |kind| format!("&artifactType={kind}"));
        response = response.header(LINK, format!("<{path}?last={next}{filter}>; rel=\"next\""));
    }
    if wanted.is_some() {
        response = response.header(FILTERS, "artifactType");
    }
    response.body(Body::from(index)).map_err(Failure::internal)
}

/// As many of `found` as one document may hold, and the last of them where there are more.
fn referrers_page(
    store: &Store,
    subject: &Digest,
    found: BTreeSet<Digest>,
    filter: Option<&str>,
) -> Result<(Vec<u8>, Option<Digest>), Failure> {
    let mut index = Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        manifests: Vec::new(),
        annotations: None,
        foreign: BTreeMap::new(),
    };
    let mut room = LARGEST_DOCUMENT - 256;
    let mut next = None;
    for digest in found {
        let Some(descriptor) = referrer(store, &digest, subject) else {
            continue;
        };
        let artifact_type = descriptor.foreign.get("artifactType");
        if filter.is_some() && artifact_type.and_then(|kind| kind.as_str()) != filter {
            continue;
        }
        let text = serde_json::to_vec(&descriptor).map_err(Failure::internal)?;
        let needed = text.len() as u64 + 1;
        // One alone is sent however long it is.
        if needed > room && !index.manifests.is_empty() {
            next = index.manifests.last().map(|last: &Descriptor| last.digest);
            break;
        }
        room = room.saturating_sub(needed);
        index.manifests.push(descriptor);
    }
    let bytes = serde_json::to_vec(&index).map_err(Failure::internal)?;
    Ok((bytes, next))
}

/// The descriptor of the manifest `digest`, if its subject is `subject`.
fn referrer(store: &Store, digest: &Digest, subject: &Digest) -> Option<Descriptor> {
    let document = document(store, digest)?;
    let about = manifests::subject(&document).ok().flatten()?;
    if about.digest != *subject {
        return None;
    }
    let size = store.blob(digest)?.size;
    let mut descriptor = Descriptor::new(document.media_type(), *digest, size);
    let (foreign, annotations, default) = match document {
        Document::Manifest(manifest) => (
            manifest.foreign,
            manifest.annotations,
            Some(manifest.config.media_type),
        ),
        Document::Index(index) => (index.foreign, index.annotations, None),
    };
    let own = foreign.get("artifactType").and_then(|kind| kind.as_str());
    let own = own.filter(|kind| !kind.is_empty()).map(str::to_owned);
    if let Some(artifact_type) = own.or(default) {
        let artifact_type = artifact_type.into();
        descriptor
            .foreign
            .insert("artifactType".to_owned(), artifact_type);
    }
    descriptor.annotations = annotations;
    Some(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(query: &str) -> (Vec<String>, Option<String>) {
        let names = ["b", "A", "c", "a", "B"].map(str::to_owned);
        page(BTreeSet::from(names), &Query::parse(Some(query)), "/x").unwrap()
    }

    #[test]
    fn pages_follow_each_other_without_gap() {
        assert_eq!(pages("").0.join(""), "AaBbc");
        assert_eq!(pages("").1, None);
        let (first, link) = pages("n=2");
        assert_eq!(first.join(""), "Aa");
        assert_eq!(link.as_deref(), Some("</x?n=2&last=a>; rel=\"next\""));
        assert_eq!(pages("n=2&last=a").0.join(""), "Bb");
        assert_eq!(pages("n=2&last=b"), (vec!["c".to_owned()], None));
        assert_eq!(pages("n=2&last=z"), (Vec::new(), None));
        assert_eq!(pages("n=0"), (Vec::new(), None));
    }

    #[test]
    fn a_page_of_no_number_is_refused() {
        for query in ["n=x", "n=-1", "n="] {
            let query = Query::parse(Some(query));
            assert!(page(BTreeSet::new(), &query, "/x").is_err());
        }
    }
}
