//! `cairn build`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde_json::json;

use super::arguments::{Build, Compression};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::output::{self, Destination, Output, Spec};
use super::recipe::{self, Planned};
use super::writable::{self, cant_write};
use super::{call, commands, interrupt, print};
use crate::build::{Built, Settings, build};
use crate::canon::event::Outcome;
use crate::canon::{Problem, Reference};
use crate::export::archive::{self, Flavour, Sink};
use crate::export::engine::Engine;
use crate::export::{files, folder};
use crate::frontend::NamedContext;
use crate::inputs::BaseImage;
use crate::layer::Codec;
use crate::layer::codec::Expansion;
use crate::ui::progress::Mode;

/// Builds, names and exports.
pub fn run(arguments: Build, environment: &Environment) -> Result<(), Failure> {
    arguments.foreign.refuse()?;
    if let Some(rule) = &arguments.look.explain {
        return call::explain(rule);
    }
    if let Some(asked) = call::Asked::of(&arguments.look)? {
        return call::run(&asked, &arguments, environment);
    }
    let wanted = Wanted::read(&arguments)?;
    // What is drawn again and again can't share the terminal with a shell.
    let mode = match (arguments.progress.mode(), arguments.commands.debug_shell) {
        (Mode::Auto | Mode::Tty, true) => Mode::Plain,
        (mode, _) => mode,
    };
    // Fetching a context may take its time.
    interrupt::install(mode, environment.start);
    let fetching = || environment.events(mode);
    let recipe = recipe::read(&arguments.recipe, environment, fetching)?;
    wanted.judge(&arguments, recipe.images(), environment)?;
    let events = environment.events(mode);
    let commands = commands::settings(
        &arguments.commands,
        &arguments.recipe.dockerfile,
        environment,
        &events,
    )?;
    let on_failure = commands::debug_shell(&arguments.commands, &events)?;
    let engine = match arguments.load {
        true => Some(Engine::find(
            recipe.images() > 1,
            environment.for_programs(),
            &events,
        )?),
        false => None,
    };
    let mut settings = Settings {
        store: environment.store()?,
        registries: environment.registries(&events),
        folder: recipe.folder.clone(),
        context: recipe.context.clone(),
        ignore_file: recipe.ignore_file.clone(),
        known: BTreeMap::new(),
        epoch: environment.epoch(recipe.epoch())?,
        codec: wanted.codec,
        threads: environment.threads,
        expansion: Expansion {
            factor: arguments.max_expansion,
        },
        pull: arguments.pull,
        no_cache: arguments.no_cache,
        no_cache_filter: arguments.commands.no_cache_filter.clone(),
        commands,
        on_failure,
        search_path: environment.search_path.clone(),
        events,
    };
    let Planned {
        plan,
        source,
        known,
        kept,
        warnings,
        remarks,
    } = recipe.plan(&settings.bases())?;
    for remark in remarks {
        settings.events.warn(remark);
    }
    let source = warnings.judge(source)?;
    settings.known = known;
    let built = build(&plan, &settings).map_err(|error| Failure::build(error, source.clone()))?;
    if wanted.names.is_empty() {
        settings.store.name_image(None, &built.descriptor)?;
    }
    for name in &wanted.names {
        settings.store.name_image(Some(name), &built.descriptor)?;
    }
    let export = Export {
        built: &built,
        wanted: &wanted,
        settings: &settings,
        environment,
    };
    for output in &wanted.outputs {
        export.write(output)?;
    }
    if let Some(engine) = &engine {
        export.load(engine)?;
    }
    let id = match &built.images[..] {
        [only] => only.config,
        _ => built.descriptor.digest,
    };
    if let Some(path) = &arguments.iidfile {
        put(&environment.absolute(path), &id.to_string())?;
    }
    if let Some(path) = &arguments.metadata_file {
        put(
            &environment.absolute(path),
            &metadata(&built, &wanted.names)?,
        )?;
    }
    drop(kept);
    if mode.is_json() {
        warnings.tell(&source, &settings.events);
    }
    // The summary belongs before the result.
    drop(settings);
    let text = warnings.text(&source, environment.colour);
    if !mode.is_json() && !text.is_empty() {
        print::to_stderr(&text);
    }
    let line = format!("{}\n", built.descriptor.digest);
    if wanted.uses_stdout() {
        print::to_stderr(&line);
        return Ok(());
    }
    print::to_stdout(&line)
}

