//! Devices of the host for a command.
//!
//! In: what the command asks for, this machine. Out: the devices that it gets, or why it can't have
//! them; and [`Devices`], those that the caller allows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Error;
use crate::canon::event::Events;
use crate::plan::Command;
use crate::plan::command::Device;

/// Devices of the host that commands may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// These; by default none.
    Named(BTreeSet<String>),
    /// Any.
    All,
}

impl Default for Devices {
    fn default() -> Devices {
        Devices::Named(BTreeSet::new())
    }
}

impl Devices {
    /// Whether the device at `path` is one of them.
    pub(super) fn have(&self, path: &Path) -> bool {
        match self {
            Devices::Named(names) => names.iter().any(|name| Path::new(name) == path),
            Devices::All => true,
        }
    }
}

/// The devices that a command gets: of those that it asks for what this machine has.
pub(super) fn there(command: &Command, events: &Events) -> Result<Vec<PathBuf>, Error> {
    let mut there = Vec::new();
    for Device { name, required } in &command.devices {
        if !name.starts_with("/dev/") {
            return Err(Error::Device(name.clone()));
        }
        match Path::new(name).exists() {
            true => there.push(PathBuf::from(name)),
            false if *required => return Err(Error::NoDevice(name.clone())),
            false => events.note(format!("there is no `{name}`: its command goes without")),
        }
    }
    Ok(there)
}
