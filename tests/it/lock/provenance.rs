//! A lock that begins with what another builder had.

use cairn::canon::Digest;
use serde_json::{Value, json};

use super::World;
use crate::support::require;

impl World {
    /// What buildx writes of a build that had these, and a frontend.
    fn put_provenance(&self, image: &Digest, commit: &str, file: &str) {
        let name = self.image().replacen(':', "%3A", 1).replace(":1", "@1");
        let materials = json!([
            { "uri": "pkg:docker/docker/dockerfile@1", "digest": { "sha256": Digest::of(b"1").hex() } },
            { "uri": format!("pkg:docker/{name}?platform=linux%2Famd64"),
              "digest": { "sha256": image.hex() } },
            { "uri": format!("{}#main", self.repository_url()), "digest": { "sha1": commit } },
            { "uri": self.url(), "digest": { "sha256": Digest::of(file.as_bytes()).hex() } },
        ]);
        let args = json!({ "build-arg:SOURCE_DATE_EPOCH": "1000000000" });
        let provenance: Value = json!({
            "buildType": "https://mobyproject.org/buildkit@v1",
            "invocation": { "parameters": { "frontend": "dockerfile.v0", "args": args } },
            "materials": materials,
        });
        let metadata = json!({ "buildx.build.provenance/linux/amd64": provenance });
        self.write("metadata.json", &metadata.to_string());
    }
}

const LOCK: [&str; 4] = [
    "lock",
    "--platform=linux/amd64",
    "--import-provenance",
    "metadata.json",
];

#[test]
fn a_lock_begins_with_what_a_provenance_says() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let (image, commit) = (world.move_image("old"), world.move_branch("old"));
    let build = ["build", "-q", "--platform=linux/amd64"];
    let mut old = world.command(&build);
    let old = crate::support::run(old.env("SOURCE_DATE_EPOCH", "1000000000"));
    let (new_image, new_commit) = (world.move_image("new"), world.move_branch("new"));
    world.put_provenance(&image, &commit, "one");
    let (code, text) = world.told(&[&LOCK[..], &["--progress=plain"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("names `docker.io/docker/dockerfile:1`"),
        "{text}"
    );
    assert_eq!(text.matches("the provenance names").count(), 1, "{text}");
    let lock = world.lock();
    for part in [&image.to_string(), &commit, "seconds = 1000000000 "] {
        assert!(lock.contains(part), "{part}: {lock}");
    }
    assert_eq!(world.run(&build), old);
    // What the lock holds is none of the provenance's business.
    world.put_provenance(&new_image, &new_commit, "one");
    world.run(&LOCK);
    assert_eq!(world.lock(), lock);
    world.run(&[&LOCK[..], &["--update"]].concat());
    assert!(world.lock().contains(&new_commit), "{}", world.lock());
}

#[test]
fn what_a_provenance_says_is_looked_up_before_it_is_believed() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let (image, commit) = (world.move_image("two"), world.move_branch("two"));
    world.put_provenance(&image, &commit, "other");
    let (code, text) = world.told(&LOCK);
    assert_eq!(code, Some(4), "{text}");
    assert!(
        text.contains("the provenance") && text.contains(&world.url()),
        "{text}"
    );
    world.put_provenance(&Digest::of(b"nothing"), &commit, "one");
    let (code, text) = world.told(&LOCK);
    assert_eq!(code, Some(3), "{text}");
    world.put_provenance(&image, &"0".repeat(40), "one");
    let (code, text) = world.told(&LOCK);
    assert_eq!(code, Some(3), "{text}");
    assert!(!world.context().join("cairn.lock").exists());
    world.write("metadata.json", "{}");
    let (code, text) = world.told(&LOCK);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("`metadata.json`: there is no provenance in it"),
        "{text}"
    );
}
