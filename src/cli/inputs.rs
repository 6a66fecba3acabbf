//! The inputs of a lock: sent along with an image, or by themselves, and had back.

use std::path::Path;

use super::arguments::Pull;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::exported::put;
use super::print;
use super::wanted::reference;
use crate::build;
use crate::build::error::{Cause, Kind, of_io, of_layers, of_step, of_store};
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
    Ok(keep::make(text(lock)?.as_bytes(), &inputs, subject, store)?)
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
        false => fetch(
            &reference(&arguments.reference)?,
            registries.client()?,
            &store,
        )?,
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

/// Fetches an artifact: what `name` means, or what belongs to the image that it means.
fn fetch(name: &Reference, client: &Client, store: &Store) -> Result<Digest, Failure> {
    let resolved = client.resolve(name)?;
    let digest = match Artifact::parse(&resolved.bytes).is_ok() {
        true => resolved.descriptor.digest,
        false => {
            let subject = &resolved.descriptor.digest;
            let found = client.referrers(name, subject, ARTIFACT_TYPE)?;
            // Several would be of several locks, all of which gave this image.
            let first = found.first().ok_or_else(|| {
                let problem = Problem::new(format!("no inputs were pushed along with `{name}`"));
                let hint = "`cairn push --inputs` sends an image with them";
                Failure::message(Code::Unavailable, problem.hint(hint))
            })?;
            first.digest
        }
    };
    let artifact = Reference {
        tag: None,
        digest: Some(digest),
        ..name.clone()
    };
    Ok(client.pull(store, &artifact, None)?.digest)
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
