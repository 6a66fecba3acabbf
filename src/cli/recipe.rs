//! The recipe that the arguments mean, and its plan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::arguments::{self, Network};
use super::check::Warnings;
use super::environment::{Environment, OF_CONTEXT};
use super::exit::{Code, Failure};
use super::fetched::Kept;
use super::flags;
use super::locked;
use super::opened::{self, Language, Opened};
use super::policies;
use crate::build::bases::{self, Known, Unplanned};
use crate::build::ignore_file::IgnoreFile;
use crate::build::{Settings, policed};
use crate::canon::event::Events;
use crate::canon::{Epoch, Platform, Problem, Source};
use crate::frontend::dockerfile::{self, Bases, build_argument, syntax::Dockerfile};
use crate::frontend::{NamedContext, Options, toml};
use crate::inputs::{self, Pins};
use crate::layer::Codec;
use crate::layer::codec::Expansion;
use crate::plan::{self, Plan};
use crate::policy::Policy;
use crate::step::run::CommandSettings;

/// A recipe that was read.
pub struct Recipe {
    /// Its folder.
    pub folder: PathBuf,
    /// The build's context.
    pub context: PathBuf,
    /// The file with the rules of what the context leaves out.
    pub ignore_file: IgnoreFile,
    /// Where its lock is, if it has a place of its own.
    pub lock: Option<PathBuf>,
    pub source: Source,
    kept: Option<Kept>,
    /// Which inputs it may have.
    pub policy: Arc<Policy>,
    /// Whether its context was had from a server.
    is_fetched: bool,
    pub options: Options,
    content: Content,
}

/// What a recipe says, as far as it can be understood by itself.
enum Content {
    Toml(Box<Plan>),
    Dockerfile(Box<Dockerfile>),
}

/// A recipe that was understood.
pub struct Planned {
    pub plan: Plan,
    pub source: Source,
    /// The images that were looked up for it.
    pub known: Known,
    /// What was fetched, as long as it is needed.
    pub kept: Option<Kept>,
    /// What is legal in it, and should be otherwise.
    pub warnings: Warnings,
    /// What there is to be said about the arguments that were given for it.
    pub remarks: Vec<String>,
}

/// Reads the recipe. `commands` has what servers are shown that have it.
pub fn read(
    arguments: &arguments::Recipe,
    environment: &Environment,
    commands: &CommandSettings,
    events: impl FnOnce() -> Events,
) -> Result<Recipe, Failure> {
    let policy = policies::read(arguments.source_policy_file.as_deref(), environment)?;
    let Opened {
        language,
        source,
        folder,
        context,
        ignore_file,
        lock,
        kept,
    } = opened::open(arguments, environment, commands, &policy, events)?;
    if let (Language::Toml, Some(flag)) = (language, arguments.dockerfile.given()) {
        return Err(Failure::usage(
            format!(
                "`{flag}` is for a Dockerfile, and `{}` is none",
                source.name()
            ),
            "leave it out, or name the Dockerfile with `-f`",
        ));
    }
    let mut options = options(arguments, environment, kept.is_some())?;
    if let (true, Some(platforms)) = (
        options.platforms.is_empty(),
        default_platforms(environment)?,
    ) {
        match (language, &platforms[..]) {
            // A recipe that names its own goes before it.
            (Language::Toml, [first, ..]) => options.default_platform = first.clone(),
            _ => options.platforms = platforms,
        }
    }
    let content = match language {
        Language::Dockerfile => {
            dockerfile::parse(&source).map(|file| Content::Dockerfile(Box::new(file)))
        }
        Language::Toml => toml::plan(&source, &options).map(|plan| Content::Toml(Box::new(plan))),
    };
    match content {
        Ok(content) => Ok(Recipe {
            folder,
            context,
            ignore_file,
            lock,
            source,
            kept,
            policy: Arc::new(policy),
            is_fetched: arguments.is_fetched() && arguments.context != "-",
            options,
            content,
        }),
        Err(problems) => Err(Failure::recipe(problems, source)),
    }
}

