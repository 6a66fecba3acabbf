//! Every document that cairn writes holds to image-spec's own JSON Schemas.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::programs::{program, run, skipped};
use crate::support::sample::sample;
use crate::support::{cairn, temp};

/// Where Debian keeps them: golang-github-opencontainers-image-spec-dev.
const SCHEMAS: &str = "/usr/share/gocode/src/github.com/opencontainers/image-spec/schema";
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/validate.py");

const INDEX: &str = "image-index-schema.json";
const MANIFEST: &str = "image-manifest-schema.json";
const CONFIG: &str = "config-schema.json";
const LAYOUT: &str = "image-layout-schema.json";
const DESCRIPTOR: &str = "content-descriptor.json";

fn is_installed() -> bool {
    let import = program(PYTHON, &["-c", "import jsonschema"]).output();
    let is_there = import.is_ok_and(|output| output.status.success());
    if !is_there {
        skipped("Debian's python3-jsonschema is not installed");
    }
    let has_schemas = Path::new(SCHEMAS).join(INDEX).is_file();
    if !has_schemas {
        skipped("Debian's golang-github-opencontainers-image-spec-dev is not installed");
    }
    is_there && has_schemas
}

/// Documents, and the schema of each.
#[derive(Default)]
struct Documents(Vec<(&'static str, PathBuf)>);

impl Documents {
    fn add(&mut self, schema: &'static str, path: &Path) -> Value {
        self.0.push((schema, path.to_owned()));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// A layout's documents; all of its descriptors become documents in `folder`.
    fn layout(&mut self, layout: &Path, folder: &Path) {
        self.add(LAYOUT, &layout.join("oci-layout"));
        let index = self.add(INDEX, &layout.join("index.json"));
        let mut todo: Vec<Value> = index["manifests"].as_array().unwrap().clone();
        assert!(!todo.is_empty());
        while let Some(descriptor) = todo.pop() {
            let path = folder.join(self.0.len().to_string());
            std::fs::write(&path, descriptor.to_string()).unwrap();
            self.add(DESCRIPTOR, &path);
            let (_, hex) = descriptor["digest"]
                .as_str()
                .unwrap()
                .split_once(':')
                .unwrap();
            let blob = layout.join("blobs/sha256").join(hex);
            let kind = descriptor["mediaType"].as_str().unwrap();
            if kind.ends_with("image.index.v1+json") {
                let index = self.add(INDEX, &blob);
                todo.extend(index["manifests"].as_array().unwrap().clone());
            } else if kind.ends_with("image.manifest.v1+json") {
                let manifest = self.add(MANIFEST, &blob);
                todo.push(manifest["config"].clone());
                todo.extend(manifest["layers"].as_array().unwrap().clone());
            } else if kind.ends_with("image.config.v1+json") {
                self.add(CONFIG, &blob);
            }
        }
    }

    fn count(&self, schema: &str) -> usize {
        self.0.iter().filter(|(other, _)| *other == schema).count()
    }

    /// What is wrong, a line each.
    fn check(&self) -> String {
        let mut command = program(PYTHON, &[SCRIPT, SCHEMAS]);
        for (schema, path) in &self.0 {
            command.arg(schema).arg(path);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_silent = said.is_empty();
        assert_eq!(output.status.success(), is_silent, "{output:?}");
        said
    }
}

#[test]
fn every_document_holds_to_the_schemas() {
    if !is_installed() {
        return;
    }
    let (sample, folder) = (sample(), temp());
    let recipe = sample.folder.path().join("several.toml");
    let several = "platforms = [\"linux/amd64\", \"linux/arm/v7\", \"windows/amd64\"]\nfrom = \"scratch\"\n[[steps]]\nfile = { path = \"/a\", content = \"\" }\n";
    std::fs::write(&recipe, several).unwrap();
    let empty = sample.folder.path().join("empty.toml");
    std::fs::write(
        &empty,
        "platforms = [\"linux/arm64\"]\nfrom = \"scratch\"\n",
    )
    .unwrap();
    let sample_recipe = sample.folder.path().join("cairn.toml");
    let mut documents = Documents::default();
    let home = folder.path().join("home");
    for (number, (recipe, codec)) in [
        (&sample_recipe, "gzip"),
        (&sample_recipe, "zstd"),
        (&sample_recipe, "uncompressed"),
        (&recipe, "gzip"),
        (&empty, "gzip"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = |name: &str| folder.path().join(format!("{name}-{number}"));
        let output = format!("type=oci-dir,dest={}", at("layout").display());
        let tar = format!("type=oci,dest={}", at("tar").display());
        let mut command = cairn(&home);
        command.args(["build", "-q", "-t", "a:1", "-t", "localhost:5000/b/c:2"]);
        command.args(["--compression", codec, "-o", &output, "-o", &tar, "--file"]);
        command
            .arg(recipe)
            .arg("--metadata-file")
            .arg(at("metadata"));
        run(command.arg(sample.folder.path()));
        let descriptors = at("descriptors");
        std::fs::create_dir(&descriptors).unwrap();
        documents.layout(&at("layout"), &descriptors);
        let unpacked = at("unpacked");
        std::fs::create_dir(&unpacked).unwrap();
        run(program("tar", &["-xf"])
            .arg(at("tar"))
            .arg("-C")
            .arg(&unpacked));
        documents.layout(&unpacked, &descriptors);
        let metadata = std::fs::read(at("metadata")).unwrap();
        let metadata: Value = serde_json::from_slice(&metadata).unwrap();
        let descriptor = descriptors.join("metadata");
        std::fs::write(
            &descriptor,
            metadata["containerimage.descriptor"].to_string(),
        )
        .unwrap();
        documents.add(DESCRIPTOR, &descriptor);
    }
    // The store is a layout, too.
    let descriptors = folder.path().join("descriptors");
    std::fs::create_dir(&descriptors).unwrap();
    documents.layout(&home, &descriptors);
    assert_eq!(documents.check(), "");
    for (schema, least) in [(LAYOUT, 11), (INDEX, 13), (MANIFEST, 14), (CONFIG, 14)] {
        assert!(documents.count(schema) >= least, "{schema}");
    }
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    if !is_installed() {
        return;
    }
    let folder = temp();
    for (schema, text) in [
        (LAYOUT, r#"{"imageLayoutVersion":"2.0.0"}"#),
        (
            INDEX,
            r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:1"}]}"#,
        ),
        (
            CONFIG,
            r#"{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
        ),
        (DESCRIPTOR, r#"{"mediaType":"a/b","size":-1,"digest":"x"}"#),
        (
            MANIFEST,
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":1,"digest":"x"},"layers":[]}"#,
        ),
    ] {
        let path = folder.path().join("document");
        std::fs::write(&path, text).unwrap();
        let mut documents = Documents::default();
        documents.add(schema, &path);
        assert_ne!(documents.check(), "", "{schema}");
    }
}
