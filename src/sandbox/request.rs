//! What is asked of the sandbox: a command, the folders it runs on, what it may reach.
//!
//! In: what a step is, put into folders and numbers by whoever calls. Out: [`Request`].

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Seed, Ways, wire};
use crate::canon::EntryPath;

/// A command and all that it sees. Nothing else of the host is there for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Folders as [`super::Session::unpack`] makes them, the lowest first; never written to.
    #[serde(with = "wire::host_paths")]
    pub lowers: Vec<PathBuf>,
    /// Where what the command writes goes: an empty folder, one that [`super::Session::unpack`] filled
    /// over `lowers`, or one of an earlier run on the same `lowers`. Holds whole copies only, whiteouts as 0:0 devices and `user.overlay.*`
    /// attributes.
    #[serde(with = "wire::host_path")]
    pub upper: PathBuf,
    /// An empty folder on the file system of `upper`, of no use afterwards.
    #[serde(with = "wire::host_path")]
    pub work: PathBuf,
    /// The program and its arguments; never empty. A program without a slash is looked for in the
    /// `PATH` of `env`.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Variables that name the caller's proxies (`HTTP_PROXY`, …), for an `env` that doesn't have
    /// them and a command that reaches anything. Of the host's own services those are reached.
    pub proxies: Vec<(String, String)>,
    /// Where it starts; made if it isn't there.
    #[serde(with = "wire::entry_path")]
    pub workdir: EntryPath,
    /// Who it runs as.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
    /// In order: a later one may lie in an earlier one.
    pub mounts: Vec<Mount>,
    /// The name of the host that it is on; else the sandbox's own.
    pub hostname: Option<String>,
    /// Lines of `/etc/hosts` after the sandbox's own: a name, an address. The address
    /// `host-gateway` is one that leads to the host's loopback.
    pub hosts: Vec<(String, String)>,
    /// What it reaches.
    pub network: Network,
    /// How it is kept in.
    pub security: Security,
    /// What it may use up.
    pub limits: Limits,
    /// Resource limits, which the command finds set.
    pub rlimits: Vec<Rlimit>,
    /// Bytes that `/dev/shm` may hold; 64 MiB if there is none.
    pub shm_size: Option<u64>,
    /// Devices of the host that are there under the same path, if the caller's user may use them.
    #[serde(with = "wire::host_paths")]
    pub devices: Vec<PathBuf>,
    /// What its programs take for time and chance, the same in every run. The machine's, if there is
    /// none.
    pub constants: Option<Constants>,
    /// Whether what its programs do is kept ([`super::Trace`]), which makes each file that is opened
    /// cost some ten microseconds more. A command with every capability isn't traced.
    pub trace: bool,
    /// Whether its processes run one at a time, so that nothing depends on which of them is faster. Each
    /// system call costs some ten microseconds more.
    pub takes_turns: bool,
    /// How it is done on this machine: the session sets it.
    pub ways: Ways,
}

/// What a command sees instead of the machine's time and chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constants {
    /// The instant at which its clock begins, in seconds since 1970.
    pub instant: i64,
    /// What its randomness follows from.
    pub seed: Seed,
}

/// Something mounted for the command; none of it is in the upper folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Where; made if it isn't there. Symlinks are followed within the command's root.
    #[serde(with = "wire::entry_path")]
    pub target: EntryPath,
    /// What.
    pub source: Source,
}

/// What is mounted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Source {
    /// A folder of the host, or something in it.
    Bind {
        /// The folder.
        #[serde(with = "wire::host_path")]
        folder: PathBuf,
        /// Path in the folder; symlinks are followed within the folder.
        #[serde(with = "wire::entry_path")]
        path: EntryPath,
        /// Whether it may not be written to.
        read_only: bool,
    },
    /// Layers; what is written to them is lost.
    Overlay {
        /// Folders, the lowest first.
        #[serde(with = "wire::host_paths")]
        lowers: Vec<PathBuf>,
        /// Path in them; symlinks are followed within.
        #[serde(with = "wire::entry_path")]
        path: EntryPath,
        /// Whether it may not be written to.
        read_only: bool,
    },
    /// An empty folder in memory.
    Tmpfs {
        /// Bytes that it may hold; half of the machine's memory if there is none.
        size: Option<u64>,
        /// Whether it can't be written to.
        read_only: bool,
    },
    /// A file in memory, never on disk.
    File {
        /// All of it.
        #[serde(with = "wire::bytes")]
        content: Vec<u8>,
        /// Permission bits.
        mode: u16,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A Unix socket of the step's own: whatever connects to it talks to one of the host.
    Socket {
        /// Where it is outside.
        #[serde(with = "wire::host_path")]
        host: PathBuf,
        /// Permission bits inside.
        mode: u16,
        /// Owner inside.
        uid: u32,
        /// Group inside.
        gid: u32,
    },
}

/// What a command reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// Itself alone.
    #[default]
    None,
    /// The network, by cairn's forwarder.
    Forwarded,
    /// Whatever the host reaches, its loopback and abstract sockets included.
    Host,
}

/// How a command is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Security {
    /// As under Docker: its capabilities and its list of refused system calls.
    #[default]
    Sandbox,
    /// With every capability in the session's user namespace, and all system calls but those
    /// that reach past it: keyrings, modules, clocks, io_uring.
    Insecure,
}

/// What a command may use up; none is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// How long it may take by the host's clock.
    pub time: Option<Duration>,
}

/// A resource limit as getrlimit(2) has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    /// The limit; none is without.
    pub soft: Option<u64>,
    /// What a process may raise it to; none is without.
    pub hard: Option<u64>,
}
