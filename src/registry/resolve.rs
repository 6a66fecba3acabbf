//! From a reference to the document that it names.
//!
//! In: a reference, and the hosts to ask. Out: [`Resolved`], whose bytes have the digest that was
//! asked for (distribution-spec, "Pulling manifests"). [`choose`] picks a platform's image out of
//! an index.

use reqwest::Method;
use reqwest::header::{self, HeaderValue};

use super::auth::Scope;
use super::client::Source;
use super::error::Error;
use super::link::{Link, read_bounded, retry_after};
use crate::canon::{Digest, Platform, Reference};
use crate::image::manifest::{self, LARGEST_DOCUMENT};
use crate::image::{Descriptor, Document, Index};
use crate::store::Verified;

/// What a reference names.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Points at the document.
    pub descriptor: Descriptor,
    /// The document.
    pub document: Document,
    /// Its bytes.
    pub bytes: Verified,
}

/// Every kind of document that can be had; the last for registries that have still others.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*";

const CONTENT_DIGEST: &str = "docker-content-digest";

/// The document that `reference` names.
pub(super) async fn resolve(source: &Source, reference: &Reference) -> Result<Resolved, Error> {
    let asked = reference.tag_or_digest();
    let what = format!("`{reference}`");
    let is_tag = reference.digest.is_none();
    let needs = |endpoint: &super::hosts::Endpoint| match is_tag {
        true => endpoint.can_resolve,
        false => endpoint.can_pull,
    };
    let give = |link: std::sync::Arc<Link>| {
        let (asked, what) = (&asked, &what);
        async move {
            let bytes = document(&link, asked, reference.digest.as_ref(), what).await?;
            resolved(&link, what, bytes)
        }
    };
    source.first_good(&what, needs, give).await
}

/// The document of that digest and size.
pub(super) async fn member(source: &Source, descriptor: &Descriptor) -> Result<Verified, Error> {
    let digest = descriptor.digest;
    let what = format!("document {digest}");
    let give = |link: std::sync::Arc<Link>| {
        let what = &what;
        async move {
            let bytes = document(&link, &digest.to_string(), Some(&digest), what).await?;
            if bytes.len() as u64 != descriptor.size {
                return Err(Error::SizeMismatch {
                    what: format!("{what} from {}", link.host()),
                    expected: descriptor.size,
                    got: bytes.len() as u64,
                });
            }
            Ok(bytes)
        }
    };
    source
        .first_good(&what, |endpoint| endpoint.can_pull, give)
        .await
}

fn resolved(link: &Link, what: &str, bytes: Verified) -> Result<Resolved, Error> {
    let document = Document::parse(&bytes).map_err(|error| match error {
        manifest::Error::SchemaVersion(1) => Error::SchemaOne {
            host: link.host(),
            what: what.to_owned(),
        },
        error => link.nonsense(what, super::error::plain(&error.to_string())),
    })?;
    let descriptor = Descriptor::new(
        document.media_type(),
        Digest::of(&bytes),
        bytes.len() as u64,
    );
    Ok(Resolved {
        descriptor,
        document,
        bytes,
    })
}

/// One host's answer, checked against `expected`, or where that is none against what the host
/// says its digest is.
async fn document(
    link: &Link,
    asked: &str,
    expected: Option<&Digest>,
    what: &str,
) -> Result<Verified, Error> {
    let rest = format!("manifests/{asked}");
    let mut ask = link.ask(what, Method::GET, &rest, Scope::PULL).await?;
    ask.headers
        .insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
    let mut failures = 0;
    loop {
        let mut response = link.send(&ask).await?;
        if response.status().as_u16() != 200 {
            return Err(link.refused(response, what).await);
        }
        let media_type = header_text(&response, header::CONTENT_TYPE.as_str());
        if media_type.is_some_and(|media_type| media_type.contains("distribution.manifest.v1+")) {
            return Err(Error::SchemaOne {
                host: link.host(),
                what: what.to_owned(),
            });
        }
        let named = header_text(&response, CONTENT_DIGEST);
        let wish = retry_after(response.headers());
        let bytes = match read_bounded(&mut response, LARGEST_DOCUMENT).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let reason = format!("it is larger than {LARGEST_DOCUMENT} bytes");
                return Err(link.nonsense(what, reason));
            }
            Err(cause) => {
                failures += 1;
                let host = link.host();
                let error = Error::Unreachable { host, cause };
                link.wait_or(error, failures, link.tries, wish).await?;
                continue;
            }
        };
        // Digests of other algorithms can't be checked, and aren't what was asked for.
        let named = named.filter(|named| named.starts_with("sha256:"));
        let named = match named.map(|named| named.parse()) {
            Some(Err(_)) => {
                return Err(link.nonsense(what, "its `Docker-Content-Digest` is no digest"));
            }
            Some(Ok(digest)) => Some(digest),
            None => None,
        };
        let got = Digest::of(&bytes);
        let place = format!("{what} from {}", link.host());
        for digest in [expected.copied(), named].into_iter().flatten() {
            if digest != got {
                return Err(Error::DigestMismatch {
                    what: place,
                    expected: digest,
                    got,
                });
            }
        }
        return Ok(Verified::new(&place, bytes, &got)?);
    }
}

