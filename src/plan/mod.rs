//! The build graph as a pure value.
//!
//! In: what a frontend understood of a recipe. Out: `Plan`: steps in an order in which each
//! stands after its inputs, and the images made of them; keys (`key`), why one is another than it was
//! (`why`), and print-outs (`print`).
//! Never does I/O.

pub mod command;
pub mod config;
pub mod key;
pub mod mode;
pub mod name;
pub mod packages;
pub mod print;
pub mod step;
pub mod why;

pub use command::Command;
pub use config::ConfigChange;
pub use key::{Manner, OutputDigest, fetching_key, step_key};
pub use mode::Mode;
pub use packages::Packages;
pub use step::{Operation, Selection, Source, Step, StepId};

use std::collections::BTreeMap;

use crate::canon::{Login, Platform};

/// What to build.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Each after its inputs; [`Plan::add`] adds one.
    pub steps: Vec<Step>,
    /// One a platform, in the recipe's order; more than one make an index.
    pub images: Vec<PlannedImage>,
    /// Folders of the named contexts that the steps use, relative to the recipe's folder unless
    /// absolute. The build's own context is not among them.
    pub contexts: BTreeMap<String, String>,
    /// Who asks for what is fetched, by address: never a part of a step, key or print-out.
    pub logins: BTreeMap<String, Login>,
    /// The work of every step, to find equal ones by.
    known: BTreeMap<(Operation, Vec<StepId>), StepId>,
}

/// One image of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedImage {
    /// What it is for.
    pub platform: Platform,
    /// Whether the caller says so: then its config does, whatever its base is of.
    pub is_asked_for: bool,
    /// The step whose output, a stack of layers, is the image's file system.
    pub root: StepId,
    /// What its config has otherwise than its base, in the order in which it is applied: a stage
    /// that begins with another stage brings that one's changes first.
    pub config: Vec<ConfigChange>,
}

impl Plan {
    /// The step.
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.0]
    }

    /// Adds a step, or finds the one that is there already and does the same to the same: one
    /// key, one step. The first one's name, stage and place stay.
    pub fn add(&mut self, step: Step) -> StepId {
        let work = (step.operation.clone(), step.inputs.clone());
        *self.known.entry(work).or_insert_with(|| {
            self.steps.push(step);
            StepId(self.steps.len() - 1)
        })
    }

    /// Remembers who asks for what is at `url`; the first stays.
    pub fn add_login(&mut self, url: &str, login: Option<&Login>) {
        if let Some(login) = login {
            let entry = self.logins.entry(url.to_owned());
            entry.or_insert_with(|| login.clone());
        }
    }

    /// The steps that stack the layers of `id`, bottom first, itself last: the chain of first
    /// inputs. A step that gives files stands alone.
    pub fn stack(&self, id: StepId) -> Vec<StepId> {
        let mut stack = vec![id];
        let mut top = id;
        while self.step(top).operation.adds_layer() {
            let Some(&below) = self.step(top).inputs.first() else {
                break;
            };
            stack.push(below);
            top = below;
        }
        stack.reverse();
        stack
    }
}
