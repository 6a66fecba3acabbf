//! Inputs that are kept: in a registry, beside an image, in a folder; and had back in another
//! place, when nothing else is there any more.

use std::path::Path;
use std::process::Command;

use cairn::canon::Digest;
use cairn::image::Descriptor;
use cairn::image::manifest::media_type;
use serde_json::{Value, json};

use super::World;
use crate::support::served::{Served, index};
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

/// Gives the image's name to one for two platforms.
fn name_index(world: &World) {
    let store = &world.served.store;
    let (index, manifests) = index(store);
    for bytes in &manifests {
        store.put(bytes).unwrap();
    }
    let blob = store.put(&index).unwrap();
    let descriptor = Descriptor::new(media_type::INDEX, blob.digest, blob.size);
    let name = world.image().parse().unwrap();
    store.name_image(Some(&name), &descriptor).unwrap();
}

#[test]
fn inputs_of_a_platform_that_was_not_built_are_named_by_kind_and_way_out() {
    if !require("git") {
        return;
    }
    let world = World::new();
    name_index(&world);
    let both = "--platform=linux/amd64,linux/arm64";
    world.run(&["lock", both]);
    let image = world.served.name("image:1");
    let folder = temp();
    let command = |arguments: &[&str]| world.command_in(folder.path(), arguments);
    let build = ["build", "-q", "--locked", "-t", &image];
    run(&mut command(
        &[&build[..], &["--platform=linux/amd64"]].concat(),
    ));
    let refused = command(&["push", "--inputs", &image]).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{text}");
    let told = format!("linux/arm64: a part of an image: `{}`", world.image());
    let way_out = "`cairn build --locked --platform linux/arm64`";
    for word in [&told, way_out] {
        assert!(text.contains(word), "{word} {text}");
    }
    assert!(!text.contains("linux/amd64"), "{text}");
    run(&mut command(&[
        "build",
        "-q",
        "--locked",
        "--platform",
        "linux/arm64",
    ]));
    run(&mut command(&["push", "--inputs", &image]));
}

#[test]
fn of_several_inputs_those_of_the_lock_at_hand_are_taken_else_the_newest() {
    if !require("git") {
        return;
    }
    let world = World::new();
    name_index(&world);
    let other = Served::new(&world.folder.path().join("other"));
    let image = other.name("image:1");
    let (one, two) = ("--platform=linux/amd64", "--platform=linux/arm64");
    let push = || {
        let built = world.run(&["build", "-q", "--locked", "-t", &image, one]);
        world.run(&["push", "--inputs", &image]);
        built
    };
    let name = "cairn.lock";
    let write = |lock: &str| world.write(name, lock);
    // Which lock comes, and what is said.
    let pull = || {
        let store = temp();
        let path = store.path().join("lock");
        let there = std::fs::read_to_string(world.context().join(name));
        if let Ok(there) = there {
            std::fs::write(&path, there).unwrap();
        }
        let path = path.to_str().unwrap();
        let pull = ["pull", "--inputs", "--lockfile", path, &image];
        let output = world.command_in(store.path(), &pull).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        let digest = String::from_utf8(output.stdout).unwrap();
        (std::fs::read_to_string(path).unwrap(), text, digest)
    };
    world.run(&["lock", one]);
    let (first, built) = (world.lock(), push());
    let (_, said, digest) = pull();
    assert!(!said.contains("warning"), "{said}");
    world.run(&["lock", &format!("{one},linux/arm64")]);
    let (second, _) = (world.lock(), world.run(&["build", "-q", "--locked", two]));
    assert_ne!(first, second);
    // There are inputs, and they are another lock's.
    let (lock, said, _) = pull();
    assert_eq!(lock, first);
    assert!(said.contains("another lock"), "{said}");
    assert_eq!(push(), built);
    // The newest are of the first lock, again.
    let manifest = other.store.read(&digest.trim().parse().unwrap(), 1 << 20);
    let mut manifest: Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
    manifest["annotations"] = json!({ "org.opencontainers.image.created": "2030-01-01T00:00:00Z" });
    let newest = serde_json::to_vec(&manifest).unwrap();
    let shown = Digest::of(&newest).to_string();
    let put = other.put_manifest("image", &shown, media_type::MANIFEST, &newest);
    put.expect(201);
    for lock in [&first, &second] {
        write(lock);
        let (pulled, said, _) = pull();
        assert_eq!(&pulled, lock);
        assert!(!said.contains("warning"), "{said}");
    }
    std::fs::remove_file(world.context().join(name)).unwrap();
    let (lock, said, digest) = pull();
    assert_eq!((lock, digest.trim()), (first, shown.as_str()));
    for word in ["inputs of 3 locks", &shown] {
        assert!(said.contains(word), "{word} {said}");
    }
}
