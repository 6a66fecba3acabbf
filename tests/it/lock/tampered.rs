//! Inputs that came from somebody who changed them, and a store that lost some of its bytes: what
//! is not what the lock says is refused, and what was damaged is had again.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use cairn::canon::{Digest, json};
use cairn::store::Store;
use serde_json::{Value, json};

use super::World;
use crate::support::recipes::entries;
use crate::support::{require, run, temp};

const DIFF_ID: &str = "dev.cairn.diff-id";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Inputs in a folder, an OCI layout.
struct Vendored(PathBuf);

impl Vendored {
    fn new(world: &World, name: &str) -> Vendored {
        let folder = world.folder.path().join(name);
        world.run(&["lock", "--vendor", folder.to_str().unwrap()]);
        Vendored(folder)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.0.join("blobs/sha256").join(hex)
    }

    fn put(&self, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes).to_string();
        std::fs::write(self.blob(&digest), bytes).unwrap();
        digest
    }

    fn read(&self, path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// Changes the layers that its manifest has.
    fn change(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let path = self.0.join("index.json");
        let mut index = self.read(&path);
        let top = &mut index["manifests"][0];
        let mut manifest = self.read(&self.blob(top["digest"].as_str().unwrap()));
        change(manifest["layers"].as_array_mut().unwrap());
        let bytes = json::to_vec(&manifest).unwrap();
        top["digest"] = json!(self.put(&bytes));
        top["size"] = json!(bytes.len());
        std::fs::write(&path, json::to_vec(&index).unwrap()).unwrap();
    }

    /// Changes the tar of the one layer that holds a commit; says which it is now.
    fn change_commit(&self, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut digest = String::new();
        self.change(|layers| {
            let of_commit = |layer: &&mut Value| {
                layer["mediaType"] == LAYER && layer["annotations"][DIFF_ID].is_string()
            };
            let layer = layers.iter_mut().find(of_commit).unwrap();
            let packed = std::fs::File::open(self.blob(layer["digest"].as_str().unwrap()));
            let mut tar = Vec::new();
            let mut plain = flate2::read::MultiGzDecoder::new(packed.unwrap());
            plain.read_to_end(&mut tar).unwrap();
            change(&mut tar);
            *layer = self.layer(&tar);
            digest = layer["digest"].as_str().unwrap().to_owned();
        });
        digest
    }

    /// A layer of that tar, as the files of a commit are named.
    fn layer(&self, tar: &[u8]) -> Value {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(tar).unwrap();
        let bytes = gzip.finish().unwrap();
        json!({
            "mediaType": LAYER,
            "digest": self.put(&bytes),
            "size": bytes.len(),
            "annotations": { DIFF_ID: Digest::of(tar).to_string() },
        })
    }

    /// The exit code of fetching them into `store`, and what is said.
    fn pull(&self, world: &World, store: &Path) -> (Option<i32>, String) {
        let arguments = ["pull", "--inputs", self.0.to_str().unwrap()];
        let output = world.command_in(store, &arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    }
}

/// Says in the header of the member `name` that `named` is the name of its owner, which no table
/// tells.
fn rename_owner(tar: &mut [u8], name: &str, named: &[u8]) {
    let is_named = |block: &&mut [u8]| block.starts_with(&[name.as_bytes(), b"\0"].concat());
    let header = tar.chunks_mut(512).find(is_named).unwrap();
    header[265..265 + named.len()].copy_from_slice(named);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn build(world: &World, store: &Path) -> String {
    run(&mut world.command_in(store, &["build", "-q", "--locked", "--offline"]))
}

#[test]
fn a_commit_whose_files_were_changed_is_refused() {
    if !require("git") {
        return;
    }
    let world = World::new();
    world.move_branch("the content of a file");
    let vendored = Vendored::new(&world, "vendored");
    let layer = vendored.change_commit(|tar| {
        let place = tar
            .windows(21)
            .position(|part| part == b"the content of a file");
        let place = place.unwrap();
        tar[place..place + 3].copy_from_slice(b"any");
    });
    let store = temp();
    let (code, text) = vendored.pull(&world, store.path());
    assert_eq!(code, Some(4), "{text}");
    let repository = format!("{}#main", world.repository_url());
    for word in [&layer, &repository] {
        assert!(text.contains(word.as_str()), "{word} {text}");
    }
}

#[test]
fn a_layer_that_no_commit_has_is_refused_and_no_build_is_made_of_it() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let vendored = Vendored::new(&world, "vendored");
    let built = world.run(&["build", "-q"]);
    // The layer that the recipe's COPY makes, but for a word that its table doesn't tell.
    let tar = world.folder.path().join("image.tar");
    let output = format!("type=oci-dir,dest={}", tar.display());
    world.run(&["build", "-q", "-o", &output]);
    let image = Vendored(tar);
    let index = image.read(&image.0.join("index.json"));
    let manifest = &index["manifests"][0]["digest"];
    let manifest = image.read(&image.blob(manifest.as_str().unwrap()));
    let copied = manifest["layers"].as_array().unwrap().last().unwrap();
    let packed = std::fs::File::open(image.blob(copied["digest"].as_str().unwrap())).unwrap();
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(packed)
        .read_to_end(&mut tar)
        .unwrap();
    rename_owner(&mut tar, "Dockerfile", b"somebody");
    let layer = vendored.layer(&tar);
    vendored.change(|layers| layers.push(layer));
    let store = temp();
    let (code, text) = vendored.pull(&world, store.path());
    assert_eq!(code, Some(4), "{text}");
    let whole = Vendored::new(&world, "whole");
    assert_eq!(whole.pull(&world, store.path()).0, Some(0));
    assert_eq!(build(&world, store.path()), built);
}

#[test]
fn the_layer_of_a_commit_is_packed_anew_whatever_bytes_came() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let vendored = Vendored::new(&world, "vendored");
    let layer = vendored.change_commit(|tar| rename_owner(tar, "file", b"somebody"));
    let store = temp();
    let (code, text) = vendored.pull(&world, store.path());
    assert_eq!(code, Some(0), "{text}");
    let records = entries(&store.path().join("layers"));
    let records = records
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let records: Vec<_> = records.filter(|text| text.contains("diff_id")).collect();
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(!records[0].contains(&layer), "{records:?}");
}

