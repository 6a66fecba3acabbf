//! From a request's line to what is meant.
//!
//! In: path and query of a URL (distribution-spec, "Endpoints"), the `Host` header. Out:
//! [`Route`], [`Query`]. Pure.
//!
//! The path is cut at its slashes first and each part is decoded afterwards, so that `%2F` and
//! `%2e%2e` can't make another path than the one that was cut; what remains must be a name, a tag
//! or a digest to the letter.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use axum::http::StatusCode;

use super::error::Failure;
use super::names::Repository;
use crate::canon::Digest;
use crate::canon::reference::is_tag;

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Version,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/blobs/DIGEST`
    Blob(Repository, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(Repository),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(Repository, String),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(Repository, TagOrDigest),
    /// `/v2/NAME/tags/list`
    Tags(Repository),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(Repository, Digest),
}

/// What a manifest's URL ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagOrDigest {
    Tag(String),
    Digest(Digest),
}

impl std::fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TagOrDigest::Tag(tag) => f.write_str(tag),
            TagOrDigest::Digest(digest) => digest.fmt(f),
        }
    }
}

impl Route {
    /// Reads the path of a URL for the server at `address`.
    pub(super) fn parse(path: &str, address: SocketAddr) -> Result<Route, Failure> {
        let nowhere = || {
            let message = "the paths of this server are those of the OCI distribution spec";
            Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message)
        };
        let parts: Option<Vec<_>> = path.split('/').map(decode).collect();
        let parts = parts.ok_or_else(nowhere)?;
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let repository = |name: &[&str]| {
            // A slash inside a part was encoded: no name has one.
            let is_sound = name.iter().all(|part| !part.contains('/'));
            is_sound
                .then(|| Repository::new(&name.join("/"), address))
                .flatten()
                .ok_or_else(Failure::name_invalid)
        };
        let [_, "v2", rest @ ..] = &parts[..] else {
            return Err(nowhere());
        };
        match rest {
            [] | [""] => Ok(Route::Version),
            ["_catalog"] => Ok(Route::Catalog),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Route::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => {
                Ok(Route::Upload(repository(name)?, (*id).to_owned()))
            }
            [name @ .., "blobs", digest] => Ok(Route::Blob(repository(name)?, as_digest(digest)?)),
            [name @ .., "manifests", reference] => {
                let repository = repository(name)?;
                let reference = if reference.contains(':') {
                    TagOrDigest::Digest(as_digest(reference)?)
                } else if is_tag(reference) {
                    TagOrDigest::Tag((*reference).to_owned())
                } else {
                    let message = "a tag has up to 128 letters, digits, `_`, `.` and `-`, and \
                                   begins with none of the last two";
                    return Err(Failure::new(
                        StatusCode::BAD_REQUEST,
                        "TAG_INVALID",
                        message,
                    ));
                };
                Ok(Route::Manifest(repository, reference))
            }
            [name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
            [name @ .., "referrers", digest] => {
                Ok(Route::Referrers(repository(name)?, as_digest(digest)?))
            }
            _ => Err(nowhere()),
        }
    }
}

/// A digest as clients write it.
pub(super) fn as_digest(text: &str) -> Result<Digest, Failure> {
    text.parse()
        .map_err(|_| Failure::digest_invalid("a digest is `sha256:` and 64 lower-case hex digits"))
}

/// The query of a URL; of names given twice the last counts.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads `a=b&c=d`; pairs that can't be decoded are left out.
    pub(super) fn parse(query: Option<&str>) -> Query {
        let pairs = query.unwrap_or_default().split('&').take(32);
        let decoded = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Media types have `+`, and clients write it as it is: it does not mean a space here.
            Some((decode(name)?, decode(value)?))
        });
        Query(decoded.collect())
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The digest under `name`.
    pub(super) fn digest(&self, name: &str) -> Result<Option<Digest>, Failure> {
        self.get(name).map(as_digest).transpose()
    }
}

/// Undoes percent-encoding (RFC 3986, section 2.1); none where it is broken or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? << 4 | digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes what has a meaning in a query.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether a server on the loopback answers to this `Host`: an address, a name of one word,
/// `*.localhost`, or `*.internal`, as engines in virtual machines call their host. Any other name
/// is one that somebody outside may have pointed at 127.0.0.1, so that a page in a browser here
/// could read and change the store (DNS rebinding).
pub(super) fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || name.ends_with(".localhost")
        || name.ends_with(".internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Route, Failure> {
        Route::parse(path, "127.0.0.1:5000".parse().unwrap())
    }

    fn repository(name: &str) -> Repository {
        Repository::new(name, "127.0.0.1:5000".parse().unwrap()).unwrap()
    }

    #[test]
    fn paths_are_read_from_their_end() {
        let digest = Digest::of(b"");
        for (path, route) in [
            ("/v2".to_owned(), Route::Version),
            ("/v2/".to_owned(), Route::Version),
            (
                format!("/v2/a/blobs/{digest}"),
                Route::Blob(repository("a"), digest),
            ),
            (
                format!("/v2/a/blobs/sha256%3A{}", digest.hex()),
                Route::Blob(repository("a"), digest),
            ),
            (
                "/v2/a/blobs/uploads/".to_owned(),
                Route::Uploads(repository("a")),
            ),
            (
                "/v2/blobs/uploads/blobs/uploads/x".to_owned(),
                Route::Upload(repository("blobs/uploads"), "x".to_owned()),
            ),
            (
                "/v2/manifests/manifests/tags".to_owned(),
                Route::Manifest(repository("manifests"), TagOrDigest::Tag("tags".to_owned())),
            ),
            (
                format!("/v2/a/b/manifests/{digest}"),
                Route::Manifest(repository("a/b"), TagOrDigest::Digest(digest)),
            ),
            ("/v2/a/tags/list".to_owned(), Route::Tags(repository("a"))),
        ] {
            assert_eq!(parse(&path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn tricks_in_paths_are_refused() {
        for path in [
            "/v2/../manifests/x",
            "/v2/a/../b/manifests/x",
            "/v2/%2e%2e/manifests/x",
            "/v2/a%2Fb/manifests/x",
            "/v2/a%00/manifests/x",
            "/v2/A/manifests/x",
            "/v2//manifests/x",
            "/v2/manifests/x",
            "/v2/a/manifests/..",
            "/v2/a/manifests/x%2Fy",
            "/v2/a/manifests/sha256:..%2F..%2Fx",
            "/v2/a/blobs/..",
            "/v2/a/blobs/sha512:00",
            "/v2/a/manifests/%",
            "/v2/a/manifests/%ff",
            "/v1/a",
            "/",
            "",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded_and_keeps_its_plus() {
        let query = Query::parse(Some("artifactType=a%2Fb+json&n=1&n=2&broken=%zz&last"));
        assert_eq!(query.get("artifactType"), Some("a/b+json"));
        assert_eq!(query.get("n"), Some("2"));
        assert_eq!(query.get("broken"), None);
        assert_eq!(query.get("last"), Some(""));
        let odd = "a/b+json; q=\u{e9}&%";
        assert_eq!(decode(&encode(odd)).as_deref(), Some(odd));
    }

    #[test]
    fn names_that_others_may_own_are_no_local_hosts() {
        for host in [
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
            "registry",
            "host.docker.internal:5000",
            "a.localhost",
        ] {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "example.org:5000",
            "127.0.0.1.example.org",
            "localhost.example.org.",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
