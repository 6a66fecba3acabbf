//! What earlier builds of a recipe were made of, so that a step that runs can say why.
//!
//! In: a plan, and what each step's key is made of when it is known. Out: beside each step's
//! result, under its key, [`Remembered`]; under the recipe's place the list of its last build, whose
//! steps those of the next are compared with ([`crate::plan::why`]). All of it is for people: a
//! record that is missing or damaged changes no build.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Settings;
use super::error::Cause;
use super::evaluate::{Evaluation, locked};
use super::outputs::{Output, Outputs};
use crate::canon::event::Outcome;
use crate::canon::{Digest, StepKey};
use crate::plan::why::{self, Change, Given, Made, Place};
use crate::plan::{Operation, OutputDigest, Plan, Step, StepId, key};
use crate::sandbox::Trace;
use crate::step::run::Fetching;
use crate::store::{RecordKind, Store};

/// Of the record of what a step's key is made of.
const MADE: &str = ".made";
/// Of the record of what its command's programs did.
const TRACE: &str = ".trace";
/// What names the list of the last build of all.
const LAST: &[u8] = b"last";

/// What is kept of a step, under its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Remembered {
    /// What its key was made of.
    #[serde(flatten)]
    pub made: Made,
    /// Its name.
    pub name: String,
    /// Why it ran when it last did.
    pub why: Option<String>,
    /// The key that it had in the build before that.
    pub before: Option<StepKey>,
}

/// A step of a build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PastStep {
    /// What tells it from others.
    pub place: Place,
    /// Its key.
    pub key: StepKey,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it ran, if it did.
    pub why: Option<String>,
    /// The key that it had in the build before, if it was in one.
    pub before: Option<StepKey>,
}

/// The list of a recipe's last build.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    /// Its steps, in its order.
    steps: Vec<PastStep>,
    /// Steps of those before it that it didn't come to.
    rest: Vec<PastStep>,
}

/// What is kept of the step with this key.
pub fn remembered(store: &Store, key: &StepKey) -> Option<Remembered> {
    store.record(RecordKind::Step, &key.0, MADE)
}

/// What the programs of the command of the step with this key did, where that was to be kept.
pub fn trace(store: &Store, key: &StepKey) -> Option<Trace> {
    store.record(RecordKind::Step, &key.0, TRACE)
}

pub(super) fn keep_trace(
    store: &Store,
    key: &StepKey,
    trace: &Trace,
) -> Result<(), crate::store::Error> {
    store.put_record(RecordKind::Step, &key.0, TRACE, trace)
}

/// The steps of the last build, in its order.
pub fn last(store: &Store) -> Vec<PastStep> {
    let slot: Option<Digest> = store.record(RecordKind::Build, &Digest::of(LAST), "");
    let list = slot.and_then(|slot| store.record(RecordKind::Build, &slot, ""));
    list.map(|list: List| list.steps).unwrap_or_default()
}

/// The build before, and this one as far as it has come.
pub(super) struct Past {
    slot: Digest,
    /// Those of the build before.
    before: Vec<PastStep>,
    /// By the place of a step in the plan: which of those it is.
    pairs: Vec<Option<usize>>,
    places: Vec<Option<Place>>,
    now: Mutex<BTreeMap<usize, PastStep>>,
}

impl Past {
    /// Of a plan.
    pub(super) fn read(plan: &Plan, settings: &Settings) -> Past {
        let folder = crate::canon::path::escape(settings.folder.as_os_str().as_bytes());
        let platforms = plan.images.iter().map(|image| image.platform.to_string());
        let slot = json!({
            "folder": folder,
            "recipe": settings.recipe,
            "platforms": platforms.collect::<Vec<_>>(),
        });
        let slot = Digest::of(&crate::canon::json::to_vec(&slot).unwrap_or_default());
        let list: Option<List> = settings.store.record(RecordKind::Build, &slot, "");
        let List { steps, rest } = list.unwrap_or_default();
        let before: Vec<_> = steps.into_iter().chain(rest).collect();
        let adds = |step: &Step| step.operation.adds_layer();
        let places = plan.steps.iter().map(|step| match adds(step) {
            true => Place::of(step).ok(),
            false => None,
        });
        let places: Vec<_> = places.collect();
        let old: Vec<_> = before.iter().map(|step| step.place.clone()).collect();
        let new: Vec<_> = places.iter().flatten().cloned().collect();
        let mut found = why::pair(&old, &new).into_iter();
        let pairs = places.iter().map(|place| {
            let place = place.as_ref();
            place.and_then(|_| found.next().flatten())
        });
        Past {
            slot,
            pairs: pairs.collect(),
            before,
            places,
            now: Mutex::default(),
        }
    }

