//! The sandbox: a command on layers of folders, kept in.
//!
//! In: a [`Request`]: folders, a command, what it may reach. Out: an [`Outcome`], and what the
//! command changed in the request's upper folder. A [`Session`] is one user namespace that lives
//! as long as it does; all files that commands see are made, listed, read and removed in there, as
//! they may belong to users whom nobody outside may act for. `agent` is the process that does it.
//! Never decides what a step is, and keeps nothing.

pub mod agent;
mod error;
mod found;
pub mod network;
mod request;
mod session;
mod sys_network;
mod wire;

pub use error::Error;
pub use found::{Found, FoundKind};
pub use request::{Limits, Mount, Network, Request, Rlimit, Security, Source};
pub use session::{Exit, Identity, Outcome, Session, SessionSettings, Stream, Wanted};
