//! `cairn inspect`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::arguments::Inspect;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{images, print};
use crate::canon::{DiffId, Digest, Problem, words};
use crate::image::config::Execution;
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document, ImageConfig, Manifest};
use crate::store::Store;
use crate::ui::table::{self, Table};

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    digest: Digest,
    media_type: String,
    names: Vec<String>,
    images: Vec<ShownImage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownImage {
    platform: String,
    digest: Digest,
    config_digest: Digest,
    created: Option<String>,
    config: Option<Execution>,
    annotations: Option<BTreeMap<String, String>>,
    layers: Vec<ShownLayer>,
    history: Vec<ShownStep>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownLayer {
    digest: Digest,
    diff_id: Option<DiffId>,
    media_type: String,
    size: u64,
    /// The step that made it.
    created_by: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownStep {
    created: Option<String>,
    created_by: Option<String>,
    /// Which layer it made, from 0.
    layer: Option<usize>,
}

/// Shows an image.
pub fn run(arguments: &Inspect, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store_to_read()?;
    let descriptor = images::find(&store, &arguments.image)?;
    let shown = shown(&store, &descriptor)?;
    if arguments.json {
        return print::json(&shown);
    }
    print::to_stdout(&text(&shown))
}

fn shown(store: &Store, descriptor: &Descriptor) -> Result<Shown, Failure> {
    let all = store.images()?;
    let same = all
        .iter()
        .filter(|image| image.descriptor.digest == descriptor.digest);
    let names = same
        .filter_map(|image| image.reference.as_ref().map(ToString::to_string))
        .collect();
    let mut images = Vec::new();
    match document(store, &descriptor.digest)? {
        Document::Manifest(manifest) => images.push(image(store, descriptor.digest, &manifest)?),
        Document::Index(index) => {
            let mut seen = BTreeSet::new();
            for member in &index.manifests {
                // A pull for one platform leaves the others out.
                if seen.insert(member.digest)
                    && store.blob(&member.digest).is_some()
                    && let Document::Manifest(manifest) = document(store, &member.digest)?
                {
                    images.push(image(store, member.digest, &manifest)?);
                }
            }
        }
    }
    Ok(Shown {
        digest: descriptor.digest,
        media_type: descriptor.media_type.clone(),
        names,
        images,
    })
}

fn document(store: &Store, digest: &Digest) -> Result<Document, Failure> {
    let bytes = store.read(digest, LARGEST_DOCUMENT)?;
    Document::parse(&bytes).map_err(|error| Failure::new(Code::Failed, error))
}

fn image(store: &Store, digest: Digest, manifest: &Manifest) -> Result<ShownImage, Failure> {
    let bytes = store.read(&manifest.config.digest, LARGEST_DOCUMENT)?;
    let config: ImageConfig = serde_json::from_slice(&bytes).map_err(|error| {
        let problem = Problem::new(format!(
            "the config {} can't be read: {error}",
            manifest.config.digest
        ));
        Failure::message(Code::Failed, problem)
    })?;
    let mut made = 0;
    let history: Vec<ShownStep> = config
        .history
        .iter()
        .flatten()
        .map(|step| {
            let layer = (!step.empty_layer).then_some(made);
            made += usize::from(!step.empty_layer);
            ShownStep {
                created: step.created.clone(),
                created_by: step.created_by.clone(),
                layer,
            }
        })
        .collect();
    let layers = manifest
        .layers
        .iter()
        .enumerate()
        .map(|(number, layer)| ShownLayer {
            digest: layer.digest,
            diff_id: config.rootfs.diff_ids.get(number).copied(),
            media_type: layer.media_type.clone(),
            size: layer.size,
            created_by: history
                .iter()
                .find(|step| step.layer == Some(number))
                .and_then(|step| step.created_by.clone()),
        });
    Ok(ShownImage {
        platform: config.platform().to_string(),
        digest,
        config_digest: manifest.config.digest,
        layers: layers.collect(),
        created: config.created,
        config: config.config,
        annotations: manifest.annotations.clone(),
        history,
    })
}

fn text(shown: &Shown) -> String {
    let mut out = format!("{}\n", shown.digest);
    for name in &shown.names {
        out.push_str(&format!("  {}\n", printable(name)));
    }
    for image in &shown.images {
        out.push_str(&format!("\n{}  {}\n", image.platform, image.digest));
        if let Some(config) = image
            .config
            .as_ref()
            .and_then(|config| serde_json::to_value(config).ok())
        {
            for (key, value) in config.as_object().into_iter().flatten() {
                for (name, text) in words::lines(key, value) {
                    out.push_str(&printable(&format!("  {name}: {text}")));
                    out.push('\n');
                }
            }
        }
        let mut table = Table::new(&["LAYER", "SIZE", "MADE BY"]).right(1);
        for layer in &image.layers {
            let made_by = layer.created_by.clone().unwrap_or_else(|| "?".to_owned());
            table.row([layer.digest.short(), table::size(layer.size), made_by]);
        }
        let without = image.history.iter().filter(|step| step.layer.is_none());
        for step in without {
            let made_by = step.created_by.clone().unwrap_or_else(|| "?".to_owned());
            table.row(["-".to_owned(), table::size(0), made_by]);
        }
        out.push_str(&table.render());
    }
    out
}

/// Without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
