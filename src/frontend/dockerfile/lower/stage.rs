//! One stage: what it begins with, and what its instructions make of that.
//!
//! In: [`Needs`], a plan in the making. Out: steps of the plan, config changes, problems.

use std::collections::BTreeMap;

use super::needs::{Base, Needs};
use super::scope::{self, Scope};
use super::{BaseConfig, Bases};
use crate::canon::path::joined;
use crate::canon::{EntryPath, Platform, Problem};
use crate::frontend::dockerfile::expand::Expander;
use crate::frontend::dockerfile::syntax::{Instruction, Kind, Span, Word};
use crate::frontend::{NamedContext, Options};
use crate::plan::name;
use crate::plan::step::{Destination, Ownership};
use crate::plan::{ConfigChange, Operation, Plan, Selection, Step, StepId};

/// Where programs are looked for when nothing else is said (BuildKit's and Docker's default).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Most bytes that commands and stages get as copies of their variables.
const MOST_COPIED: usize = 64 << 20;

/// How far a stage has come.
#[derive(Debug, Clone)]
pub struct State {
    /// The top of its layers.
    pub top: StepId,
    /// The changes of the stages that it begins with.
    pub below: Vec<ConfigChange>,
    /// Its own.
    pub change: ConfigChange,
    /// Variables for commands and for expansion.
    pub scope: Scope,
    /// Absolute.
    pub workdir: String,
    /// `USER`, none for root.
    pub user: Option<String>,
    /// `SHELL`
    pub shell: Vec<String>,
    /// Whether this stage has a `CMD`.
    pub has_cmd: bool,
}

/// A plan in the making.
pub struct Lowering<'a> {
    pub(super) needs: &'a Needs<'a>,
    pub(super) options: &'a Options,
    pub(super) expander: &'a Expander,
    known: &'a Bases,
    pub(super) plan: &'a mut Plan,
    /// By place.
    done: BTreeMap<usize, State>,
    problems: Vec<Problem>,
    /// The stage under way.
    pub(super) place: usize,
    /// Bytes that commands and stages got as copies of their variables.
    copied: usize,
    /// Where what is done stands, when it is not written in this file: a base image's trigger.
    foreign: Option<Span>,
}

/// A result, or what is wrong.
pub type Lowered<T> = Result<T, Box<Problem>>;

/// A problem at a place.
pub fn problem(span: &Span, message: impl Into<String>, hint: impl Into<String>) -> Box<Problem> {
    let problem = Problem::new(message).at(span.clone());
    let hint = hint.into();
    Box::new(match hint.is_empty() {
        true => problem,
        false => problem.hint(hint),
    })
}