/// What the arguments ask for, checked before anything is done.
struct Wanted {
    names: Vec<Reference>,
    outputs: Vec<Output>,
    codec: Codec,
}

impl Wanted {
    fn read(arguments: &Build) -> Result<Wanted, Failure> {
        let specs = arguments.output.iter().map(|text| output::parse(text));
        let specs: Vec<Spec> = specs.collect::<Result<_, _>>()?;
        let texts = arguments
            .tag
            .iter()
            .chain(specs.iter().flat_map(|spec| &spec.names));
        let mut names = Vec::new();
        for text in texts.flat_map(|names| names.split(',')) {
            let name = new_name(text)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut codecs: Vec<Compression> = specs
            .iter()
            .filter_map(|spec| spec.compression)
            .chain(arguments.compression)
            .collect();
        codecs.dedup();
        if codecs.len() > 1 {
            return Err(Failure::usage(
                "an image has one compression, and several are asked for",
                "build once for each",
            ));
        }
        let mut outputs: Vec<Output> = specs.into_iter().map(|spec| spec.output).collect();
        if arguments.push && !outputs.contains(&Output::Registry) {
            outputs.push(Output::Registry);
        }
        let twice = |(at, output): (usize, &Output)| {
            outputs[..at].iter().any(|other| other.clashes(output))
        };
        if outputs.iter().enumerate().any(twice) {
            return Err(Failure::usage(
                "two outputs go to the same place",
                "give each a `dest` of its own",
            ));
        }
        let to_stdout = outputs.iter().filter(|output| output.is_stdout()).count();
        if to_stdout > 1 {
            return Err(Failure::usage(
                "only one output can go to standard output",
                "give the others a file",
            ));
        }
        if outputs.contains(&Output::Registry) && names.is_empty() {
            return Err(Failure::usage(
                "there is no name to push to",
                "add `-t REGISTRY/NAME:TAG`",
            ));
        }
        let codec = codecs
            .first()
            .copied()
            .map_or_else(Codec::default, Codec::from);
        Ok(Wanted {
            names,
            outputs,
            codec,
        })
    }

    /// What can be told before anything is done: that an output can't hold what is to be built, or
    /// can't be written.
    fn judge(
        &self,
        arguments: &Build,
        images: usize,
        environment: &Environment,
    ) -> Result<(), Failure> {
        for output in &self.outputs {
            let what = match output {
                Output::Archive(Flavour::Docker, _) => "a docker archive",
                Output::Tar(_) => "a tar",
                _ => continue,
            };
            if images > 1 {
                let error = crate::export::Error::Several(what);
                return Err(Failure::new(Code::Usage, error));
            }
        }
        for output in &self.outputs {
            let Some(place) = output.place() else {
                continue;
            };
            let place = environment.absolute(place);
            match output {
                Output::Layout(_) | Output::Folder(_) => writable::folder(&place)?,
                _ => writable::file(&place)?,
            }
        }
        for (name, path) in &arguments.recipe.build_context {
            let is_folder = matches!(NamedContext::parse(path), Ok(NamedContext::Folder(_)));
            if is_folder && !environment.absolute(path.as_ref()).is_dir() {
                let problem = Problem::new(format!("the context `{name}` is no folder: `{path}`"));
                let hint = format!("name one that is there: `--build-context {name}=FOLDER`");
                return Err(Failure::message(Code::Unavailable, problem.hint(hint)));
            }
        }
        for path in arguments.iidfile.iter().chain(&arguments.metadata_file) {
            if path.as_os_str() == "-" {
                return Err(Failure::usage(
                    "standard output carries the image's digest, and nothing besides",
                    "name a file in place of `-`, or `/dev/stderr`",
                ));
            }
            writable::file(&environment.absolute(path))?;
        }
        Ok(())
    }

    fn uses_stdout(&self) -> bool {
        self.outputs.iter().any(Output::is_stdout)
    }
}

impl Output {
    /// Where it goes, if to a file or folder.
    fn place(&self) -> Option<&Path> {
        match self {
            Output::Archive(_, Destination::File(path)) | Output::Tar(Destination::File(path)) => {
                Some(path)
            }
            Output::Layout(path) | Output::Folder(path) => Some(path),
            _ => None,
        }
    }

