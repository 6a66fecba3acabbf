//! What came of a command.
//!
//! In: what its worker saw. Out: [`Outcome`].

use serde::{Deserialize, Serialize};

use super::Trace;
use crate::canon::EntryPath;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself: 0 is success.
    Code(i32),
    /// By that signal.
    Signal(i32),
    /// It was ended as its time was over.
    TimedOut,
    /// The kernel ended it, as it took more memory than it may.
    OutOfMemory,
}

/// One of [`super::Limits`] that control groups hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Of memory.
    Memory,
    /// Of processes.
    Processes,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How the command ended.
    pub exit: Exit,
    /// Paths in the upper folder that stand there only because something was mounted on them;
    /// neither they nor the times of the directories that hold them are the command's.
    #[serde(with = "super::wire::entry_paths")]
    pub stubs: Vec<EntryPath>,
    /// Whether the upper folder holds all of the layers: the kernel had no overlay for us, so they
    /// were copied there.
    pub is_copy: bool,
    /// What its programs did, if that was asked for.
    pub trace: Option<Trace>,
    /// Limits that held for each process or user alone, as no control group could be made.
    pub loose: Vec<Limit>,
}
