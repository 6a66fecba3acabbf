//! `-o`: where an image goes besides the store.
//!
//! In: `type=oci,dest=FILE,…` as buildx has it: comma-separated values, so that `"dest=a,b"` is
//! one of them. Out: [`Spec`]: an [`Output`], and what the image has for it.

use std::path::PathBuf;

use clap::ValueEnum;

use super::csv;
use super::exit::Failure;
use super::flags::{Annotation, annotation_key};
use crate::canon::truth;
use crate::export::archive::Flavour;
use crate::layer::Codec;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// gzip, level 6
    Gzip,
    /// zstd, level 3
    Zstd,
    /// Not at all
    Uncompressed,
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Codec {
        match compression {
            Compression::Gzip => Codec::Gzip,
            Compression::Zstd => Codec::Zstd,
            Compression::Uncompressed => Codec::None,
        }
    }
}

/// Where an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An archive of an OCI layout, or for `docker load`.
    Archive(Flavour, Destination),
    /// An OCI layout in a folder.
    Layout(PathBuf),
    /// The image's files as one tar.
    Tar(Destination, Codec),
    /// The image's files in a folder.
    Folder(PathBuf, Split),
    /// The store, where it is in any case, and the registries that the names say, if it is pushed.
    Image {
        /// Whether it is.
        push: bool,
        /// Whether it gets no tag there.
        by_digest: bool,
    },
    /// The engine that answers.
    Engine,
    /// Nowhere: what was built stays as a cache.
    Nowhere,
}

/// Whether each platform has a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// Where there are several.
    #[default]
    Several,
    /// Always.
    Each,
    /// Never.
    None,
}

/// Where an archive goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    File(PathBuf),
    Stdout,
}

/// What one `-o` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub output: Output,
    /// Names beside those of `-t`.
    pub names: Vec<String>,
    pub compression: Option<Compression>,
    /// Whether layers of bases have to be compressed so, too.
    pub force_compression: bool,
    pub annotations: Vec<Annotation>,
}

const TYPES: &str = "types are oci, oci-dir, docker, tar, local, image, registry and cacheonly";
const KEYS: &str = "keys are type, dest, name, compression, tar, push, push-by-digest, \
                    platform-split, annotation.KEY and annotation-index.KEY";

/// Keys of buildx that ask for what cairn doesn't do: why, and the way out.
const REFUSED: [(&str, &str, &str); 6] = [
    (
        "compression-level",
        "format 1 fixes it, so that a layer has one digest",
        "leave it out",
    ),
    (
        "registry.insecure",
        "the machine's configuration says which registries are trusted",
        "say so in registries.conf or hosts.toml",
    ),
    (
        "dangling-name-prefix",
        "an image without a name goes by its digest",
        "leave it out, or add `name=NAME`",
    ),
    (
        "context",
        "the engine that answers is loaded into",
        "leave it out, and set DOCKER_HOST",
    ),
    (
        "oci-artifact",
        "cairn writes no attestations yet",
        "leave it out",
    ),
    (
        "attestation-prefix",
        "cairn writes no attestations yet",
        "leave it out",
    ),
];

/// Reads one `-o`.
pub fn parse(text: &str) -> Result<Spec, Failure> {
    let usage =
        |message: String, hint: &str| Failure::usage(format!("`-o {text}`: {message}"), hint);
    if text.trim().is_empty() {
        return Err(usage("it says nothing".to_owned(), TYPES));
    }
    if !text.contains('=') {
        let output = match text {
            "-" => Output::Tar(Destination::Stdout, Codec::None),
            folder => Output::Folder(folder.into(), Split::default()),
        };
        return Ok(Spec {
            output,
            names: Vec::new(),
            compression: None,
            force_compression: false,
            annotations: Vec::new(),
        });
    }
    let fields = csv::fields(text).map_err(|reason| {
        let hint =
            "put the whole of a field that holds a comma into quotation marks: `\"dest=a,b\"`";
        usage(reason.to_owned(), hint)
    })?;
    let mut said = Said::default();
    for field in &fields {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        said.take(key, value)
            .map_err(|(message, hint)| usage(message, &hint))?;
    }
    said.spec().map_err(|(message, hint)| usage(message, &hint))
}

/// What is wrong with an output, and the way out.
type Refusal = (String, String);

fn refusal(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    (message.into(), hint.into())
}