/// What DOCKER_DEFAULT_PLATFORM names, which stands for `--platform`.
fn default_platforms(environment: &Environment) -> Result<Option<Vec<Platform>>, Failure> {
    let text = environment.variable("DOCKER_DEFAULT_PLATFORM");
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let platforms: Result<Vec<_>, String> = text.split(',').map(flags::platform).collect();
    platforms.map(Some).map_err(|message| {
        let message = format!("DOCKER_DEFAULT_PLATFORM: {message}");
        Failure::usage(message, "unset it, or name a platform with `--platform`")
    })
}

fn options(
    arguments: &arguments::Recipe,
    environment: &Environment,
    is_fetched: bool,
) -> Result<Options, Failure> {
    let absolute = |path: &str| {
        let path = environment.absolute(path.as_ref());
        path.to_string_lossy().into_owned()
    };
    let mut options = Options {
        target: arguments.target.clone(),
        platforms: arguments.platform.clone(),
        labels: arguments.label.iter().cloned().collect(),
        annotations: arguments
            .annotation
            .iter()
            .filter(|annotation| annotation.of_manifests)
            .map(|annotation| (annotation.key.clone(), annotation.value.clone()))
            .collect(),
        ..Options::new(environment.platform())
    };
    for (name, text) in &arguments.build_context {
        let context = NamedContext::parse(text).map_err(|message| {
            let problem = Problem::new(format!("the context `{name}`: {message}"));
            Failure::message(Code::Usage, problem)
        })?;
        let context = match context {
            NamedContext::Folder(path) => NamedContext::Folder(absolute(&path)),
            NamedContext::Layout { path, name } => NamedContext::Layout {
                path: absolute(&path),
                name,
            },
            other => other,
        };
        options.contexts.insert(name.clone(), context);
    }
    let given = &arguments.dockerfile;
    for (name, value) in &given.build_arg {
        let value = value.clone().or_else(|| environment.variable(name));
        if let Some(value) = value {
            options.build_args.insert(name.clone(), value);
        }
    }
    // `--build-arg SOURCE_DATE_EPOCH` goes before it.
    if let Some(epoch) = environment.source_date_epoch() {
        let name = "SOURCE_DATE_EPOCH".to_owned();
        options
            .build_args
            .entry(name)
            .or_insert_with(|| epoch.to_owned());
    }
    // A folder has no time of its own, so that BuildKit, too, takes this for nothing said.
    let of_context = |value: &String| value == OF_CONTEXT;
    if options
        .build_args
        .get("SOURCE_DATE_EPOCH")
        .is_some_and(of_context)
    {
        if is_fetched {
            return Err(Failure::usage(
                "SOURCE_DATE_EPOCH is to be the time of the context, and cairn reads none of what it fetches",
                "say it as a number: of a commit it is what `git log -1 --format=%ct` prints",
            ));
        }
        options.build_args.remove("SOURCE_DATE_EPOCH");
    }
    options.hostname = build_argument::hostname(&options)
        .map_err(|problem| Failure::message(Code::Usage, *problem))?;
    options.hosts.clone_from(&given.add_host);
    options.ulimits.clone_from(&given.ulimit);
    options.shm_size = given.shm_size;
    options.network = match given.network {
        None | Some(Network::Default) => plan::command::Network::Default,
        Some(Network::None) => plan::command::Network::None,
        Some(Network::Host) => plan::command::Network::Host,
    };
    Ok(options)
}

impl Recipe {
    /// SOURCE_DATE_EPOCH as the arguments and the environment have it.
    pub fn epoch(&self) -> Option<&str> {
        let given = self.options.build_args.get("SOURCE_DATE_EPOCH");
        given.map(String::as_str)
    }

