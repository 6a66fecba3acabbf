//! Layers and config changes to an image's documents.
//!
//! In: a planned image and what its steps came out as. Out: config, manifest and index in the
//! store, canonical, times at the epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Cause;
use super::outputs::Outputs;
use super::{BuiltImage, Settings};
use crate::canon::event::Outcome;
use crate::canon::{Digest, Platform, json};
use crate::image::config::{Empty, Execution, Foreign, Healthcheck, History, RootFs};
use crate::image::manifest::{PlatformObject, media_type};
use crate::image::{Descriptor, ImageConfig, Index, Manifest};
use crate::inputs::Layer;
use crate::layer::Tree;
use crate::plan::config::{Field, Unset};
use crate::plan::{ConfigChange, Plan, PlannedImage};
use crate::step::Change;
use crate::step::pack::Packer;
use crate::store::Store;

type Map = BTreeMap<String, String>;

/// Puts the documents of one image into the store.
pub(super) fn image(
    plan: &Plan,
    planned: &PlannedImage,
    outputs: &Outputs,
    settings: &Settings,
) -> Result<BuiltImage, Cause> {
    let layers = outputs.layers(planned.root)?;
    let base = layers.base.as_deref();
    for layer in base.iter().flat_map(|base| base.stack.layers()) {
        layer.check(&settings.store, settings.expansion)?;
    }
    let mut config = base.map_or_else(
        || empty_config(&planned.platform),
        |base| base.config.clone(),
    );
    let mut annotations = base
        .and_then(|base| base.manifest.annotations.clone())
        .unwrap_or_default();
    for change in &planned.config {
        apply(&mut config, &mut annotations, change);
    }
    if planned.is_asked_for {
        set_platform(&mut config, &planned.platform);
    }
    let created = settings.epoch.to_string();
    let base_layers = base.map_or(0, |base| base.stack.layers().len());
    let mut history = aligned(config.history.take().unwrap_or_default(), base_layers);
    for step in plan.stack(planned.root) {
        if plan.step(step).operation.adds_layer() {
            history.push(History {
                created: Some(created.clone()),
                created_by: Some(plan.step(step).name.clone()),
                empty_layer: !outputs.layers(step)?.has_added,
                foreign: Foreign::new(),
            });
        }
    }
    let mut stack = layers.stack.layers().to_vec();
    if stack.is_empty() {
        stack.push(Arc::new(empty_layer(settings)?));
        history.push(History {
            created: Some(created.clone()),
            created_by: Some("an empty layer, as an image has one at least".to_owned()),
            empty_layer: false,
            foreign: Foreign::new(),
        });
    }
    config.history = (!history.is_empty()).then_some(history);
    config.created = Some(created);
    let diff_ids = stack.iter().map(|layer| layer.diff_id).collect();
    config.rootfs = RootFs {
        diff_ids,
        ..RootFs::default()
    };

    let config_blob = settings.store.put(&json::to_vec(&config)?)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::MANIFEST.to_owned()),
        config: Descriptor::new(media_type::CONFIG, config_blob.digest, config_blob.size),
        layers: stack.iter().map(|layer| layer.descriptor.clone()).collect(),
        annotations: (!annotations.is_empty()).then_some(annotations),
        foreign: Foreign::new(),
    };
    let blob = settings.store.put(&json::to_vec(&manifest)?)?;
    let (has, wanted) = (config.platform(), &planned.platform);
    let is_other = (&has.os, &has.architecture) != (&wanted.os, &wanted.architecture);
    // Some tools leave it out, and then nobody can tell.
    let platform = match is_other && !config.architecture.is_empty() {
        true => has,
        false => wanted.clone(),
    };
    Ok(BuiltImage {
        platform,
        manifest: Descriptor::new(media_type::MANIFEST, blob.digest, blob.size),
        config: config_blob.digest,
    })
}

/// Puts an index of `images` into the store.
pub(super) fn index(
    images: &[BuiltImage],
    annotations: &Map,
    store: &Store,
) -> Result<Descriptor, Cause> {
    let members = images.iter().map(|image| Descriptor {
        platform: Some(platform_object(&image.platform)),
        ..image.manifest.clone()
    });
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        manifests: members.collect(),
        annotations: (!annotations.is_empty()).then(|| annotations.clone()),
        foreign: Foreign::new(),
    };
    let blob = store.put(&json::to_vec(&index)?)?;
    Ok(Descriptor::new(media_type::INDEX, blob.digest, blob.size))
}

