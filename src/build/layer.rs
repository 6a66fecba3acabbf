//! Steps that add a layer.
//!
//! In: a step, and what its inputs came out as. Out: [`Layers`]. A step's key is made of its
//! inputs' outputs; where the store has its result, nothing of it is done.

use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::error::Cause;
use super::evaluate::{Evaluation, input};
use super::outputs::{Layers, Output, Outputs};
use super::packages::Solved;
use super::past;
use crate::canon::event::{Outcome, Work};
use crate::canon::{Digest, StepKey, TreeDigest};
use crate::inputs::pins::Unheld;
use crate::inputs::stage::StackContent;
use crate::inputs::{Files, Layer, Selected, Stack};
use crate::layer::{self, Entry, Kind, Rootfs};
use crate::lock::Record;
use crate::normal::keys::Key;
use crate::normal::{self, Done};
use crate::plan::command::Network;
use crate::plan::step::Ownership;
use crate::plan::{Command, Operation, Step};
use crate::proxy::{self, Finished};
use crate::step::copy::{Metadata, copy};
use crate::step::pack::Packer;
use crate::step::run::{Fetching, Ran};
use crate::step::unpack::{Unpacker, unpack};
use crate::step::{Change, Draft, owner, pack, place, run};
use crate::store::{RecordKind, Store};

/// The table of the layer that a step with this key made; none where it made none, or nothing is kept
/// of it.
pub fn result(store: &Store, key: &StepKey) -> Option<TreeDigest> {
    let record: StepRecord = store.record(RecordKind::Step, &key.0, "")?;
    record.tree
}

/// A step's result, by its key.
#[derive(Serialize, Deserialize)]
struct StepRecord {
    /// None where nothing changed.
    tree: Option<TreeDigest>,
    /// Private keys that its command made: a build that doesn't allow these can't have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Key>,
}

/// A step's result, none where it changed nothing; or why it has to run.
type Found = Result<Option<Layer>, &'static str>;

