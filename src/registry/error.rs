//! What can go wrong between cairn and a registry.
//!
//! Out: [`Error`], which names the registry and what was asked of it, and says the way out where
//! there is one. A secret never gets into one: credentials are named by the file they came from.

use crate::canon::Digest;
use crate::store;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that says how to reach registries can't be used.
    #[error("`{path}` can't be used: {reason}")]
    Configuration {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// registries.conf forbids it.
    #[error("`{name}` is blocked by `{by}`")]
    Blocked {
        /// The repository.
        name: String,
        /// The file that says so.
        by: String,
    },
    /// 401 or 403.
    #[error(
        "{host} refuses access to `{name}`: {answer}\n  credentials: {credentials}\nhint: {}",
        login_hint(host)
    )]
    Unauthorised {
        /// Who said so.
        host: String,
        /// The repository.
        name: String,
        /// Which were sent, by their source.
        credentials: String,
        /// What it said.
        answer: String,
    },
    /// 404.
    #[error("{host} has no {what}")]
    NotFound {
        /// Who said so.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// Bytes that are not what their name says.
    #[error(
        "{what} is not what its digest says\n  expected {expected}\n  got      {got}\n  cause: the registry changed it, or the transfer was tampered with; nothing was stored"
    )]
    DigestMismatch {
        /// What was read, and from where.
        what: String,
        /// The digest that it was asked by.
        expected: Digest,
        /// The digest that it has.
        got: Digest,
    },
    /// A size other than the one that was announced.
    #[error("{what} has {got} bytes or more where {expected} were announced; nothing was stored")]
    SizeMismatch {
        /// What was read, and from where.
        what: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes got.
        got: u64,
    },
    /// Nobody answers, or the connection broke again and again.
    #[error("{host} can't be reached: {cause}")]
    Unreachable {
        /// Who.
        host: String,
        /// Why.
        cause: String,
    },
    /// A certificate that is not to be trusted, or no TLS at all.
    #[error(
        "the TLS connection to {host} fails: {cause}\nhint: if you trust it, put its CA's certificate into `/etc/containers/certs.d/{host}/ca.crt` (or docker's `/etc/docker/certs.d/{host}/ca.crt`), or name it in SSL_CERT_FILE; if it speaks plain HTTP, call it `insecure` in registries.conf"
    )]
    Tls {
        /// Who.
        host: String,
        /// Why.
        cause: String,
    },
    /// An answer with another status than those that are expected.
    #[error("{host} answers {status} when asked for {what}{message}")]
    Status {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// `: ` and what it said, or nothing.
        message: String,
    },
    /// An answer that makes no sense.
    #[error("{host} gives an answer that makes no sense for {what}: {reason}")]
    Nonsense {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// Docker's old manifests.
    #[error(
        "{host} gives {what} in Docker's schema 1, which names its layers by no checkable digest\nhint: pull and push it with a current docker to convert it"
    )]
    SchemaOne {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// An index without an image for the platform.
    #[error("{what} has no image for {platform}, but for {offered}")]
    NoPlatform {
        /// The index.
        what: String,
        /// The platform wanted.
        platform: String,
        /// Those that it has.
        offered: String,
    },
    /// Documents that name documents, too deep or too many.
    #[error("{what} names too many documents: {reason}")]
    TooMany {
        /// The top one.
        what: String,
        /// Which limit.
        reason: String,
    },
    /// Something to push that is neither here nor there.
    #[error("{what} is neither in the store nor in the registry\nhint: {hint}")]
    MissingForPush {
        /// What.
        what: String,
        /// The way out.
        hint: String,
    },
    /// Nobody is to be spoken to.
    #[error(
        "{what} is not in the store, or damaged there; {host} would have to be asked for it, and `--offline` keeps the build off the network\nhint: `cairn pull --inputs` or a build without `--offline` brings it"
    )]
    Offline {
        /// What was to be had.
        what: String,
        /// Whom it would be had from.
        host: String,
    },
    /// The reference's digest is another than that of what is pushed.
    #[error("what is pushed has the digest {got}, but its name says {expected}")]
    OtherDigest {
        /// In the reference.
        expected: Digest,
        /// Of the document.
        got: Digest,
    },
    /// The machine can't do it: no threads, no TLS.
    #[error("can't start the registry client: {0}")]
    Start(String),
    /// The store said no.
    #[error(transparent)]
    Store(store::Error),
}

impl Error {
    /// Bytes came, and they are not what was named.
    pub fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Error::DigestMismatch { .. } | Error::SizeMismatch { .. }
        )
    }

    /// The image can't be had: the registry doesn't answer, doesn't have it, or doesn't give it.
    pub fn is_unavailable(&self) -> bool {
        self.is_refusal() || matches!(self, Error::Blocked { .. } | Error::NoPlatform { .. })
    }

    /// Whether another host may do better.
    pub fn is_the_hosts(&self) -> bool {
        self.is_refusal() || self.is_mismatch()
    }

    /// The host doesn't answer, or its answer is not what was asked for.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Error::Unauthorised { .. }
                | Error::NotFound { .. }
                | Error::Unreachable { .. }
                | Error::Tls { .. }
                | Error::Status { .. }
                | Error::Nonsense { .. }
                | Error::SchemaOne { .. }
        )
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::DigestMismatch {
                what,
                expected,
                got,
            } => Error::DigestMismatch {
                what,
                expected,
                got,
            },
            store::Error::SizeMismatch {
                what,
                expected,
                got,
            } => Error::SizeMismatch {
                what,
                expected,
                got,
            },
            other => Error::Store(other),
        }
    }
}

fn login_hint(host: &str) -> String {
    let server = match host {
        "registry-1.docker.io" => "docker.io",
        other => other,
    };
    format!("run `docker login {server}` or `podman login {server}`, then try again")
}

/// What a server said, fit for a terminal: one line, no control characters, not long.
pub(super) fn plain(text: &str) -> String {
    let shown = text.chars().map(|character| match character.is_control() {
        true => ' ',
        false => character,
    });
    shown.take(300).collect()
}