    /// What it is built with, where nothing else is asked for.
    pub fn settings(
        &self,
        environment: &Environment,
        commands: CommandSettings,
        pins: Pins,
        events: Events,
    ) -> Result<Settings, Failure> {
        Ok(Settings {
            store: environment.store()?,
            registries: environment.registries(&events, pins.is_offline()),
            folder: self.folder.clone(),
            recipe: locked::name_of(self),
            context: self.context.clone(),
            context_times: self.context_times(),
            ignore_file: self.ignore_file.clone(),
            known: Known::new(),
            epoch: locked::epoch(self, &pins, environment)?,
            index_annotations: BTreeMap::new(),
            codec: Codec::default(),
            threads: environment.threads,
            expansion: Expansion::default(),
            pull: false,
            no_cache: false,
            no_cache_filter: Vec::new(),
            commands: CommandSettings {
                policy: Arc::clone(&self.policy),
                ..commands
            },
            packages: environment.packages(),
            on_failure: None,
            pins,
            policy: Arc::clone(&self.policy),
            search_path: environment.search_path.clone(),
            events,
        })
    }

    /// Its text.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the caller chose.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What time the files of its context have, where it isn't the epoch.
    pub fn context_times(&self) -> Option<Epoch> {
        self.kept.as_ref()?.times
    }

    /// How many images it makes.
    pub fn images(&self) -> usize {
        match &self.content {
            Content::Toml(plan) => plan.images.len(),
            Content::Dockerfile(_) => self.options.platforms.len().max(1),
        }
    }

    fn remarks(&self, known: &Known) -> Vec<String> {
        let Some(file) = self.dockerfile() else {
            return Vec::new();
        };
        let images = known.values().map(|image| bases::config(&image.config));
        let triggers: Vec<_> = images.flat_map(|config| config.on_build).collect();
        build_argument::remarks(file, &self.options, &triggers)
    }

    /// Its tree, if it is a Dockerfile.
    pub fn dockerfile(&self) -> Option<&Dockerfile> {
        match &self.content {
            Content::Toml(_) => None,
            Content::Dockerfile(file) => Some(file),
        }
    }

    /// Its plan, or what is wrong with it; itself where images have to be looked up for that.
    pub fn plan_alone(self) -> Result<Result<Plan, Failure>, Box<Recipe>> {
        let file = match self.content {
            Content::Toml(plan) => {
                let plan = policed::plan(&self.policy, *plan, self.is_fetched, |_| {});
                return Ok(plan.map_err(|error| Failure::build(error, self.source)));
            }
            Content::Dockerfile(ref file) => file,
        };
        let known = Bases::new();
        let planned = match dockerfile::bases(file, &self.options, &known) {
            Ok(asked) if asked.is_empty() => dockerfile::plan(file, &self.options, &known),
            Ok(_) => return Err(Box::new(self)),
            Err(problems) => Err(problems),
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(problems) => return Ok(Err(Failure::recipe(problems, self.source))),
        };
        let plan = policed::plan(&self.policy, plan, self.is_fetched, |_| {});
        Ok(plan.map_err(|error| Failure::build(error, self.source)))
    }

    /// Its plan; what a Dockerfile begins with is looked up in `bases`.
    pub fn plan(self, bases: &inputs::base::Bases<'_>) -> Result<Planned, Failure> {
        let planned = match &self.content {
            Content::Toml(plan) => Ok(((**plan).clone(), Known::new())),
            Content::Dockerfile(file) => bases::plan(file, &self.options, bases),
        };
        match planned {
            Ok((plan, known)) => {
                let (warnings, remarks) = (Warnings::of_build(&self, &known), self.remarks(&known));
                let (source, policy) = (self.source, self.policy);
                let tell = |text| bases.events.note(text);
                let plan = match policed::plan(&policy, plan, self.is_fetched, tell) {
                    Ok(plan) => plan,
                    Err(error) => return Err(Failure::build(error, source)),
                };
                Ok(Planned {
                    warnings,
                    remarks,
                    plan,
                    source,
                    known: policed::known(&policy, known),
                    kept: self.kept,
                })
            }
            Err(Unplanned::Problems(problems)) => Err(Failure::recipe(problems, self.source)),
            Err(Unplanned::Base(error)) => {
                let slips = Warnings::of_all(&self, &Known::new()).slips();
                Err(Failure::build(error, self.source).or_is(&slips))
            }
        }
    }
}
