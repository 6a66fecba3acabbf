//! Images in files: OCI image layouts (image-spec, image-layout.md) as folders or archives, and
//! what `docker save` writes.
//!
//! In: a path. Out: the descriptor of an image whose documents and blobs are now in the store, and
//! nothing else of the layout. What an archive gave is remembered by what `stat` says of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::layout_archive::{Archive, clean};
use super::stat::{self, Stat};

use crate::canon::{DiffId, Digest, Reference};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, ImageConfig, Index, Manifest, manifest};
use crate::layer::codec::Expansion;
use crate::layer::read;
use crate::store::{Blob, RecordKind, Store};

/// Why a layout can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path.
    #[error("can't read `{}`: {source}", path.display())]
    Io {
        /// The layout, or what of it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store, or a blob that is not what it is named.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] read::Error),
    /// JSON that is none, or not of its shape.
    #[error("`{name}` of the layout can't be read: {source}")]
    Json {
        /// Which file.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A document.
    #[error("{digest} of the layout can't be used: {source}")]
    Document {
        /// Of the document.
        digest: Digest,
        /// Why.
        source: manifest::Error,
    },
    /// Neither layout nor archive of one.
    #[error("`{}` is neither an OCI image layout nor an archive of one, nor what `docker save` writes", .0.display())]
    NoLayout(PathBuf),
    /// No image, or not the one.
    #[error("the layout has no image `{wanted}`\nhint: it has {has}")]
    NoImage {
        /// What was asked for.
        wanted: String,
        /// What there is.
        has: String,
    },
    /// Several images, and no name.
    #[error("the layout has several images: {0}\nhint: say which: `name = \"…\"` beside `oci`")]
    Several(String),
    /// Something that the layout names and doesn't hold.
    #[error("the layout has no `{0}`, which it names")]
    Missing(String),
    /// JSON that can't be written again.
    #[error(transparent)]
    Canonical(#[from] crate::canon::json::Error),
}

/// Brings the image `name` of the layout at `path` into the store; without a name its only one.
pub fn import(
    path: &Path,
    name: Option<&str>,
    store: &Store,
    limit: Expansion,
) -> Result<Descriptor, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        let layout = Layout::new(Files::Folder(path.to_owned()), store);
        return Ok(layout.import(path, name)?.descriptor);
    }
    let file = File::open(path).map_err(io)?;
    let stat =
        |file: &File| Ok::<Stat, Error>(rustix::fs::fstat(file).map_err(|e| io(e.into()))?.into());
    let (before, started) = (stat(&file)?, stat::now(store)?);
    let question = question(&before, name);
    if let Some(known) = store.record::<Imported>(RecordKind::Source, &question, IMPORTED)
        && known.is_here(store)
    {
        return Ok(known.descriptor);
    }
    let archive = Archive::read(file.try_clone().map_err(io)?, store, limit, &io)?;
    let imported = Layout::new(Files::Archive(archive), store).import(path, name)?;
    let is_settled = before.file_type() == FileType::RegularFile && !before.is_racy(started);
    if is_settled && stat(&file)? == before {
        store.put_record(RecordKind::Source, &question, IMPORTED, &imported)?;
    }
    Ok(imported.descriptor)
}

/// Of the record of what an archive gave.
const IMPORTED: &str = ".layout";

/// What came of a layout.
#[derive(Serialize, Deserialize)]
struct Imported {
    descriptor: Descriptor,
    /// All that it is made of, with their sizes.
    blobs: BTreeMap<Digest, u64>,
}

impl Imported {
    fn is_here(&self, store: &Store) -> bool {
        let is_here = |(digest, size): (&Digest, &u64)| store.whole_blob(digest, *size).is_some();
        self.blobs.iter().all(is_here)
    }
}

/// What names the image `name` of the archive of which `stat` says this.
fn question(stat: &Stat, name: Option<&str>) -> Digest {
    Digest::of(format!("image {name:?} of an archive with {stat:?}").as_bytes())
}

enum Files {
    Folder(PathBuf),
    Archive(Archive),
}

struct Layout<'a> {
    files: Files,
    store: &'a Store,
    /// What was brought into the store, or was there already.
    blobs: BTreeMap<Digest, u64>,
}

/// Opens a file; of a pipe or device that stands there nothing is waited for.
fn open_file(path: PathBuf) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&path, flags, Mode::empty()).map_err(io::Error::from);
    let opened = opened
        .map(File::from)
        .and_then(|file| match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is no file")),
        });
    opened.map_err(|source| Error::Io { path, source })
}

