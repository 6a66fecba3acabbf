//! Why a recorded step can't go on.
//!
//! In: what its programs asked for. Out: [`Error`].

use std::io;

use crate::policy::Refusal;
use crate::store;

/// Why a recorded step can't go on. Any but the first few ends the step at once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The proxy could not be started.
    #[error("can't start the recording proxy: {0}")]
    Start(io::Error),
    /// There is no certificate.
    #[error("can't make a certificate for the step: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS doesn't take it.
    #[error("can't use a certificate for the step: {0}")]
    Tls(#[from] rustls::Error),
    /// Something that isn't HTTP.
    #[error(
        "`{to}` is spoken to in a protocol other than HTTP ({what}), which can't be recorded\nhint: fetch it by HTTP, or give the command the host's network: `RUN --network=host`"
    )]
    NotHttp {
        /// The host and port.
        to: String,
        /// How that was seen.
        what: &'static str,
    },
    /// A conversation that is no request and answer.
    #[error(
        "`{url}` asks for a conversation by `{protocol}`, which can't be recorded\nhint: give the command the host's network: `RUN --network=host`"
    )]
    Upgrade {
        /// Where.
        url: String,
        /// `websocket`, …
        protocol: String,
    },
    /// The source policy says no.
    #[error(transparent)]
    Denied(#[from] Refusal),
    /// What the source policy has taken in its place can't be had by HTTP.
    #[error(
        "the source policy makes `{to}` of `{url}`, which is no address of HTTP\nhint: see who keeps the policy"
    )]
    Elsewhere {
        /// What was asked for.
        url: String,
        /// What is to be taken.
        to: String,
    },
    /// Other bytes than the source policy asks for.
    #[error(
        "`{url}` is not what the source policy says\n  expected {expected}\n  got      {got}\nhint: see who keeps the policy"
    )]
    Checksum {
        /// What was asked for.
        url: String,
        /// As the policy has it.
        expected: String,
        /// As it is.
        got: String,
    },
    /// A request that the record doesn't have.
    #[error(
        "the lock has no answer to `{method} {url}`{nearest}\nhint: `cairn lock --update` records anew what is fetched"
    )]
    NotRecorded {
        /// `GET`, …
        method: String,
        /// Without credentials.
        url: String,
        /// What it has instead, as a sentence's end; may be empty.
        nearest: String,
    },
    /// Bytes of an answer that are not what they were, or are gone.
    #[error(
        "the answer of `{url}` can't be given again: {source}{}",
        way_out(source)
    )]
    Blob {
        /// Which was asked for.
        url: String,
        /// What is wrong with it.
        source: store::Error,
    },
    /// More requests than a record may have.
    #[error(
        "the command makes more than {0} requests, which no lock can hold\nhint: fetch an archive of all of it instead, or give the command the host's network: `RUN --network=host`"
    )]
    TooMany(usize),
    /// More of URLs and fields than a record may have.
    #[error(
        "what the command asks for and is answered takes more than {0} bytes beside the bodies, which no lock can hold\nhint: fetch an archive of all of it instead, or give the command the host's network: `RUN --network=host`"
    )]
    TooLarge(usize),
    /// Answers that only a secret tells apart.
    #[error(
        "`{method} {url}` is asked at the same time with different credentials, which no lock may hold, and answered differently, so that a replay could not tell whose answer is whose\nhint: ask one after the other"
    )]
    ByCredentials {
        /// `GET`, …
        method: String,
        /// Without credentials.
        url: String,
    },
    /// An answer that never came to its end.
    #[error("`{0}` doesn't come to an end, so that it can't be recorded")]
    Unfinished(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn way_out(source: &store::Error) -> &'static str {
    match source {
        store::Error::Missing(_) => {
            "\nhint: `cairn pull --inputs` brings back what was pushed, `cairn lock --update` records it anew"
        }
        store::Error::DigestMismatch { .. } | store::Error::SizeMismatch { .. } => {
            "\nhint: the store is damaged or the lock was changed by hand: `cairn pull --inputs` brings back what was pushed, `cairn lock --update` records it anew"
        }
        _ => "",
    }
}
