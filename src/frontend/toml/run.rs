//! Commands as they are written.
//!
//! In: [`super::de`]. Out: values with places, for [`super::lower_run`]. The documentation of types
//! and keys is what an editor shows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{At, Field, List, Table, TextOrList};
use super::recipe::Origin;

/// Runs a command in the sandbox; what it changes is the layer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Run {
    /// A list of words, or a text for the shell.
    pub command: Field<At<TextOrList<At<String>>>>,
    /// What runs a text; else `["/bin/sh", "-c"]`.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub shell: Field<At<List<At<String>>>>,
    /// The whole environment, in this order; `PATH` and `HOME` are Docker's where it has none.
    #[serde(default)]
    pub env: Field<Table<String>>,
    /// Where it starts, absolute; else `"/"`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^/"))]
    pub workdir: Field<At<String>>,
    /// Who runs it: `user` or `user:group`, by number, or by name as the image knows them; else
    /// root.
    #[serde(default)]
    pub user: Field<At<String>>,
    /// What is mounted meanwhile; none of it is in the layer.
    #[serde(default)]
    pub mounts: Field<List<At<Mount>>>,
    /// What it reaches: `"default"`, `"none"` or `"host"`, which needs `--allow network.host`.
    #[serde(default)]
    pub network: Field<At<String>>,
    /// How it is kept in: `"sandbox"`, or `"insecure"`, which needs `--allow security.insecure`.
    #[serde(default)]
    pub security: Field<At<String>>,
    /// Devices of the host, such as `"/dev/kvm"`, which need `--allow device`. Where there is none
    /// of that name the command goes without; with `"/dev/kvm,required"` it fails.
    #[serde(default)]
    pub devices: Field<List<At<String>>>,
    /// The name of the host that it is on; else the sandbox's own.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[A-Za-z0-9._-]{1,64}$"))]
    pub hostname: Field<At<String>>,
    /// Lines of `/etc/hosts`: addresses by name.
    #[serde(default)]
    pub hosts: Field<Table<String>>,
    /// Limits other than the sandbox's own.
    #[serde(default)]
    pub ulimits: Field<List<At<Limit>>>,
    /// Bytes that `/dev/shm` may hold.
    #[serde(default)]
    #[schemars(extend("minimum" = 1))]
    pub shm_size: Field<u64>,
}

/// A resource limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limit {
    /// As Docker's `--ulimit` has it, such as `nofile`.
    pub name: Field<String>,
    /// The limit; without it there is none.
    #[serde(default)]
    pub soft: Field<u64>,
    /// What a process may raise it to; without it, anything.
    #[serde(default)]
    pub hard: Field<u64>,
}

/// Something mounted for one command; which keys it may have, its type says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mount {
    /// `"bind"`, `"cache"`, `"tmpfs"`, `"secret"`, `"ssh"`, or `"file"`, whose content stands here.
    #[serde(rename = "type")]
    pub kind: Field<At<String>>,
    /// Where, absolute; a secret is else in `/run/secrets`, a socket in `/run/buildkit`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^/"))]
    pub target: Field<At<String>>,
    /// Of a bind or cache: where its files are from; a bind's are else from the build's context.
    #[serde(default)]
    pub from: Field<At<Origin>>,
    /// Of a bind or cache: which path of `from`; else all of it.
    #[serde(default)]
    pub source: Field<At<String>>,
    /// Of a bind: whether it may be written to; what is written is lost.
    #[serde(default)]
    pub writable: Field<bool>,
    /// Of a cache or tmpfs: whether it may not be written to.
    #[serde(default)]
    pub read_only: Field<bool>,
    /// The name of the cache, secret or socket.
    #[serde(default)]
    pub id: Field<String>,
    /// Of a cache: who else may use it meanwhile: `"shared"` (anyone), `"private"` (a second user
    /// gets one of its own) or `"locked"` (a second user waits).
    #[serde(default)]
    pub sharing: Field<At<String>>,
    /// Of a tmpfs: bytes that it may hold.
    #[serde(default)]
    pub size: Field<u64>,
    /// Of a secret: a variable that holds it; there is a file then only at a `target`.
    #[serde(default)]
    pub variable: Field<String>,
    /// Of a secret or socket: whether the step fails without it.
    #[serde(default)]
    pub required: Field<bool>,
    /// Permission bits in octal.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// The number of its user; else 0.
    #[serde(default)]
    pub uid: Field<u32>,
    /// The number of its group; else 0.
    #[serde(default)]
    pub gid: Field<u32>,
    /// Of a file: all of it.
    #[serde(default)]
    pub content: Field<String>,
}
