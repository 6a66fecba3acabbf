//! Steps to their outputs, in the plan's order.
//!
//! In: a plan. Out: [`Outputs`]. A step's key is made of its inputs' outputs; where the store has
//! its result, nothing of it is done. What only gives files is evaluated each time, for its digest
//! is what the keys of others are made of; but downloads and commits only as far as needed.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use serde::{Deserialize, Serialize};

use super::error::Cause;
use super::{Error, Settings};
use crate::canon::event::Outcome;
use crate::canon::pattern::{Rules, ignore};
use crate::canon::{Digest, EntryPath, StepKey, TreeDigest};
use crate::inputs::base::Bases;
use crate::inputs::beneath::Folder;
use crate::inputs::stage::{self, StackContent};
use crate::inputs::{BaseImage, Context, Files, Layer, Origin, Pick, Stack, context, git, http};
use crate::layer::{Entry, Kind, Meta, Rootfs, Tree};
use crate::plan::step::Ownership;
use crate::plan::{Operation, OutputDigest, Plan, Selection, Step, StepId, step_key};
use crate::step::copy::{Metadata, copy};
use crate::step::pack::Packer;
use crate::step::unpack::unpack;
use crate::step::{Draft, owner, pack, place};
use crate::store::RecordKind;

/// What the steps of a plan came out as, in its order.
pub(super) struct Outputs(Vec<Output>);

/// What a step came out as.
#[derive(Clone)]
pub(super) enum Output {
    Layers(Layers),
    Files(Arc<Files>, OutputDigest),
}

/// Layers, and how they came about.
#[derive(Clone, Default)]
pub(super) struct Layers {
    pub(super) stack: Stack,
    /// The image that they begin with.
    pub(super) base: Option<Arc<BaseImage>>,
    /// Whether the step that gave this added a layer: one that changed nothing did not.
    pub(super) has_added: bool,
}

/// A step's result, by its key.
#[derive(Serialize, Deserialize)]
struct StepRecord {
    /// None where nothing changed.
    tree: Option<TreeDigest>,
}

impl Outputs {
    pub(super) fn layers(&self, id: StepId) -> Result<&Layers, Cause> {
        match self.0.get(id.0) {
            Some(Output::Layers(layers)) => Ok(layers),
            _ => Err(Cause::Bug("a step that should give layers gives files")),
        }
    }

    fn files(&self, id: StepId) -> Result<&Arc<Files>, Cause> {
        match self.0.get(id.0) {
            Some(Output::Files(files, _)) => Ok(files),
            _ => Err(Cause::Bug("a step that should give files gives layers")),
        }
    }

    fn digest(&self, id: StepId) -> Result<OutputDigest, Cause> {
        match self.0.get(id.0) {
            Some(Output::Layers(layers)) => {
                let diff_ids: Vec<_> = layers
                    .stack
                    .layers()
                    .iter()
                    .map(|layer| layer.diff_id)
                    .collect();
                Ok(OutputDigest::of_layers(&diff_ids))
            }
            Some(Output::Files(_, digest)) => Ok(*digest),
            None => Err(Cause::Bug("a step stands before its input")),
        }
    }
}

