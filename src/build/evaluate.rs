//! Steps to their outputs, in the plan's order.
//!
//! In: a plan. Out: [`Outputs`]. What only gives files is evaluated each time, for its digest is
//! what the keys of others are made of; but downloads and commits only as far as needed: of a
//! commit that was had before the digest is remembered, and its files are had when a step runs. A
//! context that was never read is read by the step that packs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::Cause;
use super::ignore_file::{self, IgnoreFile, Place};
use super::missing::explained;
use super::outputs::{Layers, Output, Outputs};
use super::past::Past;
use super::questions::Question;
use super::{Error, Settings, schedule};
use crate::canon::event::Outcome;
use crate::canon::{Digest, EntryPath, Epoch, Platform, StepKey};
use crate::inputs::beneath::Folder;
use crate::inputs::git::Resolved;
use crate::inputs::{Context, Files, Origin, Pick, context, git, stage};
use crate::layer::{self, Kind, Meta, Tree};
use crate::lock::Asker;
use crate::plan::name::OWN_CONTEXT;
use crate::plan::step::{GitExtras, MovingRef};
use crate::plan::{Operation, Plan, Step, StepId};
use crate::step::run::Runner;
use crate::store::Logged;

/// Evaluates every step, or `only` some: each has its inputs among them.
pub(super) fn evaluate(
    plan: &Plan,
    settings: &Settings,
    only: Option<&BTreeSet<StepId>>,
) -> Result<Outputs, Error> {
    let is_wanted = |number: usize| only.is_none_or(|only| only.contains(&StepId(number)));
    let asked = super::questions(plan, settings)?.into_iter();
    let asked = asked.filter_map(|(id, question)| match question {
        Question::Command(platform, by) | Question::Packages(platform, by) => {
            Some((id, (platform, by)))
        }
        _ => None,
    });
    let evaluation = Evaluation {
        plan,
        settings,
        askers: asked.collect(),
        contexts: Mutex::default(),
        checkouts: Mutex::default(),
        commits: Mutex::default(),
        commands: Mutex::default(),
        past: Past::read(plan, settings),
        runner: Runner::new(
            &settings.commands,
            settings.on_failure.as_deref(),
            &settings.store,
            &settings.events,
            settings.epoch,
            settings.expansion,
        ),
    };
    let at = |step: &Step| {
        let (name, span) = (step.name.clone(), step.span.clone());
        |cause| Error::Step {
            name,
            span,
            cause: Box::new(cause),
        }
    };
    // A folder that isn't there is told before anything is fetched or made.
    for (number, step) in plan.steps.iter().enumerate() {
        if let Operation::Context { name, .. } = &step.operation
            && is_wanted(number)
        {
            let folder = evaluation.folder(name).map_err(at(step))?;
            let opened = Folder::open(&folder).map_err(|source| {
                Cause::Context(context::Error::Folder {
                    path: folder,
                    source,
                })
            });
            opened.map_err(at(step))?;
        }
    }
    let needs = plan.steps.iter().map(|step| {
        let inputs = step.inputs.iter().map(|input| input.0);
        inputs.collect::<BTreeSet<_>>()
    });
    // Steps without commands use all cores by themselves, and memory.
    let is_command =
        |step: &Step| matches!(step.operation, Operation::Run(_) | Operation::Packages(_));
    let threads = match plan.steps.iter().any(is_command) {
        true => settings.threads,
        false => 1,
    };
    let outputs = Outputs::of(plan.steps.len());
    let job = |number: usize| {
        let step = &plan.steps[number];
        if !is_wanted(number) {
            return Ok(());
        }
        let output = evaluation.step(step, &outputs);
        let done = output.and_then(|output| outputs.put(StepId(number), output));
        done.map_err(at(step))
    };
    let done = schedule::run(&needs.collect::<Vec<_>>(), threads, &job);
    // Who only asks for what names mean hasn't built anything.
    if only.is_none() || !locked(&evaluation.commands).is_empty() {
        evaluation.keep_commands();
    }
    if only.is_none()
        && let Err(error) = evaluation.past.keep(&settings.store, done.is_ok())
    {
        // The build is none the worse for it.
        settings.events.debug(error.to_string());
    }
    done?;
    Ok(outputs)
}