impl<'a> Lowering<'a> {
    /// Nothing planned yet of this image.
    pub fn new(
        needs: &'a Needs<'a>,
        options: &'a Options,
        known: &'a Bases,
        expander: &'a Expander,
        plan: &'a mut Plan,
    ) -> Lowering<'a> {
        Lowering {
            needs,
            options,
            expander,
            known,
            plan,
            done: BTreeMap::new(),
            problems: Vec::new(),
            place: 0,
            copied: 0,
            foreign: None,
        }
    }

    /// The top of the layers of the stage of that place, and its config; or every problem.
    pub fn end(mut self, place: usize) -> Result<(StepId, Vec<ConfigChange>), Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let state = self.done.remove(&place);
        let state = state.ok_or_else(|| vec![Problem::new("the recipe has no stage to build")])?;
        let mut changes = state.below;
        changes.push(state.change);
        Ok((state.top, changes))
    }

    /// Goes through the stage of that place; those that it needs were gone through before.
    pub fn stage(&mut self, place: usize) {
        self.place = place;
        let needs = self.needs;
        let stage = &needs.stages[place];
        let span = stage.syntax.from.span.clone();
        let mut state = match self.begun(&stage.base, &stage.platform, &span) {
            Ok(state) => state,
            Err(problem) => return self.problems.push(*problem),
        };
        let own = needs.stages.get(place).map(|stage| stage.triggers.len());
        for (number, instruction) in stage.instructions().enumerate() {
            let is_foreign = Some(number) < own && !matches!(stage.base, Base::Stage(_));
            self.foreign = is_foreign.then(|| span.clone());
            if let Err(mut problem) = self.instruction(&mut state, instruction) {
                if let Some(place) = &self.foreign {
                    let cause = format!("in the base image's trigger `{}`", instruction.text);
                    *problem = problem.at(place.clone()).cause(cause);
                }
                self.problems.push(*problem);
            }
        }
        self.foreign = None;
        self.done.insert(place, state);
    }

    /// Counts a copy of the variables, of which a hostile recipe has many in many places.
    pub(super) fn copies(&mut self, state: &State, span: &Span) -> Lowered<()> {
        self.copied += state.scope.bytes();
        match self.copied > MOST_COPIED {
            true => Err(problem(
                span,
                "the commands and stages of this recipe have too many variables",
                "set fewer, or set them where they are needed",
            )),
            false => Ok(()),
        }
    }

    fn begun(&mut self, base: &Base<'_>, platform: &Platform, span: &Span) -> Lowered<State> {
        if let Base::Stage(below) = base {
            let below = self.done.get(below).cloned();
            let mut state = below.ok_or_else(|| problem(span, "its base has problems", ""))?;
            self.copies(&state, span)?;
            let change = std::mem::take(&mut state.change);
            if !change.on_build.is_empty() {
                state.change.unset = vec![crate::plan::config::Unset::All(
                    crate::plan::config::Field::OnBuild,
                )];
            }
            state.below.push(change);
            state.has_cmd = false;
            return Ok(state);
        }
        let top = self.layers(base, platform, span)?;
        let question = self.needs.stages[self.place].question();
        let config = question.and_then(|question| self.known.get(&question));
        let mut change = ConfigChange::default();
        let BaseConfig {
            env,
            workdir,
            user,
            shell,
            on_build,
        } = config.cloned().unwrap_or_default();
        let mut scope = Scope::default();
        for (name, value) in &env {
            scope.set(name, value);
        }
        if !on_build.is_empty() {
            let field = crate::plan::config::Field::OnBuild;
            change.unset.push(crate::plan::config::Unset::All(field));
        }
        if !env.iter().any(|(name, _)| name == "PATH") && platform.os != "windows" {
            scope.set("PATH", DEFAULT_PATH);
            change
                .env
                .push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
        }
        if config.is_none() {
            change.workdir = Some("/".to_owned());
        }
        let workdir = workdir.filter(|workdir| !workdir.is_empty());
        let workdir = joined("/", workdir.as_deref().unwrap_or("/"));
        Ok(State {
            top,
            below: Vec::new(),
            change,
            scope,
            workdir,
            user: user.filter(|user| !user.is_empty()),
            shell: shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]),
            has_cmd: false,
        })
    }

    /// The top of what `base` has in layers.
    pub(super) fn layers(
        &mut self,
        base: &Base<'_>,
        platform: &Platform,
        span: &Span,
    ) -> Lowered<StepId> {
        match base {
            Base::Scratch => Ok(self.source(Operation::Scratch, span)),
            Base::Stage(place) => {
                let state = self.done.get(place);
                let state = state.ok_or_else(|| problem(span, "that stage has problems", ""))?;
                Ok(state.top)
            }
            Base::Image(source) => {
                let operation = Operation::Image {
                    source: source.clone(),
                    platform: platform.clone(),
                };
                Ok(self.source(operation, span))
            }
            Base::Files(name, context) => {
                let all = Selection {
                    sources: vec![".".to_owned()],
                    ..Selection::default()
                };
                let files = named_files(name, context, all);
                let scratch = self.source(Operation::Scratch, span);
                let read = self.source(files.clone(), span);
                let copy = Operation::Copy {
                    to: Destination {
                        path: EntryPath::root(),
                        is_directory: true,
                    },
                    unpack: false,
                    ownership: Ownership::default(),
                };
                let name = name::step(&copy, &[&files], "");
                Ok(self.add(copy, vec![scratch, read], name, span))
            }
        }
    }

    fn instruction(&mut self, state: &mut State, instruction: &Instruction) -> Lowered<()> {
        let span = &instruction.span;
        match &instruction.kind {
            Kind::Add(add) => self.add_files(state, add, span),
            Kind::Copy(copy) => self.copy_files(state, copy, span),
            Kind::Run(run) => self.run(state, run, span),
            Kind::Workdir(word) => self.workdir(state, word, span),
            kind => self.config(state, kind),
        }
    }

    fn workdir(&mut self, state: &mut State, word: &Word, span: &Span) -> Lowered<()> {
        let text = self.word(state, word)?;
        state.workdir = joined(&state.workdir, &text);
        // The config has what is absolute to the letter (BuildKit, `system.NormalizeWorkdir`).
        state.change.workdir = Some(match text.starts_with('/') {
            true => text,
            false => state.workdir.clone(),
        });
        let path = entry_path(&state.workdir, &word.span)?;
        if path.is_root() {
            return Ok(());
        }
        let operation = Operation::Directory {
            path,
            keep: true,
            ownership: Ownership {
                mode: None,
                owner: state.user.clone(),
            },
        };
        let name = name::step(&operation, &[], "");
        state.top = self.add(operation, vec![state.top], name, span);
        Ok(())
    }

    /// What a word comes out as.
    pub(super) fn word(&self, state: &State, word: &Word) -> Lowered<String> {
        scope::word(self.expander, word, &state.scope).map(|expanded| expanded.text)
    }

    /// Adds a step without inputs.
    pub(super) fn source(&mut self, operation: Operation, span: &Span) -> StepId {
        let name = name::step(&operation, &[], "");
        self.add(operation, Vec::new(), name, span)
    }

    /// Adds a step.
    pub(super) fn add(
        &mut self,
        operation: Operation,
        inputs: Vec<StepId>,
        name: String,
        span: &Span,
    ) -> StepId {
        // A stage without a name goes by its number, the last one, too: `--no-cache-filter` names
        // it so.
        let stage = Some(self.needs.name(self.place));
        self.plan.add(Step {
            operation,
            inputs,
            name,
            stage,
            span: self.foreign.as_ref().unwrap_or(span).clone(),
        })
    }
}

/// Whether a named context is a file system with the one file that was downloaded.
pub fn is_download(context: &NamedContext) -> bool {
    matches!(context, NamedContext::Http(_))
}

/// The operation that gives files of a named context.
pub fn named_files(name: &str, context: &NamedContext, mut selection: Selection) -> Operation {
    match context {
        NamedContext::Git(git) => {
            if let Some(folder) = &git.folder {
                for source in &mut selection.sources {
                    *source = match source.as_str() {
                        "." => folder.clone(),
                        below => format!("{folder}/{below}"),
                    };
                }
            }
            Operation::Git {
                url: git.url.clone(),
                revision: git.revision(),
                selection,
                extras: git.extras(),
            }
        }
        NamedContext::Http(http) => Operation::Http {
            url: http.url.clone(),
            sha256: None,
            file_name: "context".to_owned(),
        },
        _ => Operation::Context {
            name: name.to_owned(),
            selection,
        },
    }
}

/// An absolute path.
pub fn entry_path(path: &str, span: &Span) -> Lowered<EntryPath> {
    EntryPath::resolved_in_root(path.as_bytes()).map_err(|error| {
        let path = path.escape_debug();
        problem(span, format!("`{path}` is no path: {error}"), "")
    })
}