    /// The key that a step had in the build before.
    fn key_before(&self, step: StepId) -> Option<StepKey> {
        let old = self.pairs.get(step.0).copied().flatten()?;
        self.before.get(old).map(|step| step.key)
    }

    /// The key that a step has now, if it is known already.
    fn key_now(&self, step: StepId) -> Option<StepKey> {
        locked(&self.now).get(&step.0).map(|step| step.key)
    }

    /// What becomes of a step.
    fn put(&self, step: StepId, key: StepKey, outcome: Outcome, why: Option<String>) {
        let Some(place) = self.places.get(step.0).cloned().flatten() else {
            return;
        };
        let before = self.key_before(step);
        let past = PastStep {
            place,
            key,
            outcome,
            why,
            before,
        };
        locked(&self.now).insert(step.0, past);
    }

    /// Keeps the list of this build. What it didn't come to, and what stages have that are not
    /// in this plan, stays for the next.
    pub(super) fn keep(&self, store: &Store, is_done: bool) -> Result<(), crate::store::Error> {
        let now = locked(&self.now);
        if now.is_empty() {
            return Ok(());
        }
        let stages: BTreeSet<_> = self.places.iter().flatten().map(|it| &it.stage).collect();
        let taken: BTreeSet<_> = now
            .keys()
            .filter_map(|&step| self.pairs.get(step).copied().flatten())
            .collect();
        let rest = self.before.iter().enumerate().filter(|(old, step)| {
            !taken.contains(old) && (!is_done || !stages.contains(&step.place.stage))
        });
        let list = List {
            steps: now.values().cloned().collect(),
            rest: rest.map(|(_, step)| step.clone()).collect(),
        };
        store.put_record(RecordKind::Build, &self.slot, "", &list)?;
        store.put_record(RecordKind::Build, &Digest::of(LAST), "", &self.slot)
    }
}

/// What changed since the step had the key `before`; none where nothing is kept of that.
pub fn changes(store: &Store, before: &StepKey, now: &Made) -> Option<Vec<Change>> {
    Some(why::changes(&remembered(store, before)?.made, now))
}

/// A change as one line.
pub fn line(change: &Change) -> String {
    let Change { what, was, is, .. } = change;
    match (was, is) {
        (None, Some(is)) if is == "true" => format!("{what} is new"),
        (Some(was), None) if was == "true" => format!("{what} is gone"),
        (Some(was), Some(is)) => format!("{what} changed: {} → {}", short(was), short(is)),
        (Some(was), None) => format!("{what} is gone: {}", short(was)),
        (None, Some(is)) => format!("{what} is new: {}", short(is)),
        (None, None) => format!("{what} changed"),
    }
}

/// Digests as people tell them apart.
fn short(text: &str) -> String {
    let digest: Result<Digest, _> = text.parse();
    digest.map_or_else(|_| text.to_owned(), |digest| digest.short())
}

