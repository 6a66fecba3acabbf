//! The recipe that the arguments mean, and its plan.

use std::io::Read;
use std::path::PathBuf;

use super::arguments::Recipe;
use super::environment::Environment;
use super::exit::{Code, Failure};
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
}

const NO_DOCKERFILE: &str = "there is a Dockerfile, which this version of cairn does not read; write a cairn.toml, see `cairn schema`";

/// Reads and understands the recipe.
pub fn understand(arguments: &Recipe, environment: &Environment) -> Result<Understood, Failure> {
    let context = environment.absolute(&arguments.context);
    let is_stdin = arguments
        .file
        .as_ref()
        .is_some_and(|file| file.as_os_str() == "-");
    let (name, path) = match &arguments.file {
        Some(file) => (file.display().to_string(), environment.absolute(file)),
        None => {
            let shown = arguments.context.join("cairn.toml");
            let shown = shown
                .strip_prefix(".")
                .unwrap_or(&shown)
                .display()
                .to_string();
            (shown, context.join("cairn.toml"))
        }
    };
    let bytes = if is_stdin {
        let mut bytes = Vec::new();
        let read = std::io::stdin()
            .take(toml::LARGEST as u64 + 1)
            .read_to_end(&mut bytes);
        read.map(|_| bytes)
    } else {
        std::fs::File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(toml::LARGEST as u64 + 1)
                .read_to_end(&mut bytes)
                .map(|_| bytes)
        })
    };
    let bytes = bytes.map_err(|error| {
        let problem = Problem::new(format!("can't read the recipe `{name}`: {error}"));
        let has_dockerfile = arguments.file.is_none() && context.join("Dockerfile").exists();
        let problem = if has_dockerfile {
            problem.hint(NO_DOCKERFILE)
        } else {
            problem.hint("name the recipe with `-f FILE`, and its context as the last argument")
        };
        Failure::message(Code::Unavailable, problem)
    })?;
    let source = Source::new(name, bytes, toml::LARGEST)
        .map_err(|problem| Failure::message(Code::Failed, *problem))?;
    let folder = if is_stdin {
        environment.absolute(".".as_ref())
    } else {
        path.parent().map(PathBuf::from).unwrap_or_default()
    };
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
    match toml::plan(&source, &options) {
        Ok(plan) => Ok(Understood {
            plan,
            source,
            folder,
            context,
        }),
        Err(problems) => {
            let is_dockerfile = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains("Dockerfile"));
            let problem =
                Problem::new(format!("`{}` is no cairn.toml", source.name())).hint(NO_DOCKERFILE);
            match is_dockerfile {
                true => Err(Failure::message(Code::Failed, problem)),
                false => Err(Failure::recipe(problems, source)),
            }
        }
    }
}
