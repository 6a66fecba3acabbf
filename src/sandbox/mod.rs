//! The sandbox: a command on layers of folders, kept in.
//!
//! In: a [`Request`]: folders, a command, what it may reach. Out: an [`Outcome`], and what the
//! command changed in the request's upper folder. A [`Session`] is one user namespace that lives
//! as long as it does; all files that commands see are made, listed, read and removed in there, as
//! they may belong to users whom nobody outside may act for. `agent` is the process that does it.
//! Never decides what a step is, and keeps nothing.

pub mod agent;
mod channel;
mod child;
mod clock;
mod copy;
pub mod doctor;
mod error;
mod etc;
mod facts;
mod folder;
mod found;
mod groups;
mod guarantee;
mod identity;
mod init;
mod limits;
mod links;
mod list;
mod marks;
mod mounts;
pub mod network;
mod notify;
mod outcome;
mod owner;
mod places;
mod proc;
mod processes;
mod protocol;
mod pump;
mod random;
mod request;
mod root;
mod session;
mod sockets;
mod sys;
mod sys_network;
mod sys_notify;
mod sys_trace;
mod trace;
mod unpack;
pub mod vary;
mod watchdog;
mod ways;
mod wire;
mod worker;

pub use clock::ClockWay;
pub use error::Error;
pub use found::{Found, FoundKind};
pub use groups::remedy as group_remedy;
pub use guarantee::Guarantee;
pub use outcome::{Exit, Limit, Outcome};
pub use pump::Output;
pub use random::Seed;
pub use request::{Constants, Limits, Mount, Network, Request, Rlimit, Security, Source};
pub use session::{Identity, Session, SessionSettings, Stream, Wanted};
pub use trace::{Asked, Blame, Program, Touched, Trace};
pub use ways::{Layers, NoOverlay, Ways};
