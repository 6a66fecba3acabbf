//! Stores that somebody spoilt: every blob that is an input.
//!
//! In: stores that have nothing but what a lock names. Out: builds that are refused, and the way out
//! that is one.

use std::path::{Path, PathBuf};

use super::World;
use super::edited::HOST;
use crate::packages::tools;
use crate::support::archive::Signer;
use crate::support::programs::program;
use crate::support::random::Random;
use crate::support::{require, run, temp};

/// The blobs of a store that are inputs: all that its artifact has, but itself.
fn inputs(store: &Path, artifact: &str) -> Vec<PathBuf> {
    let blobs = store.join("blobs/sha256");
    let hex = artifact.trim().trim_start_matches("sha256:");
    let manifest = std::fs::read_to_string(blobs.join(hex)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let own = [&manifest["config"]];
    let layers = manifest["layers"].as_array().unwrap();
    let is_own = |layer: &&serde_json::Value| {
        let kind = layer["mediaType"].as_str().unwrap();
        kind.contains("cairn") && !kind.contains(".blob")
    };
    let own = own.into_iter().chain(layers.iter().filter(is_own));
    let own: Vec<_> = own
        .map(|of| {
            of["digest"]
                .as_str()
                .unwrap()
                .trim_start_matches("sha256:")
                .to_owned()
        })
        .chain([hex.to_owned()])
        .collect();
    let all = crate::support::recipes::entries(&blobs).into_iter();
    all.filter(|path| !own.contains(&path.file_name().unwrap().to_str().unwrap().to_owned()))
        .collect()
}

/// Flips a byte of every input of `world` in a store that has nothing else, one after the other.
fn spoil_every_input(world: &World, hosts: &[&str]) -> usize {
    let vendor = world.folder.path().join("vendor");
    let vendor = vendor.to_str().unwrap();
    world.run(&[&["lock", "--vendor", vendor], hosts].concat());
    let clean = temp();
    let pull = ["pull", "--inputs", vendor];
    let artifact = run(&mut world.command_in(clean.path(), &pull));
    let build = [
        &["build", "-q", "--locked", "--offline", "--no-cache"],
        hosts,
    ]
    .concat();
    let mut built = None;
    let inputs = inputs(clean.path(), &artifact);
    for input in &inputs {
        let folder = temp();
        let store = folder.path().join("store");
        run(program("cp", &["-a"]).arg(clean.path()).arg(&store));
        let name = input.file_name().unwrap().to_str().unwrap();
        let blob = store.join("blobs/sha256").join(name);
        let mut bytes = std::fs::read(input).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(&blob, bytes).unwrap();
        let output = world.command_in(&store, &build).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            matches!(output.status.code(), Some(3 | 4)),
            "{name}: {said}"
        );
        assert!(
            said.contains(name) && said.contains("= hint: "),
            "{name}: {said}"
        );
        // The way out is one.
        run(&mut world.command_in(&store, &pull));
        let digest = run(&mut world.command_in(&store, &build));
        assert_eq!(
            built.get_or_insert_with(|| digest.clone()),
            &digest,
            "{name}"
        );
    }
    inputs.len()
}

#[test]
fn every_input_of_a_dockerfile_that_was_spoilt_is_refused() {
    let Some(world) = World::with_command() else {
        return;
    };
    // What is small is read again whenever it is there, what is large when it is needed.
    let large = Random::new(1).bytes(2 << 20);
    let large: String = large.iter().map(|byte| format!("{byte:02x}")).collect();
    world.move_image(&large);
    world.run(&[&["lock"], HOST].concat());
    // Of the image a manifest, a config and a layer; the commit's files; a file, also by a command.
    assert_eq!(spoil_every_input(&world, HOST), 5);
}

#[test]
fn every_package_that_was_spoilt_is_refused() {
    if !tools() || !require("git") {
        return;
    }
    let (archive, signer) = (crate::packages::archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let world = World::of_packages(&archive, &signer);
    world.run(&["lock"]);
    assert_eq!(spoil_every_input(&world, &[]), 3 + 3);
}