    fn clashes(&self, other: &Output) -> bool {
        self.place().is_some() && self.place() == other.place()
    }

    fn is_stdout(&self) -> bool {
        matches!(
            self,
            Output::Archive(_, Destination::Stdout) | Output::Tar(Destination::Stdout)
        )
    }
}

/// An image's name as people write it.
pub fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse()
        .map_err(|error: crate::canon::reference::ParseError| {
            let hint = match error.in_lower_case() {
                Some(lower) => format!("names are in lower case: write `{lower}`"),
                None => "write it as `[REGISTRY/]NAME[:TAG]`".to_owned(),
            };
            Failure::usage(error.to_string(), &hint)
        })
}

/// A name to give to an image.
pub fn new_name(text: &str) -> Result<Reference, Failure> {
    let name = reference(text)?;
    if name.digest.is_some() {
        return Err(Failure::usage(
            format!("`{text}` names a digest, which nobody can choose"),
            "give a tag alone",
        ));
    }
    if name.name() == "docker.io/library/scratch" {
        return Err(Failure::usage(
            "`scratch` is the empty base, and no name for an image",
            "give another name",
        ));
    }
    Ok(name)
}

struct Export<'a> {
    built: &'a Built,
    wanted: &'a Wanted,
    settings: &'a Settings,
    environment: &'a Environment,
}

impl Export<'_> {
    fn write(&self, output: &Output) -> Result<(), Failure> {
        let Settings {
            store,
            registries,
            events,
            ..
        } = self.settings;
        let (descriptor, names) = (&self.built.descriptor, &self.wanted.names[..]);
        match output {
            Output::Registry => {
                for (index, name) in names.iter().enumerate() {
                    registries
                        .client()?
                        .push(store, descriptor, name, &names[..index])?;
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
            Output::Tar(destination) => {
                let files = self.files(0)?;
                self.to(destination, |sink| {
                    let written = match sink {
                        Sink::File(file) => files::write_tar(&files, file),
                        Sink::Stream(stream) => files::write_tar(&files, stream),
                    };
                    written.map_err(Failure::from).map(Ok)
                })
            }
            Output::Folder(path) => {
                let work = events.start(format!("write {}", path.display()));
                let path = self.environment.absolute(path);
                for (number, image) in self.built.images.iter().enumerate() {
                    // As buildx has it: a folder for each platform where there are several.
                    let folder = match self.built.images.len() {
                        1 => path.clone(),
                        _ => path.join(image.platform.to_string().replace('/', "_")),
                    };
                    files::write_folder(&self.files(number)?, &folder, events)?;
                }
                work.finish(Outcome::Done);
                Ok(())
            }
        }
    }

    fn files(&self, number: usize) -> Result<crate::inputs::Files, Failure> {
        let store = &self.settings.store;
        let image = self.built.images.get(number);
        let image = image.map(|image| BaseImage::read(store, &image.manifest, &image.platform));
        let image = image.transpose().map_err(crate::export::Error::from)?;
        match image {
            // Its base came through the limit, and the rest was made here.
            Some(image) => Ok(files::of(&image, store, Expansion::UNLIMITED)?),
            None => Ok(crate::inputs::Files::default()),
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

    fn load(&self, engine: &Engine) -> Result<(), Failure> {
        let Settings { store, events, .. } = self.settings;
        let work = events.start(format!("load into {}", engine.name()));
        engine.load(store, &self.built.descriptor, &self.wanted.names)?;
        work.finish(Outcome::Done);
        events.debug(format!("loaded into {}", engine.name()));
        Ok(())
    }
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    folder::put(path, |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })
    .map_err(|error| cant_write(path, &error))
}

/// What buildx writes with `--metadata-file`.
fn metadata(built: &Built, names: &[Reference]) -> Result<String, Failure> {
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
