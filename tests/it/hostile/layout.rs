//! Image layouts that are damaged, or lie.

use std::io::Read;
use std::path::PathBuf;

use cairn::canon::Digest;
use serde_json::{Value, json};

use super::{Case, MISMATCH, UNAVAILABLE};
use crate::support::random::Random;
use crate::support::recipes::{below, entries, testdata};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A build on the layout `layout` beside the recipe, with a file on top.
fn on_a_layout() -> Case {
    Case::recipe(
        "from = { oci = \"layout\", name = \"base:1\" }\nplatforms = [\"linux/amd64\"]\n\
         [[steps]]\nfile = { path = \"/etc/new\", content = \"\" }\n",
    )
}

/// As [`on_a_layout`], with nothing on top.
fn as_it_is() -> Case {
    Case::recipe(
        "from = { oci = \"layout\", name = \"base:1\" }\nplatforms = [\"linux/amd64\"]\n\
         [config]\ncmd = [\"x\"]\n",
    )
}

/// A layout under construction.
pub(super) struct Layout<'a>(pub(super) &'a Case);

impl Layout<'_> {
    pub(super) fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let folder = self.0.path("layout/blobs/sha256");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
    }

    pub(super) fn put_json(&self, media_type: &str, value: &Value) -> Value {
        self.put(media_type, &serde_json::to_vec(value).unwrap())
    }

    pub(super) fn config(&self, diff_ids: &[String]) -> Value {
        let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs });
        self.put_json(CONFIG, &config)
    }

    pub(super) fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        self.put_json(MANIFEST, &manifest)
    }

    /// Names `image` as the recipe does.
    pub(super) fn name(&self, mut image: Value) {
        image["annotations"] = json!({ "org.opencontainers.image.ref.name": "base:1" });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [image] });
        let write = |name: &str, bytes: Vec<u8>| {
            std::fs::write(self.0.path("layout").join(name), bytes).unwrap();
        };
        write("index.json", serde_json::to_vec(&index).unwrap());
        write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    }

    /// An image of that layer whose config says `diff_ids`.
    pub(super) fn image(&self, tar: &[u8], media_type: &str, diff_ids: &[String]) {
        let layer = self.put(media_type, tar);
        let config = self.config(diff_ids);
        self.name(self.manifest(&config, &[layer]));
    }
}

/// A tar of one file.
pub(super) fn tar(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
    builder.into_inner().unwrap()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// Copies the layout of testdata/ beside the recipe; its blobs.
fn copy_layout(case: &Case) -> Vec<PathBuf> {
    let source = testdata().join("recipes/base/layout");
    for path in below(&source) {
        let target = case.path("layout").join(&path);
        match source.join(&path).is_dir() {
            true => std::fs::create_dir_all(target).unwrap(),
            false => drop(std::fs::copy(source.join(path), target).unwrap()),
        }
    }
    entries(&case.path("layout/blobs/sha256"))
}

#[test]
fn every_damaged_blob_of_a_layout_is_named() {
    let case = on_a_layout();
    std::fs::create_dir(case.path("layout")).unwrap();
    let mut random = Random::new(1);
    let blobs = copy_layout(&case);
    assert!(blobs.len() > 4);
    for blob in blobs {
        let whole = std::fs::read(&blob).unwrap();
        let name = blob.file_name().unwrap().to_str().unwrap();
        let at = random.below(whole.len() as u64) as usize;
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << random.below(8);
        let mut longer = whole.clone();
        longer.push(0);
        for damaged in [flipped, whole[..at].to_vec(), Vec::new(), longer] {
            std::fs::write(&blob, damaged).unwrap();
            case.must_fail(MISMATCH, &[name]);
        }
        std::fs::remove_file(&blob).unwrap();
        // An index may name members that aren't there; then the image has none for the platform.
        let fragment = if whole.windows(9).any(|bytes| bytes == b"\"layers\":") {
            ""
        } else {
            name
        };
        let mut command = case.command();
        let output = command.output().unwrap();
        if output.status.code() != Some(0) {
            super::must_be_clear(&output, UNAVAILABLE, &[fragment]);
            case.must_be_clean();
        }
        std::fs::write(&blob, whole).unwrap();
        let _ = std::fs::remove_file(case.path("out/image.tar"));
        let _ = std::fs::remove_dir_all(case.path("store"));
    }
    case.must_build();
}

#[test]
fn a_damaged_index_is_refused_or_means_what_it_says() {
    let case = on_a_layout();
    std::fs::create_dir(case.path("layout")).unwrap();
    copy_layout(&case);
    let index = case.path("layout/index.json");
    let whole = std::fs::read(&index).unwrap();
    let mut random = Random::new(2);
    for _ in 0..12 {
        let at = random.below(whole.len() as u64) as usize;
        std::fs::write(&index, &whole[..at]).unwrap();
        case.must_fail(UNAVAILABLE, &["index.json"]);
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << random.below(8);
        std::fs::write(&index, flipped).unwrap();
        let output = case.command().output().unwrap();
        let code = output.status.code().unwrap();
        if code == 0 {
            std::fs::remove_file(case.path("out/image.tar")).unwrap();
        } else {
            assert!([UNAVAILABLE, MISMATCH].contains(&code), "{code}");
            super::must_be_clear(&output, code, &[]);
        }
        case.must_be_clean();
    }
    for nonsense in [&b""[..], b"{}", b"[]", b"null", &[b'['; 200_000]] {
        std::fs::write(&index, nonsense).unwrap();
        case.must_fail(UNAVAILABLE, &["index.json"]);
    }
}

#[test]
fn layers_that_the_config_does_not_have_are_refused() {
    for case in [on_a_layout(), as_it_is()] {
        let layout = Layout(&case);
        let tar = tar("file");
        layout.image(&tar, LAYER, &[]);
        case.must_fail(UNAVAILABLE, &["1 and 0 layers"]);
        layout.image(&tar, LAYER, &[digest(&tar), digest(&tar)]);
        case.must_fail(UNAVAILABLE, &["1 and 2 layers"]);
    }
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_refused_whatever_the_store_has() {
    for case in [on_a_layout(), as_it_is()] {
        let layout = Layout(&case);
        let (honest, other) = (tar("honest"), tar("other"));
        layout.image(&other, LAYER, &[digest(&honest)]);
        case.must_fail(MISMATCH, &["diff ID", &digest(&honest), &digest(&other)]);
        // The store knows the honest one now, and all that was built on it.
        layout.image(&honest, LAYER, &[digest(&honest)]);
        case.must_build();
        std::fs::remove_file(case.path("out/image.tar")).unwrap();
        layout.image(&other, LAYER, &[digest(&honest)]);
        case.must_fail(MISMATCH, &["diff ID", &digest(&honest), &digest(&other)]);
    }
}

#[test]
fn one_of_several_images_has_to_be_named() {
    let case = Case::recipe("from = { oci = \"layout\" }\nplatforms = [\"linux/amd64\"]\n");
    let layout = Layout(&case);
    let config = layout.config(&[]);
    let one = layout.manifest(&config, &[]);
    let mut other = layout.manifest(&layout.put_json(CONFIG, &json!({ "rootfs": {} })), &[]);
    other["annotations"] = json!({ "org.opencontainers.image.ref.name": "b" });
    layout.name(one.clone());
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [one, other] });
    std::fs::write(case.path("layout/index.json"), index.to_string()).unwrap();
    let unnamed = format!("{} without a name, `b`", one["digest"].as_str().unwrap());
    case.must_fail(
        UNAVAILABLE,
        &["several images", &unnamed, "`name = \"…\"` beside `oci`"],
    );
}

