//! What `cairn diff` compares.
//!
//! In: a text. Out: [`Operand`]: an image whose blobs are in the store, or a tar, folder or file of
//! this machine, and the file system that it holds. Images of the store go before paths.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::build::{self, error::Cause};
use crate::canon::digest::Hashed;
use crate::canon::event::Events;
use crate::canon::{Digest, EntryPath, Platform, Problem};
use crate::cli::environment::Environment;
use crate::cli::exit::{Code, Failure};
use crate::cli::images;
use crate::cli::wanted::reference;
use crate::compare::{Side, What};
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document, ImageConfig};
use crate::inputs::{BaseImage, base, layout, whole_folder};
use crate::layer::codec::{Expansion, decompress};
use crate::layer::scan::{Purpose, scan};
use crate::layer::{Entry, Kind, Meta, Rootfs, Tree};
use crate::store::Store;

/// One of the two.
pub struct Operand {
    pub side: Side,
    pub held: Held,
}

/// Where it is.
pub enum Held {
    Image(Box<Image>),
    /// A tar in this file, in whatever compression.
    Layer(PathBuf),
    Folder(PathBuf),
    /// With its size and content.
    File(PathBuf, u64, Digest),
}

/// An image, and its documents as they are written.
pub struct Image {
    /// The digest of the index, where it has one, else of the manifest.
    pub named: Digest,
    pub base: BaseImage,
    pub index: Option<Value>,
    pub manifest: Value,
    pub config: Value,
}

impl Operand {
    pub fn image(&self) -> Option<&Image> {
        match &self.held {
            Held::Image(image) => Some(image),
            _ => None,
        }
    }

    pub fn is_folder(&self) -> bool {
        self.side.what == What::Folder
    }
}

/// Finds operands.
pub struct Finder<'a> {
    pub environment: &'a Environment,
    pub store: &'a Store,
    pub events: &'a Events,
    pub platform: Option<&'a Platform>,
    pub limit: Expansion,
}

