//! Locks that say something else than the recipe, or two things.
//!
//! In: recipes with digests in them, locks of before, merges. Out: refusals that name both.

use cairn::canon::Digest;
use cairn::lock::{Lock, write};

use super::World;
use crate::support::programs::program;
use crate::support::require;

#[test]
fn what_git_leaves_of_a_merge_is_told() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let git = |arguments: &[&str]| {
        let mut command = program("git", &["-c", "user.name=a", "-c", "user.email=a@test"]);
        command.args(arguments).current_dir(world.context());
        command.output().unwrap()
    };
    let save = |name: &str| {
        world.run(&["lock", "--update"]);
        git(&["add", "."]);
        assert!(git(&["commit", "-qm", name]).status.success());
    };
    git(&["init", "-q", "-b", "main"]);
    save("first");
    git(&["checkout", "-qb", "theirs"]);
    world.move_file(Some("theirs"));
    save("theirs");
    git(&["checkout", "-q", "main"]);
    world.move_file(Some("our own"));
    save("ours");
    assert!(!git(&["merge", "theirs"]).status.success());
    assert!(world.lock().contains("<<<<<<< "));
    for arguments in [
        &["build"][..],
        &["build", "--locked"],
        &["lock"],
        &["lock", "--check"],
    ] {
        let (code, said) = world.told(arguments);
        assert_eq!(code, Some(3), "{said}");
        for part in [
            "two sides of a merge",
            "--> cairn.lock:",
            "run `cairn lock`",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    git(&["checkout", "--theirs", "cairn.lock"]);
    world.move_file(Some("theirs"));
    world.run(&["lock"]);
    world.run(&["build", "-q", "--locked"]);
}

#[test]
fn digests_in_the_recipe_need_no_lock_and_may_not_differ_from_it() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let (first, second) = (world.move_image("one"), world.move_image("two"));
    let commit = world.repository.git(&["rev-parse", "HEAD"]);
    let recipe = |digest: &Digest, file: &[u8]| {
        let (image, repository, url) = (world.image(), world.repository_url(), world.url());
        let file = Digest::of(file);
        world.write("Dockerfile", &format!(
            "FROM {image}@{digest}\nADD {repository}#{commit} /git\nADD --checksum={file} {url} /file\n"
        ));
    };
    recipe(&first, b"one");
    let built = world.run(&["build", "-q", "--locked"]);
    world.run(&["lock"]);
    world.run(&["lock", "--check"]);
    assert_eq!(world.run(&["build", "-q", "--locked", "--no-cache"]), built);
    // A lock of before says nothing of them.
    let whole = world.lock();
    let mut lock = world.parsed();
    (lock.git, lock.http, lock.platforms) = Default::default();
    world.write("cairn.lock", &write::write(&lock).unwrap());
    world.run(&["lock", "--check"]);
    assert_eq!(world.run(&["build", "-q", "--locked"]), built);
    world.write("cairn.lock", &whole);
    let contradicted = |change: &dyn Fn(&mut Lock), name: &str, both: [&str; 2]| {
        let (code, said) = world.refused_with(&[], change);
        assert_eq!(code, 3, "{said}");
        let told = format!("`cairn.lock` has another `{name}`");
        let update = format!("cairn lock --update {name}");
        for part in [&*told, both[0], both[1], &*update] {
            assert!(said.contains(part), "{part}: {said}");
        }
    };
    let name = format!("{}@{first}", world.image());
    contradicted(
        &|lock| {
            let of = lock.platforms.values_mut().next().unwrap();
            of.images
                .values_mut()
                .for_each(|image| image.manifest = second);
        },
        &name,
        [&first.to_string(), &second.to_string()],
    );
    let none = "0".repeat(40);
    let name = lock_name(&world.parsed().git);
    let change = |lock: &mut Lock| {
        lock.git
            .values_mut()
            .for_each(|one| one.commit.clone_from(&none))
    };
    contradicted(&change, &name, [&commit, &none]);
    // A file may have been changed in the recipe since.
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    world.move_file(Some("two"));
    recipe(&first, b"two");
    let (code, said) = world.told(&["build", "--locked"]);
    assert_eq!(code, Some(3), "{said}");
    for part in [&world.url(), &one.to_string(), &two.to_string()] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = world.told(&["lock", "--check"]);
    assert_eq!(code, Some(1), "{said}");
    world.run(&["build", "-q"]);
    world.run(&["lock"]);
    world.run(&["build", "-q", "--locked"]);
}

fn lock_name<T>(entries: &std::collections::BTreeMap<String, T>) -> String {
    entries.keys().next().unwrap().clone()
}
