//! From a Dockerfile's tree to a plan.
//!
//! In: a tree, what the caller chose, and what is known of base images ([`Bases`]). Out: which
//! base images must be known ([`bases`]), or the plan ([`plan`]).
//!
//! `scope` holds what variables are set, `needs` which stages the target needs and what each
//! begins with; `stage` goes through the instructions of one, of which `config` has those that
//! change the config alone, `transfer` `COPY` and `ADD`, `run` and `mount` `RUN`.

mod config;
mod mount;
mod needs;
mod run;
mod scope;
mod stage;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;

use self::needs::Needs;
use self::stage::Lowering;
use super::expand::Expander;
use super::syntax::{Dockerfile, Span};
use crate::canon::{Platform, Problem, problem};
use crate::frontend::{NamedContext, Options};
use crate::plan::{ConfigChange, Operation, Plan, PlannedImage, Source};

/// An image whose config has to be known before a plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseQuestion {
    /// Where it is.
    pub source: Source,
    /// Which of an index.
    pub platform: Platform,
}

/// What of a base image's config reaches the stages above it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseConfig {
    /// `Env`, in its order.
    pub env: Vec<(String, String)>,
    /// `WorkingDir`
    pub workdir: Option<String>,
    /// `User`
    pub user: Option<String>,
    /// `Shell`
    pub shell: Option<Vec<String>>,
    /// `OnBuild`
    pub on_build: Vec<String>,
}

/// What is known of base images.
pub type Bases = BTreeMap<BaseQuestion, BaseConfig>;

/// The images that the plan of `file` still needs to know, with where it names them; to be asked
/// again with these answered, as their triggers may need others.
pub fn bases(
    file: &Dockerfile,
    options: &Options,
    known: &Bases,
) -> Result<Vec<(BaseQuestion, Span)>, Vec<Problem>> {
    let mut questions = BTreeMap::new();
    for platform in platforms(options) {
        let expander = Expander::new(file.directives.escape);
        let needs = Needs::new(file, options, &platform, known, &expander)?;
        questions.extend(needs.unknown(known));
    }
    Ok(questions.into_iter().collect())
}

/// The plan of `file`, or everything that is wrong with it, sorted by place.
pub fn plan(file: &Dockerfile, options: &Options, known: &Bases) -> Result<Plan, Vec<Problem>> {
    let mut plan = Plan::default();
    let mut problems = Vec::new();
    for platform in platforms(options) {
        let lowered = one(file, options, &platform, known, &mut plan);
        problems.extend(lowered.err().unwrap_or_default());
    }
    if !problems.is_empty() {
        problem::sort(&mut problems);
        return Err(problems);
    }
    plan.contexts = folders(&plan, options);
    for context in options.contexts.values() {
        let (url, login) = match context {
            NamedContext::Git(git) => (&git.url, &git.login),
            NamedContext::Http(http) => (&http.url, &http.login),
            _ => continue,
        };
        plan.add_login(url, login.as_ref());
    }
    Ok(plan)
}

/// What is known of a stage from the file alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageFacts {
    /// The image that it begins with.
    pub base: Option<BaseQuestion>,
    /// What it is built for.
    pub platform: Platform,
    /// Whether the target needs it.
    pub is_needed: bool,
}

/// Every stage, for the first of the platforms.
pub fn stages(
    file: &Dockerfile,
    options: &Options,
    known: &Bases,
) -> Result<Vec<StageFacts>, Vec<Problem>> {
    let platform = platforms(options).swap_remove(0);
    let expander = Expander::new(file.directives.escape);
    let needs = Needs::new(file, options, &platform, known, &expander)?;
    let facts = needs.stages.iter().map(|stage| StageFacts {
        base: stage.question(),
        platform: stage.platform.clone(),
        is_needed: stage.is_needed,
    });
    Ok(facts.collect())
}

fn platforms(options: &Options) -> Vec<Platform> {
    let mut once: Vec<Platform> = Vec::new();
    for platform in &options.platforms {
        if !once.contains(platform) {
            once.push(platform.clone());
        }
    }
    if once.is_empty() {
        once.push(options.default_platform.clone());
    }
    once
}

/// The image for one platform.
fn one(
    file: &Dockerfile,
    options: &Options,
    platform: &Platform,
    known: &Bases,
    plan: &mut Plan,
) -> Result<(), Vec<Problem>> {
    let expander = Expander::new(file.directives.escape);
    let needs = Needs::new(file, options, platform, known, &expander)?;
    if needs.unknown(known).next().is_some() {
        let message = "this is a bug in cairn: a plan was asked for before its bases were known";
        return Err(vec![Problem::new(message)]);
    }
    let mut lowering = Lowering::new(&needs, options, known, &expander, plan);
    for place in needs.in_order() {
        lowering.stage(place);
    }
    let (root, mut config) = lowering.end(needs.target)?;
    config.push(ConfigChange {
        labels: options.labels.clone(),
        annotations: options.annotations.clone(),
        ..ConfigChange::default()
    });
    config.retain(|change| *change != ConfigChange::default());
    plan.images.push(PlannedImage {
        platform: platform.clone(),
        is_asked_for: !options.platforms.is_empty(),
        root,
        config,
    });
    Ok(())
}

/// The folders of the named contexts that the plan reads.
fn folders(plan: &Plan, options: &Options) -> BTreeMap<String, String> {
    let used = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::Context { name, .. } => Some(name),
        _ => None,
    });
    let folder = |name: &String| match options.contexts.get(name)? {
        NamedContext::Folder(folder) => Some((name.clone(), folder.clone())),
        _ => None,
    };
    used.filter_map(folder).collect()
}