/// Evaluates every step.
pub(super) fn evaluate(plan: &Plan, settings: &Settings) -> Result<Outputs, Error> {
    let mut evaluation = Evaluation {
        plan,
        settings,
        contexts: BTreeMap::new(),
        checkouts: Vec::new(),
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
    for step in &plan.steps {
        if let Operation::Context { name, .. } = &step.operation {
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
    let mut outputs = Outputs(Vec::with_capacity(plan.steps.len()));
    for step in &plan.steps {
        let output = evaluation.step(step, &outputs).map_err(at(step))?;
        outputs.0.push(output);
    }
    Ok(outputs)
}

struct Evaluation<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    /// By name; each folder is walked once.
    contexts: BTreeMap<String, Arc<Context>>,
    /// Folders that must stay until their files were packed.
    checkouts: Vec<git::Checkout>,
}

impl Evaluation<'_> {
    fn step(&mut self, step: &Step, outputs: &Outputs) -> Result<Output, Cause> {
        match &step.operation {
            Operation::Scratch => Ok(Output::Layers(Layers::default())),
            Operation::Image { source, platform } => {
                let base = Arc::new(self.bases().get(source, platform)?);
                let stack = base.stack.clone();
                Ok(Output::Layers(Layers {
                    stack,
                    base: Some(base),
                    has_added: false,
                }))
            }
            Operation::Context { name, selection } => {
                let work = self.settings.events.start(&step.name);
                let files = self
                    .context(name)?
                    .files(selection, self.settings.epoch, &work)?;
                work.finish(Outcome::Done);
                Ok(of_files(files))
            }
            Operation::Select { selection } => {
                let stack = &outputs.layers(input(step, 0)?)?.stack;
                let Settings {
                    store, expansion, ..
                } = self.settings;
                Ok(of_files(stage::files(stack, selection, store, *expansion)?))
            }
            Operation::Http {
                url,
                sha256,
                file_name,
            } => self.http(step, url, sha256, file_name).map(of_files),
            Operation::Git {
                url,
                commit,
                selection,
            } => self.git(step, url, commit, selection).map(of_files),
            _ => self.layer(step, outputs).map(Output::Layers),
        }
    }

    fn bases(&self) -> Bases<'_> {
        let Settings {
            store,
            registries,
            folder,
            pull,
            expansion,
            events,
            ..
        } = self.settings;
        Bases {
            store,
            registries,
            folder,
            pull: *pull,
            limit: *expansion,
            events,
        }
    }

    /// The folder of a context.
    fn folder(&self, name: &str) -> Result<PathBuf, Cause> {
        if name == "context" {
            return Ok(self.settings.context.clone());
        }
        let named = self.plan.contexts.get(name);
        let named = named.ok_or_else(|| Cause::NoContext(name.to_owned()))?;
        Ok(self.settings.folder.join(named))
    }

    fn context(&mut self, name: &str) -> Result<Arc<Context>, Cause> {
        if let Some(context) = self.contexts.get(name) {
            return Ok(context.clone());
        }
        let folder = self.folder(name)?;
        let context = Context::open(&folder, &ignored(&folder)?, &self.settings.store)?;
        let context = Arc::new(context);
        self.contexts.insert(name.to_owned(), context.clone());
        Ok(context)
    }

    fn http(
        &self,
        step: &Step,
        url: &str,
        sha256: &Digest,
        file_name: &str,
    ) -> Result<Files, Cause> {
        let Settings {
            store,
            events,
            epoch,
            ..
        } = self.settings;
        let work = events.start(&step.name);
        let is_cached = store.blob(sha256).is_some();
        let blob = http::fetch(url, sha256, store, events)?;
        work.finish(if is_cached {
            Outcome::Cached
        } else {
            Outcome::Done
        });
        let entry = Entry {
            path: EntryPath::root(),
            kind: Kind::File {
                size: blob.size,
                digest: *sha256,
            },
            // As `ADD` has it (Dockerfile reference, "Adding files from a URL").
            meta: Meta::plain(0o600, epoch.seconds()),
        };
        let name = EntryPath::new(file_name.as_bytes())
            .map_err(|_| Cause::Bug("a download has no name"))?;
        let tree = Tree::new(vec![entry]).map_err(crate::step::Error::from)?;
        Ok(Files {
            picks: vec![Pick {
                name,
                kept: None,
                tree,
                origins: vec![Origin::Blob(Box::new(blob))],
            }],
        })
    }

    fn git(
        &mut self,
        step: &Step,
        url: &str,
        commit: &str,
        selection: &Selection,
    ) -> Result<Files, Cause> {
        let Settings {
            store,
            search_path,
            epoch,
            events,
            ..
        } = self.settings;
        let work = events.start(&step.name);
        let checkout = git::check_out(url, commit, store, search_path)?;
        let files = checkout
            .context
            .files(selection, *epoch, &work)
            .map_err(git::Error::from)?;
        self.checkouts.push(checkout);
        work.finish(Outcome::Done);
        Ok(files)
    }

    /// A step that adds a layer.
    fn layer(&self, step: &Step, outputs: &Outputs) -> Result<Layers, Cause> {
        let Settings {
            store,
            codec,
            threads,
            epoch,
            events,
            no_cache,
            ..
        } = self.settings;
        let below = outputs.layers(input(step, 0)?)?;
        let inputs = step.inputs.iter().map(|input| outputs.digest(*input));
        let key = step_key(step, &inputs.collect::<Result<Vec<_>, _>>()?, *epoch)?;
        let work = events.start(&step.name);
        let why = match self.find(&key) {
            _ if *no_cache => "as `--no-cache` says",
            Ok(found) => {
                events.debug(format!("{}: cached under key {}", step.name, key.0));
                work.finish(Outcome::Cached);
                return Ok(below.with(found));
            }
            Err(why) => why,
        };
        events.debug(format!("{}: runs, {why} (key {})", step.name, key.0));
        let rootfs = below.stack.rootfs(store, self.settings.expansion)?;
        let change = self.change(step, outputs, &below.stack, &rootfs)?;
        let packer = Packer {
            store,
            codec: *codec,
            threads: *threads,
            work: &work,
        };
        let layer = if change.tree.entries().is_empty() {
            None
        } else {
            Some(packer.pack(&change, &self.slot(step)?)?)
        };
        let record = StepRecord {
            tree: layer.as_ref().and_then(|layer| layer.tree),
        };
        store.put_record(RecordKind::Step, &key.0, "", &record)?;
        work.finish(Outcome::Done);
        Ok(below.with(layer))
    }

    /// What names the step from build to build, while its inputs change.
    fn slot(&self, step: &Step) -> Result<Digest, Cause> {
        let folder = crate::canon::path::escape(self.settings.folder.as_os_str().as_bytes());
        let slot = serde_json::json!({ "folder": folder, "operation": step.operation });
        Ok(Digest::of(&crate::canon::json::to_vec(&slot)?))
    }

    /// The result under `key`, where all of it is there; else what is missing.
    fn find(&self, key: &StepKey) -> Result<Option<Layer>, &'static str> {
        let Settings { store, codec, .. } = self.settings;
        let record = store.record(RecordKind::Step, &key.0, "");
        let StepRecord { tree } = record.ok_or("as there is no record of it")?;
        let found = tree.map(|tree| pack::find(store, &tree, *codec));
        found
            .map(|layer| layer.ok_or("as its layer is gone or compressed otherwise"))
            .transpose()
    }

    /// What the step changes.
    fn change(
        &self,
        step: &Step,
        outputs: &Outputs,
        stack: &Stack,
        rootfs: &Rootfs,
    ) -> Result<crate::step::Change, Cause> {
        let Settings {
            store,
            epoch,
            expansion,
            ..
        } = self.settings;
        let metadata = |ownership: &Ownership| self.metadata(ownership, stack, rootfs);
        let asked = match &step.operation {
            Operation::Copy { ownership, .. }
            | Operation::Unpack { ownership, .. }
            | Operation::File { ownership, .. }
            | Operation::Directory { ownership, .. } => metadata(ownership)?,
            _ => Metadata::default(),
        };
        let mut draft = Draft::new(rootfs, *epoch, asked.owner.unwrap_or_default());
        let files = || outputs.files(input(step, 1)?);
        match &step.operation {
            Operation::Copy { to, .. } => copy(&mut draft, files()?, to, asked)?,
            Operation::Unpack { to, strip, .. } => {
                unpack(&mut draft, files()?, to, *strip, asked, store, *expansion)?
            }
            Operation::File { path, content, .. } => {
                place::file(&mut draft, path, content, asked, *epoch)?
            }
            Operation::Directory { path, .. } => place::directory(&mut draft, path, asked, *epoch)?,
            Operation::Symlink { path, target } => {
                place::symlink(&mut draft, path, target, *epoch)?
            }
            Operation::Remove { paths, missing_ok } => {
                place::remove(&mut draft, paths, *missing_ok)?
            }
            _ => return Err(Cause::Bug("a step that adds no layer was asked for one")),
        }
        Ok(draft.finish()?)
    }

    fn metadata(
        &self,
        ownership: &Ownership,
        stack: &Stack,
        rootfs: &Rootfs,
    ) -> Result<Metadata, Cause> {
        let Settings {
            store, expansion, ..
        } = self.settings;
        let content = StackContent::new(stack, store, *expansion);
        let read = |inode| owner::read_small(content.origin(inode).open()?);
        let owner = ownership
            .owner
            .as_deref()
            .map(|owner| owner::numbers(owner, rootfs, &read));
        Ok(Metadata {
            mode: ownership.mode,
            owner: owner.transpose()?,
        })
    }
}

