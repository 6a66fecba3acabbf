//! A plan to an image.
//!
//! In: a [`Plan`], and [`Settings`]: the store, the folders, the epoch. Out: [`Built`]: documents
//! and blobs in the store. Each step runs only when the store has no result under its key.

pub mod assemble;
pub mod bases;
pub mod error;
mod evaluate;
pub mod ignore_file;
mod layer;
mod missing;
mod outputs;
mod packages;
pub mod past;
pub mod policed;
pub mod questions;
mod schedule;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

pub use error::Error;
pub use layer::result;

use self::ignore_file::IgnoreFile;
use self::questions::Question;
use crate::canon::event::Events;
use crate::canon::{Digest, Epoch, Platform};
use crate::image::Descriptor;
use crate::inputs::Pins;
use crate::inputs::base::{Bases, Registries};
use crate::inputs::debian::PackageSettings;
use crate::layer::Codec;
use crate::layer::codec::Expansion;
use crate::plan::{Operation, Plan, Source, StepId};
use crate::policy::Policy;
use crate::step::run::{CommandSettings, OnFailure};
use crate::store::Store;

/// All that a build depends on beside its plan.
pub struct Settings {
    /// Where everything is kept.
    pub store: Store,
    /// Where bases come from.
    pub registries: Registries,
    /// The recipe's folder, which layouts and named contexts are relative to.
    pub folder: PathBuf,
    /// The name of the recipe's file, for people.
    pub recipe: String,
    /// The build's context.
    pub context: PathBuf,
    /// What time its files have, where it isn't the epoch.
    pub context_times: Option<Epoch>,
    /// The file with the rules of that context.
    pub ignore_file: IgnoreFile,
    /// The one timestamp.
    pub epoch: Epoch,
    /// Annotations of the index, where there is one.
    pub index_annotations: BTreeMap<String, String>,
    /// How layers are compressed.
    pub codec: Codec,
    /// Threads that compress, and steps that run side by side: never a part of the result.
    pub threads: usize,
    /// How far layers and archives may expand.
    pub expansion: Expansion,
    /// The images that were looked up while planning.
    pub known: bases::Known,
    /// Whether registries are asked even for names that the store has.
    pub pull: bool,
    /// Whether steps run although the store has their results.
    pub no_cache: bool,
    /// Stages whose steps run although the store has their results.
    pub no_cache_filter: Vec<String>,
    /// What commands are given and may have.
    pub commands: CommandSettings,
    /// Where packages come from.
    pub packages: PackageSettings,
    /// Called where a command failed, before anything else ends.
    pub on_failure: Option<Box<OnFailure>>,
    /// What names are held to.
    pub pins: Pins,
    /// Which inputs may be had; a plan that is built went through [`policed::plan`].
    pub policy: Arc<Policy>,
    /// `PATH`, by which git is found.
    pub search_path: OsString,
    /// Whoever watches.
    pub events: Events,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The manifest, or the index of several.
    pub descriptor: Descriptor,
    /// One a platform, in the plan's order.
    pub images: Vec<BuiltImage>,
    /// What they were made of that is neither in the recipe nor its result, in the plan's order.
    pub materials: Vec<Material>,
}

/// An image or files that a build took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// The step that took it.
    pub name: String,
    /// Of the image's manifest; of the files' table, which covers names, metadata and contents.
    pub digest: Digest,
}

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltImage {
    /// What it is for.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Descriptor,
    /// Its config.
    pub config: Digest,
}

impl Settings {
    /// Where base images come from.
    pub fn bases(&self) -> Bases<'_> {
        let Settings {
            store,
            registries,
            folder,
            pull,
            expansion,
            pins,
            policy,
            events,
            ..
        } = self;
        Bases {
            store,
            registries,
            folder,
            pull: *pull,
            limit: *expansion,
            pins,
            policy,
            events,
        }
    }
}

/// Everything that `plan` asks whoever has the answers, in its order.
pub fn questions(plan: &Plan, settings: &Settings) -> Result<Vec<(StepId, Question)>, Error> {
    questions::questions(plan, &settings.folder)
}

/// Evaluates `steps` of `plan` and what they need, and no image: what they ask is then in
/// [`Pins::found`].
pub fn resolve(plan: &Plan, settings: &Settings, steps: &[StepId]) -> Result<(), Error> {
    let (mut open, mut needed) = (steps.to_vec(), BTreeSet::new());
    while let Some(step) = open.pop() {
        if needed.insert(step) {
            open.extend(&plan.step(step).inputs);
        }
    }
    evaluate::evaluate(plan, settings, Some(&needed)).map(drop)
}

/// Builds the images of `plan`.
pub fn build(plan: &Plan, settings: &Settings) -> Result<Built, Error> {
    let outputs = evaluate::evaluate(plan, settings, None)?;
    let mut images = Vec::new();
    for planned in &plan.images {
        images.push(assemble::image(plan, planned, &outputs, settings)?);
    }
    let descriptor = match &images[..] {
        [only] => only.manifest.clone(),
        _ => assemble::index(&images, &settings.index_annotations, &settings.store)?,
    };
    let materials = plan.steps.iter().zip(0..).map(|(step, number)| {
        let digest = outputs.material(step, StepId(number))?;
        let name = match &step.operation {
            // Where on this machine it lies is nobody else's concern.
            Operation::Image {
                source: Source::Layout { path, .. },
                ..
            } => {
                let path = path.trim_end_matches('/');
                format!("image {}", path.rsplit('/').next().unwrap_or(path))
            }
            _ => step.name.clone(),
        };
        Some(Material { name, digest })
    });
    Ok(Built {
        descriptor,
        images,
        materials: materials.flatten().collect(),
    })
}