pub(super) fn header_text(response: &reqwest::Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    Some(value.trim().to_owned())
}

/// The member of an index for `platform`: the one with exactly that platform, else the one with
/// the highest variant that such a machine also runs (`arm/v6` on `arm/v7`, plain `amd64` on
/// `amd64/v3`).
pub fn choose<'a>(index: &'a Index, platform: &Platform) -> Option<&'a Descriptor> {
    let wanted = variant_number(platform)?;
    let mut best: Option<(u32, &Descriptor)> = None;
    for descriptor in &index.manifests {
        let Some(offered) = platform_of(descriptor) else {
            continue;
        };
        if offered == *platform {
            return Some(descriptor);
        }
        if (&offered.os, &offered.architecture) != (&platform.os, &platform.architecture) {
            continue;
        }
        let Some(number) = variant_number(&offered).filter(|number| *number < wanted) else {
            continue;
        };
        if best.is_none_or(|(other, _)| number > other) {
            best = Some((number, descriptor));
        }
    }
    best.map(|(_, descriptor)| descriptor)
}

/// The platform that a member of an index is for.
pub fn platform_of(descriptor: &Descriptor) -> Option<Platform> {
    let object = descriptor.platform.as_ref()?;
    Some(Platform::new(
        &object.os,
        &object.architecture,
        object.variant.as_deref(),
    ))
}

/// Variants grow: what is built for a lower one runs on a higher one. Where none is written, it
/// is the one that every machine of the architecture has.
fn variant_number(platform: &Platform) -> Option<u32> {
    match (&platform.variant, platform.architecture.as_str()) {
        (None, "arm64") => Some(8),
        (None, _) => Some(1),
        (Some(variant), _) => {
            let digits = variant.strip_prefix('v').unwrap_or(variant);
            digits
                .split('.')
                .next()
                .and_then(|digits| digits.parse().ok())
        }
    }
}

/// The error for an index without an image for `platform`.
pub(super) fn no_platform(what: &str, index: &Index, platform: &Platform) -> Error {
    let offered: std::collections::BTreeSet<_> = index
        .manifests
        .iter()
        .filter_map(platform_of)
        .map(|platform| super::error::plain(&platform.to_string()))
        .collect();
    let offered: Vec<_> = offered.into_iter().take(20).collect();
    Error::NoPlatform {
        what: what.to_owned(),
        platform: platform.to_string(),
        offered: match offered.is_empty() {
            true => "no platform at all".to_owned(),
            false => offered.join(", "),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Index {
        let members: Vec<_> = platforms
            .iter()
            .map(|platform| {
                let parts: Vec<_> = platform.split('/').collect();
                let mut object = serde_json::json!({"os": parts[0], "architecture": parts[1]});
                if let Some(variant) = parts.get(2) {
                    object["variant"] = (*variant).into();
                }
                serde_json::json!({
                    "mediaType": manifest::media_type::MANIFEST,
                    "digest": Digest::of(platform.as_bytes()),
                    "size": 1,
                    "platform": object,
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({"schemaVersion": 2, "manifests": members}))
            .unwrap()
    }

    #[test]
    fn a_platform_gets_its_own_image_or_the_best_that_it_runs() {
        for (offered, wanted, chosen) in [
            (&["linux/amd64", "linux/arm64/v8"][..], "arm64", Some(1)),
            (&["linux/amd64", "linux/arm64"], "linux/amd64", Some(0)),
            (
                &["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"],
                "arm",
                Some(2),
            ),
            (&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", Some(1)),
            (&["linux/arm/v7"], "linux/arm/v6", None),
            (&["linux/arm"], "linux/arm/v7", Some(0)),
            (&["linux/amd64", "linux/amd64/v3"], "linux/amd64", Some(0)),
            (
                &["linux/amd64", "linux/amd64/v3"],
                "linux/amd64/v2",
                Some(0),
            ),
            (&["linux/amd64/v3"], "linux/amd64", None),
            (&["unknown/unknown", "linux/amd64"], "linux/amd64", Some(1)),
            (&["windows/amd64"], "linux/amd64", None),
            (&["linux/arm64"], "linux/arm/v8", None),
            (&["linux/amd64", "linux/amd64"], "linux/amd64", Some(0)),
            (&[], "linux/amd64", None),
        ] {
            let index = index(offered);
            let chosen = chosen.map(|place: usize| &index.manifests[place]);
            let got = choose(&index, &wanted.parse().unwrap());
            assert!(
                got.map(std::ptr::from_ref) == chosen.map(std::ptr::from_ref),
                "{wanted} of {offered:?}: {got:?}"
            );
        }
    }
}
