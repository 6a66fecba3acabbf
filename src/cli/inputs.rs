//! The inputs of a lock: sent along with an image, or by themselves, and had back.

use std::path::Path;

use super::arguments::Pull;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::exported::put;
use super::wanted::reference;
use super::{locked, print};
use crate::build;
use crate::build::error::{Cause, Kind, of_io, of_layers, of_step, of_store};
use crate::canon::event::Events;
use crate::canon::{Digest, Problem, Reference, Source};
use crate::export::folder;
use crate::image::Descriptor;
use crate::inputs::{base, layout};
use crate::keep::{self, ARTIFACT_TYPE, Artifact};
use crate::layer::codec::Expansion;
use crate::lock::{self, Lock, write};
use crate::registry::Client;
use crate::store::{RecordKind, Store};

/// Of the record of the lock that an image was built with.
const LOCK: &str = ".lock";

/// Artifacts of one image that are looked at.
const MOST_ARTIFACTS: usize = 100;

/// Remembers that `image` was built with `lock`.
pub fn remember(image: &Digest, lock: &Lock, store: &Store) -> Result<(), Failure> {
    let text = store.put(text(lock)?.as_bytes())?;
    Ok(store.put_record(RecordKind::Source, image, LOCK, &text.digest)?)
}

/// Sends what `image` was built with to where it is.
pub fn attach(
    image: &Descriptor,
    place: &Reference,
    client: &Client,
    store: &Store,
) -> Result<(), Failure> {
    let known: Option<Digest> = store.record(RecordKind::Source, &image.digest, LOCK);
    let known = known.and_then(|text| store.read(&text, lock::LARGEST as u64).ok());
    let Some(text) = known else {
        let problem = Problem::new("the store knows no lock that this image was built with");
        let problem = problem.hint("build it with its lock: `cairn lock`, `cairn build --locked`");
        return Err(Failure::message(Code::Unavailable, problem));
    };
    let lock = read(text.to_vec())?;
    let made = make(&lock, Some(image), store)?;
    Ok(client.attach(store, place, &image.digest, &made)?)
}

/// The artifact of what `lock` names.
pub fn make(
    lock: &Lock,
    subject: Option<&Descriptor>,
    store: &Store,
) -> Result<Descriptor, Failure> {
    let inputs = keep::list(lock, store)?;
    Ok(keep::make(lock, &inputs, subject, store)?)
}

/// Writes the artifact to a folder.
pub fn vendor(lock: &Lock, path: &Path, store: &Store) -> Result<(), Failure> {
    let made = make(lock, None, store)?;
    Ok(folder::write(store, &made, &[], path)?)
}

/// Fetches inputs, and puts them where builds look.
pub fn pull(arguments: &Pull, environment: &Environment) -> Result<(), Failure> {
    // A damaged blob is to be had anew, however large.
    let store = environment.store()?.thorough();
    let events = environment.events(arguments.progress.mode());
    let registries = environment.registries(&events, false);
    let named = arguments.reference.strip_prefix("oci-layout://");
    let is_path = named.is_some() || arguments.reference.starts_with(['.', '/']);
    let digest = match is_path {
        true => {
            let path = environment.absolute(named.unwrap_or(&arguments.reference).as_ref());
            let imported = layout::import(&path, None, &store, Expansion::default());
            let failed = |error| {
                let error = build::Error::from(Cause::from(base::Error::Layout(error)));
                Failure::new(error.kind().into(), error)
            };
            imported.map_err(failed)?.digest
        }
        false => {
            let fetching = Fetching {
                name: &reference(&arguments.reference)?,
                client: registries.client()?,
                store: &store,
                events: &events,
            };
            fetching.fetch(at_hand(arguments, environment).as_ref())?
        }
    };
    let artifact = Artifact::read(&digest, &store)?;
    let text = artifact.lock_text(&store)?;
    let lock = read(text.to_vec())?;
    let inputs = artifact.restore(&lock, &store, Expansion::default())?;
    let count = inputs.blobs.len() + inputs.layers.len();
    events.note(format!("{count} inputs are in the store"));
    if let Some(path) = &arguments.lockfile {
        put(&environment.absolute(path), &String::from_utf8_lossy(&text))?;
    }
    drop((registries, events));
    print::to_stdout(&format!("{digest}\n"))
}

/// Whether what was fetched is an artifact of inputs.
pub fn is_artifact(descriptor: &Descriptor, store: &Store) -> bool {
    Artifact::read(&descriptor.digest, store).is_ok()
}