#[test]
fn sizes_that_are_not_true_are_refused() {
    let case = on_a_layout();
    let layout = Layout(&case);
    let tar = tar("file");
    for size in [0, 1, 1_000_000, u64::MAX / 2] {
        let mut layer = layout.put(LAYER, &tar);
        layer["size"] = json!(size);
        let config = layout.config(&[digest(&tar)]);
        layout.name(layout.manifest(&config, &[layer]));
        case.must_fail(MISMATCH, &[&Digest::of(&tar).hex(), "2048 bytes"]);
    }
}

#[test]
fn documents_that_are_none_are_refused() {
    let case = on_a_layout();
    let layout = Layout(&case);
    let tar = tar("file");
    let layer = layout.put(LAYER, &tar);
    let config = layout.config(&[digest(&tar)]);
    let deep = [
        b"{\"schemaVersion\":2,\"layers\":".to_vec(),
        vec![b'['; 100_000],
    ]
    .concat();
    let large = vec![b' '; (4 << 20) + 1];
    for bytes in [
        &b"{}"[..],
        b"\xff\xfe",
        b"[]",
        b"{\"schemaVersion\":1}",
        &deep,
        &large,
    ] {
        layout.name(layout.put(MANIFEST, bytes));
        case.must_fail(UNAVAILABLE, &[]);
    }
    for bytes in [&b"{}"[..], b"nonsense", &deep] {
        let config = layout.put(CONFIG, bytes);
        layout.name(layout.manifest(&config, &[]));
        case.must_fail(UNAVAILABLE, &[]);
    }
    let mut odd = layer.clone();
    odd["mediaType"] = json!("application/x-nonsense\u{1b}[31m\n");
    layout.name(layout.manifest(&config, &[odd]));
    case.must_fail(UNAVAILABLE, &["application/x-nonsense"]);
    let mut path = layer;
    path["digest"] = json!("sha256:../../../../etc/passwd");
    layout.name(layout.manifest(&config, &[path]));
    case.must_fail(UNAVAILABLE, &[]);
}

#[test]
fn indexes_in_indexes_have_an_end() {
    let case = on_a_layout();
    let layout = Layout(&case);
    let mut image = layout.manifest(&layout.config(&[]), &[]);
    for _ in 0..10 {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [image] });
        image = layout.put_json(INDEX, &index);
    }
    layout.name(image);
    case.must_fail(UNAVAILABLE, &["index"]);
}

#[test]
fn layers_that_are_no_archives_or_lead_out_are_refused() {
    let bomb = zstd::encode_all(std::io::repeat(0).take(300 << 20), 3).unwrap();
    assert!((300 << 20) / bomb.len() > 10_000);
    let zeros = Digest::of(&vec![0; 300 << 20]).to_string();
    let mut climbing = tar("etc/passwd");
    climbing[..10].copy_from_slice(b"../passwd\0");
    let sum: u32 = climbing[..512]
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(byte)
            }
        })
        .sum();
    climbing[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let nonsense = Random::new(3).bytes(2000);
    let case = on_a_layout();
    let layout = Layout(&case);
    for (bytes, diff_id, fragment) in [
        (&nonsense, digest(&nonsense), "header"),
        (&climbing, digest(&climbing), "`..`"),
        (&bomb, zeros, "--max-expansion"),
    ] {
        layout.image(bytes, LAYER, &[diff_id]);
        let name = Digest::of(bytes).hex();
        case.must_fail(UNAVAILABLE, &[&name, fragment]);
    }
}
