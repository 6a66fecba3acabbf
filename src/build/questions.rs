//! What a plan asks the world: everything whose answer a lock holds.
//!
//! In: a [`Plan`], the files that it names. Out: each question with its step, under the name that it
//! has in a lock.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use super::error::Cause;
use crate::canon::{Digest, Platform, json, login};
use crate::inputs::debian;
use crate::lock::{Asked, Asker, Lock, git_name, git_parts};
use crate::plan::command::Network;
use crate::plan::step::{GitExtras, Revision, Source};
use crate::plan::{Operation, Plan, Step, StepId};

/// Something that a lock holds the answer to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// What a name in a registry means for a platform.
    Image(Platform, String),
    /// Which commit a ref names, and what files that has.
    Git(String),
    /// What is at a URL, which must have that digest, where the recipe says so.
    Http(String, Option<Digest>),
    /// What a command fetches.
    Command(Platform, Asker),
    /// Which packages are installed.
    Packages(Platform, Asker),
}

impl Question {
    /// What it is called in messages, and by `cairn lock --update NAME`.
    pub fn name(&self) -> &str {
        match self {
            Question::Image(_, name) | Question::Git(name) | Question::Http(name, _) => name,
            Question::Command(_, by) | Question::Packages(_, by) => &by.step,
        }
    }

    /// Whether `lock` has an answer to a question of a step of that name, which was another.
    pub fn is_known(&self, lock: &Lock) -> bool {
        let step = match self {
            Question::Command(_, by) | Question::Packages(_, by) => &by.step,
            Question::Image(..) | Question::Git(_) | Question::Http(..) => return false,
        };
        let mut platforms = lock.platforms.values();
        platforms.any(|of| {
            let commands = of.commands.iter().map(|asked| &asked.by.step);
            let packages = of.packages.iter().map(|asked| &asked.by.step);
            commands.chain(packages).any(|known| known == step)
        })
    }

    /// Whether the recipe itself says what it means.
    pub fn is_pinned(&self) -> bool {
        match self {
            Question::Image(_, name) => name.contains('@'),
            Question::Git(name) => {
                let revision = name.rsplit('#').next().unwrap_or_default();
                let revision = revision.split('+').next().unwrap_or_default();
                let is_hex = revision.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_hex && matches!(revision.len(), 40 | 64)
            }
            Question::Http(_, digest) => digest.is_some(),
            Question::Command(..) | Question::Packages(..) => false,
        }
    }

    /// Takes the answer of `from` into `to`, if it has one.
    pub fn take(&self, from: &Lock, to: &mut Lock) {
        if !self.is_held(from) {
            return;
        }
        match self {
            Question::Git(name) => take(name, &from.git, &mut to.git),
            Question::Http(url, _) => take(url, &from.http, &mut to.http),
            Question::Image(platform, name) => {
                if let Some(of) = from.platforms.get(platform) {
                    let to = to.platforms.entry(platform.clone()).or_default();
                    take(name, &of.images, &mut to.images);
                }
            }
            Question::Packages(platform, by) => {
                if let Some(of) = from.platforms.get(platform) {
                    let to = to.platforms.entry(platform.clone()).or_default();
                    take_answer(by, &of.packages, &mut to.packages);
                }
            }
            Question::Command(platform, by) => {
                if let Some(of) = from.platforms.get(platform) {
                    let to = to.platforms.entry(platform.clone()).or_default();
                    take_answer(by, &of.commands, &mut to.commands);
                }
            }
        }
    }

    /// Whether `lock` has the answer; one that is not what the recipe itself says is none.
    pub fn is_held(&self, lock: &Lock) -> bool {
        self.has_entry(lock) && !self.is_contradicted(lock)
    }

    /// Whether `lock` has another answer than the recipe itself.
    pub fn is_contradicted(&self, lock: &Lock) -> bool {
        let of = |platform| lock.platforms.get(platform);
        match self {
            Question::Image(platform, name) => {
                let own = name.rsplit_once('@').map(|(_, digest)| digest);
                let held = of(platform).and_then(|of| of.images.get(name));
                let held = held.map(|held| held.named().to_string());
                matches!((own, held), (Some(own), Some(held)) if *own != held)
            }
            Question::Git(name) if self.is_pinned() => {
                let (_, own) = git_parts(name);
                let held = lock.git.get(name).map(|held| held.commit.as_str());
                held.is_some_and(|held| own != Some(held))
            }
            Question::Http(url, Some(own)) => {
                let held = lock.http.get(url);
                held.is_some_and(|held| held.sha256 != *own)
            }
            _ => false,
        }
    }

