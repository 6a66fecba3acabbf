//! What a session and its agent say to each other.
//!
//! The session's socket carries one kind of message: a byte, with one end of a new channel. On
//! that channel the caller sends an [`Operation`], and whoever serves it answers: `Run` and
//! `Interact` with a `Result<Outcome, Told>`, `List` with batches until an empty one or an error,
//! the others with a `Result<(), Told>`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Told;
use super::notify::Links;
use super::session::{Identity, Wanted};
use super::{ClockWay, NoOverlay, Outcome, Request, Ways, wire};
use crate::canon::EntryPath;

/// What the agent is asked first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub wanted: Wanted,
}

/// What it answers when it is ready.
pub(super) type Ready = Result<(Identity, Ways), Told>;

/// What a channel is opened for, with the descriptors that come along.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Operation {
    /// With the ends of the command's output and error, of the conversation with the forwarder if
    /// it has one, and of the one with who relays its sockets if it has some.
    Run(Box<Request>),
    /// With what `Run` has behind the streams. The answer is preceded by `Result<(), Told>` with a
    /// terminal's master end.
    Interact(Box<Request>),
    /// With the tar to read.
    Unpack(
        #[serde(with = "wire::host_path")] PathBuf,
        #[serde(with = "wire::host_paths")] Vec<PathBuf>,
    ),
    /// With what the folder's files can't say of their owners.
    List(#[serde(with = "wire::host_path")] PathBuf, Links),
    /// The answer comes with the file; another one may be asked for on the same channel.
    Read(
        #[serde(with = "wire::host_path")] PathBuf,
        #[serde(with = "wire::entry_path")] EntryPath,
    ),
    Remove(#[serde(with = "wire::host_path")] PathBuf),
    /// The answer is a `Result<u64, Told>`.
    Measure(#[serde(with = "wire::host_path")] PathBuf),
    /// The answer is an [`Overlay`].
    TryOverlay(#[serde(with = "wire::host_path")] PathBuf),
    /// The answer is a [`Clock`].
    TryClock,
}

/// How a run ended, and owners that the upper folder's files can't say.
pub(super) type Ended = Result<(Outcome, Links), Told>;

/// Why no overlay can be mounted in an empty folder; none where one can.
pub(super) type Overlay = Result<Option<NoOverlay>, Told>;

/// How a command's clock can be set.
pub(super) type Clock = Result<ClockWay, Told>;

/// What the first process of a step tells its worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The filter is in place; with the descriptor of its listener.
    Listener,
    /// The terminal's master end comes along.
    Terminal,
    /// What was mounted on made these paths.
    Stubs(#[serde(with = "wire::entry_paths")] Vec<EntryPath>),
    /// The command does not run.
    Failed(Told),
    /// It ended by itself.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}
