//! An image as one file: an OCI image layout in a tar, with `manifest.json` also what
//! `docker load` reads.
//!
//! In: an image of the store, its names. Out: a tar, members sorted by name, times 0. A blob that
//! is not what its digest says ends it.

use std::fs::File;
use std::io::{self, Write};

use serde::Serialize;

use super::{Error, OCI_LAYOUT, blobs, copy_checked, document, layout_index};
use crate::canon::{Digest, EntryPath, Reference, json};
use crate::image::{Descriptor, Document};
use crate::layer::{Entry, Kind, Meta, tar};
use crate::store::{Blob, Store};

/// What the archive should be read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Tools that know OCI image layouts.
    Oci,
    /// `docker load` and `podman load` besides.
    Docker,
}

/// Where an archive goes: to a file, blobs are copied by the kernel.
pub enum Sink<'a> {
    /// A file.
    File(&'a File),
    /// Anything else.
    Stream(&'a mut dyn Write),
}

impl Sink<'_> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::File(file) => file.write_all(bytes),
            Sink::Stream(stream) => stream.write_all(bytes),
        }
    }

    fn copy(&mut self, source: &mut File) -> io::Result<u64> {
        match self {
            Sink::File(file) => io::copy(source, file),
            Sink::Stream(stream) => io::copy(source, stream),
        }
    }
}

enum Content {
    Bytes(Vec<u8>),
    Blob(Blob),
}

/// Writes the image. Errors of writing have no path: the caller knows it.
pub fn write(
    store: &Store,
    descriptor: &Descriptor,
    names: &[Reference],
    flavour: Flavour,
    sink: &mut Sink,
) -> Result<io::Result<()>, Error> {
    let mut members = vec![
        (
            "index.json".to_owned(),
            Content::Bytes(json::to_vec(&layout_index(descriptor, names))?),
        ),
        ("oci-layout".to_owned(), Content::Bytes(OCI_LAYOUT.to_vec())),
    ];
    if flavour == Flavour::Docker {
        members.push((
            "manifest.json".to_owned(),
            Content::Bytes(docker_manifest(store, descriptor, names)?),
        ));
    }
    for (digest, blob) in blobs(store, descriptor)? {
        members.push((blob_name(&digest), Content::Blob(blob)));
    }
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    write_members(&members, sink)
}

fn write_members(members: &[(String, Content)], sink: &mut Sink) -> Result<io::Result<()>, Error> {
    for folder in ["blobs", "blobs/sha256"] {
        if let Err(error) = sink.write_all(&header(folder, Kind::Directory, 0o755)) {
            return Ok(Err(error));
        }
    }
    for (name, content) in members {
        let size = match content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Blob(blob) => blob.size,
        };
        // The digest stands nowhere in a header.
        let header = header(
            name,
            Kind::File {
                size,
                digest: Digest::of(b""),
            },
            0o644,
        );
        let written = sink.write_all(&header).and_then(|()| match content {
            Content::Bytes(bytes) => sink.write_all(bytes),
            Content::Blob(_) => Ok(()),
        });
        if written.is_err() {
            return Ok(written);
        }
        if let Content::Blob(blob) = content {
            let copied = copy_checked(blob, |file| {
                let written = sink.copy(file)?;
                match written == size {
                    true => Ok(()),
                    false => Err(io::Error::other(format!(
                        "`{name}` of the store has {written} bytes where {size} are due"
                    ))),
                }
            })?;
            if copied.is_err() {
                return Ok(copied);
            }
        }
        if let Err(error) = sink.write_all(tar::padding(size)) {
            return Ok(Err(error));
        }
    }
    Ok(sink.write_all(&tar::END))
}

fn header(name: &str, kind: Kind, mode: u16) -> Vec<u8> {
    let path = EntryPath::new(name.as_bytes()).unwrap_or_default();
    let mut header = Vec::with_capacity(tar::BLOCK);
    tar::write_header(
        &mut header,
        &Entry {
            path,
            kind,
            meta: Meta::plain(mode, 0),
        },
    );
    header
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// `manifest.json` as `docker save` writes it.
fn docker_manifest(
    store: &Store,
    descriptor: &Descriptor,
    names: &[Reference],
) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Saved {
        config: String,
        repo_tags: Vec<String>,
        layers: Vec<String>,
    }
    let Document::Manifest(manifest) = document(store, &descriptor.digest)? else {
        return Err(Error::Several("a docker archive"));
    };
    let saved = Saved {
        config: blob_name(&manifest.config.digest),
        repo_tags: names
            .iter()
            .filter(|name| name.tag.is_some())
            .map(familiar)
            .collect(),
        layers: manifest
            .layers
            .iter()
            .map(|layer| blob_name(&layer.digest))
            .collect(),
    };
    Ok(json::to_vec(&[saved])?)
}

/// The name as people write it: without Docker Hub's defaults.
fn familiar(name: &Reference) -> String {
    let text = name.to_string();
    let short = text.strip_prefix("docker.io/").unwrap_or(&text);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}