impl Finder<'_> {
    /// Both; two files are told of under one name.
    pub fn both(&self, before: &str, after: &str) -> Result<(Operand, Operand), Failure> {
        let (first, second) = (self.find(before)?, self.find(after)?);
        let is_file = |operand: &Operand| matches!(operand.held, Held::File(..));
        if is_file(&first) != is_file(&second) {
            let file = if is_file(&first) { before } else { after };
            return Err(Failure::usage(
                format!("`{file}` is a file and no layer, and the other is no file"),
                "compare it with a file, or an image with `cairn diff A B -- PATH`",
            ));
        }
        Ok((first, second))
    }

    /// One of them.
    pub fn find(&self, text: &str) -> Result<Operand, Failure> {
        if let Some(name) = text.strip_prefix("docker-image://") {
            let platform = self.platform.cloned();
            let platform = platform.unwrap_or_else(|| self.environment.platform());
            let registries = self.environment.registries(self.events, false);
            let client = registries.client()?;
            let descriptor = client.pull(self.store, &reference(name)?, Some(&platform))?;
            return self.image(text, &descriptor);
        }
        if let Some(path) = text.strip_prefix("oci-layout://") {
            return self.layout(text, path);
        }
        let path = self.environment.absolute(Path::new(text));
        if text.starts_with(['.', '/']) {
            return self.path(text, &path);
        }
        match images::find(self.store, text) {
            Ok(descriptor) => self.image(text, &descriptor),
            Err(failure) => {
                let blob = text
                    .parse()
                    .ok()
                    .and_then(|digest| self.store.blob(&digest));
                match blob {
                    Some(blob) => Ok(layer(text, blob.path(), blob.digest)),
                    None if path.exists() => self.path(text, &path),
                    None => Err(failure),
                }
            }
        }
    }

    fn path(&self, text: &str, path: &Path) -> Result<Operand, Failure> {
        let failed = |error: std::io::Error| {
            let message = format!("can't read `{text}`: {error}");
            Failure::message(Code::Unavailable, Problem::new(message))
        };
        let meta = path.metadata().map_err(failed)?;
        if meta.is_dir() {
            return match path.join("index.json").is_file() && path.join("oci-layout").is_file() {
                true => self.layout(text, text),
                false => Ok(Operand {
                    side: side(text, What::Folder, None),
                    held: Held::Folder(path.to_owned()),
                }),
            };
        }
        if !meta.is_file() {
            let problem = Problem::new(format!("`{text}` is neither a file nor a folder"));
            return Err(Failure::message(Code::Unavailable, problem));
        }
        match self.archive(path).map_err(failed)? {
            Archive::Images => self.layout(text, text),
            Archive::Layer => {
                let (digest, _) = digest(path).map_err(failed)?;
                Ok(layer(text, path, digest))
            }
            Archive::None => {
                let (digest, size) = digest(path).map_err(failed)?;
                Ok(Operand {
                    side: side(text, What::File, Some(digest)),
                    held: Held::File(path.to_owned(), size, digest),
                })
            }
        }
    }

    /// What kind of archive a file is, by its first members.
    fn archive(&self, path: &Path) -> std::io::Result<Archive> {
        use crate::layer::read::Reader;
        const MOST_MEMBERS: usize = 100_000;
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let Ok(plain) = decompress(file, size, self.limit) else {
            return Ok(Archive::None);
        };
        let mut reader = Reader::new(plain);
        let mut found = Archive::None;
        for _ in 0..MOST_MEMBERS {
            match reader.next_member() {
                Ok(Some(member)) => {
                    found = Archive::Layer;
                    let path = EntryPath::new(&member.path).unwrap_or_default();
                    let is_images = match path.as_bytes() {
                        b"oci-layout" => true,
                        b"manifest.json" => is_of_docker(&mut reader),
                        _ => false,
                    };
                    if is_images {
                        return Ok(Archive::Images);
                    }
                    // Archives of images hold nothing deeper.
                    let is_of_images = path.components().next() == Some(b"blobs")
                        || path.components().count() <= 2;
                    if !is_of_images {
                        break;
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }

    fn layout(&self, text: &str, path: &str) -> Result<Operand, Failure> {
        // `PATH:NAME` or `PATH@DIGEST`, where there is no such path.
        let whole = self.environment.absolute(Path::new(path));
        let (path, name) = match path.rsplit_once(['@', ':']) {
            Some((_, "")) | None => (whole, None),
            Some(_) if whole.exists() => (whole, None),
            Some((rest, name)) => {
                // A digest holds a colon of its own.
                let at = path.split_once('@');
                let (rest, name) = at.unwrap_or((rest, name));
                (self.environment.absolute(Path::new(rest)), Some(name))
            }
        };
        let imported = layout::import(&path, name, self.store, self.limit);
        let descriptor = imported.map_err(|error| failed(base::Error::Layout(error)))?;
        self.image(text, &descriptor)
    }

    fn image(&self, text: &str, descriptor: &Descriptor) -> Result<Operand, Failure> {
        let platform = match self.platform {
            Some(platform) => platform.clone(),
            None => self.only_platform(descriptor)?,
        };
        let base = BaseImage::read(self.store, descriptor, &platform);
        let base = base.map_err(|error| failed(base::Error::Image(error)))?;
        let document = |digest: &Digest| -> Result<Value, Failure> {
            let bytes = self.store.read(digest, LARGEST_DOCUMENT)?;
            serde_json::from_slice(&bytes).map_err(|error| Failure::new(Code::Failed, error))
        };
        let manifest = base.descriptor.digest;
        let image = Image {
            named: descriptor.digest,
            index: match descriptor.digest == manifest {
                true => None,
                false => Some(document(&descriptor.digest)?),
            },
            manifest: document(&manifest)?,
            config: document(&base.manifest.config.digest)?,
            base,
        };
        let platform = Some(image.base.config.platform().to_string());
        Ok(Operand {
            side: Side {
                platform,
                ..side(text, What::Image, Some(manifest))
            },
            held: Held::Image(Box::new(image)),
        })
    }

    /// The platform of the only image that there is, else this machine's.
    fn only_platform(&self, descriptor: &Descriptor) -> Result<Platform, Failure> {
        let document = |digest: &Digest| {
            let bytes = self.store.read(digest, LARGEST_DOCUMENT)?;
            Document::parse(&bytes).map_err(|error| Failure::new(Code::Failed, error))
        };
        let mut manifests = vec![descriptor.digest];
        if let Document::Index(index) = document(&descriptor.digest)? {
            let is_image = |member: &&Descriptor| {
                let platform = member.platform.as_ref();
                member.is_document() && platform.is_none_or(|platform| platform.os != "unknown")
            };
            let members = index.manifests.iter().filter(is_image);
            manifests = members.map(|member| member.digest).collect();
        }
        if let [only] = manifests[..]
            && let Document::Manifest(manifest) = document(&only)?
        {
            let bytes = self.store.read(&manifest.config.digest, LARGEST_DOCUMENT)?;
            if let Ok(config) = serde_json::from_slice::<ImageConfig>(&bytes) {
                return Ok(config.platform());
            }
        }
        Ok(self.environment.platform())
    }
}

/// Whether a `manifest.json` is what `docker save` writes: an image may have one of its own.
fn is_of_docker(source: &mut dyn Read) -> bool {
    let mut text = Vec::new();
    let read = source.take(LARGEST_DOCUMENT).read_to_end(&mut text);
    let images = read
        .ok()
        .and_then(|_| serde_json::from_slice::<Value>(&text).ok());
    let images = images.as_ref().and_then(Value::as_array);
    images.is_some_and(|images| images.iter().any(|image| image.get("Layers").is_some()))
}

enum Archive {
    /// Of a layout, or what `docker save` writes.
    Images,
    /// Another tar.
    Layer,
    None,
}

/// A layer whose blob is that file.
fn layer(text: &str, path: &Path, digest: Digest) -> Operand {
    Operand {
        side: side(text, What::Layer, Some(digest)),
        held: Held::Layer(path.to_owned()),
    }
}

/// Of a file, with its size.
fn digest(path: &Path) -> std::io::Result<(Digest, u64)> {
    let mut file = Hashed::new(File::open(path)?);
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(file.finish())
}

fn side(text: &str, what: What, digest: Option<Digest>) -> Side {
    Side {
        name: text.to_owned(),
        what,
        digest,
        platform: None,
    }
}

pub fn failed(error: base::Error) -> Failure {
    let error = build::Error::from(Cause::from(error));
    Failure::new(error.kind().into(), error)
}

/// The file systems of both. Layers that both begin with are looked at once.
pub fn rootfs(
    before: &Operand,
    after: &Operand,
    store: &Store,
    limit: Expansion,
) -> Result<[Rootfs; 2], Failure> {
    let mut shared = Rootfs::default();
    let mut skipped = 0;
    if let (Some(first), Some(second)) = (before.image(), after.image()) {
        let pairs = first
            .base
            .stack
            .layers()
            .iter()
            .zip(second.base.stack.layers());
        for (layer, _) in pairs.take_while(|(one, other)| one.diff_id == other.diff_id) {
            let table = layer.table(store, limit).map_err(of_layer)?;
            shared.push(&table.tree, &table.opaque);
            skipped += 1;
        }
    }
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| after.rootfs(shared.clone(), skipped, store, limit));
        (
            before.rootfs(shared.clone(), skipped, store, limit),
            other.join(),
        )
    });
    let second = second.map_err(|_| {
        Failure::message(
            Code::Failed,
            Problem::new("a thread that read layers ended early"),
        )
    })?;
    Ok([first?, second?])
}

