//! `-o`: where an image goes besides the store.
//!
//! In: `type=oci,dest=FILE,…` as buildx has it: comma-separated values, so that `"dest=a,b"` is
//! one of them. Out: [`Output`].

use std::path::PathBuf;

use clap::ValueEnum;

use super::arguments::Compression;
use super::csv;
use super::exit::Failure;
use crate::export::archive::Flavour;

/// Where an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An archive of an OCI layout, or for `docker load`.
    Archive(Flavour, Destination),
    /// An OCI layout in a folder.
    Layout(PathBuf),
    /// The image's files as one tar.
    Tar(Destination),
    /// The image's files in a folder.
    Folder(PathBuf),
    /// The registries that the names say.
    Registry,
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
}

/// Reads one `-o`.
pub fn parse(text: &str) -> Result<Spec, Failure> {
    let usage =
        |message: String, hint: &str| Failure::usage(format!("`-o {text}`: {message}"), hint);
    const TYPES: &str = "types are oci, oci-dir, docker, tar, local and registry";
    if text.trim().is_empty() {
        return Err(usage("it says nothing".to_owned(), TYPES));
    }
    if !text.contains('=') {
        let output = if text == "-" {
            Output::Tar(Destination::Stdout)
        } else {
            Output::Folder(text.into())
        };
        return Ok(Spec {
            output,
            names: Vec::new(),
            compression: None,
        });
    }
    let (mut kind, mut dest, mut names, mut compression) = (None, None, Vec::new(), None);
    let (mut is_tar, mut push) = (true, false);
    let fields = csv::fields(text).map_err(|reason| {
        let hint =
            "put the whole of a field that holds a comma into quotation marks: `\"dest=a,b\"`";
        usage(reason.to_owned(), hint)
    })?;
    let is_true = |key: &str, value: &str| match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(usage(
            format!("`{key}` is neither `true` nor `false`"),
            "say one of them",
        )),
    };
    for field in &fields {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "type" => kind = Some(value),
            "dest" => dest = Some(value),
            "name" => names.push(value.to_owned()),
            "tar" => is_tar = is_true(key, value)?,
            "push" => push = is_true(key, value)?,
            "compression" => {
                let codec = Compression::from_str(value, true);
                compression = Some(codec.map_err(|_| {
                    usage(
                        format!("there is no compression `{value}`"),
                        "use gzip, zstd or uncompressed",
                    )
                })?);
            }
            "oci-mediatypes" if is_true(key, value)? => {}
            _ => {
                return Err(usage(
                    format!("it has no key `{key}`"),
                    "keys are type, dest, name, compression, tar and push",
                ));
            }
        }
    }
    let destination = |dest: Option<&str>| match dest {
        Some("-") => Ok(Destination::Stdout),
        Some(dest) if !dest.is_empty() => Ok(Destination::File(dest.into())),
        _ => Err(usage(
            "it doesn't say where to".to_owned(),
            "add `dest=PATH`, or `dest=-` for standard output",
        )),
    };
    let folder = |dest: Option<&str>| match dest {
        Some(dest) if !dest.is_empty() && dest != "-" => Ok(PathBuf::from(dest)),
        _ => Err(usage("it needs a folder".to_owned(), "add `dest=FOLDER`")),
    };
    let output = match kind {
        Some("oci") if !is_tar => Output::Layout(folder(dest)?),
        Some("oci") => Output::Archive(Flavour::Oci, destination(dest)?),
        Some("oci-dir") => Output::Layout(folder(dest)?),
        Some("docker") => Output::Archive(Flavour::Docker, destination(dest)?),
        Some("tar") => Output::Tar(destination(dest)?),
        Some("local") => Output::Folder(folder(dest)?),
        Some("registry") => Output::Registry,
        Some("image") if push => Output::Registry,
        Some(other) => return Err(usage(format!("there is no type `{other}`"), TYPES)),
        None => return Err(usage("it has no type".to_owned(), TYPES)),
    };
    if compression.is_some() && matches!(output, Output::Tar(_) | Output::Folder(_)) {
        let message = "files have no compression".to_owned();
        return Err(usage(
            message,
            "leave `compression` out; pipe `dest=-` into gzip or zstd",
        ));
    }
    Ok(Spec {
        output,
        names,
        compression,
    })
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
        for (text, expected) in [
            ("out", Some(Output::Folder("out".into()))),
            ("-", Some(Output::Tar(Destination::Stdout))),
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
            ("type=image,push=true", Some(Output::Registry)),
            (
                "type=oci,\"dest=a,b \"\"c\"\"\"",
                Some(Output::Archive(Flavour::Oci, file("a,b \"c\""))),
            ),
            ("type=oci,dest=\"a\"", None),
            ("type=oci,tar=no,dest=a", None),
            ("", None),
            ("type=tar,dest=a,compression=gzip", None),
            ("type=oci", None),
            ("type=local,dest=-", None),
            ("type=zip,dest=a", None),
            ("dest=a", None),
            ("type=oci,dest=a,level=9", None),
            ("type=oci,dest=a,compression=lzma", None),
        ] {
            assert_eq!(output(text), expected, "{text}");
        }
        let spec = parse("type=oci,dest=a,compression=zstd,name=x")
            .ok()
            .unwrap();
        assert_eq!(
            (spec.compression, spec.names),
            (Some(Compression::Zstd), vec!["x".to_owned()])
        );
    }
}
