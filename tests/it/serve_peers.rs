//! The embedded registry, used by other people's programs: skopeo, podman, buildah, dockerd, curl.
//!
//! Each pulls an image that the store has and pushes it, or one of its own, under another name;
//! what arrives is judged by its digest, or by what the program itself reads out of it.

use std::path::Path;

use cairn::canon::{Digest, Reference};
use cairn::image::manifest::{LARGEST_DOCUMENT, media_type};
use cairn::image::{Descriptor, Document};

use crate::support::engines::Daemon;
use crate::support::programs::{program, run};
use crate::support::require;
use crate::support::served::{Served, index, named_image, names};

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::new(&folder.path().join("store"));
    (folder, served)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The document that the store has under `name`.
fn stored(served: &Served, name: &str) -> (Digest, Document) {
    let reference: Reference = name.parse().unwrap();
    let descriptor = served.store.image(&reference).unwrap().unwrap();
    let bytes = served.store.read(&descriptor.digest, LARGEST_DOCUMENT);
    (descriptor.digest, Document::parse(&bytes.unwrap()).unwrap())
}

#[test]
fn skopeo_copies_there_and_back_lists_and_deletes() {
    if !require("skopeo") {
        return;
    }
    let (folder, served) = served();
    let digest = named_image(&served.store, "app", "hello");
    let layout = format!("oci:{}:app", text(&folder.path().join("layout")));
    let skopeo = |arguments: &[&str]| run(&mut program("skopeo", arguments));
    let from = format!("docker://{}", served.name("app:latest"));
    let to = format!("docker://{}", served.name("team/app:1"));
    skopeo(&["copy", "--src-tls-verify=false", &from, &layout]);
    // Blobs under another name of an empty store must travel; here some are mounted.
    skopeo(&["copy", "--dest-tls-verify=false", &layout, &to]);
    assert_eq!(stored(&served, "localhost/team/app:1").0, digest);

    let (other_folder, other) = self::served();
    let there = format!("docker://{}", other.name("new/app:2"));
    skopeo(&["copy", "--dest-tls-verify=false", &layout, &there]);
    assert_eq!(stored(&other, "localhost/new/app:2").0, digest);
    let shown = skopeo(&["inspect", "--tls-verify=false", &there]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["Digest"], digest.to_string());
    assert_eq!(shown["RepoTags"], serde_json::json!(["2"]));
    let repository = format!("docker://{}", other.name("new/app"));
    let tags = skopeo(&["list-tags", "--tls-verify=false", &repository]);
    let tags: serde_json::Value = serde_json::from_str(&tags).unwrap();
    assert_eq!(tags["Tags"], serde_json::json!(["2"]));
    skopeo(&["delete", "--tls-verify=false", &there]);
    assert!(names(&other.store).is_empty());
    drop(other_folder);
}

#[test]
fn skopeo_copies_an_index_with_its_members_and_dockers_formats() {
    if !require("skopeo") {
        return;
    }
    let (folder, served) = served();
    let (bytes, members) = index(&served.store);
    for member in &members {
        served.store.put(member).unwrap();
    }
    let blob = served.store.put(&bytes).unwrap();
    let descriptor = Descriptor::new(media_type::INDEX, blob.digest, blob.size);
    let name: Reference = "many".parse().unwrap();
    served.store.name_image(Some(&name), &descriptor).unwrap();
    let (_other_folder, other) = self::served();
    let skopeo = |arguments: &[&str]| run(&mut program("skopeo", arguments));
    let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let from = format!("docker://{}", served.name("many"));
    let to = format!("docker://{}", other.name("many:1"));
    skopeo(&["copy", "--all", tls[0], tls[1], &from, &to]);
    assert_eq!(stored(&other, "localhost/many:1").0, blob.digest);
    assert_eq!(names(&other.store), ["localhost/many:1"]);

    let archive = format!("docker-archive:{}", text(&folder.path().join("a.tar")));
    let docker = format!("docker://{}", other.name("docker:1"));
    let one = format!("{from}@{}", Digest::of(&members[0]));
    skopeo(&["copy", tls[0], &one, &format!("{archive}:a:1")]);
    skopeo(&["copy", tls[1], &archive, &docker]);
    let (_, document) = stored(&other, "localhost/docker:1");
    assert_eq!(document.media_type(), media_type::DOCKER_MANIFEST);
    let back = folder.path().join("back");
    let layout = format!("oci:{}:x", text(&back));
    skopeo(&["copy", tls[0], &docker, &layout]);
    assert!(back.join("index.json").is_file());
}

