//! Why the sandbox could not do what was asked; that a command failed is no error but an
//! [`super::Exit`].
//!
//! In: what the kernel said, and where. Out: [`Error`].

use std::io;

use serde::{Deserialize, Serialize};

/// Why the sandbox could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine doesn't let it.
    #[error("this machine doesn't let cairn {what}: {cause}\nhint: {hint}")]
    Unsupported {
        /// What was wanted: `make a user namespace`.
        what: String,
        /// What the kernel said.
        cause: String,
        /// The way out.
        hint: String,
    },
    /// The agent can't be started or be spoken to.
    #[error("the sandbox's process can't be started: {0}")]
    Start(io::Error),
    /// The agent, or the process that served the request, is gone: something killed it.
    #[error(
        "the sandbox's process ended before its work\nhint: see whether the machine ran out of memory (`dmesg`)"
    )]
    Ended,
    /// The request can't be served as it stands.
    #[error("{0}")]
    Refused(String),
    /// The program isn't there, or is nothing that the kernel runs; 127 and 126 in a shell.
    #[error("`{program}` can't be run: {cause}")]
    Program {
        /// As it was asked for.
        program: String,
        /// Why.
        cause: String,
        /// Whether there is no such program.
        is_missing: bool,
    },
    /// What the kernel refused, and where.
    #[error("the sandbox can't {what}: {source}")]
    Io {
        /// `mount `/proc``.
        what: String,
        /// What it said.
        source: io::Error,
    },
    /// What was to be unpacked is no layer.
    #[error(transparent)]
    Layer(#[from] crate::layer::read::Error),
}

/// An [`Error`] on its way out of the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Told {
    Unsupported {
        what: String,
        cause: String,
        hint: String,
    },
    Refused(String),
    Program {
        program: String,
        cause: String,
        is_missing: bool,
    },
    /// With the number that the kernel gave, if it did.
    Io(String, Option<i32>, String),
}

impl From<Error> for Told {
    fn from(error: Error) -> Told {
        match error {
            Error::Unsupported { what, cause, hint } => Told::Unsupported { what, cause, hint },
            Error::Program {
                program,
                cause,
                is_missing,
            } => Told::Program {
                program,
                cause,
                is_missing,
            },
            Error::Io { what, source } => Told::Io(what, source.raw_os_error(), source.to_string()),
            other => Told::Refused(other.to_string()),
        }
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Error {
        match told {
            Told::Unsupported { what, cause, hint } => Error::Unsupported { what, cause, hint },
            Told::Refused(why) => Error::Refused(why),
            Told::Program {
                program,
                cause,
                is_missing,
            } => Error::Program {
                program,
                cause,
                is_missing,
            },
            Told::Io(what, number, text) => Error::Io {
                what,
                source: match number {
                    Some(number) => io::Error::from_raw_os_error(number),
                    None => io::Error::other(text),
                },
            },
        }
    }
}

/// Says what was being done when the kernel refused.
pub(super) trait Doing<T> {
    /// `what` completes "the sandbox can't …".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            what: what(),
            source: source.into(),
        })
    }
}
