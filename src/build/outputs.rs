//! What the steps of a plan came out as.
//!
//! In: the output of each step, in the plan's order. Out: what those after it take from it.

use std::sync::{Arc, Mutex, PoisonError};

use super::error::Cause;
use crate::canon::{Digest, TreeDigest};
use crate::inputs::{BaseImage, Files, Layer, Selected, Stack};
use crate::plan::{Operation, OutputDigest, Step, StepId};

const NOT_YET: &str = "a step stands before its input";

/// What the steps of a plan came out as, in its order: each is there once the step is done.
pub(super) struct Outputs(Vec<Mutex<Option<Output>>>);

/// What a step came out as.
#[derive(Clone)]
pub(super) enum Output {
    Layers(Layers),
    Files(Arc<Files>, OutputDigest),
    /// Files of a commit, which are not here: what they came out as is remembered.
    Commit(OutputDigest),
    /// Files of a context, most of which nobody has read yet.
    Unread(Arc<Selected>),
}

/// Layers, and how they came about.
#[derive(Clone, Default)]
pub(super) struct Layers {
    pub(super) stack: Stack,
    /// The image that they begin with.
    pub(super) base: Option<Arc<BaseImage>>,
    /// Whether the step that gave this added a layer: one that changed nothing did not.
    pub(super) has_added: bool,
}

impl Outputs {
    /// Of a plan with so many steps, none of which is done.
    pub(super) fn of(steps: usize) -> Outputs {
        Outputs((0..steps).map(|_| Mutex::default()).collect())
    }

    /// Gives a step's output, also one that is there in another form.
    pub(super) fn put(&self, id: StepId, output: Output) -> Result<(), Cause> {
        let place = self.0.get(id.0).ok_or(Cause::Bug(NOT_YET))?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        Ok(())
    }

    pub(super) fn get(&self, id: StepId) -> Result<Output, Cause> {
        let place = self.0.get(id.0).ok_or(Cause::Bug(NOT_YET))?;
        let output = place.lock().unwrap_or_else(PoisonError::into_inner);
        output.clone().ok_or(Cause::Bug(NOT_YET))
    }

    pub(super) fn layers(&self, id: StepId) -> Result<Layers, Cause> {
        match self.get(id)? {
            Output::Layers(layers) => Ok(layers),
            _ => Err(Cause::Bug("a step that should give layers gives files")),
        }
    }

    pub(super) fn files(&self, id: StepId) -> Result<Arc<Files>, Cause> {
        match self.get(id)? {
            Output::Files(files, _) => Ok(files),
            _ => Err(Cause::Bug("a step's files are not here, or it gives none")),
        }
    }

    pub(super) fn digest(&self, id: StepId) -> Result<OutputDigest, Cause> {
        match self.get(id)? {
            Output::Layers(layers) => {
                let layers = layers.stack.layers().iter();
                let diff_ids: Vec<_> = layers.map(|layer| layer.diff_id).collect();
                Ok(OutputDigest::of_layers(&diff_ids))
            }
            Output::Files(_, digest) | Output::Commit(digest) => Ok(digest),
            Output::Unread(_) => Err(Cause::Bug("files were named before they were read")),
        }
    }

    /// The digest of what a step took from outside, if it did and it was read.
    pub(super) fn material(&self, step: &Step, id: StepId) -> Option<Digest> {
        match step.operation {
            Operation::Image { .. } => Some(self.layers(id).ok()?.base?.descriptor.digest),
            Operation::Context { .. } | Operation::Http { .. } | Operation::Git { .. } => {
                Some(self.digest(id).ok()?.0)
            }
            _ => None,
        }
    }
}

impl From<Files> for Output {
    fn from(files: Files) -> Output {
        let digest = OutputDigest::of_files(TreeDigest(files.digest()));
        Output::Files(Arc::new(files), digest)
    }
}

impl Layers {
    /// These and all of `above`, which don't depend on them.
    pub(super) fn with_all(&self, above: &Stack) -> Layers {
        let layers = above.layers().iter();
        Layers {
            stack: layers.fold(self.stack.clone(), |stack, layer| {
                stack.with((**layer).clone())
            }),
            base: self.base.clone(),
            has_added: !above.layers().is_empty(),
        }
    }

    /// These and one more, if there is one.
    pub(super) fn with(&self, layer: Option<Layer>) -> Layers {
        let has_added = layer.is_some();
        let stack = match layer {
            Some(layer) => self.stack.with(layer),
            None => self.stack.clone(),
        };
        Layers {
            stack,
            base: self.base.clone(),
            has_added,
        }
    }
}
