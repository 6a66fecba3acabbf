//! What was built to where it is wanted.
//!
//! In: an image of the store, and [`Output`]s. Out: files, folders, pushed and loaded images, and
//! what is written about them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde_json::json;

use super::environment::Environment;
use super::exit::{Code, Failure};
use super::output::{Destination, Output, Split};
use super::wanted::Wanted;
use super::writable::cant_write;
use crate::build::{Built, Settings};
use crate::canon::event::Outcome;
use crate::canon::{Problem, Reference};
use crate::export::archive::{self, Sink};
use crate::export::engine::Engine;
use crate::export::{files, folder};
use crate::inputs::{BaseImage, Files};
use crate::layer::codec::Expansion;

/// An image, and all that is needed to hand it on.
pub struct Export<'a> {
    pub built: &'a Built,
    pub wanted: &'a Wanted,
    pub settings: &'a Settings,
    pub environment: &'a Environment,
}

impl Export<'_> {
    /// Writes one output; engines have their own turn.
    pub fn write(&self, output: &Output) -> Result<(), Failure> {
        let Settings {
            store,
            registries,
            events,
            ..
        } = self.settings;
        let (descriptor, names) = (&self.built.descriptor, &self.wanted.names[..]);
        match output {
            Output::Image { push: false, .. } | Output::Engine | Output::Nowhere => Ok(()),
            Output::Image { by_digest, .. } => {
                for (index, name) in names.iter().enumerate() {
                    let target = match by_digest {
                        true => name.at(descriptor.digest),
                        false => name.clone(),
                    };
                    let client = registries.client()?;
                    client.push(store, descriptor, &target, &names[..index])?;
                }
                Ok(())
            }
            Output::Layout(path) => {
                let work = events.start(format!("write {}", path.display()));
                folder::write(store, descriptor, names, &self.environment.absolute(path))?;
                work.finish(Outcome::Done);
                Ok(())
            }
            Output::Archive(flavour, destination) => self.to(destination, |sink| {
                let written = archive::write(store, descriptor, names, *flavour, sink);
                written.map_err(Failure::from)
            }),
            Output::Tar(destination, codec) => {
                let files = self.files(0)?;
                self.to(destination, |sink| {
                    let written = match sink {
                        Sink::File(file) => files::write_tar(&files, *codec, file),
                        Sink::Stream(stream) => files::write_tar(&files, *codec, stream),
                    };
                    written.map_err(Failure::from).map(Ok)
                })
            }
            Output::Folder(path, split) => {
                let work = events.start(format!("write {}", path.display()));
                self.folders(&self.environment.absolute(path), *split)?;
                work.finish(Outcome::Done);
                Ok(())
            }
        }
    }

    /// The files of every platform, as buildx has it: where there are several each in a folder of
    /// its own, unless they are to be in one.
    fn folders(&self, path: &Path, split: Split) -> Result<(), Failure> {
        let images = &self.built.images;
        let is_split = match split {
            Split::Several => images.len() > 1,
            Split::Each => true,
            Split::None => false,
        };
        let all: Vec<Files> = (0..images.len())
            .map(|number| self.files(number))
            .collect::<Result<_, _>>()?;
        if !is_split {
            no_clash(&all)?;
        }
        for (image, files) in images.iter().zip(&all) {
            let folder = match is_split {
                true => path.join(image.platform.to_string().replace('/', "_")),
                false => path.to_owned(),
            };
            files::write_folder(files, &folder, &self.settings.events)?;
        }
        Ok(())
    }

    fn files(&self, number: usize) -> Result<Files, Failure> {
        let store = &self.settings.store;
        let image = self.built.images.get(number);
        let image = image.map(|image| BaseImage::read(store, &image.manifest, &image.platform));
        let image = image.transpose().map_err(crate::export::Error::from)?;
        match image {
            // Its base came through the limit, and the rest was made here.
            Some(image) => Ok(files::of(&image, store, Expansion::UNLIMITED)?),
            None => Ok(Files::default()),
        }
    }

    /// Writes to a file, whole or not at all, or to standard output.
    fn to(
        &self,
        destination: &Destination,
        write: impl FnOnce(&mut Sink) -> Result<std::io::Result<()>, Failure>,
    ) -> Result<(), Failure> {
        let path = match destination {
            Destination::File(path) => self.environment.absolute(path),
            Destination::Stdout => {
                let written = write(&mut Sink::Stream(&mut std::io::stdout().lock()))?;
                return written.map_err(|error| cant_write(Path::new("standard output"), &error));
            }
        };
        let work = self
            .settings
            .events
            .start(format!("write {}", path.display()));
        let mut failure = None;
        let put = folder::put(&path, |file: &mut File| {
            match write(&mut Sink::File(file)) {
                Ok(written) => written,
                Err(other) => {
                    failure = Some(other);
                    Err(std::io::ErrorKind::Other.into())
                }
            }
        });
        match (failure, put) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(cant_write(&path, &error)),
            (None, Ok(())) => {
                work.finish(Outcome::Done);
                Ok(())
            }
        }
    }

    /// Has an engine load it.
    pub fn load(&self, engine: &Engine) -> Result<(), Failure> {
        let Settings { store, events, .. } = self.settings;
        let work = events.start(format!("load into {}", engine.name()));
        engine.load(store, &self.built.descriptor, &self.wanted.names)?;
        work.finish(Outcome::Done);
        events.debug(format!("loaded into {}", engine.name()));
        Ok(())
    }
}

/// Puts text into a file.
pub fn put(path: &Path, text: &str) -> Result<(), Failure> {
    folder::put(path, |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })
    .map_err(|error| cant_write(path, &error))
}

/// What buildx writes with `--metadata-file`.
pub fn metadata(built: &Built, names: &[Reference]) -> Result<String, Failure> {
    let mut metadata = json!({
        "containerimage.descriptor": built.descriptor,
        "containerimage.digest": built.descriptor.digest,
    });
    if let [only] = &built.images[..] {
        metadata["containerimage.config.digest"] = json!(only.config);
    }
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(Reference::to_string).collect();
        metadata["image.name"] = json!(names.join(","));
    }
    let text = serde_json::to_string_pretty(&metadata)
        .map_err(|error| Failure::new(Code::Failed, error))?;
    Ok(text + "\n")
}

/// That no file of one platform takes the place of another's that is otherwise.
fn no_clash(all: &[Files]) -> Result<(), Failure> {
    let mut known = BTreeMap::new();
    let entries = all.iter().flat_map(|files| &files.picks);
    for entry in entries.flat_map(|pick| pick.tree.entries()) {
        let there = known.entry(&entry.path).or_insert(&entry.kind);
        if **there != entry.kind {
            let message = format!("`{}` is not the same for all platforms", entry.path);
            let hint = "leave `platform-split=false` out: each has a folder of its own then";
            return Err(Failure::message(
                Code::Failed,
                Problem::new(message).hint(hint),
            ));
        }
    }
    Ok(())
}
