//! The plan of a Dockerfile: what it needs to know of base images is looked up between the two
//! halves of its frontend.
//!
//! In: a tree, what the caller chose. Out: a plan; the images that were looked up go into the
//! settings, so that what is built on is what was planned with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Error;
use super::error::Cause;
use crate::canon::{Platform, Problem};
use crate::frontend::Options;
use crate::frontend::dockerfile::{self, BaseConfig, Bases, syntax::Dockerfile};
use crate::image::ImageConfig;
use crate::inputs::{self, BaseImage};
use crate::plan::{Plan, Source};

/// Why there is no plan.
#[derive(Debug)]
pub enum Unplanned {
    /// The recipe makes no sense.
    Problems(Vec<Problem>),
    /// A base image can't be had.
    Base(Error),
}

/// The images that were looked up.
pub type Known = BTreeMap<(Source, Platform), Arc<BaseImage>>;

/// The plan of `file`, and the images that were looked up for it in `bases`.
pub fn plan(
    file: &Dockerfile,
    options: &Options,
    bases: &inputs::base::Bases<'_>,
) -> Result<(Plan, Known), Unplanned> {
    let (mut configs, mut known) = (Bases::new(), Known::new());
    loop {
        let asked = dockerfile::bases(file, options, &configs).map_err(Unplanned::Problems)?;
        if asked.is_empty() {
            let plan = dockerfile::plan(file, options, &configs);
            return plan.map(|plan| (plan, known)).map_err(Unplanned::Problems);
        }
        for (question, span) in asked {
            let image = bases.get(&question.source, &question.platform);
            let image = image.map_err(|error| {
                let name = crate::plan::name::from_image(&question.source);
                let name = name.trim_start_matches(" from ").to_owned();
                let cause = Box::new(Cause::from(error));
                Unplanned::Base(Error::Step { name, span, cause })
            })?;
            configs.insert(question.clone(), config(&image.config));
            known.insert((question.source, question.platform), Arc::new(image));
        }
    }
}

/// What of a config reaches the stages above.
pub fn config(image: &ImageConfig) -> BaseConfig {
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
