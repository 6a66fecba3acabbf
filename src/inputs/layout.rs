//! Images in files: OCI image layouts (image-spec, image-layout.md) as folders or archives, and
//! what `docker save` writes.
//!
//! In: a path. Out: the descriptor of an image whose documents and blobs are now in the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::canon::{Digest, Reference};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, ImageConfig, Index, Manifest, manifest};
use crate::layer::codec::{Expansion, decompress};
use crate::layer::read::{self, MemberKind, Reader};
use crate::store::{Blob, Store};

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
    let mut layout = if path.is_dir() {
        Layout {
            files: Files::Folder(path.to_owned()),
            store,
        }
    } else {
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let plain = decompress(file, size, limit).map_err(io)?;
        Layout {
            files: Files::Archive(read_archive(plain, store)?),
            store,
        }
    };
    if layout.has("index.json") {
        layout.import_oci(name)
    } else if layout.has("manifest.json") {
        layout.import_docker(name)
    } else {
        Err(Error::NoLayout(path.to_owned()))
    }
}

enum Files {
    Folder(PathBuf),
    /// Every file of the archive, by its name, in the store already.
    Archive(BTreeMap<String, Blob>),
}

struct Layout<'a> {
    files: Files,
    store: &'a Store,
}

/// Most files of a layout's archive.
const MOST_FILES: usize = 100_000;

fn read_archive(plain: impl Read, store: &Store) -> Result<BTreeMap<String, Blob>, Error> {
    let mut reader = Reader::new(plain);
    let mut files = BTreeMap::new();
    let mut links = Vec::new();
    while let Some(member) = reader.next_member()? {
        let name = clean(&member.path);
        match member.kind {
            MemberKind::File => {
                let mut writer = store.write_blob()?;
                writer.fill(&name, &mut reader, Some(member.size))?;
                files.insert(name, writer.finish()?);
            }
            // `docker save` writes a layer that two images share once, and links to it.
            MemberKind::Symlink(target) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                links.push((
                    name.clone(),
                    clean(format!("{folder}/{}", String::from_utf8_lossy(&target)).as_bytes()),
                ));
            }
            MemberKind::Hardlink(target) => links.push((name, clean(&target))),
            _ => {}
        }
        if files.len() + links.len() > MOST_FILES {
            return Err(Error::Archive(read::Error::Unsupported {
                name: "the whole".to_owned(),
                what: format!("of more than {MOST_FILES} files"),
            }));
        }
    }
    for (name, target) in links {
        if let Some(blob) = files.get(&target).cloned() {
            files.insert(name, blob);
        }
    }
    Ok(files)
}

/// A name without `.` and with `..` resolved: only a key of the map, never a path of the host.
fn clean(name: &[u8]) -> String {
    let path = crate::canon::EntryPath::resolved_in_root(name).unwrap_or_default();
    path.lossy().into_owned()
}