/// The digest of the lock that is there already, as cairn writes it: the one that is to be written
/// over, else that of this folder. One that can't be read is none.
fn at_hand(arguments: &Pull, environment: &Environment) -> Option<Digest> {
    let named = arguments
        .lockfile
        .as_deref()
        .unwrap_or("cairn.lock".as_ref());
    let lock = locked::read(&environment.absolute(named)).ok()??;
    Some(Digest::of(text(&lock).ok()?.as_bytes()))
}

/// How an artifact is fetched.
struct Fetching<'a> {
    name: &'a Reference,
    client: &'a Client,
    store: &'a Store,
    events: &'a Events,
}

impl Fetching<'_> {
    /// Fetches what the name means, or what belongs to the image that it means: of several the one
    /// whose lock is `at_hand`.
    fn fetch(&self, at_hand: Option<&Digest>) -> Result<Digest, Failure> {
        let resolved = self.client.resolve(self.name)?;
        let artifact = match Artifact::parse(&resolved.bytes) {
            Ok(artifact) => artifact,
            Err(_) => self.choose(&resolved.descriptor.digest, at_hand)?,
        };
        let reference = self.by_digest(artifact.digest());
        Ok(self.client.pull(self.store, &reference, None)?.digest)
    }

    fn by_digest(&self, digest: &Digest) -> Reference {
        Reference {
            tag: None,
            digest: Some(*digest),
            ..self.name.clone()
        }
    }

    /// The inputs of an image. All of its locks give that image, so that it isn't wrong to take
    /// any; but it has to be said.
    fn choose(&self, subject: &Digest, at_hand: Option<&Digest>) -> Result<Artifact, Failure> {
        let name = self.name;
        let found = self.client.referrers(name, subject, ARTIFACT_TYPE)?;
        let mut artifacts = Vec::new();
        for one in found.iter().take(MOST_ARTIFACTS) {
            let resolved = self.client.resolve(&self.by_digest(&one.digest))?;
            // What is listed as inputs may be none.
            artifacts.extend(Artifact::parse(&resolved.bytes).ok());
        }
        let is_ours = |artifact: &Artifact| artifact.lock().ok() == at_hand;
        let count = artifacts.len();
        if let Some(place) = artifacts
            .iter()
            .position(is_ours)
            .filter(|_| at_hand.is_some())
        {
            return Ok(artifacts.swap_remove(place));
        }
        let newest = artifacts
            .into_iter()
            .max_by(|a, b| (a.created(), a.digest()).cmp(&(b.created(), b.digest())));
        let newest = newest.ok_or_else(|| {
            let problem = Problem::new(format!("no inputs were pushed along with `{name}`"));
            let hint = "`cairn push --inputs` sends an image with them";
            Failure::message(Code::Unavailable, problem.hint(hint))
        })?;
        let taken = self.by_digest(newest.digest());
        match (count, at_hand) {
            (1, None) => {}
            (1, Some(_)) => self.events.warn(format!(
                "the inputs of `{name}` are those of another lock than the one here; `--lockfile FILE` writes theirs"
            )),
            _ => self.events.warn(format!(
                "`{name}` has inputs of {count} locks, none of which is here: the newest are taken, `{taken}`; any others can be named in the same way"
            )),
        }
        Ok(newest)
    }
}

fn text(lock: &Lock) -> Result<String, Failure> {
    write::write(lock).map_err(|error| Failure::new(Code::Failed, error))
}

fn read(text: Vec<u8>) -> Result<Lock, Failure> {
    let source = Source::new("cairn.lock", text, lock::LARGEST)
        .map_err(|problem| Failure::message(Code::Unavailable, *problem))?;
    lock::read::read(&source)
        .map_err(|error| Failure::at(Code::DigestMismatch, error.problem, source))
}

impl From<keep::Error> for Failure {
    fn from(error: keep::Error) -> Failure {
        let kind = match &error {
            keep::Error::Missing(_) | keep::Error::NoArtifact { .. } => Kind::Unavailable,
            keep::Error::Lacks { .. } => Kind::Unavailable,
            keep::Error::Other { .. } | keep::Error::OtherFiles { .. } => Kind::DigestMismatch,
            keep::Error::Store(error) => of_store(error),
            keep::Error::Layers(error) => of_layers(error),
            keep::Error::Pack(crate::layer::pack::Error::Read { source, .. }) => {
                of_io(source).unwrap_or(Kind::Failed)
            }
            keep::Error::Step(error) => of_step(error),
            _ => Kind::Failed,
        };
        Failure::new(kind.into(), error)
    }
}