/// What the fields say.
#[derive(Default)]
struct Said {
    kind: Option<String>,
    dest: Option<String>,
    names: Vec<String>,
    compression: Option<Compression>,
    force_compression: bool,
    is_no_tar: bool,
    push: Option<bool>,
    by_digest: bool,
    split: Split,
    annotations: Vec<Annotation>,
}

impl Said {
    fn take(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let switch = || {
            truth(value).ok_or_else(|| {
                refusal(
                    format!("`{key}` is neither `true` nor `false`"),
                    "say one of them",
                )
            })
        };
        match key {
            "type" => self.kind = Some(value.to_owned()),
            "dest" => self.dest = Some(value.to_owned()),
            // One name after the other, as a field that holds commas has them.
            "name" => self.names.push(value.to_owned()),
            "tar" => self.is_no_tar = !switch()?,
            "push" => self.push = Some(switch()?),
            "push-by-digest" => self.by_digest = switch()?,
            "platform-split" => {
                self.split = match switch()? {
                    true => Split::Each,
                    false => Split::None,
                }
            }
            "compression" => {
                let codec = Compression::from_str(value, true);
                self.compression = Some(codec.map_err(|_| {
                    refusal(
                        format!("there is no compression `{value}`"),
                        "use gzip, zstd or uncompressed",
                    )
                })?);
            }
            "force-compression" => self.force_compression = switch()?,
            // The store finds an image by its digest, too, and keeps it.
            "name-canonical" | "store" => drop(switch()?),
            "unpack" if !switch()? => {}
            "oci-mediatypes" => {
                if !switch()? {
                    let message = "cairn writes the media types of OCI alone";
                    return Err(refusal(message, "leave `oci-mediatypes` out"));
                }
            }
            "rewrite-timestamp" => {
                if !switch()? {
                    let message = "what a build makes has the time of SOURCE_DATE_EPOCH always, \
                                   as its digest would be another each time";
                    return Err(refusal(message, "leave `rewrite-timestamp` out"));
                }
            }
            _ if key.starts_with("annotation") => {
                let annotation = annotation_key(key, value);
                self.annotations.push(annotation.map_err(|message| {
                    refusal(
                        message,
                        "write `annotation.KEY=VALUE`, or `annotation-index.KEY=VALUE`",
                    )
                })?);
            }
            _ => {
                let refused = REFUSED.iter().find(|(refused, ..)| *refused == key);
                return Err(match refused {
                    Some((_, why, hint)) => refusal(format!("`{key}`: {why}"), *hint),
                    None => refusal(format!("it has no key `{key}`"), KEYS),
                });
            }
        }
        Ok(())
    }

    fn spec(self) -> Result<Spec, Refusal> {
        let output = self.output()?;
        let is_files = matches!(output, Output::Folder(..));
        if self.compression.is_some() && is_files {
            let message = "files have no compression";
            return Err(refusal(message, "leave `compression` out"));
        }
        let is_image = !matches!(output, Output::Tar(..) | Output::Folder(..));
        Ok(Spec {
            compression: self.compression.filter(|_| is_image),
            output,
            names: self.names,
            force_compression: self.force_compression && is_image,
            annotations: self.annotations,
        })
    }

