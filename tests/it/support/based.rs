//! Images of cairn's on other people's, and what must be of these in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cairn::canon::Digest;
use serde_json::{Value, json};

use super::programs::{program, run};
use super::sample::{Sample, sample};
use super::tree::{self, Tree};
use super::{cairn, temp};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The sample's files, and room for images that somebody made.
pub struct Bench {
    pub sample: Sample,
    pub folder: tempfile::TempDir,
}

/// An image that cairn built.
pub struct Image {
    pub manifest: Value,
    pub config: Value,
    pub files: Tree,
}

impl Bench {
    pub fn new() -> Bench {
        let (sample, folder) = (sample(), temp());
        Bench { sample, folder }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn context(&self) -> &str {
        text(self.sample.folder.path())
    }

    /// Builds a recipe with these lines in a store of its own; its blobs must have their digests.
    #[track_caller]
    pub fn build(&self, recipe: &str) -> Image {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let at = |name: &str| folder.path().join(name);
        let recipe = format!("platforms = [\"linux/amd64\"]\n{recipe}");
        std::fs::write(self.at("cairn.toml"), recipe).unwrap();
        let (layout, tar) = (at("layout"), at("tar"));
        let layout_output = format!("type=oci-dir,dest={}", text(&layout));
        let tar_output = format!("type=tar,dest={}", text(&tar));
        let mut command = cairn(&at("home"));
        command.args(["build", "-q", "-o", &layout_output, "-o", &tar_output]);
        run(command.arg(self.folder.path()));
        let blob = |descriptor: &Value| {
            let (_, hex) = descriptor["digest"]
                .as_str()
                .unwrap()
                .split_once(':')
                .unwrap();
            let path = layout.join("blobs/sha256").join(hex);
            let digest = Digest::of(&std::fs::read(&path).unwrap());
            assert_eq!(descriptor["digest"], digest.to_string());
            path
        };
        let index = read_json(&layout.join("index.json"));
        let manifest = read_json(&blob(&index["manifests"][0]));
        for layer in manifest["layers"].as_array().unwrap() {
            blob(layer);
        }
        let config = read_json(&blob(&manifest["config"]));
        let files = at("files");
        std::fs::create_dir(&files).unwrap();
        let unpack = [
            "--xattrs",
            "--xattrs-include=*",
            "-xpf",
            text(&tar),
            "-C",
            text(&files),
        ];
        run(&mut program("tar", &unpack));
        let files = tree::read(&files);
        Image {
            manifest,
            config,
            files,
        }
    }

    /// Builds on `from` (TOML) and copies out of it, and compares with what the program that made
    /// the image has of it: its layers' digests, what its config says of execution, its files.
    #[track_caller]
    pub fn check(&self, from: &str, layers: Option<&[Value]>, execution: &Value, files: &Tree) {
        let added = "[[steps]]\nfile = { path = \"/added\", content = \"added\" }\n";
        let image = self.build(&format!("from = {from}\n{added}"));
        let mut got = image.files;
        assert!(got.remove(&b"added"[..]).is_some());
        tree::assert_same(from, &got, files);
        let found = image.manifest["layers"].as_array().unwrap();
        if let Some(layers) = layers {
            let digests = |layers: &[Value]| -> Vec<_> {
                layers.iter().map(|layer| layer["digest"].clone()).collect()
            };
            assert_eq!(
                digests(&found[..found.len() - 1]),
                digests(layers),
                "{from}"
            );
        }
        for layer in found {
            let kind = layer["mediaType"].as_str().unwrap();
            assert!(
                kind.starts_with("application/vnd.oci.image.layer.v1.tar"),
                "{kind}"
            );
        }
        let told = image.config["history"].as_array().unwrap().iter();
        let told = told.filter(|entry| entry["empty_layer"] != true);
        assert_eq!(told.count(), found.len(), "{from}");
        for (key, value) in execution.as_object().unwrap() {
            if !matches!(value, Value::Null) && *value != json!("") && *value != json!(false) {
                assert_eq!(image.config["config"][key], *value, "{from}: {key}");
            }
        }
        // Only what is copied, with its parents at the destination.
        let origin = from.strip_prefix('{').unwrap_or("");
        let origin = match origin.is_empty() {
            true => format!("{{ image = {from} }}"),
            false => format!("{{{origin}"),
        };
        let copy = format!(
            "from = \"scratch\"\n[[steps]]\ncopy = {{ from = {origin}, paths = [\"/srv/\"], to = \"/copied\" }}\n"
        );
        let mut got = self.build(&copy).files;
        got.remove(&b"copied"[..]);
        let (got, expected) = (below(&got, b"copied/"), below(files, b"srv/"));
        tree::assert_same(&format!("copied from {from}"), &got, &expected);
    }
}

/// What is below a folder, by its path from there; of links only those that stay within.
fn below(tree: &Tree, folder: &[u8]) -> Tree {
    let rows = tree.iter().filter_map(|(path, row)| {
        let path = path.strip_prefix(folder)?.to_vec();
        Some((path, row.clone()))
    });
    let mut rows: Tree = rows.collect();
    let mut names: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, row) in &mut rows {
        if let Some(first) = row.links.take() {
            names.entry(first).or_default().push(path.clone());
        }
    }
    for names in names.into_values().filter(|names| names.len() > 1) {
        for name in &names {
            rows.get_mut(name).unwrap().links = Some(tree::lossy(&names[0]));
        }
    }
    rows
}

/// A tool's files, to whole seconds: layers that cairn writes have no others.
pub fn whole_seconds(root: &Path) -> Tree {
    let mut files = tree::read(root);
    for row in files.values_mut() {
        row.mtime.1 = 0;
    }
    files
}

/// Layers and execution of the only image of a layout.
pub fn of_layout(layout: &Path) -> (Vec<Value>, Value) {
    let blob = |descriptor: &Value| {
        let (_, hex) = descriptor["digest"]
            .as_str()
            .unwrap()
            .split_once(':')
            .unwrap();
        read_json(&layout.join("blobs/sha256").join(hex))
    };
    let manifest = blob(&read_json(&layout.join("index.json"))["manifests"][0]);
    let layers = manifest["layers"].as_array().unwrap().clone();
    let config = blob(&manifest["config"]);
    (layers, config["config"].clone())
}

/// A layout of that name beside the recipe, in TOML.
pub fn layout(name: &str) -> String {
    format!("{{ oci = \"{name}\" }}")
}
