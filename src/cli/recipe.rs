//! The recipe that the arguments mean, and its plan.

use std::path::PathBuf;

use super::arguments::Recipe;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::fetched::Kept;
use super::opened::{self, Language, Opened};
use crate::canon::event::Events;
use crate::canon::{Problem, Source};
use crate::frontend::{Options, toml};
use crate::plan::Plan;

/// A recipe that was understood.
pub struct Understood {
    pub plan: Plan,
    pub source: Source,
    /// The recipe's folder.
    pub folder: PathBuf,
    /// The build's context.
    pub context: PathBuf,
    /// The recipe's own rules of what the context leaves out.
    pub ignore_file: Option<PathBuf>,
    /// What was fetched, as long as it is needed.
    pub kept: Option<Kept>,
}

const NO_DOCKERFILE: &str = "there is a Dockerfile, which this version of cairn does not read; write a cairn.toml, see `cairn schema`";

/// Reads and understands the recipe.
pub fn understand(
    arguments: &Recipe,
    environment: &Environment,
    events: impl FnOnce() -> Events,
) -> Result<Understood, Failure> {
    let Opened {
        language,
        source,
        folder,
        context,
        ignore_file,
        kept,
    } = opened::open(arguments, environment, events)?;
    if let (Language::Toml, Some(flag)) = (language, arguments.dockerfile.given()) {
        return Err(Failure::usage(
            format!(
                "`{flag}` is for a Dockerfile, and `{}` is none",
                source.name()
            ),
            "leave it out, or name the Dockerfile with `-f`",
        ));
    }
    let absolute = |path: &String| {
        environment
            .absolute(path.as_ref())
            .to_string_lossy()
            .into_owned()
    };
    let options = Options {
        target: arguments.target.clone(),
        platforms: arguments.platform.clone(),
        contexts: arguments
            .build_context
            .iter()
            .map(|(name, path)| (name.clone(), absolute(path)))
            .collect(),
        labels: arguments.label.iter().cloned().collect(),
        annotations: arguments.annotation.iter().cloned().collect(),
        ..Options::new(environment.platform())
    };
    let planned = match language {
        Language::Toml => toml::plan(&source, &options),
        Language::Dockerfile => {
            let problem = Problem::new(format!("`{}` is no cairn.toml", source.name()));
            return Err(Failure::message(Code::Failed, problem.hint(NO_DOCKERFILE)));
        }
    };
    match planned {
        Ok(plan) => Ok(Understood {
            plan,
            source,
            folder,
            context,
            ignore_file,
            kept,
        }),
        Err(problems) => Err(Failure::recipe(problems, source)),
    }
}
