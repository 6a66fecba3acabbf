//! Steps to their outputs, in the plan's order.
//!
//! In: a plan. Out: [`Outputs`]. A step's key is made of its inputs' outputs; where the store has
//! its result, nothing of it is done. What only gives files is evaluated each time, for its digest
//! is what the keys of others are made of; but downloads and commits only as far as needed: of a
//! commit that was had before the digest is remembered, and its files are had when a step runs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::Cause;
use super::missing::explained;
use super::{Error, Settings, ignore_file};
use crate::canon::event::Outcome;
use crate::canon::{Digest, EntryPath, StepKey, TreeDigest};
use crate::inputs::base::Bases;
use crate::inputs::stage::{self, StackContent};
use crate::inputs::{BaseImage, Context, Files, Layer, Origin, Pick, Stack, git, http};
use crate::layer::{self, Kind, Meta, Rootfs, Tree};
use crate::plan::step::Ownership;
use crate::plan::{Operation, OutputDigest, Plan, Step, StepId, step_key};
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
    /// Files of a commit, which are not here: what they came out as is remembered.
    Commit(OutputDigest),
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

/// Of the record of what a commit's files came out as.
const GIT_FILES: &str = ".files";

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
            Some(Output::Files(_, digest) | Output::Commit(digest)) => Ok(*digest),
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
        checkouts: BTreeMap::new(),
    };
    let mut outputs = Outputs(Vec::with_capacity(plan.steps.len()));
    for step in &plan.steps {
        let output = evaluation
            .step(step, &mut outputs)
            .map_err(|cause| Error::Step {
                name: step.name.clone(),
                span: step.span.clone(),
                cause: Box::new(cause),
            })?;
        outputs.0.push(output);
    }
    Ok(outputs)
}

struct Evaluation<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    /// By name; each folder is walked once.
    contexts: BTreeMap<String, Arc<Context>>,
    /// By URL and commit; the folders must stay until their files were packed.
    checkouts: BTreeMap<(String, String), git::Checkout>,
}

impl Evaluation<'_> {
    fn step(&mut self, step: &Step, outputs: &mut Outputs) -> Result<Output, Cause> {
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
                let (folder, context) = (self.folder(name)?, self.context(name)?);
                let files = context
                    .files(selection, self.settings.epoch, &work)
                    .map_err(|error| explained(error, &*context, Some(&folder)))?;
                work.finish(Outcome::Done);
                Ok(of_files(files))
            }
            Operation::Select { selection } => {
                let stack = &outputs.layers(input(step, 0)?)?.stack;
                let Settings {
                    store, expansion, ..
                } = self.settings;
                match stage::files(stack, selection, store, *expansion) {
                    Ok(files) => Ok(of_files(files)),
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
            } => self.http(step, url, sha256, file_name).map(of_files),
            Operation::Git { .. } => self.git(step),
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
        let rules = ignore_file::read(&folder)?.map(|(_, rules)| rules);
        let rules = rules.unwrap_or_default();
        let context = Context::open(&folder, &rules, &self.settings.store)?;
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
        let entry = layer::Entry {
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
                tree,
                origins: vec![Origin::Blob(Box::new(blob))],
            }],
        })
    }

    /// Files of a commit, or what they came out as when they were last had: a commit never changes.
    fn git(&mut self, step: &Step) -> Result<Output, Cause> {
        let Settings {
            store,
            epoch,
            events,
            no_cache,
            ..
        } = self.settings;
        let key = step_key(step, &[], *epoch)?;
        if !no_cache && let Some(digest) = store.record(RecordKind::Source, &key.0, GIT_FILES) {
            events.start(&step.name).finish(Outcome::Cached);
            return Ok(Output::Commit(OutputDigest(digest)));
        }
        self.check_out(step).map(of_files)
    }

    fn check_out(&mut self, step: &Step) -> Result<Files, Cause> {
        let Operation::Git {
            url,
            commit,
            selection,
        } = &step.operation
        else {
            return Err(Cause::Bug("a step that names no commit was asked for one"));
        };
        let Settings {
            store,
            search_path,
            epoch,
            events,
            ..
        } = self.settings;
        let work = events.start(&step.name);
        let checkout = match self.checkouts.entry((url.clone(), commit.clone())) {
            Entry::Occupied(had) => had.into_mut(),
            Entry::Vacant(place) => place.insert(git::check_out(url, commit, store, search_path)?),
        };
        let files = checkout
            .context
            .files(selection, *epoch, &work)
            .map_err(|error| explained(git::Error::from(error), &*checkout.context, None))?;
        let key = step_key(step, &[], *epoch)?;
        store.put_record(RecordKind::Source, &key.0, GIT_FILES, &files.digest())?;
        work.finish(Outcome::Done);
        Ok(files)
    }

    /// Gets the files of a step's inputs that are only remembered; says whether there were any.
    fn have_files(&mut self, step: &Step, outputs: &mut Outputs) -> Result<bool, Cause> {
        let mut had_any = false;
        for input in &step.inputs {
            if let Some(Output::Commit(_)) = outputs.0.get(input.0) {
                outputs.0[input.0] = of_files(self.check_out(&self.plan.steps[input.0])?);
                had_any = true;
            }
        }
        Ok(had_any)
    }

    /// A step that adds a layer.
    fn layer(&mut self, step: &Step, outputs: &mut Outputs) -> Result<Layers, Cause> {
        let Settings {
            store,
            codec,
            threads,
            epoch,
            events,
            no_cache,
            ..
        } = self.settings;
        let inputs = step.inputs.iter().map(|input| outputs.digest(*input));
        let key = step_key(step, &inputs.collect::<Result<Vec<_>, _>>()?, *epoch)?;
        let found = if *no_cache { None } else { self.find(&key) };
        if found.is_none() && self.have_files(step, outputs)? {
            // The key again, of what is here now, so that no result is filed under another's.
            return self.layer(step, outputs);
        }
        let below = outputs.layers(input(step, 0)?)?;
        let work = events.start(&step.name);
        if let Some(found) = found {
            work.finish(Outcome::Cached);
            return Ok(below.with(found));
        }
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

    /// The result under `key`, if all of it is there: the outer option is that.
    fn find(&self, key: &StepKey) -> Option<Option<Layer>> {
        let Settings { store, codec, .. } = self.settings;
        let record: StepRecord = store.record(RecordKind::Step, &key.0, "")?;
        match record.tree {
            None => Some(None),
            Some(tree) => pack::find(store, &tree, *codec).map(Some),
        }
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
            Operation::Copy { to, parents, .. } => copy(&mut draft, files()?, to, *parents, asked)?,
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
