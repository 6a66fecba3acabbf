//! The caller's end of the sandbox.
//!
//! In: [`SessionSettings`], then [`Request`]s from any thread. Out: what the agent answers.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, Found, Request};
use crate::canon::EntryPath;

/// How a session is made.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The program that becomes the agent: cairn itself.
    pub program: PathBuf,
    /// Whose users it is to have.
    pub identity: Wanted,
}

impl Default for SessionSettings {
    fn default() -> SessionSettings {
        SessionSettings {
            program: PathBuf::from("/proc/self/exe"),
            identity: Wanted::default(),
        }
    }
}

/// Which [`Identity`] is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// The best that the machine gives.
    #[default]
    Best,
    /// [`Identity::Single`], as if the machine gave no more.
    Single,
}

/// Which users there are in a session's user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// All that cairn's own namespace has, each as itself: cairn is root there.
    Whole,
    /// The caller as root, and as many others as `/etc/subuid` and `/etc/subgid` give, from 1 on.
    Range {
        /// How many users, root among them.
        users: u32,
        /// How many groups, root's among them.
        groups: u32,
    },
    /// The caller as root, and nobody else: owners are emulated, kept in the extended attribute
    /// `user.cairn.owner`.
    Single,
}

/// Where a command wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

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
}

/// One user namespace, with the process that keeps it. Whoever drops it ends all that runs there.
#[derive(Debug)]
pub struct Session {
    identity: Identity,
}

impl Session {
    /// Starts the agent.
    pub fn open(settings: &SessionSettings) -> Result<Session, Error> {
        let _ = settings;
        Err(unfinished())
    }

    /// Which users there are inside.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Unpacks a layer's tar (not compressed) into `folder`, which must be there and empty, as a
    /// [`Request::lowers`] wants it. Nothing is written outside of `folder`, whatever the tar
    /// holds.
    pub fn unpack(&self, tar: &mut dyn Read, folder: &Path) -> Result<(), Error> {
        let _ = (tar, folder);
        Err(unfinished())
    }

    /// Runs a command to its end; every process that it began is gone then. `output` gets what it
    /// writes, as it comes.
    pub fn run(
        &self,
        request: &Request,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, Error> {
        let _ = (request, output);
        Err(unfinished())
    }

    /// As [`Session::run`], with a terminal of the sandbox's own, which is joined to the caller's:
    /// `input` and `output` are its ends.
    pub fn interact(
        &self,
        request: &Request,
        input: OwnedFd,
        output: OwnedFd,
    ) -> Result<Outcome, Error> {
        let _ = (request, input, output);
        Err(unfinished())
    }

    /// All that `folder` holds, itself first, in the order of paths.
    pub fn list(&self, folder: &Path) -> Result<Vec<Found>, Error> {
        let _ = folder;
        Err(unfinished())
    }

    /// Opens a regular file in `folder` for reading; no symlink in `path` is followed.
    pub fn read(&self, folder: &Path, path: &EntryPath) -> Result<File, Error> {
        let _ = (folder, path);
        Err(unfinished())
    }

    /// Removes `folder` and all that it holds, whoever owns it. It is none if it isn't there.
    pub fn remove(&self, folder: &Path) -> Result<(), Error> {
        let _ = folder;
        Err(unfinished())
    }
}

fn unfinished() -> Error {
    Error::Unsupported {
        what: "run commands".to_owned(),
        cause: "this version can't yet".to_owned(),
        hint: "use a later one".to_owned(),
    }
}