impl Layout<'_> {
    fn new(files: Files, store: &Store) -> Layout<'_> {
        let blobs = BTreeMap::new();
        Layout {
            files,
            store,
            blobs,
        }
    }

    fn import(mut self, path: &Path, name: Option<&str>) -> Result<Imported, Error> {
        let descriptor = if self.has("index.json") {
            self.import_oci(name)?
        } else if self.has("manifest.json") {
            self.import_docker(name)?
        } else {
            return Err(Error::NoLayout(path.to_owned()));
        };
        Ok(Imported {
            descriptor,
            blobs: self.blobs,
        })
    }

    fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.join(name).is_file(),
            Files::Archive(archive) => archive.get(name).is_some(),
        }
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>, Error> {
        let name = clean(name.as_bytes());
        Ok(match &self.files {
            Files::Folder(folder) => Box::new(open_file(folder.join(name))?),
            Files::Archive(archive) => Box::new(archive.get(&name).ok_or(Error::Missing(name))?),
        })
    }

    /// A document of the layout, by its name.
    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut file = self.open(name)?.take(LARGEST_DOCUMENT + 1);
        file.read_to_end(&mut bytes).map_err(|source| Error::Io {
            path: PathBuf::from(name),
            source,
        })?;
        match bytes.len() as u64 > LARGEST_DOCUMENT {
            true => {
                let what = format!("`{name}` of the layout");
                Err(crate::store::Error::TooLarge(what, LARGEST_DOCUMENT).into())
            }
            false => Ok(bytes),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let bytes = self.read(name)?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            name: name.to_owned(),
            source,
        })
    }

    fn import_oci(&mut self, name: Option<&str>) -> Result<Descriptor, Error> {
        const NAME: &str = "org.opencontainers.image.ref.name";
        let index: Index = self.json("index.json")?;
        let name_of = |member: &Descriptor| member.annotations.as_ref()?.get(NAME).cloned();
        let shown = || {
            let shown = |member: &Descriptor| match name_of(member) {
                Some(name) => format!("`{name}`"),
                None => format!("{} without a name", member.digest),
            };
            let names: Vec<_> = index.manifests.iter().map(shown).collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let chosen = match name {
            Some(name) => index
                .manifests
                .iter()
                .find(|member| {
                    name_of(member).as_deref() == Some(name) || member.digest.to_string() == name
                })
                .cloned()
                .or_else(|| self.unlisted(name))
                .ok_or_else(|| Error::NoImage {
                    wanted: name.to_owned(),
                    has: shown(),
                })?,
            None => match &index.manifests[..] {
                [only] => only.clone(),
                [] => {
                    return Err(Error::NoImage {
                        wanted: "at all".to_owned(),
                        has: shown(),
                    });
                }
                [first, rest @ ..] if rest.iter().all(|member| member.digest == first.digest) => {
                    first.clone()
                }
                _ => return Err(Error::Several(shown())),
            },
        };
        self.import_tree(&chosen)?;
        Ok(Descriptor {
            annotations: None,
            ..chosen
        })
    }

    /// A document that goes by its digest, and that only another one names.
    fn unlisted(&self, name: &str) -> Option<Descriptor> {
        let digest = name.parse().ok()?;
        let bytes = self.read(&blob_name(&digest)).ok()?;
        let document = Document::parse(&bytes).ok()?;
        let size = bytes.len() as u64;
        Some(Descriptor::new(document.media_type(), digest, size))
    }

    /// Brings a document and all that it points at into the store, each once: a small index may
    /// name another many times, and that one a third.
    fn import_tree(&mut self, root: &Descriptor) -> Result<(), Error> {
        let mut seen = BTreeSet::from([root.digest]);
        let mut todo = vec![root.clone()];
        while let Some(descriptor) = todo.pop() {
            let digest = descriptor.digest;
            self.import_blob(&descriptor)?;
            let bytes = self.store.read(&digest, LARGEST_DOCUMENT)?;
            let document =
                Document::parse(&bytes).map_err(|source| Error::Document { digest, source })?;
            for member in document.descriptors() {
                if !member.is_document() {
                    self.import_blob(member)?;
                // An index may name images that were left out when the layout was written.
                } else if seen.insert(member.digest) && self.has_blob(&member.digest) {
                    todo.push(member.clone());
                }
            }
        }
        Ok(())
    }

    fn has_blob(&self, digest: &Digest) -> bool {
        self.has(&blob_name(digest)) || self.store.blob(digest).is_some()
    }

    fn import_blob(&mut self, descriptor: &Descriptor) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = descriptor;
        if self.blobs.get(digest) == Some(size) {
            return Ok(());
        }
        if self.store.whole_blob(digest, *size).is_none() {
            let name = blob_name(digest);
            let what = format!("`{name}` of the layout");
            let mut writer = self.store.write_blob()?;
            writer.fill(&what, &mut self.open(&name)?, Some(*size))?;
            writer.finish_as(&what, digest)?;
        }
        self.blobs.insert(*digest, *size);
        Ok(())
    }

    /// What `docker save` writes: `manifest.json` with a config and plain tars.
    fn import_docker(&mut self, name: Option<&str>) -> Result<Descriptor, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Saved {
            config: String,
            repo_tags: Option<Vec<String>>,
            layers: Vec<String>,
        }
        let images: Vec<Saved> = self.json("manifest.json")?;
        let tags = |image: &Saved| image.repo_tags.clone().unwrap_or_default();
        let shown = || {
            images
                .iter()
                .flat_map(tags)
                .map(|tag| format!("`{tag}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let normal = |name: &str| name.parse::<Reference>().ok();
        let chosen = match name {
            Some(name) => images
                .iter()
                .find(|image| {
                    tags(image).iter().any(|tag| {
                        tag == name || (normal(tag).is_some() && normal(tag) == normal(name))
                    })
                })
                .ok_or_else(|| Error::NoImage {
                    wanted: name.to_owned(),
                    has: shown(),
                })?,
            None => match &images[..] {
                [only] => only,
                _ => return Err(Error::Several(shown())),
            },
        };
        let bytes = self.read(&chosen.config)?;
        let config: ImageConfig = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            name: chosen.config.clone(),
            source,
        })?;
        let mut layers = Vec::new();
        // A layer that is named many times is read once.
        let mut imported = BTreeMap::new();
        for (number, layer) in chosen.layers.iter().enumerate() {
            let diff_id = config.rootfs.diff_ids.get(number);
            let descriptor = match imported.entry((layer, diff_id)) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(place) => {
                    let (media_type, blob) = self.import_layer(layer, diff_id)?;
                    place.insert(Descriptor::new(media_type, blob.digest, blob.size))
                }
            };
            layers.push(descriptor.clone());
        }
        let config = self.store.put(&bytes)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config: Descriptor::new(media_type::CONFIG, config.digest, config.size),
            layers,
            annotations: None,
            foreign: BTreeMap::new(),
        };
        let layers = manifest
            .layers
            .iter()
            .map(|layer| (layer.digest, layer.size));
        self.blobs.extend(layers);
        let manifest = self.store.put(&crate::canon::json::to_vec(&manifest)?)?;
        self.blobs.insert(config.digest, config.size);
        self.blobs.insert(manifest.digest, manifest.size);
        Ok(Descriptor::new(
            media_type::MANIFEST,
            manifest.digest,
            manifest.size,
        ))
    }

    /// A layer of any name; of a plain tar the digest is the diff ID, and this is where it can be
    /// checked.
    fn import_layer(
        &self,
        name: &str,
        expected: Option<&DiffId>,
    ) -> Result<(&'static str, Blob), Error> {
        let what = format!("`{name}` of the archive");
        let mut source = self.open(name)?;
        let mut first = Vec::new();
        let read = source.by_ref().take(2).read_to_end(&mut first);
        read.map_err(|source| Error::Io {
            path: PathBuf::from(name),
            source,
        })?;
        let is_gzip = first == [0x1f, 0x8b];
        let mut writer = self.store.write_blob()?;
        writer.fill(&what, &mut first.as_slice().chain(source), None)?;
        Ok(match expected {
            _ if is_gzip => (media_type::LAYER_GZIP, writer.finish()?),
            Some(expected) => (media_type::LAYER, writer.finish_as(&what, &expected.0)?),
            None => (media_type::LAYER, writer.finish()?),
        })
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_did_not_change_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let path = folder.path().join("saved.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        let mut add = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content).unwrap();
        };
        let config = br#"{"architecture":"a","os":"o","rootfs":{"type":"layers","diff_ids":[]}}"#;
        add("manifest.json", br#"[{"Config":"config","Layers":[]}]"#);
        add("config", config);
        builder.into_inner().unwrap();
        let import = || import(&path, None, &store, Expansion::default()).unwrap();
        let stat: Stat = rustix::fs::stat(&path).unwrap().into();
        while stat.is_racy(stat::now(&store).unwrap()) {
            std::thread::yield_now();
        }
        let first = import();
        // That an answer is taken from the record shows when the record says something else.
        let descriptor = Descriptor::new("another", Digest::of(b"another"), 7);
        let mut another = Imported {
            descriptor: descriptor.clone(),
            blobs: BTreeMap::from([(Digest::of(config), config.len() as u64)]),
        };
        let put = |record: &Imported| {
            let question = question(&stat, None);
            store
                .put_record(RecordKind::Source, &question, IMPORTED, record)
                .unwrap();
        };
        put(&another);
        assert_eq!(import(), descriptor);
        another.blobs.insert(descriptor.digest, 7);
        put(&another);
        assert_eq!(import(), first, "though the record's blobs are not there");
    }
}