#[test]
fn podman_and_buildah_pull_and_push() {
    for name in ["podman", "buildah"] {
        if !require(name) {
            continue;
        }
        let (folder, served) = served();
        named_image(&served.store, "app:1", "hello");
        let home = folder.path().join("containers");
        let (root, runroot) = (home.join("root"), home.join("run"));
        let engine = |arguments: &[&str]| {
            let place = ["--root", text(&root), "--runroot", text(&runroot)];
            let mut command = program(name, &place);
            command.args(["--storage-driver", "vfs"]).args(arguments);
            run(&mut command)
        };
        let (from, to) = (served.name("app:1"), served.name("pushed/by:2"));
        let id = engine(&["pull", "--quiet", "--tls-verify=false", &from]);
        engine(&[
            "push",
            "--tls-verify=false",
            &from,
            &format!("docker://{to}"),
        ]);
        let (_, before) = stored(&served, "app:1");
        let (_, after) = stored(&served, "localhost/pushed/by:2");
        let (Document::Manifest(before), Document::Manifest(after)) = (before, after) else {
            panic!("not two manifests");
        };
        // An engine compresses anew; the config, which is the image's id, names what is inside.
        assert_eq!(after.config.digest, before.config.digest, "{name}");
        assert_eq!(id.trim(), before.config.digest.hex(), "{name}");
        engine(&["rmi", "--all", "--force"]);
    }
}

#[test]
fn docker_pulls_and_pushes() {
    if !require("dockerd") || !require("docker") || !require("containerd") {
        return;
    }
    let (folder, served) = served();
    let digest = named_image(&served.store, "app:1", "hello");
    let Some(daemon) = Daemon::start(folder.path()) else {
        return;
    };
    let (from, to) = (served.name("app:1"), served.name("pushed/by/docker:2"));
    let pulled = run(&mut daemon.docker(&["pull", &from]));
    assert!(pulled.contains(&digest.to_string()), "{pulled}");
    run(&mut daemon.docker(&["tag", &from, &to]));
    run(&mut daemon.docker(&["push", &to]));
    let (_, before) = stored(&served, "app:1");
    let (after_digest, after) = stored(&served, "localhost/pushed/by/docker:2");
    let (Document::Manifest(before), Document::Manifest(after)) = (before, after) else {
        panic!("not two manifests");
    };
    assert_eq!(after.config.digest, before.config.digest);
    run(&mut daemon.docker(&["rmi", "--force", &from, &to]));
    let again = run(&mut daemon.docker(&["pull", &to]));
    assert!(again.contains(&after_digest.to_string()), "{again}");
}

#[test]
fn curl_resumes_a_download_and_waits_for_100_continue() {
    if !require("curl") {
        return;
    }
    let (folder, served) = served();
    let bytes: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let source = folder.path().join("source");
    std::fs::write(&source, &bytes).unwrap();
    let digest = Digest::of(&bytes);
    let base = format!("http://{}/v2/app/blobs", served.address);
    let curl = |arguments: &[&str]| {
        let mut command = program("curl", &["--silent", "--show-error", "--fail"]);
        run(command.args(arguments))
    };
    let data = format!("@{}", text(&source));
    let (push, pull) = (
        format!("{base}/uploads/?digest={digest}"),
        format!("{base}/{digest}"),
    );
    let expect = ["--header", "Expect: 100-continue", "--data-binary", &data];
    curl(&[&expect[..], &["--request", "POST", &push]].concat());
    let target = folder.path().join("target");
    std::fs::write(&target, &bytes[..700_001]).unwrap();
    curl(&["--continue-at", "-", "--output", text(&target), &pull]);
    assert!(std::fs::read(&target).unwrap() == bytes);
}