#[test]
fn inputs_that_lack_something_of_their_lock_are_refused() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let vendored = Vendored::new(&world, "vendored");
    vendored.change(|layers| layers.retain(|layer| layer["mediaType"] != LAYER));
    let (code, text) = vendored.pull(&world, temp().path());
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains(&world.repository_url()), "{text}");
}

/// Changes a byte in the middle of each of the store's blobs of which `is_meant` holds.
fn damage(store: &Store, is_meant: impl Fn(u64) -> bool) -> Vec<Digest> {
    let blobs = entries(&store.root().join("blobs/sha256"));
    let mut damaged = Vec::new();
    for path in blobs {
        let mut bytes = std::fs::read(&path).unwrap();
        if is_meant(bytes.len() as u64) && !bytes.is_empty() {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            damaged.push(format!("sha256:{name}").parse().unwrap());
        }
    }
    damaged
}

#[test]
fn inputs_that_are_fetched_again_mend_a_damaged_store() {
    if !require("git") {
        return;
    }
    const LARGE: u64 = 1 << 20;
    let world = World::new();
    world.move_file(Some(&"a large file ".repeat(100_000)));
    let vendored = Vendored::new(&world, "vendored");
    let name = world.served.name("inputs:1");
    world.run(&["lock", "--push", &name]);
    let built = world.run(&["build", "-q"]);
    for from in [vendored.0.to_str().unwrap(), &name] {
        for is_large in [false, true] {
            let folder = temp();
            let pull = || run(&mut world.command_in(folder.path(), &["pull", "--inputs", from]));
            pull();
            let store = Store::open(folder.path()).unwrap();
            let damaged = damage(&store, |size| (size > LARGE) == is_large);
            assert!(!damaged.is_empty());
            pull();
            for digest in &damaged {
                let is_whole = store.checked_blob(digest).is_some();
                assert!(is_whole, "{digest} of {from}, large: {is_large}");
            }
            assert_eq!(build(&world, folder.path()), built);
        }
    }
}
