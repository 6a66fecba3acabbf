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
mod schedule;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

pub use error::Error;

use self::ignore_file::IgnoreFile;
use crate::canon::event::Events;
use crate::canon::{Digest, Epoch, Platform};
use crate::image::Descriptor;
use crate::inputs::base::{Bases, Registries};
use crate::inputs::debian::PackageSettings;
use crate::layer::Codec;
use crate::layer::codec::Expansion;
use crate::lock::PackageSet;
use crate::plan::{Plan, StepId};
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
    /// What each step that installs packages came out as, for a lock.
    pub packages: BTreeMap<StepId, PackageSet>,
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
            events,
            ..
        } = self;
        Bases {
            store,
            registries,
            folder,
            pull: *pull,
            limit: *expansion,
            events,
        }
    }
}

/// Builds the images of `plan`.
pub fn build(plan: &Plan, settings: &Settings) -> Result<Built, Error> {
    let (outputs, packages) = evaluate::evaluate(plan, settings)?;
    let mut images = Vec::new();
    for planned in &plan.images {
        images.push(assemble::image(plan, planned, &outputs, settings)?);
    }
    let descriptor = match &images[..] {
        [only] => only.manifest.clone(),
        _ => assemble::index(&images, &settings.index_annotations, &settings.store)?,
    };
    Ok(Built {
        descriptor,
        images,
        packages,
    })
}
