//! Steps that install packages.
//!
//! In: a question, and the layers below. Out: [`Layers`]. The question is asked in every build,
//! unless its answer was locked, and only the answer is in the step's key: where the archives have the
//! same packages as before, and the layers below are the same, nothing is done.

use super::Settings;
use super::error::Cause;
use super::evaluate::{Evaluation, input};
use super::outputs::{Layers, Outputs};
use crate::canon::StepKey;
use crate::canon::event::{Outcome, Work};
use crate::inputs::Stack;
use crate::inputs::debian::Resolver;
use crate::lock::PackageSet;
use crate::normal::keys::Key;
use crate::plan::packages::{Installed, architecture};
use crate::plan::{Operation, Packages, Step};
use crate::step::Change;
use crate::step::packages::{Below, Installer};

/// An answer, and what it was found over.
pub(super) struct Solved {
    set: PackageSet,
    below: Below,
}

impl Evaluation<'_> {
    /// A step that installs packages.
    pub(super) fn packages(
        &self,
        step: &Step,
        question: &Packages,
        outputs: &Outputs,
    ) -> Result<Layers, Cause> {
        let stack = outputs.layers(input(step, 0)?)?.stack.clone();
        let below = Below::read(&stack, &self.settings.store, self.settings.expansion)?;
        let asker = self.place_of(step).and_then(|id| self.askers.get(&id));
        let (platform, by) = asker.ok_or(Cause::Bug("a step is of another plan"))?;
        let pins = &self.settings.pins;
        let set = match pins.packages(platform, by)? {
            Some(set) => set.clone(),
            None if pins.is_offline() => return Err(Cause::Offline(step.name.clone())),
            None => self.solve(step, question, &below, &stack)?,
        };
        pins.put_packages(platform, by, set.clone());
        let installed = set.packages.iter().map(|package| Installed {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            sha256: package.sha256,
            size: package.size,
            automatic: package.automatic,
        });
        let answered = Step {
            operation: Operation::Packages(Box::new(question.solved(installed.collect()))),
            ..step.clone()
        };
        self.layer_of(&answered, Some(&Solved { set, below }), outputs)
    }

    /// What asks the archives.
    fn resolver(&self) -> Resolver<'_> {
        let Settings {
            store,
            events,
            packages,
            folder,
            commands,
            pins,
            ..
        } = self.settings;
        Resolver {
            store,
            events,
            folder,
            settings: packages,
            access: commands.access(),
            offline: pins.is_offline(),
        }
    }

    /// What `question` comes out as over `stack`.
    fn solve(
        &self,
        step: &Step,
        question: &Packages,
        below: &Below,
        stack: &Stack,
    ) -> Result<PackageSet, Cause> {
        let Settings {
            store,
            expansion,
            events,
            ..
        } = self.settings;
        let work = events.start(format!("solve {}", step.name));
        let keyring = question.distribution.keyring();
        let below = below.for_solving(keyring, stack, store, *expansion)?;
        let set = self.resolver().resolve(question, &below, &work)?;
        for package in &set.packages {
            let (name, version) = (&package.name, &package.version);
            events.debug(format!("{}: {name} {version}", step.name));
        }
        work.finish(Outcome::Done);
        Ok(set)
    }

    /// What installing the packages of `solved` changes.
    pub(super) fn installed(
        &self,
        step: &Step,
        question: &Packages,
        solved: &Solved,
        stack: &Stack,
        key: &StepKey,
        work: &Work,
    ) -> Result<(Change, Vec<Key>), Cause> {
        let Settings {
            store,
            epoch,
            expansion,
            events,
            ..
        } = self.settings;
        let blobs = self.resolver().fetch(&solved.set, work)?;
        let installer = Installer {
            store,
            runner: &self.runner,
            epoch: *epoch,
            expansion: *expansion,
            architecture: architecture(&question.platform).unwrap_or("all"),
            below: &solved.below,
            stack,
        };
        let installed = installer.install(&solved.set, &blobs, question.variant, key, work)?;
        for warning in installed.warnings {
            events.warn(format!("{}: {warning}", step.name));
        }
        Ok((installed.change, installed.keys))
    }
}