    fn output(&self) -> Result<Output, Refusal> {
        let kind = self.kind.as_deref().ok_or_else(|| {
            let message = "it has no type";
            refusal(message, TYPES)
        })?;
        let dest = self.dest.as_deref();
        let destination = || match dest {
            Some("-") => Ok(Destination::Stdout),
            Some(dest) if !dest.is_empty() => Ok(Destination::File(dest.into())),
            _ => Err(refusal(
                "it doesn't say where to",
                "add `dest=PATH`, or `dest=-` for standard output",
            )),
        };
        let folder = || match dest {
            Some(dest) if !dest.is_empty() && dest != "-" => Ok(PathBuf::from(dest)),
            _ => Err(refusal("it needs a folder", "add `dest=FOLDER`")),
        };
        let image = |push: bool| Output::Image {
            push: self.push.unwrap_or(push),
            by_digest: self.by_digest,
        };
        let codec = self.compression.map_or(Codec::None, Codec::from);
        let output = match kind {
            "oci" if self.is_no_tar => Output::Layout(folder()?),
            "oci" => Output::Archive(Flavour::Oci, destination()?),
            "oci-dir" => Output::Layout(folder()?),
            "docker" if dest.is_none() => Output::Engine,
            "docker" => Output::Archive(Flavour::Docker, destination()?),
            "tar" => Output::Tar(destination()?, codec),
            "local" => Output::Folder(folder()?, self.split),
            "registry" => image(true),
            "image" => image(false),
            "cacheonly" => Output::Nowhere,
            other => return Err(refusal(format!("there is no type `{other}`"), TYPES)),
        };
        let has_place = !matches!(output, Output::Image { .. } | Output::Nowhere);
        if let Some(dest) = dest.filter(|_| !has_place) {
            return Err(refusal(
                format!("`type={kind}` goes to no file, and `{dest}` is one"),
                "leave `dest` out, or write another type: oci, docker, tar, local",
            ));
        }
        if self.by_digest && !matches!(output, Output::Image { .. }) {
            let message = "`push-by-digest` is for registries";
            return Err(refusal(message, "write `type=image,push=true`"));
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Option<Output> {
        parse(text).ok().map(|spec| spec.output)
    }

    #[test]
    fn outputs_are_read_as_buildx_reads_them() {
        let file = |path: &str| Destination::File(path.into());
        let image = |push, by_digest| Some(Output::Image { push, by_digest });
        for (text, expected) in [
            ("out", Some(Output::Folder("out".into(), Split::Several))),
            ("-", Some(Output::Tar(Destination::Stdout, Codec::None))),
            (
                "type=oci,dest=a.tar",
                Some(Output::Archive(Flavour::Oci, file("a.tar"))),
            ),
            (
                "type=oci,tar=false,dest=a",
                Some(Output::Layout("a".into())),
            ),
            ("type=oci-dir,dest=a", Some(Output::Layout("a".into()))),
            (
                "type=docker,dest=-",
                Some(Output::Archive(Flavour::Docker, Destination::Stdout)),
            ),
            ("type=image,push=true", image(true, false)),
            ("type=registry", image(true, false)),
            ("type=image", image(false, false)),
            (
                "type=image,push-by-digest=true,name-canonical=true,push=true",
                image(true, true),
            ),
            (
                "type=image,store=true,unpack=false,oci-mediatypes=1",
                image(false, false),
            ),
            ("type=image,rewrite-timestamp=true", image(false, false)),
            ("type=image,rewrite-timestamp=false", None),
            ("type=image,compression-level=9", None),
            ("type=image,dest=a", None),
            ("type=image,unpack=true", None),
            ("type=cacheonly", Some(Output::Nowhere)),
            ("type=docker", Some(Output::Engine)),
            (
                "type=local,dest=a,platform-split=false",
                Some(Output::Folder("a".into(), Split::None)),
            ),
            (
                "type=tar,dest=a,compression=zstd",
                Some(Output::Tar(file("a"), Codec::Zstd)),
            ),
            ("type=oci,dest=a,push-by-digest=true", None),
            ("type=oci,dest=a,annotation-index-descriptor.a=b", None),
            ("type=oci,dest=a,annotation[linux/amd64].a=b", None),
            (
                "type=oci,\"dest=a,b \"\"c\"\"\"",
                Some(Output::Archive(Flavour::Oci, file("a,b \"c\""))),
            ),
            ("type=oci,dest=\"a\"", None),
            ("type=oci,tar=no,dest=a", None),
            ("", None),
            ("type=local,dest=a,compression=gzip", None),
            ("type=oci", None),
            ("type=local,dest=-", None),
            ("type=zip,dest=a", None),
            ("dest=a", None),
            ("type=oci,dest=a,level=9", None),
            ("type=oci,dest=a,compression=lzma", None),
        ] {
            assert_eq!(output(text), expected, "{text}");
        }
        let annotated = parse("type=oci,dest=a,annotation.a.b=c,annotation-index.d=").ok();
        let told = annotated.unwrap().annotations.into_iter();
        let told = told.map(|a| (a.of_manifests, a.of_index, a.key, a.value));
        let expected = [
            (true, false, "a.b".to_owned(), "c".to_owned()),
            (false, true, "d".to_owned(), String::new()),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        let spec = parse("type=oci,dest=a,compression=zstd,name=x")
            .ok()
            .unwrap();
        assert_eq!(
            (spec.compression, spec.names),
            (Some(Compression::Zstd), vec!["x".to_owned()])
        );
    }
}
