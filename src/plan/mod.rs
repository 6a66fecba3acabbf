//! The build graph as a pure value.
//!
//! In: what a frontend understood of a recipe. Out: [`Plan`]: steps in an order in which each
//! stands after its inputs, and the images made of them; keys ([`key`]) and print-outs ([`print`]).
//! Never does I/O.

pub mod config;
pub mod step;

pub use config::ConfigChange;
pub use step::{Operation, Selection, Source, Step, StepId};

use crate::canon::Platform;

/// What to build.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Each after its inputs.
    pub steps: Vec<Step>,
    /// One a platform, in the recipe's order; more than one make an index.
    pub images: Vec<PlannedImage>,
}

/// One image of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedImage {
    /// What it is for.
    pub platform: Platform,
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

    /// Adds a step, or finds the equal one that is there already: one key, one step.
    pub fn add(&mut self, step: Step) -> StepId {
        if let Some(found) = self
            .steps
            .iter()
            .position(|other| other.is_same_work(&step))
        {
            return StepId(found);
        }
        self.steps.push(step);
        StepId(self.steps.len() - 1)
    }
}