impl Layout<'_> {
    fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.join(name).is_file(),
            Files::Archive(files) => files.contains_key(name),
        }
    }

    /// A document of the layout, by its name.
    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let name = &clean(name.as_bytes());
        match &self.files {
            Files::Folder(folder) => {
                let path = folder.join(name);
                let mut bytes = Vec::new();
                let file = File::open(&path).map_err(|source| Error::Io {
                    path: path.clone(),
                    source,
                })?;
                file.take(LARGEST_DOCUMENT + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|source| Error::Io {
                        path: path.clone(),
                        source,
                    })?;
                if bytes.len() as u64 > LARGEST_DOCUMENT {
                    return Err(crate::store::Error::TooLarge(
                        format!("`{name}`"),
                        LARGEST_DOCUMENT,
                    )
                    .into());
                }
                Ok(bytes)
            }
            Files::Archive(files) => {
                let blob = files
                    .get(name)
                    .ok_or_else(|| Error::Missing(name.to_owned()))?;
                Ok(self.store.read(&blob.digest, LARGEST_DOCUMENT)?.to_vec())
            }
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
                .ok_or_else(|| Error::NoImage {
                    wanted: name.to_owned(),
                    has: shown(),
                })?,
            None => match &index.manifests[..] {
                [only] => only,
                [] => {
                    return Err(Error::NoImage {
                        wanted: "at all".to_owned(),
                        has: shown(),
                    });
                }
                [first, rest @ ..] if rest.iter().all(|member| member.digest == first.digest) => {
                    first
                }
                _ => return Err(Error::Several(shown())),
            },
        };
        self.import_tree(chosen, 0)?;
        Ok(Descriptor {
            annotations: None,
            ..chosen.clone()
        })
    }

    /// Brings a document and all that it points at into the store.
    fn import_tree(&self, descriptor: &Descriptor, depth: u32) -> Result<(), Error> {
        let digest = descriptor.digest;
        self.import_blob(descriptor)?;
        let bytes = self.store.read(&digest, LARGEST_DOCUMENT)?;
        let document =
            Document::parse(&bytes).map_err(|source| Error::Document { digest, source })?;
        for member in document.descriptors() {
            if member.is_document() && depth < 3 {
                // An index may name images that were left out when the layout was written.
                if self.has_blob(&member.digest) {
                    self.import_tree(member, depth + 1)?;
                }
            } else {
                self.import_blob(member)?;
            }
        }
        Ok(())
    }

    fn has_blob(&self, digest: &Digest) -> bool {
        self.has(&format!("blobs/sha256/{}", digest.hex())) || self.store.blob(digest).is_some()
    }

    fn import_blob(&self, descriptor: &Descriptor) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = descriptor;
        let name = format!("blobs/sha256/{}", digest.hex());
        if self.store.whole_blob(digest, *size).is_some() {
            return Ok(());
        }
        match &self.files {
            Files::Folder(folder) => {
                let path = folder.join(&name);
                let mut file = File::open(&path).map_err(|source| Error::Io { path, source })?;
                let mut writer = self.store.write_blob()?;
                let what = format!("`{name}` of the layout");
                writer.fill(&what, &mut file, Some(*size))?;
                writer.finish_as(&what, digest)?;
                Ok(())
            }
            Files::Archive(files) => {
                let blob = files
                    .get(&name)
                    .ok_or_else(|| Error::Missing(name.clone()))?;
                let what = format!("`{name}` of the layout");
                if blob.digest == *digest {
                    let (expected, got) = (*size, blob.size);
                    return Err(crate::store::Error::SizeMismatch {
                        what,
                        expected,
                        got,
                    }
                    .into());
                }
                let (expected, got) = (*digest, blob.digest);
                Err(crate::store::Error::DigestMismatch {
                    what,
                    expected,
                    got,
                }
                .into())
            }
        }
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
        for (number, layer) in chosen.layers.iter().enumerate() {
            let blob = self.import_plain_layer(layer)?;
            let mut first = [0; 2];
            let is_gzip = blob.open()?.read_exact(&mut first).is_ok() && first == [0x1f, 0x8b];
            let media_type = if is_gzip {
                media_type::LAYER_GZIP
            } else {
                media_type::LAYER
            };
            // Of plain tars the digest is the diff ID, and this is where it can be checked.
            let expected = config.rootfs.diff_ids.get(number);
            if let Some(expected) =
                expected.filter(|expected| !is_gzip && expected.0 != blob.digest)
            {
                let what = format!("`{layer}` of the archive");
                let (expected, got) = (expected.0, blob.digest);
                return Err(crate::store::Error::DigestMismatch {
                    what,
                    expected,
                    got,
                }
                .into());
            }
            layers.push(Descriptor::new(media_type, blob.digest, blob.size));
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
        let manifest = self.store.put(&crate::canon::json::to_vec(&manifest)?)?;
        Ok(Descriptor::new(
            media_type::MANIFEST,
            manifest.digest,
            manifest.size,
        ))
    }

    fn import_plain_layer(&self, name: &str) -> Result<Blob, Error> {
        match &self.files {
            Files::Folder(folder) => {
                let path = folder.join(clean(name.as_bytes()));
                let mut file = File::open(&path).map_err(|source| Error::Io { path, source })?;
                let mut writer = self.store.write_blob()?;
                writer.fill(name, &mut file, None)?;
                Ok(writer.finish()?)
            }
            Files::Archive(files) => files
                .get(&clean(name.as_bytes()))
                .cloned()
                .ok_or_else(|| Error::Missing(name.to_owned())),
        }
    }
}
