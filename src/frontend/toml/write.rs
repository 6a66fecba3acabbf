//! From a plan back to a recipe that gives it.
//!
//! In: the plan of another frontend's recipe. Out: the text of a `cairn.toml` with the same plan,
//! or what of it can't be said, each with the place of its step. Whatever was expanded, such as the
//! arguments of a Dockerfile, stands there as what it came out as.

use std::collections::{BTreeMap, BTreeSet};

use super::written::{self, Table, text};
use crate::canon::{Problem, Source as Text};
use crate::frontend::Options;
use crate::plan::command::{Mount, MountKind};
use crate::plan::step::{GitExtras, Ownership};
use crate::plan::{Command, Operation, Plan, Source, StepId, print};

/// A stage of the recipe in the making.
struct Stage {
    name: String,
    /// `from`, as it is written.
    from: String,
    steps: Vec<String>,
    /// Its last step, or what it begins with.
    top: StepId,
}

/// The text of a recipe that gives `plan` for `options`.
pub fn write(plan: &Plan, options: &Options) -> Result<String, Vec<Problem>> {
    let mut writer = Writer {
        plan,
        stages: Vec::new(),
        linked: plan
            .steps
            .iter()
            .filter_map(|step| match step.operation {
                Operation::Merge => step.inputs.get(1).copied(),
                _ => None,
            })
            .collect(),
        problems: Vec::new(),
    };
    for id in (0..plan.steps.len()).map(StepId) {
        writer.step(id);
    }
    let text = writer.recipe();
    if !writer.problems.is_empty() {
        return Err(writer.problems);
    }
    proven(plan, options, &text)?;
    Ok(text)
}

/// Says where the recipe `text` gives another plan.
fn proven(plan: &Plan, options: &Options, text: &str) -> Result<(), Vec<Problem>> {
    let first = plan.steps.first().map_or(0..0, |step| step.span.clone());
    let bug = |cause: String| {
        let problem = Problem::new("this can't be said in a `cairn.toml`").at(first.clone());
        vec![problem.cause(cause)]
    };
    let source = Text::new("cairn.toml", text.into(), super::LARGEST);
    let source = source.map_err(|problem| bug(problem.message))?;
    let made = super::plan(&source, options).map_err(|problems| {
        let messages = problems.into_iter().map(|problem| problem.message);
        bug(messages.collect::<Vec<_>>().join("; "))
    })?;
    let json = |plan: &Plan| print::json(plan).map_err(|error| bug(error.to_string()));
    if json(&made)? == json(plan)? {
        return Ok(());
    }
    let differs = |(one, other): (&crate::plan::Step, &crate::plan::Step)| {
        (&one.operation, &one.inputs, &one.name, &one.stage)
            != (&other.operation, &other.inputs, &other.name, &other.stage)
    };
    let steps = plan.steps.iter().zip(&made.steps);
    let place = steps.clone().position(differs);
    let problem = match place.and_then(|place| plan.steps.get(place)) {
        Some(step) => Problem::new(format!(
            "`{}` can't be said in a `cairn.toml`",
            step.name.escape_debug()
        ))
        .at(step.span.clone())
        .cause("the nearest that can be said gives another plan"),
        None => Problem::new("its config can't be said in a `cairn.toml`").at(first),
    };
    Err(vec![problem])
}

struct Writer<'a> {
    plan: &'a Plan,
    stages: Vec<Stage>,
    /// Steps that are only a part of a link.
    linked: BTreeSet<StepId>,
    problems: Vec<Problem>,
}

