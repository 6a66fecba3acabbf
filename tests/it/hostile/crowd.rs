//! Many cairns at once on one store.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use crate::support::recipes::{checkout, digests, entries, names};
use crate::support::{cairn, run, temp};

/// Starts a build whose digest is read later.
fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[track_caller]
fn digest_of(build: Child) -> String {
    let output = build.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn twenty_builds_at_once_do_not_harm_each_other() {
    let (checkout, store) = (checkout(), temp());
    // An empty store for all of them; some build the same, some don't.
    let recipes = ["large", "base", "unpack", "stages", "quickstart"];
    let builds: Vec<_> = recipes
        .iter()
        .cycle()
        .take(20)
        .enumerate()
        .map(|(number, name)| {
            let mut command = cairn(store.path());
            command.args(checkout.arguments(name));
            (*name, start_tagged(command, number))
        })
        .collect();
    for (name, build) in builds {
        assert_eq!(digest_of(build), digests()[name], "{name}");
    }
    assert!(entries(&store.path().join("tmp")).is_empty());
    let list = run(cairn(store.path()).args(["images", "--json"]));
    let list: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&list).unwrap();
    let tags: Vec<_> = list
        .iter()
        .filter(|image| image["name"].is_string())
        .collect();
    assert_eq!(tags.len(), 20, "no name is lost");
}

fn start_tagged(mut command: Command, number: usize) -> Child {
    command.arg("-t").arg(format!("example.org/crowd:{number}"));
    start(command)
}

#[test]
fn removing_images_never_takes_from_a_build() {
    let (checkout, store) = (checkout(), temp());
    let archive = store.path().join("image.tar");
    let recipes = ["stages", "base", "copy", "remove", "unpack", "quickstart"];
    let mut expected = BTreeMap::new();
    for name in recipes {
        let elsewhere = temp();
        let mut command = cairn(elsewhere.path());
        command.args(checkout.arguments(name));
        run(command
            .arg("-o")
            .arg(format!("type=oci,dest={}", archive.display())));
        expected.insert(name, std::fs::read(&archive).unwrap());
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let list = run(cairn(store.path()).args(["images", "--quiet"]));
                for digest in list.lines() {
                    // Another removal may have been faster; nothing else may go wrong.
                    let output = cairn(store.path()).args(["rm", digest]).output().unwrap();
                    let text = String::from_utf8(output.stderr).unwrap();
                    assert!([Some(0), Some(3)].contains(&output.status.code()), "{text}");
                }
            }
        });
        let result = std::panic::catch_unwind(|| {
            for _ in 0..4 {
                for (name, expected) in &expected {
                    let mut command = cairn(store.path());
                    command.args(checkout.arguments(name));
                    command
                        .arg("-o")
                        .arg(format!("type=oci,dest={}", archive.display()));
                    assert_eq!(run(&mut command).trim_end(), digests()[*name]);
                    assert!(std::fs::read(&archive).unwrap() == *expected, "{name}");
                }
            }
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn removing_every_image_empties_the_store_and_a_build_fills_it_again() {
    let (checkout, store) = (checkout(), temp());
    for _ in 0..2 {
        for name in names() {
            checkout.build(cairn(store.path()), &name);
        }
        let list = run(cairn(store.path()).args(["images", "--quiet"]));
        let mut command = cairn(store.path());
        let mut digests: Vec<_> = list.lines().collect();
        digests.sort();
        digests.dedup();
        run(command.arg("rm").args(&digests));
        // What bases brought along without being images of their own may stay.
        let left = entries(&store.path().join("blobs/sha256")).len();
        assert!(left < 12, "{left}");
    }
}