impl Evaluation<'_> {
    pub(super) fn key(&self, step: &Step, outputs: &Outputs) -> Result<StepKey, Cause> {
        Ok(StepKey(Digest::of(&self.preimage(step, outputs)?)))
    }

    /// What a step's key is the digest of.
    fn preimage(&self, step: &Step, outputs: &Outputs) -> Result<Vec<u8>, Cause> {
        let fetched = match self.fetching(step)? {
            Fetching::Replayed(record) => Some(record.digest()?),
            // What one policy let through another may not.
            Fetching::Judged { .. } => self.settings.policy.digest().copied(),
            Fetching::Forwarded | Fetching::Recorded { .. } => None,
        };
        self.preimage_of(step, outputs, fetched)
    }

    pub(super) fn fetching_key(
        &self,
        step: &Step,
        outputs: &Outputs,
        fetched: Option<Digest>,
    ) -> Result<StepKey, Cause> {
        let preimage = self.preimage_of(step, outputs, fetched)?;
        Ok(StepKey(Digest::of(&preimage)))
    }

    fn preimage_of(
        &self,
        step: &Step,
        outputs: &Outputs,
        fetched: Option<Digest>,
    ) -> Result<Vec<u8>, Cause> {
        let inputs = step.inputs.iter().map(|input| outputs.digest(*input));
        let inputs: Vec<OutputDigest> = inputs.collect::<Result<_, _>>()?;
        let epoch = self.settings.epoch;
        let without: Vec<_> = self.settings.commands.without.names().collect();
        let fetched = fetched.as_ref();
        let manner = key::Manner {
            without: &without,
            takes_turns: self.settings.commands.takes_turns,
        };
        Ok(key::preimage(step, &inputs, epoch, fetched, manner)?)
    }

    /// What a step's key is made of.
    fn made(&self, step: &Step, outputs: &Outputs) -> Result<Made, Cause> {
        let preimage = self.preimage(step, outputs)?;
        let of = serde_json::from_slice(&preimage).map_err(crate::canon::json::Error::from)?;
        let is_command = matches!(step.operation, Operation::Run(_));
        let given = step.inputs.iter().map(|&input| {
            let mut trees = Vec::new();
            // Of other files the step's own layer has the names.
            if let (true, Output::Files(files, _)) = (is_command, outputs.get(input)?) {
                for pick in &files.picks {
                    trees.push(self.settings.store.put_tree(&pick.tree)?);
                }
            }
            let giver = self.plan.step(input);
            Ok(Given {
                name: giver.name.clone(),
                key: self.key_of(input),
                is_layers: giver.operation.gives_layers(),
                trees,
            })
        });
        let inputs = given.collect::<Result<_, Cause>>()?;
        Ok(Made { of, inputs })
    }

    /// The key of the step by which a step's output is what it is; none where that has no key.
    fn key_of(&self, step: StepId) -> Option<StepKey> {
        let Step {
            operation, inputs, ..
        } = self.plan.step(step);
        match (operation, &inputs[..]) {
            (Operation::Select { .. }, [layers]) => self.key_of(*layers),
            (Operation::Merge, [_, above]) => self.key_of(*above),
            _ => self.past.key_now(step),
        }
    }

    /// Remembers that the store had a step's result.
    pub(super) fn was_there(
        &self,
        step: &Step,
        key: &StepKey,
        outputs: &Outputs,
    ) -> Result<(), Cause> {
        let Some(place) = self.number_of(step) else {
            return Ok(());
        };
        self.past.put(place, *key, Outcome::Cached, None);
        match remembered(&self.settings.store, key) {
            Some(_) => Ok(()),
            None => self.remember(step, key, self.made(step, outputs)?, None),
        }
    }

    /// Remembers that a step runs, and says which of what its key is made of changed, unless that is
    /// what the steps below it made.
    pub(super) fn runs(
        &self,
        step: &Step,
        key: &StepKey,
        outputs: &Outputs,
        why: &str,
    ) -> Result<(), Cause> {
        let Some(place) = self.number_of(step) else {
            return Ok(());
        };
        let Settings { store, events, .. } = self.settings;
        let made = self.made(step, outputs)?;
        let before = self.past.key_before(place).filter(|before| before != key);
        let changes = before.and_then(|before| changes(store, &before, &made));
        for change in changes.iter().flatten() {
            events.debug(format!("{}: {}", step.name, line(change)));
        }
        let is_own = |change: &&Change| {
            let given = change.input.and_then(|input| made.inputs.get(input));
            given.is_none_or(|given| given.key.is_none())
        };
        let own = changes.iter().flatten().filter(is_own);
        // What the lock says of it is about to be another.
        let is_recorded = matches!(self.fetching(step)?, Fetching::Recorded { .. });
        let own: Vec<_> = own.filter(|_| !is_recorded).collect();
        if let Some((first, more)) = own.split_first() {
            let more = match more.len() {
                0 => String::new(),
                count => format!(", and {count} more (`cairn explain --why`)"),
            };
            let (name, line) = (&step.name, line(first));
            events.note(format!("{name}: runs again, as {line}{more}"));
        }
        self.past
            .put(place, *key, Outcome::Failed, Some(why.to_owned()));
        self.remember(step, key, made, Some(why))
    }

    /// Remembers that a step has run.
    pub(super) fn has_run(&self, step: &Step) {
        if let Some(place) = self.number_of(step)
            && let Some(past) = locked(&self.past.now).get_mut(&place.0)
        {
            past.outcome = Outcome::Done;
        }
    }

    fn remember(
        &self,
        step: &Step,
        key: &StepKey,
        made: Made,
        why: Option<&str>,
    ) -> Result<(), Cause> {
        let before = self.number_of(step).and_then(|it| self.past.key_before(it));
        let remembered = Remembered {
            made,
            name: step.name.clone(),
            why: why.map(str::to_owned),
            before,
        };
        let store = &self.settings.store;
        Ok(store.put_record(RecordKind::Step, &key.0, MADE, &remembered)?)
    }

    /// Where a step stands in the plan, also one whose question was answered meanwhile.
    fn number_of(&self, step: &Step) -> Option<StepId> {
        let is_it = |other: &Step| {
            std::ptr::eq(other, step)
                || (other.inputs == step.inputs
                    && other.span == step.span
                    && other.name == step.name)
        };
        self.plan.steps.iter().position(is_it).map(StepId)
    }
}
