//! What the caller gives the commands of a build.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Authority, Devices, Error};
use crate::inputs::Access;
use crate::normal::Without;
use crate::normal::keys::Key;
use crate::policy::Policy;
use crate::sandbox::{Limits, SessionSettings};

/// What the caller gives commands and lets them have. None of it is in a key but `without` and
/// `takes_turns`.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// How the sandbox is made.
    pub session: SessionSettings,
    /// What a command may use up.
    pub limits: Limits,
    /// How many bytes all caches of commands may hold.
    pub caches: u64,
    /// Variables for commands that don't have them: proxies.
    pub proxies: Vec<(String, String)>,
    /// Who signs for whoever ends the TLS of commands that reach the network.
    pub authority: Option<Authority>,
    /// Which of what commands fetch they may have.
    pub policy: Arc<Policy>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets of SSH agents by name.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Whether the caller gives all commands the host's network: `--network host`.
    pub gives_host_network: bool,
    /// Whether a command may reach what the host reaches: `--allow network.host`.
    pub allow_host_network: bool,
    /// Whether a command may have all capabilities: `--allow security.insecure`.
    pub allow_insecure: bool,
    /// Whether a command may have devices of the host: `--allow device`.
    pub allow_devices: Devices,
    /// Whether no command runs whose result may depend on more than the recipe: `--require-hermetic`.
    pub requires_hermetic: bool,
    /// Which normalisers don't look at what commands leave: `--no-normalise`.
    pub without: Without,
    /// Whether commands may leave private keys that they made: `--allow-keys`.
    pub allow_keys: bool,
    /// Whether the processes of a command run one at a time: `--strict`.
    pub takes_turns: bool,
    /// Whether what programs of commands do is kept: [`crate::sandbox::Trace`].
    pub trace: bool,
}

impl CommandSettings {
    /// Refuses keys that commands made, unless they are allowed.
    pub fn judge_keys(&self, keys: &[Key]) -> Result<(), Error> {
        match keys.is_empty() || self.allow_keys {
            true => Ok(()),
            false => Err(Error::Keys(keys.to_vec())),
        }
    }

    /// The part of it that servers are shown.
    pub fn access(&self) -> Access<'_> {
        Access {
            secrets: &self.secrets,
            agent: self.ssh.get("default").map(PathBuf::as_path),
        }
    }
}

impl Default for CommandSettings {
    fn default() -> CommandSettings {
        CommandSettings {
            session: SessionSettings::default(),
            limits: Limits::default(),
            caches: u64::MAX,
            proxies: Vec::new(),
            authority: None,
            policy: Arc::default(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            gives_host_network: false,
            allow_host_network: false,
            allow_insecure: false,
            allow_devices: Devices::default(),
            requires_hermetic: false,
            without: Without::default(),
            allow_keys: false,
            takes_turns: false,
            trace: false,
        }
    }
}
