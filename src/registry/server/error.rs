//! Errors as clients are told them: distribution-spec, "Error Codes".
//!
//! In: what went wrong. Out: [`Failure`], which is a status, a code and one sentence, and becomes
//! the JSON body that the spec asks for. What only the server's owner should know (paths, causes)
//! stays in [`Failure::cause`].

use std::io;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store;

/// A request that can't be done, and how that is said.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the server's owner, not for the client.
    pub(super) cause: Option<String>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// The same, with one more header; a value that is no header value is left out.
    pub(super) fn with(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    pub(super) fn name_invalid() -> Self {
        let message = "a repository has lower-case letters, digits, and `.`, `_`, `__` or `-` \
                       between them, parted by `/`, 245 characters at most";
        Failure::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
    }

    pub(super) fn name_unknown(name: &str) -> Self {
        let message = format!("the store has no image under `{name}`");
        Failure::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
    }

    pub(super) fn digest_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(super) fn manifest_invalid(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(super) fn manifest_unknown(reference: impl std::fmt::Display) -> Self {
        let message = format!("this repository has no manifest `{reference}`");
        Failure::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    pub(super) fn upload_unknown() -> Self {
        let message = "no such upload: it was finished, given up, or idle for too long";
        Failure::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    pub(super) fn too_many(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
    }

    /// A fault of the server's; `cause` goes to its owner alone.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        let message = "the server could not do it; its own log says why";
        let mut failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message);
        failure.cause = Some(cause.to_string());
        failure
    }

    /// What the file system said, as far as a client can do something about it.
    pub(super) fn from_io(kind: io::ErrorKind, cause: impl std::fmt::Display) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let mut failure = match kind {
            StorageFull | QuotaExceeded => Failure::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "DENIED",
                "the disk that holds the store is full",
            ),
            ReadOnlyFilesystem | PermissionDenied => Failure::denied("the store is read-only"),
            _ => return Failure::internal(cause),
        };
        failure.cause = Some(cause.to_string());
        failure
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        match &error {
            store::Error::Io { source, .. } => Failure::from_io(source.kind(), &error),
            _ => Failure::internal(error),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"errors": [{"code": self.code, "message": self.message}]}).to_string();
        let json = [(CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json, body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Runs what waits for the disk on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hears_of_a_full_disk_but_not_where_it_is() {
        let error = store::Error::Io {
            action: "write",
            path: "/secret/place".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.status, StatusCode::INSUFFICIENT_STORAGE);
        assert!(!failure.message.contains("secret"));
        assert!(failure.cause.is_some_and(|cause| cause.contains("secret")));
    }
}
