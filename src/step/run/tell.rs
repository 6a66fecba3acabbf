//! What a build says of its commands: what makes their results depend on more than the recipe, and
//! what this machine makes otherwise.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::Runner;
use super::error::Error;
use super::fetching::Fetching;
use super::sources::absolute;
use crate::plan::{Command, command};
use crate::sandbox::{Limit, Outcome, Session, group_remedy};

/// What of a command makes its result depend on more than the recipe.
fn impure(command: &Command, has_devices: bool) -> impl Iterator<Item = &'static str> {
    let impure = [
        (
            command.network == command::Network::Host,
            "has the host's network",
        ),
        (
            command.security == command::Security::Insecure,
            "has every capability",
        ),
        (has_devices, "has devices of the host"),
    ];
    let impure = impure.into_iter().filter(|(is_so, _)| *is_so);
    impure.map(|(_, what)| what)
}

impl Runner<'_> {
    /// Refuses a command whose result may depend on more than the recipe, where none may: also one
    /// whose result is there already.
    pub fn permit(&self, command: &Command, fetching: &Fetching<'_>) -> Result<(), Error> {
        if !self.settings.requires_hermetic {
            return Ok(());
        }
        let impure: Vec<_> = impure(command, !command.devices.is_empty()).collect();
        if !impure.is_empty() {
            return Err(Error::NotHermetic(impure.join(", ")));
        }
        match command.network {
            command::Network::None => self.tell_clock().map(drop),
            _ if fetching.instant().is_none() => Err(Error::NotRecorded),
            _ => self.session().map(drop),
        }
    }

    /// Says what makes the result depend on more than the recipe.
    pub(super) fn tell(&self, command: &Command, devices: &[PathBuf]) {
        let line = command.arguments.join(" ");
        for what in impure(command, !devices.is_empty()) {
            self.events.warn(format!("a command {what}: `{line}`"));
        }
    }

    /// Says what is not as it should be on this machine, or refuses commands for it.
    pub(super) fn tell_ways(&self, session: &Session) -> Result<(), Error> {
        if session.ways().shares_proc {
            self.events.note("commands run one at a time and see the names of processes that begin meanwhile, as the container's `/proc` is the only one to be had; `cairn doctor` says more");
        }
        let missing = session.missing();
        if self.settings.requires_hermetic && !missing.is_empty() {
            return Err(Error::Guarantees(missing));
        }
        for guarantee in missing {
            let what = guarantee.what();
            self.events.note(format!(
                "without the guarantee `{}` the result may depend on this machine: {what}; `cairn doctor` says more",
                guarantee.name()
            ));
        }
        let place = self.store.temporary_folder()?;
        if let Some(why) = session.no_overlay(&absolute(place.0.path())?)? {
            self.copies.store(true, Ordering::Relaxed);
            let why = why.cause();
            self.events.note(format!(
                "layers are copied for each command, as {why}; `cairn doctor` says more"
            ));
        }
        Ok(())
    }

    /// Whether commands can have a clock of their own here; says once that they can't.
    pub(super) fn tell_clock(&self) -> Result<bool, Error> {
        let Err(error) = self.session()?.clock_way() else {
            return Ok(true);
        };
        if self.settings.requires_hermetic {
            return Err(error.into());
        }
        if !self.has_told_clock.swap(true, Ordering::Relaxed) {
            self.events.warn(format!(
                "without the guarantee `clock` commands see this machine's time and chance, so that their results may differ from run to run: {error}; `cairn doctor` says more"
            ));
        }
        Ok(false)
    }

    /// Says which limits hold less than was asked for.
    pub(super) fn tell_loose(&self, outcome: &Outcome) {
        if outcome.loose.is_empty() || self.has_told_loose.swap(true, Ordering::Relaxed) {
            return;
        }
        let limits = outcome.loose.iter().map(|limit| match limit {
            Limit::Memory => "`--memory` holds for each process of a command alone",
            Limit::Processes => "`--processes` holds for all that its user has",
        });
        let limits: Vec<_> = limits.collect();
        self.events.warn(format!(
            "{}, as cairn may make no control group here; {}",
            limits.join(", and "),
            group_remedy()
        ));
    }
}
