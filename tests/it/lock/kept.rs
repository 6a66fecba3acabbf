//! Inputs that are kept: in a registry, beside an image, in a folder; and had back in another
//! place, when nothing else is there any more.

use std::path::Path;
use std::process::Command;

use super::World;
use crate::support::served::Served;
use crate::support::{require, run, temp};

/// What `world` builds to in a store that has only `inputs`, while everything else is gone.
fn build_elsewhere(world: &World, pull: &[&str]) -> String {
    let store = temp();
    let digest = run(&mut world.command_in(store.path(), &[&["pull", "--inputs"], pull].concat()));
    assert!(digest.starts_with("sha256:"), "{digest}");
    run(&mut world.command_in(store.path(), &["build", "-q", "--locked", "--offline"]))
}

#[test]
fn inputs_come_back_from_a_registry_a_folder_and_beside_an_image() {
    if !require("git") {
        return;
    }
    let mut world = World::new();
    let other = Served::new(&world.folder.path().join("other"));
    let (by_itself, image) = (other.name("inputs:1"), other.name("image:1"));
    let vendor = world.folder.path().join("vendor");
    let vendor = vendor.to_str().unwrap();
    world.run(&["lock", "--push", &by_itself]);
    world.run(&["lock", "--vendor", vendor]);
    let built = world.run(&["build", "-q", "-t", &image]);
    world.run(&["push", "--inputs", &image]);
    world.end();
    for from in [by_itself.as_str(), &image, vendor] {
        assert_eq!(build_elsewhere(&world, &[from]), built, "{from}");
    }
    // The lock comes along.
    let lock = world.lock();
    let path = world.context().join("cairn.lock");
    std::fs::remove_file(&path).unwrap();
    let again = build_elsewhere(&world, &["--lockfile", path.to_str().unwrap(), &image]);
    assert_eq!((again, world.lock()), (built, lock));
}

#[test]
fn what_is_vendored_is_the_same_each_time_and_any_tool_reads_it() {
    if !require("git") || !require("skopeo") {
        return;
    }
    let world = World::new();
    let index = |name: &str| {
        let folder = world.folder.path().join(name);
        world.run(&["lock", "--vendor", folder.to_str().unwrap()]);
        std::fs::read_to_string(folder.join("index.json")).unwrap()
    };
    let first = index("first");
    assert_eq!(index("second"), first);
    let layout = format!("oci:{}", world.folder.path().join("first").display());
    let copy = format!("oci:{}", world.folder.path().join("copied").display());
    run(Command::new("skopeo").args(["copy", "--quiet", &layout, &copy]));
    let copied = world.folder.path().join("copied");
    let again = temp();
    let digest = run(&mut world.command_in(
        again.path(),
        &["pull", "--inputs", copied.to_str().unwrap()],
    ));
    assert!(first.contains(digest.trim()), "{digest} {first}");
}

/// Changes one byte of the largest blob below `folder`.
fn spoil(folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    let mut blobs: Vec<_> = crate::support::recipes::entries(&blobs);
    blobs.sort_by_key(|path| path.metadata().unwrap().len());
    let largest = blobs.last().unwrap();
    let mut bytes = std::fs::read(largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(largest, bytes).unwrap();
}

#[test]
fn inputs_that_are_not_what_they_are_named_are_refused() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let vendor = world.folder.path().join("vendor");
    let name = vendor.to_str().unwrap();
    world.run(&["lock", "--vendor", name]);
    spoil(&vendor);
    let store = temp();
    let output = world
        .command_in(store.path(), &["pull", "--inputs", name])
        .output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    // An image is no artifact of inputs, and none were sent along with it.
    let image = world.image();
    let (code, text) = world.told(&["pull", "--inputs", &image]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("cairn push --inputs"), "{text}");
    let (code, text) = world.told(&["push", "--inputs", &image]);
    assert_eq!(code, Some(3), "{text}");
}

/// Codecs are the output's business: what is kept is the same whatever the image's layers are.
#[test]
fn inputs_are_kept_for_layers_of_every_kind() {
    if !require("git") {
        return;
    }
    let mut world = World::new();
    let image = world.served.name("image:1");
    world.run(&["lock"]);
    let zstd = [
        "build",
        "-q",
        "--locked",
        "--compression=zstd",
        "-t",
        &image,
    ];
    // In a store that never saw the commit in another way.
    let store = temp();
    let built = run(&mut world.command_in(store.path(), &zstd));
    let vendor = world.folder.path().join("vendor");
    let vendor = vendor.to_str().unwrap();
    run(&mut world.command_in(store.path(), &["push", "--inputs", &image]));
    world.run(&["lock", "--vendor", vendor]);
    world.end();
    let store = temp();
    run(&mut world.command_in(store.path(), &["pull", "--inputs", vendor]));
    let offline = [&zstd[..4], &["--offline"]].concat();
    assert_eq!(run(&mut world.command_in(store.path(), &offline)), built);
}
