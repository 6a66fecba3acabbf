//! Blobs out of the store: distribution-spec, "Pulling blobs", and byte ranges by RFC 9110,
//! section 14.
//!
//! In: a digest and the request's headers. Out: the blob as a stream, or a part of it.
//!
//! Every blob of the store is served under every name: there are no users whose blobs would have
//! to be kept apart, and a NAME in a blob's URL is a courtesy.

use std::io::{Seek as _, SeekFrom};
use std::ops::Range;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::error::Failure;
use super::{CONTENT_DIGEST, Shared, respond};
use crate::canon::Digest;
use crate::store;

/// Bytes of a blob in memory at once.
const PIECE: usize = 128 << 10;

/// Answers GET and, without `wants_body`, HEAD.
pub(super) async fn get(
    shared: &Shared,
    digest: Digest,
    headers: &HeaderMap,
    wants_body: bool,
) -> Result<Response, Failure> {
    let (blob, file) = shared
        .with_store(move |store| {
            let blob = store.blob(&digest).ok_or_else(|| {
                let message = format!("the store has no blob {digest}");
                Failure::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", message)
            })?;
            let file = wants_body.then(|| blob.open()).transpose()?;
            Ok((blob, file))
        })
        .await?;
    let size = blob.size;
    let etag = format!("\"{digest}\"");
    // RFC 9110, section 13.1.5: a range of another version of the blob is no use.
    let is_same = headers
        .get(IF_RANGE)
        .is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let asked = headers.get(RANGE).filter(|_| is_same);
    let range = asked.and_then(|asked| parse_range(asked.to_str().ok()?, size));
    let mut response = respond(StatusCode::OK)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_DIGEST, digest.to_string())
        .header(ACCEPT_RANGES, "bytes")
        .header(ETAG, etag);
    let part = match range {
        None => 0..size,
        Some(Some(part)) => {
            let shown = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, shown);
            part
        }
        Some(None) => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let message = format!("the blob has {size} bytes");
            return Err(Failure::new(status, "RANGE_INVALID", message)
                .with(CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    response = response.header(CONTENT_LENGTH, part.end - part.start);
    let body = match file {
        None => Body::empty(),
        Some(mut file) => {
            if part.start > 0 {
                file.seek(SeekFrom::Start(part.start))
                    .map_err(store::io_error("read", blob.path()))?;
            }
            let file = tokio::fs::File::from_std(file).take(part.end - part.start);
            Body::from_stream(ReaderStream::with_capacity(file, PIECE))
        }
    };
    response.body(body).map_err(Failure::internal)
}

/// The one range that a `Range` header asks for: none when it asks for several or is not
/// understood, and then the whole is sent; `Some(None)` when the blob has no such bytes.
fn parse_range(header: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that no u64 holds is beyond every blob.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let part = match (first, last) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some((part.start < part.end).then_some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        // Section 14.1.2, with a length of 10000 bytes, and its neighbours.
        for (header, range) in [
            ("bytes=0-499", Some(Some(0..500))),
            ("bytes=500-999", Some(Some(500..1000))),
            ("bytes=-500", Some(Some(9500..10_000))),
            ("bytes=9500-", Some(Some(9500..10_000))),
            ("bytes=0-0", Some(Some(0..1))),
            ("bytes=9999-20000", Some(Some(9999..10_000))),
            ("bytes=-20000", Some(Some(0..10_000))),
            ("bytes=0-99999999999999999999999999", Some(Some(0..10_000))),
            ("bytes=10000-", Some(None)),
            ("bytes=10000-10001", Some(None)),
            ("bytes=99999999999999999999999999-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=0-0,-1", None),
            ("bytes=5-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("lines=0-1", None),
            ("", None),
        ] {
            assert_eq!(parse_range(header, 10_000), range, "{header}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Some(None));
    }
}