impl Writer<'_> {
    fn refuse(&mut self, id: StepId, what: &str) {
        let step = self.plan.step(id);
        let message = format!("{what} can't be said in a `cairn.toml`");
        self.problems
            .push(Problem::new(message).at(step.span.clone()));
    }

    /// With mode and owner.
    fn owned(&mut self, id: StepId, table: Table, ownership: &Ownership) -> Option<Table> {
        let owned = written::owned(table, ownership);
        if owned.is_none() {
            self.refuse(id, "a symbolic mode");
            let hint = "write digits, as in `--chmod=0644`; where folders and files are to have different ones, copy them apart";
            if let Some(refused) = self.problems.pop() {
                self.problems.push(refused.hint(hint));
            }
        }
        owned
    }

    fn step(&mut self, id: StepId) {
        let step = self.plan.step(id);
        if !step.operation.gives_layers() || self.linked.contains(&id) {
            return;
        }
        let name = step.stage.clone().unwrap_or_else(|| "main".to_owned());
        if !step.operation.adds_layer() {
            let from = base(&step.operation);
            // Only a stage of its own can be named by other steps; the nothing of a link is none.
            if self.stages.iter().all(|stage| stage.name != name) {
                self.stages.push(Stage {
                    name,
                    from,
                    steps: Vec::new(),
                    top: id,
                });
            }
            return;
        }
        // What can't be said has been told; the steps on it are no worse for it.
        let written = self.written(id).unwrap_or_default();
        let below = step.inputs.first().copied().unwrap_or(id);
        let own = self.stages.iter().position(|stage| stage.name == name);
        match own.map(|own| &mut self.stages[own]) {
            Some(stage) if stage.top == below => {
                stage.steps.push(written);
                stage.top = id;
            }
            Some(_) => self.refuse(id, "a step that two stages share"),
            None => {
                let Some(from) = self.layers(below, "") else {
                    return self.refuse(id, "a stage that begins in the middle of another");
                };
                self.stages.push(Stage {
                    name,
                    from,
                    steps: vec![written],
                    top: id,
                });
            }
        }
    }

    /// Layers as `from` names them, for a step of that name.
    fn layers(&self, top: StepId, step: &str) -> Option<String> {
        let operation = &self.plan.step(top).operation;
        let (_, from) = step.rsplit_once(" from ").unwrap_or_default();
        let named = from.strip_prefix("stage ");
        let mut stages = self.stages.iter().filter(|stage| stage.top == top);
        let stage = match named {
            Some(name) => stages.find(|stage| stage.name == name),
            None if operation.adds_layer() => stages.next_back(),
            None => None,
        };
        match stage {
            Some(stage) => Some(Table::new().text("stage", &stage.name).inline()),
            None if operation.adds_layer() => None,
            None => Some(base(operation)),
        }
    }

    /// A step as it is written, without the table around it.
    fn written(&mut self, id: StepId) -> Option<String> {
        let step = self.plan.step(id);
        let (work, is_link) = match step.operation {
            Operation::Merge => (step.inputs.get(1).copied()?, true),
            _ => (id, false),
        };
        let made = self.plan.step(work);
        let table = match &made.operation {
            Operation::Copy {
                to,
                unpack,
                ownership,
            } => {
                let &[_, files] = &made.inputs[..] else {
                    self.refuse(id, "a copy of several kinds of files");
                    return None;
                };
                let files = self.plan.step(files);
                let to = written::destination(to);
                if let Operation::Git { url, .. } | Operation::Http { url, .. } = &files.operation
                    && self.plan.logins.contains_key(url)
                {
                    self.refuse(id, "a login in an address");
                    return None;
                }
                let (verb, table) = match &files.operation {
                    Operation::Context { name, selection } => {
                        let from = match name.as_str() {
                            crate::plan::name::OWN_CONTEXT => None,
                            name => Some(Table::new().text("context", name).inline()),
                        };
                        ("copy", written::copy(from, selection))
                    }
                    Operation::Select { selection } => {
                        let below = files.inputs.first().copied()?;
                        let from = self.layers(below, &made.name);
                        let from = match from {
                            Some(from) if from.starts_with('"') => {
                                // Nothing, or an image.
                                let image = self.plan.step(below);
                                match &image.operation {
                                    Operation::Image {
                                        source: Source::Registry(name),
                                        ..
                                    } => Table::new().text("image", &name.to_string()).inline(),
                                    _ => {
                                        self.refuse(id, "a copy from `scratch`");
                                        return None;
                                    }
                                }
                            }
                            Some(from) => from,
                            None => {
                                self.refuse(id, "a copy from the middle of a stage");
                                return None;
                            }
                        };
                        ("copy", written::copy(Some(from), selection))
                    }
                    Operation::Git {
                        url,
                        revision: crate::plan::step::Revision::Commit(commit),
                        selection,
                        extras,
                    } if !unpack && *extras == GitExtras::default() => {
                        ("git", written::git(url, commit, selection))
                    }
                    Operation::Git { .. } => {
                        self.refuse(
                            id,
                            "a repository by a name, or with its submodules, `.git` or times,",
                        );
                        return None;
                    }
                    Operation::Http {
                        url,
                        sha256: Some(sha256),
                        ..
                    } if !unpack => (
                        "http",
                        Table::new().text("url", url).text("sha256", &sha256.hex()),
                    ),
                    Operation::Http { .. } => {
                        self.refuse(
                            id,
                            "a download that no digest is said of, or that is unpacked,",
                        );
                        return None;
                    }
                    _ => {
                        self.refuse(id, "a copy of a here-document among others");
                        return None;
                    }
                };
                if is_link && verb != "copy" {
                    self.refuse(id, "a link of a download");
                    return None;
                }
                let table = self.owned(id, table.text("to", &to), ownership)?;
                let table = table.flag("unpack", *unpack).flag("link", is_link);
                (verb, table)
            }
            Operation::File {
                path,
                name,
                content,
                ownership,
            } if !is_link => {
                let table = Table::new().text("path", &path.to_string());
                let table = match name {
                    Some(name) => table.text("name", name),
                    None => table,
                };
                (
                    "file",
                    self.owned(id, table.text("content", content), ownership)?,
                )
            }
            Operation::Directory {
                path,
                keep,
                ownership,
            } => {
                let table = Table::new().text("path", &path.to_string());
                (
                    "directory",
                    self.owned(id, table.flag("keep", *keep), ownership)?,
                )
            }
            Operation::Run(command) => ("run", self.command(id, command)?),
            _ => {
                self.refuse(id, "such a step");
                return None;
            }
        };
        Some(format!("{} = {}", table.0, table.1.inline()))
    }

    fn command(&mut self, id: StepId, command: &Command) -> Option<Table> {
        let mut inputs = self.plan.step(id).inputs.iter().skip(1).copied();
        let mut mounts = Vec::new();
        for Mount { target, kind } in &command.mounts {
            let mut from = None;
            let mut source = None;
            if kind.has_input() {
                let input = inputs.next()?;
                match &self.plan.step(input).operation {
                    Operation::Context { name, selection } => {
                        if name != crate::plan::name::OWN_CONTEXT {
                            from = Some(Table::new().text("context", name).inline());
                        }
                        let path = selection.sources.first()?;
                        source = Some(path.replace('\\', "")).filter(|path| path != ".");
                    }
                    operation if operation.gives_layers() => {
                        let mut stages = self.stages.iter().filter(|stage| stage.top == input);
                        let image = match operation {
                            Operation::Image {
                                source: Source::Registry(name),
                                ..
                            } => Some(Table::new().text("image", &name.to_string())),
                            _ => None,
                        };
                        let stage = stages.next();
                        let stage = stage.map(|stage| Table::new().text("stage", &stage.name));
                        let Some(table) = image.or(stage) else {
                            self.refuse(id, "a mount from the middle of a stage");
                            return None;
                        };
                        from = Some(table.inline());
                        source = match kind {
                            MountKind::Bind { source, .. } => Some(source),
                            MountKind::Cache { from, .. } => from.as_ref(),
                            _ => None,
                        }
                        .filter(|path| !path.is_root())
                        .map(ToString::to_string);
                    }
                    _ => {
                        self.refuse(id, "a mount of a download");
                        return None;
                    }
                }
            }
            mounts.push(written::mount(&target.to_string(), kind, from, source));
        }
        Some(written::command(command, mounts))
    }

    /// The whole recipe.
    fn recipe(&mut self) -> String {
        let Some(image) = self.plan.images.first() else {
            return String::new();
        };
        let Some(root) = self
            .stages
            .iter()
            .rev()
            .find(|stage| stage.top == image.root)
        else {
            let problem = Problem::new("its last stage can't be said in a `cairn.toml`");
            self.problems.push(problem);
            return String::new();
        };
        let mut end = root.name.clone();
        let mut below = String::new();
        let mut tables: Vec<BTreeMap<&str, String>> = Vec::new();
        for change in &image.config {
            tables.push(written::config(change).into_iter().collect());
        }
        let last = tables.pop().unwrap_or_default();
        // Each stage has one change of the config, and the changes are applied from the bottom up.
        for (number, table) in tables.iter().enumerate() {
            let name = format!("{}-config-{number}", root.name);
            let stage = Table::new().text("stage", &end).inline();
            below += &format!("\n[stages.{}]\nfrom = {stage}\n", text(&name));
            below += &section(&format!("stages.{}.config", text(&name)), table);
            end = name;
        }
        let from = Table::new().text("stage", &end).inline();
        let mut recipe = format!("from = {from}\n");
        for stage in &self.stages {
            let name = text(&stage.name);
            recipe += &format!("\n[stages.{name}]\nfrom = {}\n", stage.from);
            for step in &stage.steps {
                recipe += &format!("\n[[stages.{name}.steps]]\n{step}\n");
            }
        }
        recipe + &below + &section("config", &last)
    }
}

/// What a stage begins with.
fn base(operation: &Operation) -> String {
    match operation {
        Operation::Image {
            source: Source::Registry(reference),
            ..
        } => text(&reference.to_string()),
        Operation::Image {
            source: Source::Layout { path, name },
            ..
        } => {
            let table = Table::new().text("oci", path);
            match name {
                Some(name) => table.text("name", name),
                None => table,
            }
            .inline()
        }
        _ => text("scratch"),
    }
}

fn section(name: &str, members: &BTreeMap<&str, String>) -> String {
    if members.is_empty() {
        return String::new();
    }
    let lines = members
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"));
    format!("\n[{name}]\n{}", lines.collect::<String>())
}
