//! What `cairn build` is asked for, and whether that can be.
//!
//! In: the arguments. Out: [`Wanted`]: names, outputs, how layers are compressed; or what makes no
//! sense, told before anything is done.

use std::path::Path;

use super::arguments::Build;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::flags::Annotation;
use super::output::{self, Compression, Destination, Output, Spec};
use super::writable;
use crate::build::Built;
use crate::canon::{Problem, Reference};
use crate::export::archive::Flavour;
use crate::frontend::NamedContext;
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document};
use crate::layer::Codec;
use crate::store::Store;

/// What the arguments ask for, checked before anything is done.
pub struct Wanted {
    pub names: Vec<Reference>,
    pub outputs: Vec<Output>,
    pub codec: Codec,
    /// Whether layers of bases have to be compressed so, too.
    force_compression: bool,
    /// Those of the outputs.
    pub annotations: Vec<Annotation>,
    /// Whether an engine loads it.
    pub load: bool,
}

impl Wanted {
    pub fn read(arguments: &Build) -> Result<Wanted, Failure> {
        let specs = arguments.output.iter().map(|text| output::parse(text));
        let specs: Vec<Spec> = specs.collect::<Result<_, _>>()?;
        let texts = arguments
            .tag
            .iter()
            .chain(specs.iter().flat_map(|spec| &spec.names));
        let is_by_digest = |spec: &Spec| {
            let Output::Image { push, by_digest } = spec.output else {
                return false;
            };
            by_digest && (push || arguments.push == Some(true))
        };
        let is_by_digest = specs.iter().any(is_by_digest);
        let mut names = Vec::new();
        for text in texts.flat_map(|names| names.split(',')) {
            let name = new_name(text)?;
            let has_tag = text
                .rsplit('/')
                .next()
                .is_some_and(|last| last.contains(':'));
            if has_tag && is_by_digest {
                return Err(Failure::usage(
                    format!("`{text}` has a tag, and `push-by-digest` gives none"),
                    "leave the tag out: the digest is what the image goes by",
                ));
            }
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
        let force_compression = specs.iter().any(|spec| spec.force_compression);
        let annotations = specs.iter().flat_map(|spec| spec.annotations.clone());
        let annotations = annotations.collect();
        let mut outputs: Vec<Output> = specs.into_iter().map(|spec| spec.output).collect();
        if arguments.push == Some(true) {
            push_all(&mut outputs);
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
        let is_pushed = |output: &Output| matches!(output, Output::Image { push: true, .. });
        if outputs.iter().any(is_pushed) && names.is_empty() {
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
            load: arguments.load == Some(true) || outputs.contains(&Output::Engine),
            names,
            outputs,
            codec,
            force_compression,
            annotations,
        })
    }

    /// Names the image in the store: not at all where it is to stay as a cache, and only as far as
    /// names have tags.
    pub fn name(&self, store: &Store, descriptor: &Descriptor) -> Result<(), Failure> {
        let is_cache = |output: &Output| *output == Output::Nowhere;
        if !self.outputs.is_empty() && self.outputs.iter().all(is_cache) && !self.load {
            return Ok(());
        }
        let is_untagged = |output: &Output| {
            matches!(
                output,
                Output::Image {
                    push: true,
                    by_digest: true
                }
            )
        };
        let names = match self.outputs.iter().any(is_untagged) {
            true => &[],
            false => &self.names[..],
        };
        if names.is_empty() {
            store.name_image(None, descriptor)?;
        }
        for name in names {
            store.name_image(Some(name), descriptor)?;
        }
        Ok(())
    }

    /// That every layer is compressed as `force-compression` asks: those of bases stay as they
    /// are, by which they are known everywhere.
    pub fn judge_layers(&self, built: &Built, store: &Store) -> Result<(), Failure> {
        if !self.force_compression {
            return Ok(());
        }
        for image in &built.images {
            let bytes = store.read(&image.manifest.digest, LARGEST_DOCUMENT)?;
            let Ok(Document::Manifest(manifest)) = Document::parse(&bytes) else {
                continue;
            };
            let is_other = |layer: &&Descriptor| !is_compressed_by(self.codec, &layer.media_type);
            if let Some(other) = manifest.layers.iter().find(is_other) {
                let (kind, codec) = (&other.media_type, self.codec.name());
                return Err(Failure::message(
                    Code::Failed,
                    Problem::new(format!(
                        "`force-compression=true` asks for {codec}, and a layer of the base is `{kind}`"
                    ))
                    .hint("leave it out: what a base brings stays as it is, by which it is known everywhere"),
                ));
            }
        }
        Ok(())
    }

    /// What can be told before anything is done: that an output can't hold what is to be built, or
    /// can't be written.
    pub fn judge(
        &self,
        arguments: &Build,
        images: usize,
        environment: &Environment,
    ) -> Result<(), Failure> {
        for output in &self.outputs {
            let what = match output {
                Output::Archive(Flavour::Docker, _) => "a docker archive",
                Output::Tar(..) => "a tar",
                _ => continue,
            };
            if images > 1 {
                let error = crate::export::Error::Several(what);
                return Err(Failure::new(Code::Usage, error));
            }
        }
        let of_index = |annotation: &Annotation| annotation.of_index;
        if images < 2 && arguments.recipe.annotation.iter().any(of_index) {
            return Err(Failure::usage(
                "an annotation of the index needs one, and one platform alone has none",
                "annotate the manifest, or name several platforms",
            ));
        }
        for output in &self.outputs {
            let Some(place) = output.place() else {
                continue;
            };
            let place = environment.absolute(place);
            match output {
                Output::Layout(_) | Output::Folder(..) => writable::folder(&place)?,
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

    pub fn uses_stdout(&self) -> bool {
        self.outputs.iter().any(Output::is_stdout)
    }
}

/// Has what goes to the store pushed from there, as buildx does; else nothing but that.
fn push_all(outputs: &mut Vec<Output>) {
    let mut has_image = false;
    for output in &mut *outputs {
        if let Output::Image { push, .. } = output {
            (*push, has_image) = (true, true);
        }
    }
    if !has_image {
        outputs.push(Output::Image {
            push: true,
            by_digest: false,
        });
    }
}

/// Whether a layer of that type is one that `codec` makes.
fn is_compressed_by(codec: Codec, media_type: &str) -> bool {
    let is_gzip = media_type.ends_with("gzip");
    let is_zstd = media_type.ends_with("zstd");
    match codec {
        Codec::Gzip => is_gzip,
        Codec::Zstd => is_zstd,
        Codec::None => !is_gzip && !is_zstd,
    }
}

impl Output {
    /// Where it goes, if to a file or folder.
    fn place(&self) -> Option<&Path> {
        match self {
            Output::Archive(_, Destination::File(path))
            | Output::Tar(Destination::File(path), _)
            | Output::Layout(path)
            | Output::Folder(path, _) => Some(path),
            _ => None,
        }
    }

    fn clashes(&self, other: &Output) -> bool {
        self.place().is_some() && self.place() == other.place()
    }

    fn is_stdout(&self) -> bool {
        matches!(
            self,
            Output::Archive(_, Destination::Stdout) | Output::Tar(Destination::Stdout, _)
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