pub fn of_layer(error: crate::inputs::layers::Error) -> Failure {
    Failure::new(Code::Failed, error)
}

impl Operand {
    /// Its file system: `rootfs`, which the first layers give, and the others on top.
    fn rootfs(
        &self,
        mut rootfs: Rootfs,
        skipped: usize,
        store: &Store,
        limit: Expansion,
    ) -> Result<Rootfs, Failure> {
        let unreadable = |error: &dyn std::fmt::Display| {
            let message = format!("`{}` can't be read: {error}", self.side.name);
            Failure::message(Code::Failed, Problem::new(message))
        };
        match &self.held {
            Held::Image(image) => {
                for layer in image.base.stack.layers().iter().skip(skipped) {
                    let table = layer.table(store, limit).map_err(of_layer)?;
                    rootfs.push(&table.tree, &table.opaque);
                }
            }
            Held::Layer(path) => {
                let plain = open_tar(path, limit).map_err(|error| unreadable(&error))?;
                let scanned = scan(plain, Purpose::Layer).map_err(|error| unreadable(&error))?;
                rootfs.push(&scanned.tree, &scanned.opaque);
            }
            Held::Folder(path) => {
                let tree = whole_folder::read(path).map_err(|error| unreadable(&error))?;
                rootfs.push(&tree, &[]);
            }
            Held::File(_, size, digest) => {
                let entry = Entry {
                    path: EntryPath::new(b"content").map_err(|error| unreadable(&error))?,
                    kind: Kind::File {
                        size: *size,
                        digest: *digest,
                    },
                    meta: Meta::plain(0o644, 0),
                };
                let tree = Tree::new(vec![entry]).map_err(|error| unreadable(&error))?;
                rootfs.push(&tree, &[]);
            }
        }
        Ok(rootfs)
    }
}

/// A tar in a file, whatever its compression.
pub fn open_tar(path: &Path, limit: Expansion) -> std::io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    decompress(file, size, limit)
}
