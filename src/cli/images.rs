//! `cairn images`, `cairn tag`, `cairn rm`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::arguments::{Images, Rm, Tag};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::print;
use super::wanted::{new_name, reference};
use crate::canon::{Digest, Problem};
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document};
use crate::store::{Named, Store};
use crate::ui::table::{self, Table};

/// The image that `text` means: a name, a digest, or the first digits of one.
pub fn find(store: &Store, text: &str) -> Result<Descriptor, Failure> {
    if let Some(image) = by_name(store, text)? {
        return Ok(image);
    }
    let images = store.images()?;
    if let Some(digits) = hex_digits(text) {
        let found: BTreeMap<_, _> = images
            .iter()
            .map(|image| (image.descriptor.digest, &image.descriptor))
            .filter(|(digest, _)| digest.hex().starts_with(digits))
            .collect();
        match found.values().collect::<Vec<_>>()[..] {
            [only] => return Ok((*only).clone()),
            [] => {}
            _ => {
                return Err(Failure::usage(
                    format!("`{text}` is the beginning of several digests"),
                    "give more of its digits",
                ));
            }
        }
    }
    if let Ok(digest) = text.parse::<Digest>()
        && let Ok(bytes) = store.read(&digest, LARGEST_DOCUMENT)
        && let Ok(document) = Document::parse(&bytes)
    {
        // A member of an index has no entry of its own.
        return Ok(Descriptor::new(
            document.media_type(),
            digest,
            bytes.len() as u64,
        ));
    }
    if let Ok(config) = text.parse::<Digest>()
        && let Some(image) = images
            .iter()
            .find(|image| config_of(store, &image.descriptor) == Some(config))
    {
        return Ok(image.descriptor.clone());
    }
    let problem = Problem::new(format!("the store has no image `{}`", reference(text)?));
    let problem = problem.hint("`cairn images` lists what it has; `cairn pull` fetches");
    Err(Failure::message(Code::Unavailable, problem))
}

/// The image of exactly that name: it wins over the beginning of a digest.
fn by_name(store: &Store, text: &str) -> Result<Option<Descriptor>, Failure> {
    match text.parse() {
        Ok(name) => Ok(store.image(&name)?),
        Err(_) => Ok(None),
    }
}

/// The digest of its config, by which `--iidfile` and Docker name an image of one platform.
fn config_of(store: &Store, descriptor: &Descriptor) -> Option<Digest> {
    let bytes = store.read(&descriptor.digest, LARGEST_DOCUMENT).ok()?;
    match Document::parse(&bytes).ok()? {
        Document::Manifest(manifest) => Some(manifest.config.digest),
        Document::Index(_) => None,
    }
}

/// The digits of a digest or of its beginning, four at least.
fn hex_digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() >= 4 && digits.bytes().all(is_hex)).then_some(digits)
}

/// Lists the images.
pub fn list(arguments: &Images, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store_to_read()?;
    let images = store.images()?;
    if arguments.quiet {
        let lines = images
            .iter()
            .map(|image| format!("{}\n", image.descriptor.digest));
        return print::to_stdout(&lines.collect::<String>());
    }
    if arguments.json {
        let rows = images.iter().map(|image| {
            let (platforms, size) = summary(&store, &image.descriptor);
            json!({
                "name": image.reference.as_ref().map(ToString::to_string),
                "digest": image.descriptor.digest,
                "mediaType": image.descriptor.media_type,
                "platforms": platforms,
                "size": size,
            })
        });
        return print::json(&rows.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["NAME", "DIGEST", "PLATFORMS", "SIZE"]).right(3);
    for image in &images {
        let (platforms, bytes) = summary(&store, &image.descriptor);
        let name = image
            .reference
            .as_ref()
            .map_or_else(|| "<none>".to_owned(), ToString::to_string);
        table.row([
            name,
            image.descriptor.digest.short(),
            platforms.join(" "),
            table::size(bytes),
        ]);
    }
    print::to_stdout(&table.render())
}

/// Its platforms, and the bytes of all its blobs that are there; each is looked at once, however
/// often an index names it.
fn summary(store: &Store, descriptor: &Descriptor) -> (Vec<String>, u64) {
    let mut platforms = Vec::new();
    let mut seen = BTreeSet::from([descriptor.digest]);
    let mut todo = vec![descriptor.digest];
    while let Some(digest) = todo.pop() {
        let document = store.read(&digest, LARGEST_DOCUMENT).ok();
        match document.map(|bytes| Document::parse(&bytes)) {
            Some(Ok(Document::Index(index))) => {
                let members = index.manifests.iter().rev().map(|member| member.digest);
                todo.extend(members.filter(|member| seen.insert(*member)));
            }
            Some(Ok(Document::Manifest(manifest))) => {
                let config = store.read(&manifest.config.digest, LARGEST_DOCUMENT).ok();
                let config = config.and_then(|bytes| {
                    serde_json::from_slice::<crate::image::ImageConfig>(&bytes).ok()
                });
                platforms.extend(config.map(|config| config.platform().to_string()));
                seen.insert(manifest.config.digest);
                seen.extend(manifest.layers.iter().map(|layer| layer.digest));
            }
            _ => {}
        }
    }
    let sizes = seen.iter().filter_map(|digest| store.blob(digest));
    (platforms, sizes.map(|blob| blob.size).sum())
}

/// Gives an image another name.
pub fn tag(arguments: &Tag, environment: &Environment) -> Result<(), Failure> {
    let name = new_name(&arguments.name)?;
    let store = environment.store()?;
    let image = find(&store, &arguments.image)?;
    Ok(store.name_image(Some(&name), &image)?)
}

/// Removes images, and the blobs that no other image reaches. Records that told of these are as good
/// as missing, and cost nothing to keep.
pub fn remove(arguments: &Rm, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store()?;
    let meant = arguments.images.iter().map(|text| {
        let name = match by_name(&store, text)? {
            Some(_) => Some(reference(text)?),
            None => None,
        };
        Ok((find(&store, text)?, name))
    });
    // All of them are found before the first goes.
    let meant = meant.collect::<Result<Vec<_>, Failure>>()?;
    let gone = store.forget_image(|other: &Named| {
        meant.iter().any(|(image, name)| {
            other.descriptor.digest == image.digest
                && match name {
                    Some(name) if name.digest.is_none() => other.reference.as_ref() == Some(name),
                    _ => true,
                }
        })
    })?;
    if gone.is_empty() && meant.iter().all(|(_, name)| name.is_none()) {
        let problem =
            Problem::new("no image of the store is named by that digest: it is part of one");
        let problem = problem.hint("remove that image by its name or digest, see `cairn images`");
        return Err(Failure::message(Code::Unavailable, problem));
    }
    match store.remove_unreached(&gone)? {
        Some(bytes) => print::to_stderr(&format!(
            "{} freed; caches, and what stages and downloads left, stay (`cairn rm --help`)",
            table::size(bytes)
        )),
        None => print::to_stderr(
            "names are removed; their blobs stay, as another cairn is at work with this store",
        ),
    }
    Ok(())
}