impl Layers {
    fn with(&self, layer: Option<Layer>) -> Layers {
        let has_added = layer.is_some();
        let stack = match layer {
            Some(layer) => self.stack.with(layer),
            None => self.stack.clone(),
        };
        Layers {
            stack,
            base: self.base.clone(),
            has_added,
        }
    }
}

fn of_files(files: Files) -> Output {
    let digest = OutputDigest::of_files(TreeDigest(files.digest()));
    Output::Files(Arc::new(files), digest)
}

fn input(step: &Step, number: usize) -> Result<StepId, Cause> {
    step.inputs
        .get(number)
        .copied()
        .ok_or(Cause::Bug("a step lacks an input"))
}

/// What is in a file of rules. A pipe is not waited for, and no device is read without end.
fn read_ignore_file(path: &Path) -> std::io::Result<Vec<u8>> {
    const LARGEST: u64 = 4 << 20;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(std::io::Error::other(format!(
            "it is larger than {LARGEST} bytes"
        ))),
        false => Ok(bytes),
    }
}

/// The rules of `.cairnignore`, else of `.dockerignore`.
fn ignored(folder: &Path) -> Result<Rules, Cause> {
    for name in [".cairnignore", ".dockerignore"] {
        let path = folder.join(name);
        let bytes = match read_ignore_file(&path) {
            Ok(bytes) => bytes,
            // Whether the folder itself is one, whoever reads it says.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            Err(error) => {
                return Err(Cause::Ignore(format!(
                    "can't read `{}`: {error}\nhint: make it a readable file, or remove it",
                    path.display()
                )));
            }
        };
        return ignore::parse(&bytes).map_err(|problems| {
            let problems: Vec<_> = problems
                .iter()
                .map(|problem| format!("{}: {problem}", path.display()))
                .collect();
            Cause::Ignore(problems.join("\n"))
        });
    }
    Ok(Rules::default())
}