/// A base's history with one entry for each of its layers, besides those that made none: readers
/// count them (image-spec, config.md, `history`). Bases may have none, or get it wrong.
fn aligned(mut history: Vec<History>, layers: usize) -> Vec<History> {
    let told = history.iter().filter(|entry| !entry.empty_layer).count();
    let surplus = told.saturating_sub(layers);
    let with_layer = history.iter_mut().filter(|entry| !entry.empty_layer);
    for entry in with_layer.take(surplus) {
        entry.empty_layer = true;
    }
    let untold = History {
        created_by: Some("a layer of the base, which says nothing of it".to_owned()),
        ..History::default()
    };
    history.extend(std::iter::repeat_n(untold, layers.saturating_sub(told)));
    history
}

/// Of an image without layers: image-spec's schema of manifests asks for one at least
/// (image-manifest-schema.json, `layers`), and so do programs.
fn empty_layer(settings: &Settings) -> Result<Layer, Cause> {
    let nothing = Change {
        tree: Tree::default(),
        origins: Vec::new(),
    };
    let work = settings.events.start("pack an empty layer");
    let packer = Packer {
        store: &settings.store,
        codec: settings.codec,
        threads: 1,
        work: &work,
    };
    let layer = packer.pack(&nothing, &Digest::of(b"empty layer"))?;
    work.finish(Outcome::Done);
    Ok(layer)
}

fn platform_object(platform: &Platform) -> PlatformObject {
    PlatformObject {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        foreign: Foreign::new(),
    }
}

fn empty_config(platform: &Platform) -> ImageConfig {
    ImageConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        ..ImageConfig::default()
    }
}

/// Says that an image is of `platform`, though its base may be of another; as BuildKit does, a
/// variant stays that nobody asks for.
fn set_platform(config: &mut ImageConfig, platform: &Platform) {
    let has = config.platform();
    let is_other = (&has.os, &has.architecture) != (&platform.os, &platform.architecture);
    if is_other {
        config.os.clone_from(&platform.os);
        config.architecture.clone_from(&platform.architecture);
        config.foreign.remove("os.version");
    }
    if is_other || platform.variant.is_some() {
        config.variant.clone_from(&platform.variant);
    }
}

/// Changes a config, and the annotations of its manifest.
pub fn apply(config: &mut ImageConfig, annotations: &mut Map, change: &ConfigChange) {
    let mut execution = config.config.take().unwrap_or_default();
    for unset in &change.unset {
        match unset {
            Unset::All(Field::Author) => drop(config.foreign.remove("author")),
            Unset::All(field) => unset_all(&mut execution, annotations, *field),
            Unset::Member(field, name) => unset_member(&mut execution, annotations, *field, name),
        }
    }
    set(&mut execution, change);
    if let Some(author) = &change.author {
        config
            .foreign
            .insert("author".to_owned(), author.clone().into());
    }
    annotations.extend(change.annotations.clone());
    config.config = (execution != Execution::default()).then_some(execution);
}

fn unset_all(execution: &mut Execution, annotations: &mut Map, field: Field) {
    match field {
        Field::Entrypoint => execution.entrypoint = None,
        Field::Cmd => execution.cmd = None,
        Field::Env => execution.env = None,
        Field::User => execution.user = None,
        Field::Workdir => execution.working_dir = None,
        Field::Ports => execution.exposed_ports = None,
        Field::Volumes => execution.volumes = None,
        Field::Labels => execution.labels = None,
        Field::StopSignal => execution.stop_signal = None,
        Field::Healthcheck => execution.healthcheck = None,
        Field::OnBuild => drop(execution.foreign.remove("OnBuild")),
        Field::Shell => drop(execution.foreign.remove("Shell")),
        Field::Annotations => annotations.clear(),
        Field::Author => {}
    }
}

fn unset_member(execution: &mut Execution, annotations: &mut Map, field: Field, name: &str) {
    fn remove<T>(map: &mut Option<BTreeMap<String, T>>, name: &str) {
        if let Some(map) = map {
            map.remove(name);
        }
        if map.as_ref().is_some_and(BTreeMap::is_empty) {
            *map = None;
        }
    }
    match field {
        Field::Env => {
            let env = execution.env.take().unwrap_or_default();
            let kept: Vec<_> = env
                .into_iter()
                .filter(|variable| name_of(variable) != name)
                .collect();
            execution.env = (!kept.is_empty()).then_some(kept);
        }
        Field::Ports => remove(&mut execution.exposed_ports, name),
        Field::Volumes => remove(&mut execution.volumes, name),
        Field::Labels => remove(&mut execution.labels, name),
        Field::Annotations => drop(annotations.remove(name)),
        _ => {}
    }
}