/// A plan under way.
pub(super) struct Evaluation<'a> {
    pub(super) plan: &'a Plan,
    pub(super) settings: &'a Settings,
    /// Commands that fetch, and steps that install packages, as the lock knows them.
    pub(super) askers: BTreeMap<StepId, (Platform, Asker)>,
    /// By name; each folder is walked once.
    contexts: Mutex<BTreeMap<String, Arc<Context>>>,
    /// By URL and commit; the folders must stay until their files were packed.
    pub(super) checkouts: Mutex<BTreeMap<(String, String, GitExtras), git::Checkout>>,
    /// Runs commands.
    pub(super) runner: Runner<'a>,
    /// What names of commits mean, by URL and name.
    pub(super) commits: Mutex<BTreeMap<(String, MovingRef), Resolved>>,
    /// What the steps of this build and of the one before are made of.
    pub(super) past: Past,
    /// What came of commands, by the place of their step.
    commands: Mutex<BTreeMap<usize, Logged>>,
}

impl Evaluation<'_> {
    /// Remembers that a command begins, or what came of it, for `cairn log`.
    pub(super) fn ran(&self, step: &Step, key: &StepKey, outcome: Option<Outcome>) {
        let place = self.place_of(step).map(|id| id.0);
        let logged = Logged {
            key: *key,
            name: step.name.clone(),
            outcome,
        };
        if let (Operation::Run(_), Some(place)) = (&step.operation, place) {
            locked(&self.commands).insert(place, logged);
            if outcome.is_none() {
                self.keep_commands();
            }
        }
    }

    /// Where `step` stands in the plan.
    pub(super) fn place_of(&self, step: &Step) -> Option<StepId> {
        let place = self.plan.steps.iter().position(|s| std::ptr::eq(s, step));
        place.map(StepId)
    }

    fn keep_commands(&self) {
        let commands: Vec<_> = locked(&self.commands).values().cloned().collect();
        if let Err(error) = self.settings.store.put_last_commands(&commands) {
            // The build is none the worse for it.
            self.settings.events.debug(error.to_string());
        }
    }

    fn step(&self, step: &Step, outputs: &Outputs) -> Result<Output, Cause> {
        match &step.operation {
            Operation::Scratch => Ok(Output::Layers(Layers::default())),
            Operation::Image { source, platform } => {
                let known = self.settings.known.get(&(source.clone(), platform.clone()));
                let base = match known {
                    Some(base) => Arc::clone(base),
                    None => Arc::new(self.settings.bases().get(source, platform)?),
                };
                let stack = base.stack.clone();
                Ok(Output::Layers(Layers {
                    stack,
                    base: Some(base),
                    has_added: false,
                }))
            }
            Operation::Context { name, selection } => {
                let work = self.settings.events.start(&step.name);
                let (folder, context) = (self.folder(name)?, self.context(name)?);
                let selected = context.select(selection).map_err(|error| {
                    explained(error, &*context, Some(self.place(name, &folder)))
                })?;
                let times = self.settings.context_times;
                let times = times.filter(|_| name == OWN_CONTEXT);
                let output = match selected.is_mostly_unread() && times.is_none() {
                    true => Output::Unread(Arc::new(selected)),
                    false => {
                        let times = times.unwrap_or(self.settings.epoch);
                        selected.files(times, &work)?.into()
                    }
                };
                work.finish(Outcome::Done);
                Ok(output)
            }
            Operation::Select { selection } => {
                let stack = outputs.layers(input(step, 0)?)?.stack;
                let Settings {
                    store, expansion, ..
                } = self.settings;
                match stage::files(&stack, selection, store, *expansion) {
                    Ok(files) => Ok(files.into()),
                    Err(error) => {
                        let rootfs = stack.rootfs(store, *expansion)?;
                        Err(explained(error, &*rootfs, None))
                    }
                }
            }
            Operation::Http {
                url,
                sha256,
                file_name,
            } => self
                .http(step, url, sha256.as_ref(), file_name)
                .map(Output::from),
            Operation::Inline { name, content } => {
                inline(name, content, self.settings.epoch).map(Output::from)
            }
            Operation::Git { .. } => self.git(step),
            Operation::Merge => {
                let below = outputs.layers(input(step, 0)?)?;
                let above = outputs.layers(input(step, 1)?)?.stack;
                Ok(Output::Layers(below.with_all(&above)))
            }
            Operation::Packages(question) => {
                self.packages(step, question, outputs).map(Output::Layers)
            }
            _ => self.layer(step, outputs).map(Output::Layers),
        }
    }

    /// The folder of a context.
    fn folder(&self, name: &str) -> Result<PathBuf, Cause> {
        if name == OWN_CONTEXT {
            return Ok(self.settings.context.clone());
        }
        let named = self.plan.contexts.get(name);
        let named = named.ok_or_else(|| Cause::NoContext(name.to_owned()))?;
        Ok(self.settings.folder.join(named))
    }

    /// What has the rules of the context in `folder`.
    fn place<'f>(&'f self, name: &str, folder: &'f Path) -> Place<'f> {
        let file = match name == OWN_CONTEXT {
            true => &self.settings.ignore_file,
            false => &IgnoreFile::OfContext,
        };
        Place { folder, file }
    }

    fn context(&self, name: &str) -> Result<Arc<Context>, Cause> {
        let mut contexts = locked(&self.contexts);
        if let Some(context) = contexts.get(name) {
            return Ok(context.clone());
        }
        let folder = self.folder(name)?;
        let rules = ignore_file::read(self.place(name, &folder))?.map(|(_, rules)| rules);
        let rules = rules.unwrap_or_default();
        let context = Context::open(&folder, &rules, &self.settings.store)?;
        let context = Arc::new(context);
        contexts.insert(name.to_owned(), context.clone());
        Ok(context)
    }

    /// Gets the files of a step's inputs that are only remembered; says whether there were any.
    pub(super) fn have_files(&self, step: &Step, outputs: &Outputs) -> Result<bool, Cause> {
        let mut had_any = false;
        for &input in &step.inputs {
            if let Output::Commit(_) = outputs.get(input)? {
                let files = self.check_out(&self.plan.steps[input.0])?;
                outputs.put(input, files.into())?;
                had_any = true;
            }
        }
        Ok(had_any)
    }
}

pub(super) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that the recipe holds.
fn inline(name: &str, content: &str, epoch: Epoch) -> Result<Files, Cause> {
    let content = content.as_bytes();
    let what = (content.len() as u64, Digest::of(content));
    let meta = Meta::plain(0o644, epoch.seconds());
    single(name, what, meta, Origin::Bytes(Arc::from(content)))
}

/// One file, whose size and digest are these.
pub(super) fn single(
    name: &str,
    (size, digest): (u64, Digest),
    meta: Meta,
    origin: Origin,
) -> Result<Files, Cause> {
    let entry = layer::Entry {
        path: EntryPath::root(),
        kind: Kind::File { size, digest },
        meta,
    };
    let name =
        EntryPath::new(name.as_bytes()).map_err(|_| Cause::Bug("a single file has no name"))?;
    Ok(Files {
        picks: vec![Pick {
            name,
            kept: None,
            tree: Tree::new(vec![entry]).map_err(crate::step::Error::from)?,
            origins: vec![origin],
        }],
    })
}

/// The step that a step's input of that number is.
pub(super) fn input(step: &Step, number: usize) -> Result<StepId, Cause> {
    step.inputs
        .get(number)
        .copied()
        .ok_or(Cause::Bug("a step lacks an input"))
}