    fn has_entry(&self, lock: &Lock) -> bool {
        let of = |platform| lock.platforms.get(platform);
        match self {
            Question::Image(platform, name) => {
                of(platform).is_some_and(|of| of.images.contains_key(name))
            }
            Question::Git(name) => lock.git.contains_key(name),
            Question::Http(url, _) => lock.http.contains_key(url),
            Question::Packages(platform, by) => of(platform).is_some_and(|of| {
                let mut packages = of.packages.iter();
                packages.any(|asked| asked.by == *by)
            }),
            Question::Command(platform, by) => of(platform).is_some_and(|of| {
                let mut commands = of.commands.iter();
                commands.any(|asked| asked.by == *by)
            }),
        }
    }
}

fn take<T: Clone>(name: &str, from: &BTreeMap<String, T>, to: &mut BTreeMap<String, T>) {
    if let Some(value) = from.get(name) {
        to.insert(name.to_owned(), value.clone());
    }
}

fn take_answer<T: Clone>(by: &Asker, from: &[Asked<T>], to: &mut Vec<Asked<T>>) {
    to.retain(|asked| asked.by.selected != by.selected);
    to.extend(from.iter().find(|asked| asked.by == *by).cloned());
}

/// Everything that `plan` asks, in its order; `folder` is the recipe's.
pub(super) fn questions(plan: &Plan, folder: &Path) -> Result<Vec<(StepId, Question)>, Error> {
    let mut found = Vec::new();
    let mut askers = Askers::new(plan);
    for (number, step) in plan.steps.iter().enumerate() {
        let id = StepId(number);
        let question = match &step.operation {
            Operation::Image {
                source: Source::Registry(reference),
                platform,
            } => Question::Image(platform.clone(), reference.to_string()),
            Operation::Git {
                url,
                revision,
                extras,
                ..
            } => Question::Git(git_question(url, revision, extras)),
            Operation::Http { url, sha256, .. } => Question::Http(url.clone(), *sha256),
            Operation::Packages(packages) if packages.solved.is_none() => {
                let (platform, mut by) = askers.next(step, id).map_err(Cause::from)?;
                if !packages.keys.is_empty() {
                    let keys = packages.keys.iter();
                    let keys = keys.map(|file| debian::read_keys(folder, file));
                    let keys = keys.map(|keys| keys.map(|bytes| Digest::of(&bytes)));
                    let keys = keys.collect::<Result<Vec<_>, _>>();
                    let keys = keys.map_err(|error| Error::Step {
                        name: step.name.clone(),
                        span: step.span.clone(),
                        cause: Box::new(error.into()),
                    })?;
                    let selected = json::to_vec(&(by.selected, keys)).map_err(Cause::from)?;
                    by.selected = Digest::of(&selected);
                }
                Question::Packages(platform, by)
            }
            Operation::Run(command) if command.network == Network::Default => {
                let (platform, by) = askers.next(step, id).map_err(Cause::from)?;
                Question::Command(platform, by)
            }
            _ => continue,
        };
        found.push((id, question));
    }
    Ok(found)
}

/// What the files of a commit go by in a lock.
pub fn git_question(url: &str, revision: &Revision, extras: &GitExtras) -> String {
    let name = match revision {
        Revision::Commit(commit) => Some(commit.as_str()),
        Revision::Ref(wanted) => wanted.name.as_deref(),
    };
    git_name(url, name, extras.submodules, extras.keep_git_dir)
}

/// Names the steps that ask more than one question: by what they do, and where the same is done
/// again on one platform, by how often it was done before.
struct Askers<'a> {
    plan: &'a Plan,
    seen: BTreeMap<(Platform, Digest), u32>,
}

impl<'a> Askers<'a> {
    fn new(plan: &'a Plan) -> Askers<'a> {
        let seen = BTreeMap::new();
        Askers { plan, seen }
    }

    fn next(&mut self, step: &Step, id: StepId) -> Result<(Platform, Asker), json::Error> {
        let platform = platform_of(self.plan, id);
        let operation = Digest::of(&json::to_vec(&step.operation)?);
        let seen = self.seen.entry((platform.clone(), operation)).or_default();
        let selected = match *seen {
            0 => operation,
            times => Digest::of(&json::to_vec(&(operation, times))?),
        };
        *seen += 1;
        let by = Asker {
            step: login::masked(&step.name),
            stage: step.stage.clone(),
            selected,
        };
        Ok((platform, by))
    }
}

/// The platform of the file system that a step works on: its base image's; else that of the first
/// image that needs the step.
fn platform_of(plan: &Plan, id: StepId) -> Platform {
    let mut at = id;
    loop {
        let step = plan.step(at);
        if let Operation::Image { platform, .. } = &step.operation {
            return platform.clone();
        }
        match step.inputs.first() {
            Some(below) => at = *below,
            None => break,
        }
    }
    let needs = |root: StepId| {
        let mut open = vec![root];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(next) = open.pop() {
            if next == id {
                return true;
            }
            if seen.insert(next) {
                open.extend(&plan.step(next).inputs);
            }
        }
        false
    };
    let first = plan.images.iter().find(|image| needs(image.root));
    first.map_or_else(
        || Platform::new("linux", "amd64", None),
        |image| image.platform.clone(),
    )
}
