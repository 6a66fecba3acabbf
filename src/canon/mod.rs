//! The values that every room shares.
//!
//! In: text and bytes. Out: values that can only exist well-formed. Pure: this room never does
//! I/O, and names no other room.

pub mod base64;
pub mod digest;
pub mod epoch;
pub mod event;
pub mod format;
pub mod json;
pub mod login;
pub mod path;
pub mod pattern;
pub mod platform;
pub mod problem;
pub mod reference;
pub mod seam;
pub mod source;
mod truth;
pub mod words;

pub use digest::{ChainId, DiffId, Digest, StepKey, TreeDigest};
pub use epoch::Epoch;
pub use login::Login;
pub use path::EntryPath;
pub use platform::Platform;
pub use problem::Problem;
pub use reference::Reference;
pub use source::Source;
pub use truth::truth;