impl Evaluation<'_> {
    /// A step that adds a layer.
    pub(super) fn layer(&self, step: &Step, outputs: &Outputs) -> Result<Layers, Cause> {
        self.layer_of(step, None, outputs)
    }

    /// The same; `packages` are those of a step that installs them.
    pub(super) fn layer_of(
        &self,
        step: &Step,
        packages: Option<&Solved>,
        outputs: &Outputs,
    ) -> Result<Layers, Cause> {
        if let Operation::Run(command) = &step.operation {
            self.runner.permit(command, &self.fetching(step)?)?;
        }
        let mut work = None;
        for &files in &step.inputs {
            let Output::Unread(selected) = outputs.get(files)? else {
                continue;
            };
            let begun = work.take();
            let begun = begun.unwrap_or_else(|| self.settings.events.start(&step.name));
            if let Some(layers) = self.copy_unread(step, &selected, outputs, &begun)? {
                begun.finish(Outcome::Done);
                return Ok(layers);
            }
            let files_read = selected.files(self.settings.epoch, &begun)?;
            work = Some(begun);
            outputs.put(files, files_read.into())?;
        }
        let (mut key, mut found) = self.look_up(step, outputs)?;
        if found.is_err() && self.have_files(step, outputs)? {
            // The key again, of what is here now, so that no result is filed under another's.
            (key, found) = self.look_up(step, outputs)?;
        }
        let events = &self.settings.events;
        let work = work.unwrap_or_else(|| events.start(&step.name));
        let below = outputs.layers(input(step, 0)?)?;
        let why = match found {
            Ok(found) => {
                events.debug(format!("{}: cached under key {}", step.name, key.0));
                self.ran(step, &key, Some(Outcome::Cached));
                self.was_there(step, &key, outputs)?;
                work.finish(Outcome::Cached);
                return Ok(below.with(found));
            }
            Err(why) => why,
        };
        events.debug(format!("{}: runs, {why} (key {})", step.name, key.0));
        self.runs(step, &key, outputs, why)?;
        // What its result is filed under.
        let mut filed = Some(key);
        let (mut normalised, mut keys) = (Vec::new(), Vec::new());
        let change = match &step.operation {
            Operation::Run(command) => {
                self.ran(step, &key, None);
                let ran = self.command(step, command, &below.stack, outputs, &key, &work);
                let outcome = match &ran {
                    Ok(_) => Outcome::Done,
                    Err(_) => Outcome::Failed,
                };
                self.ran(step, &key, Some(outcome));
                let ran = ran?;
                if let Some(Finished {
                    record: Some(record),
                    is_as_recorded,
                }) = ran.fetched
                {
                    // Where a replay gives it something else, that decides what comes of it.
                    let key = self.put_record(step, record, outputs)?;
                    filed = Some(key).filter(|_| is_as_recorded);
                }
                if let Some(trace) = &ran.trace {
                    past::keep_trace(&self.settings.store, &key, trace)?;
                }
                (normalised, keys) = (ran.normalised, ran.keys);
                ran.change
            }
            Operation::Packages(question) => {
                let solved = packages.ok_or(Cause::Bug("packages were not solved"))?;
                let change;
                (change, keys) =
                    self.installed(step, question, solved, &below.stack, &key, &work)?;
                change
            }
            _ => self.placed(step, &below.stack, outputs)?,
        };
        self.tell_keys(step, &keys);
        let layer = match change.tree.entries().is_empty() {
            true => None,
            false => Some(self.packer(&work).pack(&change, &self.slot(step)?)?),
        };
        if let Some(key) = filed {
            self.record(&key, layer.as_ref(), keys)?;
            self.record_normalised(&key, &normalised)?;
        }
        if filed != Some(key) {
            self.record_normalised(&key, &normalised)?;
        }
        self.has_run(step);
        work.finish(Outcome::Done);
        Ok(below.with(layer))
    }

    /// What a step that places files changes.
    fn placed(&self, step: &Step, below: &Stack, outputs: &Outputs) -> Result<Change, Cause> {
        let rootfs = below.rootfs(&self.settings.store, self.settings.expansion)?;
        let files = step.inputs.iter().skip(1);
        let files = files.map(|&files| outputs.files(files));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let files: Vec<&Files> = files.iter().map(|files| &**files).collect();
        self.change(step, &files, below, &rootfs)
    }

    /// Where the network of a command leads.
    pub(super) fn fetching(&self, step: &Step) -> Result<Fetching<'_>, Cause> {
        let asker = self.place_of(step).and_then(|id| self.askers.get(&id));
        let Some((platform, by)) = asker else {
            return Ok(Fetching::Forwarded);
        };
        let Settings { pins, policy, .. } = self.settings;
        Ok(match (pins.record(platform, by)?, pins.unheld()) {
            (Some(record), _) => {
                // Here, as a result that is there already isn't fetched again.
                proxy::judge(policy, record).map_err(run::Error::from)?;
                Fetching::Replayed(record)
            }
            (None, Unheld::Recorded { instant }) => Fetching::Recorded { instant },
            (None, _) if !self.settings.policy.is_empty() => Fetching::Judged {
                now: self.settings.packages.now,
            },
            (None, _) => Fetching::Forwarded,
        })
    }

    /// Remembers what a command fetched; the key of its result by that.
    fn put_record(&self, step: &Step, record: Record, outputs: &Outputs) -> Result<StepKey, Cause> {
        let key = self.fetching_key(step, outputs, Some(record.digest()?))?;
        let asker = self.place_of(step).and_then(|id| self.askers.get(&id));
        if let Some((platform, by)) = asker {
            self.settings.pins.put_record(platform, by, record);
        }
        Ok(key)
    }

    /// What a command changes, and fetches.
    fn command(
        &self,
        step: &Step,
        command: &Command,
        below: &Stack,
        outputs: &Outputs,
        key: &StepKey,
        work: &Work,
    ) -> Result<Ran, Cause> {
        let inputs = step.inputs.iter().skip(1).map(|&input| outputs.get(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let sources = inputs.iter().map(|input| match input {
            Output::Layers(layers) => Ok(run::Input::Layers(&layers.stack)),
            Output::Files(files, _) => Ok(run::Input::Files(files)),
            _ => Err(Cause::Bug("what a command mounts is not here")),
        });
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let fetching = self.fetching(step)?;
        let reaches_out = command.network == Network::Default;
        if let (Fetching::Forwarded | Fetching::Judged { .. }, true) =
            (fetching, reaches_out && self.settings.pins.is_offline())
        {
            return Err(Cause::OfflineCommand(step.name.clone()));
        }
        let seed = self.fetching_key(step, outputs, None)?;
        let keys = run::Keys {
            log: key,
            seed: &seed,
        };
        let ran = self
            .runner
            .run(command, below, &sources, fetching, keys, work)?;
        for path in &ran.sockets {
            let name = &step.name;
            self.settings.events.warn(format!(
                "{name}: `{path}` is a socket, which no layer can hold: it is left out"
            ));
        }
        Ok(ran)
    }

    /// A copy of files that nobody has read yet, where nothing was packed before that might be the
    /// same: they are read once, to be packed, and what they are is learnt on the way. None where
    /// that can't be, or failed: whoever then reads them for their digests alone says what is
    /// wrong with which file.
    fn copy_unread(
        &self,
        step: &Step,
        selected: &Selected,
        outputs: &Outputs,
        work: &Work,
    ) -> Result<Option<Layers>, Cause> {
        let Settings {
            store,
            epoch,
            expansion,
            events,
            ..
        } = self.settings;
        let (slot, packer) = (self.slot(step)?, self.packer(work));
        let is_plain = matches!(step.operation, Operation::Copy { unpack: false, .. });
        if !is_plain || step.inputs.len() != 2 || packer.has_last(&slot) {
            return Ok(None);
        }
        let below = outputs.layers(input(step, 0)?)?.clone();
        let rootfs = below.stack.rootfs(store, *expansion)?;
        let unread = selected.unread_files(*epoch, work)?;
        let change = self.change(step, &[unread.files()], &below.stack, &rootfs)?;
        // Whether it is the same file that is there already only its digest could tell.
        let may_be_there = |entry: &Entry| {
            let below = rootfs.get(&entry.path);
            below.is_some_and(|node| matches!(node.kind, Kind::File { .. }))
        };
        let entries = change.tree.entries();
        if entries.is_empty() || entries.iter().any(may_be_there) {
            return Ok(None);
        }
        let why = "as nothing is known of its files";
        events.debug(format!("{}: runs, {why}", step.name));
        let layer = match packer.pack_unread(change, &slot) {
            Err(crate::step::Error::Pack(layer::pack::Error::Read { .. })) => return Ok(None),
            layer => layer?,
        };
        let files = selected.files(*epoch, work)?;
        outputs.put(input(step, 1)?, files.into())?;
        let key = self.key(step, outputs)?;
        self.record(&key, Some(&layer), Vec::new())?;
        self.runs(step, &key, outputs, why)?;
        self.has_run(step);
        Ok(Some(below.with(Some(layer))))
    }

    pub(super) fn packer<'a>(&'a self, work: &'a Work) -> Packer<'a> {
        Packer {
            store: &self.settings.store,
            codec: self.settings.codec,
            threads: self.settings.threads,
            work,
        }
    }

    /// A step's key, and its result, or why it has to run.
    fn look_up(&self, step: &Step, outputs: &Outputs) -> Result<(StepKey, Found), Cause> {
        let key = self.key(step, outputs)?;
        let Settings {
            no_cache,
            no_cache_filter,
            ..
        } = self.settings;
        let is_named = |stage: &String| no_cache_filter.contains(stage);
        if let Fetching::Recorded { .. } = self.fetching(step)? {
            return Ok((key, Err("as what it fetches is to be recorded")));
        }
        let found = match *no_cache || step.stage.as_ref().is_some_and(is_named) {
            true => Err("as `--no-cache` says"),
            false => self.find(step, &key)?,
        };
        Ok((key, found))
    }

    fn record(&self, key: &StepKey, layer: Option<&Layer>, keys: Vec<Key>) -> Result<(), Cause> {
        let tree = layer.and_then(|layer| layer.tree);
        let record = StepRecord { tree, keys };
        Ok(self
            .settings
            .store
            .put_record(RecordKind::Step, &key.0, "", &record)?)
    }

    /// Remembers what was done to what a command left, for `cairn explain`.
    fn record_normalised(&self, key: &StepKey, done: &[Done]) -> Result<(), Cause> {
        if done.is_empty() {
            return Ok(());
        }
        let store = &self.settings.store;
        Ok(store.put_record(RecordKind::Step, &key.0, normal::RECORD, &done)?)
    }

    /// What names the step from build to build, while its inputs change.
    fn slot(&self, step: &Step) -> Result<Digest, Cause> {
        let folder = crate::canon::path::escape(self.settings.folder.as_os_str().as_bytes());
        let slot = serde_json::json!({ "folder": folder, "operation": step.operation });
        Ok(Digest::of(&crate::canon::json::to_vec(&slot)?))
    }

    /// The result under `key`, where all of it is there; else what is missing.
    fn find(&self, step: &Step, key: &StepKey) -> Result<Found, Cause> {
        let Settings {
            store,
            codec,
            commands,
            ..
        } = self.settings;
        let Some(record) = store.record(RecordKind::Step, &key.0, "") else {
            return Ok(Err("as there is no record of it"));
        };
        let StepRecord { tree, keys } = record;
        let found = tree.map(|tree| pack::find(store, &tree, *codec));
        let found = found.map(|layer| layer.ok_or("as its layer is gone or compressed otherwise"));
        let found = found.transpose();
        if found.is_ok() {
            commands.judge_keys(&keys)?;
            self.tell_keys(step, &keys);
        }
        Ok(found)
    }

    /// Says which private keys the image has: they are allowed.
    fn tell_keys(&self, step: &Step, keys: &[Key]) {
        for Key { path, kind } in keys {
            let name = &step.name;
            self.settings.events.warn(format!(
                "{name}: made the private key `{path}` ({kind}), which whoever has the image has"
            ));
        }
    }

    /// What the step changes.
    fn change(
        &self,
        step: &Step,
        files: &[&Files],
        stack: &Stack,
        rootfs: &Rootfs,
    ) -> Result<Change, Cause> {
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
            | Operation::Directory {
                ownership,
                keep: false,
                ..
            } => metadata(ownership)?,
            // `WORKDIR`: a user that the image doesn't have makes no difference, as BuildKit has it.
            Operation::Directory { ownership, .. } => match metadata(ownership) {
                Err(Cause::Step(crate::step::Error::Owner { .. })) => Metadata::default(),
                metadata => metadata?,
            },
            _ => Metadata::default(),
        };
        let mut draft = Draft::new(rootfs, *epoch, asked.owner.unwrap_or_default());
        match &step.operation {
            Operation::Copy { to, unpack, .. } => {
                let limit = *expansion;
                let unpacker = unpack.then_some(Unpacker { store, limit });
                copy(&mut draft, files, to, &asked, unpacker.as_ref())?
            }
            Operation::Unpack { to, strip, .. } => {
                let first = files.first().copied();
                let files = first.ok_or(Cause::Bug("a step that unpacks has no files"))?;
                unpack(&mut draft, files, to, *strip, &asked, store, *expansion)?
            }
            Operation::File {
                path,
                name,
                content,
                ..
            } => {
                let path = match name {
                    Some(name) => &place::copied(&draft, path, name)?,
                    None => path,
                };
                place::file(&mut draft, path, content, &asked, *epoch)?
            }
            Operation::Directory { path, keep, .. } => {
                place::directory(&mut draft, path, *keep, &asked, *epoch)?
            }
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
            mode: ownership.mode.clone(),
            owner: owner.transpose()?,
        })
    }
}
