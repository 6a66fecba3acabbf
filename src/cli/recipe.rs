//! The recipe that the arguments mean, and its plan.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::arguments;
use super::environment::Environment;
use super::exit::{Code, Failure};
use crate::build::Settings;
use crate::build::bases::{self, Unplanned};
use crate::canon::{Problem, Source};
use crate::frontend::dockerfile::{self, Bases, syntax::Dockerfile};
use crate::frontend::{NamedContext, Options, toml};
use crate::plan::Plan;

/// A recipe that was read.
pub struct Recipe {
    /// Its text.
    pub source: Source,
    /// Its folder.
    pub folder: PathBuf,
    /// Where it is; none when it came through standard input.
    path: Option<PathBuf>,
    /// The build's context.
    pub context: PathBuf,
    options: Options,
    content: Content,
}

/// What a recipe is, as far as it can be understood by itself.
enum Content {
    Toml(Box<Plan>),
    Dockerfile(Box<Dockerfile>),
}

/// Files that are recipes, the first that is there.
const NAMES: [&str; 3] = ["cairn.toml", "Dockerfile", "dockerfile"];

/// Largest recipe in bytes.
const LARGEST: usize = if toml::LARGEST > dockerfile::LARGEST {
    toml::LARGEST
} else {
    dockerfile::LARGEST
};

/// Reads the recipe.
pub fn read(arguments: &arguments::Recipe, environment: &Environment) -> Result<Recipe, Failure> {
    let context = environment.absolute(&arguments.context);
    let is_stdin = arguments
        .file
        .as_ref()
        .is_some_and(|file| file.as_os_str() == "-");
    let (name, path) = match &arguments.file {
        Some(file) => (file.display().to_string(), environment.absolute(file)),
        None => {
            let mut names = NAMES.into_iter();
            let there = names.find(|name| context.join(name).symlink_metadata().is_ok());
            let file = there.unwrap_or(NAMES[0]);
            let shown = arguments.context.join(file);
            let shown = shown.strip_prefix(".").unwrap_or(&shown);
            (shown.display().to_string(), context.join(file))
        }
    };
    let read = match is_stdin {
        true => all(std::io::stdin()),
        false => std::fs::File::open(&path).and_then(all),
    };
    let bytes = read.map_err(|error| {
        let problem = Problem::new(format!("can't read the recipe `{name}`: {error}"));
        let hint = "name the recipe with `-f FILE`, and its context as the last argument";
        Failure::message(Code::Unavailable, problem.hint(hint))
    })?;
    let source = Source::new(name, bytes, LARGEST)
        .map_err(|problem| Failure::message(Code::Failed, *problem))?;
    let options = options(arguments, environment)?;
    let is_dockerfile = is_dockerfile((!is_stdin).then_some(&path), source.text());
    let read = match is_dockerfile {
        true => dockerfile::parse(&source).map(|file| Content::Dockerfile(Box::new(file))),
        false => toml::plan(&source, &options).map(|plan| Content::Toml(Box::new(plan))),
    };
    let read = match read {
        Ok(read) => read,
        Err(problems) => return Err(Failure::recipe(problems, source)),
    };
    let folder = match is_stdin {
        true => environment.absolute(".".as_ref()),
        false => path.parent().map(PathBuf::from).unwrap_or_default(),
    };
    Ok(Recipe {
        source,
        folder,
        path: (!is_stdin).then_some(path),
        context,
        options,
        content: read,
    })
}

fn all(file: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn options(arguments: &arguments::Recipe, environment: &Environment) -> Result<Options, Failure> {
    let absolute = |path: &String| {
        let path = environment.absolute(path.as_ref());
        path.to_string_lossy().into_owned()
    };
    let contexts = arguments
        .build_context
        .iter()
        .map(|(name, path)| (name.clone(), NamedContext::Folder(absolute(path))));
    Ok(Options {
        target: arguments.target.clone(),
        platforms: arguments.platform.clone(),
        contexts: contexts.collect(),
        labels: arguments.label.iter().cloned().collect(),
        annotations: arguments.annotation.iter().cloned().collect(),
        ..Options::new(environment.platform())
    })
}

/// Whether a recipe is a Dockerfile: its name tells, else what it begins with.
fn is_dockerfile(path: Option<&PathBuf>, text: &str) -> bool {
    let name = path.and_then(|path| path.file_name());
    let name = name.map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    if Path::new(&name)
        .extension()
        .is_some_and(|end| end == "toml")
    {
        return false;
    }
    if name.contains("dockerfile") || name.contains("containerfile") {
        return true;
    }
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim);
    let mut said = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = said.next().and_then(|line| line.split_whitespace().next());
    first.is_some_and(|word| ["from", "arg"].contains(&word.to_lowercase().as_str()))
        && !text
            .lines()
            .any(|line| line.trim_start().starts_with("from ="))
}

impl Recipe {
    /// The rules beside a Dockerfile, which go before those of its context.
    pub fn ignore_file(&self) -> Option<PathBuf> {
        let (Content::Dockerfile(_), Some(path)) = (&self.content, &self.path) else {
            return None;
        };
        let mut name = path.clone().into_os_string();
        name.push(".dockerignore");
        let path = PathBuf::from(name);
        path.symlink_metadata().is_ok().then_some(path)
    }

    /// How many images it makes.
    pub fn images(&self) -> usize {
        match &self.content {
            Content::Toml(plan) => plan.images.len(),
            Content::Dockerfile(_) => self.options.platforms.len().max(1),
        }
    }

    /// Its plan, or what is wrong with it; itself where images have to be looked up for that.
    pub fn plan_alone(self) -> Result<Result<Plan, Failure>, Box<Recipe>> {
        let file = match self.content {
            Content::Toml(plan) => return Ok(Ok(*plan)),
            Content::Dockerfile(ref file) => file,
        };
        let known = Bases::new();
        let planned = match dockerfile::bases(file, &self.options, &known) {
            Ok(asked) if asked.is_empty() => dockerfile::plan(file, &self.options, &known),
            Ok(_) => return Err(Box::new(self)),
            Err(problems) => Err(problems),
        };
        Ok(planned.map_err(|problems| Failure::recipe(problems, self.source)))
    }

    /// Its plan; what a Dockerfile begins with is looked up.
    pub fn plan(self, settings: &mut Settings) -> Result<(Plan, Source), Failure> {
        let file = match self.content {
            Content::Toml(plan) => return Ok((*plan, self.source)),
            Content::Dockerfile(file) => file,
        };
        match bases::plan(&file, &self.options, settings) {
            Ok(plan) => Ok((plan, self.source)),
            Err(Unplanned::Problems(problems)) => Err(Failure::recipe(problems, self.source)),
            Err(Unplanned::Base(error)) => Err(Failure::build(error, self.source)),
        }
    }
}
