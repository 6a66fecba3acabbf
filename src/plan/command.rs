//! Commands: what a step runs, and what it is let to see.
//!
//! In: a recipe's `RUN`. Out: [`Command`], a part of its step's key. What must not enter a key is
//! not here: the contents of secrets, proxies, limits that the caller sets.

use serde::Serialize;

use crate::canon::EntryPath;

/// What a step runs. Everything that it could tell from another command is a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Command {
    /// The program, looked for in the `PATH` of `env`, and its arguments; never empty.
    pub arguments: Vec<String>,
    /// The whole environment, in the recipe's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Where it starts; made if it isn't there.
    pub workdir: EntryPath,
    /// `user[:group]`, by number or as the image's `/etc/passwd` and `/etc/group` have it; else
    /// root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// In the order of [`Mount::in_order`], whatever the recipe's is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// What it reaches.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network,
    /// How it is kept in.
    #[serde(skip_serializing_if = "is_default")]
    pub security: Security,
    /// Devices of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The name of the host that it is on, if not the sandbox's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Lines of `/etc/hosts`: a name, an address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(String, String)>,
    /// Resource limits other than the sandbox's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Bytes that `/dev/shm` may hold, if not the sandbox's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Device {
    /// Its path, below `/dev`.
    pub name: String,
    /// Whether the step fails where the host doesn't have it; else it goes without.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// As recipes have it.
impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        match self.required {
            true => f.write_str(",required"),
            false => Ok(()),
        }
    }
}

/// Something mounted for one command; none of it is in the layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mount {
    /// Where.
    pub target: EntryPath,
    /// What.
    #[serde(flatten)]
    pub kind: MountKind,
}

impl Mount {
    /// Mounts, each with what belongs to it, in the order that they have in a command: by target,
    /// so that none hides one that lies in it (BuildKit, `llb.ExecOp`); behind those secrets, then
    /// sockets, both as they are written, for the first socket is the one that commands are told
    /// of.
    pub fn in_order<T>(mut mounts: Vec<(Mount, T)>) -> Vec<(Mount, T)> {
        mounts.sort_by(|(one, _), (other, _)| one.rank().cmp(&other.rank()));
        mounts
    }

    fn rank(&self) -> (u8, &[u8]) {
        match self.kind {
            MountKind::Secret { .. } => (1, b""),
            MountKind::Ssh { .. } => (2, b""),
            _ => (0, self.target.as_bytes()),
        }
    }
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum MountKind {
    /// A part of an input of the step: of layers what is at `source`, of files the only source
    /// that was selected (`source` is then the root).
    Bind {
        /// Path in the input.
        source: EntryPath,
        /// Whether it may be written to; what is written is lost.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        writable: bool,
    },
    /// A folder that outlives the build.
    Cache {
        /// Its name.
        id: String,
        /// Who else may use it meanwhile.
        sharing: Sharing,
        /// Whether it may not be written to.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        read_only: bool,
        /// What it holds at first: a path in an input of the step; else it is empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<EntryPath>,
        /// Of an empty one.
        mode: u16,
        /// Of an empty one.
        uid: u32,
        /// Of an empty one.
        gid: u32,
    },
    /// An empty folder in memory.
    Tmpfs {
        /// Bytes that it may hold.
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// Whether it may not be written to.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        read_only: bool,
    },
    /// A file whose content the caller has.
    Secret {
        /// The caller's name for it.
        id: String,
        /// Whether there is a file at the target; else only the variable.
        file: bool,
        /// A variable that holds it.
        #[serde(skip_serializing_if = "Option::is_none")]
        variable: Option<String>,
        /// Whether the step fails without it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        required: bool,
        /// Of the file.
        mode: u16,
        /// Of the file.
        uid: u32,
        /// Of the file.
        gid: u32,
    },
    /// A socket of an SSH agent that the caller has; `SSH_AUTH_SOCK` names it.
    Ssh {
        /// The caller's name for it.
        id: String,
        /// Whether the step fails without it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        required: bool,
        /// Of the socket.
        mode: u16,
        /// Of the socket.
        uid: u32,
        /// Of the socket.
        gid: u32,
    },
    /// A file of the recipe's: the script of a here-document.
    Inline {
        /// All of it.
        content: String,
        /// Permission bits.
        mode: u16,
    },
}

impl MountKind {
    /// Whether an input of the step is its source. The inputs after the first are these sources,
    /// in the order of the mounts.
    pub fn has_input(&self) -> bool {
        matches!(
            self,
            MountKind::Bind { .. } | MountKind::Cache { from: Some(_), .. }
        )
    }
}

/// Who else may use a cache while a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Anyone.
    #[default]
    Shared,
    /// Nobody: a second user gets a folder of its own.
    Private,
    /// Nobody: a second user waits.
    Locked,
}

/// What a command reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The network, by cairn's forwarder.
    #[default]
    Default,
    /// Itself alone.
    None,
    /// Whatever the host reaches, the host included.
    Host,
}

/// How a command is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// As under Docker.
    #[default]
    Sandbox,
    /// With every capability that the sandbox has to give.
    Insecure,
}

/// A resource limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Ulimit {
    /// As `ulimit` in Docker has it: `nofile`, `nproc`, …
    pub name: String,
    /// The limit; none is without.
    pub soft: Option<u64>,
    /// What a process may raise it to; none is without.
    pub hard: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_what_lies_in_them_and_sockets_stay_as_written() {
        let mount = |target: &str, kind| Mount {
            target: EntryPath::new(target.as_bytes()).unwrap(),
            kind,
        };
        let tmpfs = |target| {
            let (size, read_only) = (None, false);
            mount(target, MountKind::Tmpfs { size, read_only })
        };
        let socket = |target: &str| {
            let kind = MountKind::Ssh {
                id: target.to_owned(),
                required: false,
                mode: 0o600,
                uid: 0,
                gid: 0,
            };
            mount(target, kind)
        };
        let written = [
            socket("z"),
            tmpfs("k/sub"),
            socket("a"),
            tmpfs("k"),
            tmpfs("k-x"),
        ];
        let numbered = written.into_iter().zip(0..).collect();
        let order: Vec<i32> = Mount::in_order(numbered)
            .into_iter()
            .map(|(_, number)| number)
            .collect();
        assert_eq!(order, [3, 4, 1, 0, 2]);
    }
}
