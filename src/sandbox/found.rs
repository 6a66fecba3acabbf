//! What a folder of the sandbox holds.
//!
//! In: a walk inside the session. Out: [`Found`], with owners as they are seen inside.

use serde::{Deserialize, Serialize};

use super::wire;
use crate::canon::EntryPath;
use crate::layer::entry::{Device, Xattrs};

/// A file-system object in a folder of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Where in the folder; of a [`FoundKind::Whiteout`] the path that is gone.
    #[serde(with = "wire::entry_path")]
    pub path: EntryPath,
    /// What it is.
    pub kind: FoundKind,
    /// Permission, setuid, setgid and sticky bits: the low twelve.
    pub mode: u16,
    /// Owner as the command saw it.
    pub uid: u32,
    /// Group as the command saw it.
    pub gid: u32,
    /// Seconds since 1970 and nanoseconds of its last change of content.
    pub mtime: (i64, u32),
    /// What its names have in common.
    pub inode: u64,
    /// How many names it has in the folder's file system.
    pub links: u64,
    /// Extended attributes, without overlay's and the sandbox's own.
    #[serde(with = "wire::xattrs")]
    pub xattrs: Xattrs,
}

/// What a [`Found`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FoundKind {
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
    },
    /// A directory.
    Directory {
        /// Whether nothing of the layers below is seen in it.
        opaque: bool,
    },
    /// A symbolic link to that text.
    Symlink(#[serde(with = "wire::boxed_bytes")] Box<[u8]>),
    /// A character device.
    CharacterDevice(#[serde(with = "wire::device")] Device),
    /// A block device.
    BlockDevice(#[serde(with = "wire::device")] Device),
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// What the layers below have there is gone.
    Whiteout,
}