fn set(execution: &mut Execution, change: &ConfigChange) {
    if let Some(entrypoint) = &change.entrypoint {
        execution.entrypoint = Some(entrypoint.clone());
        execution.cmd = None;
    }
    let replace = |to: &mut Option<String>, from: &Option<String>| {
        if from.is_some() {
            to.clone_from(from);
        }
    };
    if change.cmd.is_some() {
        execution.cmd.clone_from(&change.cmd);
    }
    replace(&mut execution.user, &change.user);
    replace(&mut execution.working_dir, &change.workdir);
    replace(&mut execution.stop_signal, &change.stop_signal);
    for (name, value) in &change.env {
        let env = execution.env.get_or_insert_default();
        let variable = format!("{name}={value}");
        match env.iter_mut().find(|old| name_of(old) == name) {
            Some(old) => *old = variable,
            None => env.push(variable),
        }
    }
    let add = |to: &mut Option<BTreeMap<String, Empty>>, names: &[String]| {
        if !names.is_empty() {
            let names = names.iter().map(|name| (name.clone(), Empty {}));
            to.get_or_insert_default().extend(names);
        }
    };
    add(&mut execution.exposed_ports, &change.ports);
    add(&mut execution.volumes, &change.volumes);
    if !change.labels.is_empty() {
        execution
            .labels
            .get_or_insert_default()
            .extend(change.labels.clone());
    }
    let mut set = |name: &str, value: serde_json::Value| {
        execution.foreign.insert(name.to_owned(), value);
    };
    if !change.on_build.is_empty() {
        set("OnBuild", change.on_build.clone().into());
    }
    if let Some(shell) = &change.shell {
        set("Shell", shell.clone().into());
    }
    if change.args_escaped {
        set("ArgsEscaped", true.into());
    }
    if let Some(check) = &change.healthcheck {
        execution.healthcheck = Some(Healthcheck {
            test: Some(check.test.clone()),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        });
    }
}

fn name_of(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> ImageConfig {
        let text = r#"{"architecture":"amd64","os":"linux","author":"them","rootfs":{"type":"layers","diff_ids":[]},
            "config":{"Env":["PATH=/bin","A=1"],"Entrypoint":["e"],"Cmd":["c"],"Volumes":{"/v":{}},"OnBuild":["RUN x"],
            "Labels":{"l":"1","m":"2"},"ExposedPorts":{"80/tcp":{}}}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn applied(change: ConfigChange) -> serde_json::Value {
        let mut config = base();
        apply(&mut config, &mut Map::new(), &change);
        serde_json::to_value(config).unwrap()
    }

    #[test]
    fn a_history_has_one_entry_for_each_layer() {
        let told = |text: &str| {
            let entries = text.chars().map(|letter| History {
                created_by: Some(letter.to_string()),
                empty_layer: letter.is_lowercase(),
                ..History::default()
            });
            entries.collect::<Vec<_>>()
        };
        for (before, layers, after) in [
            ("aBcD", 2, [false, true, false, true].as_slice()),
            ("aB", 3, &[false, true, true, true]),
            ("", 1, &[true]),
            ("AbC", 1, &[false, false, true]),
            ("", 0, &[]),
        ] {
            let has_layer: Vec<_> = aligned(told(before), layers)
                .iter()
                .map(|entry| !entry.empty_layer)
                .collect();
            assert_eq!(has_layer, after, "{before} {layers}");
        }
    }

    #[test]
    fn anything_inherited_can_be_unset() {
        let member = |field, name: &str| Unset::Member(field, name.to_owned());
        let unset = vec![
            Unset::All(Field::Author),
            Unset::All(Field::Entrypoint),
            Unset::All(Field::Cmd),
            Unset::All(Field::OnBuild),
            member(Field::Env, "A"),
            member(Field::Volumes, "/v"),
            member(Field::Labels, "l"),
            Unset::All(Field::Ports),
        ];
        let config = applied(ConfigChange {
            unset,
            ..ConfigChange::default()
        });
        assert_eq!(
            config["config"],
            serde_json::json!({"Env": ["PATH=/bin"], "Labels": {"m": "2"}})
        );
        assert!(config.get("author").is_none());
    }

    #[test]
    fn variables_keep_their_place_and_an_entrypoint_drops_the_command() {
        let env = vec![
            ("B".to_owned(), "2".to_owned()),
            ("PATH".to_owned(), "/usr/bin".to_owned()),
        ];
        let config = applied(ConfigChange {
            env,
            entrypoint: Some(vec!["n".to_owned()]),
            ..ConfigChange::default()
        });
        assert_eq!(
            config["config"]["Env"],
            serde_json::json!(["PATH=/usr/bin", "A=1", "B=2"])
        );
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["n"]));
        assert!(config["config"].get("Cmd").is_none());
    }
}
