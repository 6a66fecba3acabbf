//! The plan of a Dockerfile: what it needs to know of base images is looked up between the two
//! halves of its frontend.
//!
//! In: a tree, what the caller chose. Out: a plan; the images that were looked up stay in the
//! settings, so that what is built on is what was planned with.

use std::sync::Arc;

use super::error::Cause;
use super::{Error, Settings};
use crate::canon::Problem;
use crate::frontend::Options;
use crate::frontend::dockerfile::{self, BaseConfig, Bases, syntax::Dockerfile};
use crate::image::ImageConfig;
use crate::inputs;
use crate::plan::Plan;

/// Why there is no plan.
#[derive(Debug)]
pub enum Unplanned {
    /// The recipe makes no sense.
    Problems(Vec<Problem>),
    /// A base image can't be had.
    Base(Error),
}

/// The plan of `file`.
pub fn plan(
    file: &Dockerfile,
    options: &Options,
    settings: &mut Settings,
) -> Result<Plan, Unplanned> {
    let mut known = Bases::new();
    loop {
        let asked = dockerfile::bases(file, options, &known).map_err(Unplanned::Problems)?;
        if asked.is_empty() {
            return dockerfile::plan(file, options, &known).map_err(Unplanned::Problems);
        }
        for (question, span) in asked {
            let image = settings.bases().get(&question.source, &question.platform);
            let image = image.map_err(|error| {
                let name = crate::plan::name::from_image(&question.source);
                let name = name.trim_start_matches(" from ").to_owned();
                let cause = Box::new(Cause::from(error));
                Unplanned::Base(Error::Step { name, span, cause })
            })?;
            known.insert(question.clone(), config(&image.config));
            let key = (question.source, question.platform);
            settings.known.insert(key, Arc::new(image));
        }
    }
}

impl Settings {
    /// Where base images come from.
    pub(super) fn bases(&self) -> inputs::base::Bases<'_> {
        let Settings {
            store,
            registries,
            folder,
            pull,
            expansion,
            events,
            ..
        } = self;
        inputs::base::Bases {
            store,
            registries,
            folder,
            pull: *pull,
            limit: *expansion,
            events,
        }
    }
}

/// What of a config reaches the stages above.
fn config(image: &ImageConfig) -> BaseConfig {
    let execution = image.config.clone().unwrap_or_default();
    let texts = |name: &str| -> Option<Vec<String>> {
        serde_json::from_value(execution.foreign.get(name)?.clone()).ok()
    };
    let variable = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    BaseConfig {
        env: execution.env.iter().flatten().map(variable).collect(),
        shell: texts("Shell").filter(|shell| !shell.is_empty()),
        on_build: texts("OnBuild").unwrap_or_default(),
        workdir: execution.working_dir,
        user: execution.user,
    }
}
