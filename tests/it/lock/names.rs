//! Names of images, repositories and files: locked, moved, gone.

use super::World;
use crate::support::{require, run, temp};

#[test]
fn what_is_locked_stays_when_everything_moves_or_goes() {
    if !require("git") {
        return;
    }
    let mut world = World::new();
    world.run(&["lock"]);
    let locked = world.run(&["build", "-q"]);
    world.move_image("two");
    world.move_branch("two");
    world.move_file(Some("two"));
    assert_eq!(world.run(&["build", "-q"]), locked);
    assert_eq!(
        world.run(&["build", "-q", "--no-cache", "--locked"]),
        locked
    );
    world.end();
    assert_eq!(world.run(&["build", "-q", "--locked", "--offline"]), locked);
    assert_eq!(
        world.run(&["build", "-q", "--no-cache", "--offline"]),
        locked
    );
    // In another store nothing of it can be had any more.
    let other = temp();
    let output = world
        .command_in(other.path(), &["build", "--offline"])
        .output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("--offline"), "{text}");
}

#[test]
fn by_a_lock_alone_another_store_has_what_it_names_where_the_servers_still_do() {
    if !require("git") {
        return;
    }
    let world = World::new();
    world.run(&["lock"]);
    let locked = world.run(&["build", "-q"]);
    world.move_image("two");
    world.move_branch("two");
    let other = temp();
    let built = run(&mut world.command_in(other.path(), &["build", "-q", "--locked"]));
    assert_eq!(built, locked);
}

#[test]
fn a_lock_changes_no_byte() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let loose = world.run(&["build", "-q"]);
    world.run(&["lock"]);
    assert_eq!(world.run(&["build", "-q", "--no-cache"]), loose);
}

#[test]
fn only_what_is_named_moves_and_what_moved_is_said() {
    if !require("git") {
        return;
    }
    let world = World::new();
    world.run(&["lock"]);
    let first = world.lock();
    world.move_image("two");
    let commit = world.move_branch("two");
    world.move_file(Some("three"));
    let said = world.run(&["lock", "--diff"]);
    let kinds: Vec<_> = said
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(kinds, ["git", "http", "image"], "{said}");
    assert!(said.contains("1 layer changed"), "{said}");
    assert_eq!(world.lock(), first);
    // Nothing is missing, so that nothing moves.
    world.run(&["lock"]);
    assert_eq!(world.lock(), first);
    world.run(&["lock", "--update", "#main"]);
    let second = world.lock();
    let changed: Vec<_> = second
        .lines()
        .filter(|line| !first.contains(line))
        .collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(changed[0].contains(&commit), "{changed:?}");
    world.run(&["lock", "--update"]);
    let third = world.lock();
    let changed = third.lines().filter(|line| !second.contains(line));
    assert_eq!(changed.count(), 2);
    assert_eq!(world.run(&["lock", "--diff"]), "");
    let (code, text) = world.told(&["lock", "--update", "nothing"]);
    assert_eq!(code, Some(2));
    assert!(text.contains(&world.url()), "{text}");
}

#[test]
fn a_lock_that_lacks_something_is_stale() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let (code, text) = world.told(&["lock", "--check"]);
    assert_eq!(code, Some(1), "{text}");
    world.run(&["lock"]);
    world.run(&["lock", "--check"]);
    // Neither a comment nor what has no name that moves is any of its business.
    let dockerfile = std::fs::read_to_string(world.context().join("Dockerfile")).unwrap();
    world.write("Dockerfile", &format!("# comment\n{dockerfile}LABEL a=b\n"));
    world.run(&["lock", "--check"]);
    let more = format!("{}?more", world.url());
    world.write("Dockerfile", &format!("{dockerfile}ADD {more} /more\n"));
    let (code, text) = world.told(&["lock", "--check"]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&more), "{text}");
    let (code, text) = world.told(&["build", "--locked"]);
    assert_eq!(code, Some(3));
    assert!(
        text.contains(&more) && text.contains("cairn lock"),
        "{text}"
    );
    // Without that flag it is built, and said.
    let (code, text) = world.told(&["build", "--progress=plain"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains(&format!("not in the lock: `{more}`")),
        "{text}"
    );
    world.run(&["lock"]);
    world.run(&["build", "-q", "--locked"]);
    world.write("Dockerfile", &dockerfile);
    world.run(&["lock"]);
    assert!(!world.lock().contains(&more));
}

#[test]
fn a_build_without_a_lock_says_what_is_not_pinned() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let (code, text) = world.told(&["build", "--progress=plain"]);
    assert_eq!(code, Some(0));
    let said = format!(
        "not pinned: `{}`, `{}#main+submodules`, `{}` (`cairn lock` pins it)",
        world.image(),
        world.repository_url(),
        world.url()
    );
    assert!(text.contains(&said), "{text}");
    let (code, text) = world.told(&["build", "--locked"]);
    assert_eq!(code, Some(3));
    assert!(text.contains("there is no lock"), "{text}");
}

#[test]
fn what_is_not_what_the_lock_says_is_refused() {
    if !require("git") {
        return;
    }
    let world = World::new();
    world.run(&["lock"]);
    world.move_file(Some("two"));
    let other = temp();
    let output = world.command_in(other.path(), &["build"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("is not what the lock says"), "{text}");
    assert!(
        text.contains(&format!("cairn lock --update {}", world.url())),
        "{text}"
    );
}

#[test]
fn a_lock_that_was_edited_or_is_of_another_recipe_is_refused() {
    if !require("git") {
        return;
    }
    let world = World::new();
    world.run(&["lock"]);
    let lock = world.lock();
    let url = format!("\"{}\" = {{ ", world.url());
    let line = lock.lines().find(|line| line.starts_with(&url)).unwrap();
    let edited = lock.replace(line, &line.replace("size = 3", "size = 4"));
    assert_ne!(edited, lock);
    world.write("cairn.lock", &edited);
    for arguments in [&["build"][..], &["lock"], &["lock", "--check"]] {
        let (code, text) = world.told(arguments);
        assert_eq!(code, Some(4), "{text}");
        assert!(
            text.contains(&world.url()) && text.contains("--> cairn.lock:"),
            "{text}"
        );
    }
    world.run(&["lock", "--update"]);
    assert_eq!(world.lock(), lock);
    world.write(
        "cairn.lock",
        &lock.replace("\"Dockerfile\"", "\"cairn.toml\""),
    );
    let (code, text) = world.told(&["build"]);
    assert_eq!(code, Some(3));
    assert!(text.contains("the lock of `cairn.toml`"), "{text}");
    world.write("cairn.lock", &lock);
    world.write(
        "Dockerfile",
        "FROM scratch\nADD http://127.0.0.1:9/other /\n",
    );
    let (code, text) = world.told(&["build"]);
    assert_eq!(code, Some(3));
    assert!(
        text.contains("holds nothing that this recipe asks for"),
        "{text}"
    );
}

#[test]
fn a_lock_of_another_name_is_named() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let named = |arguments: &[&str], code: i32, parts: &[&str]| {
        let (ended, text) = world.told(arguments);
        assert_eq!(ended, Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "{arguments:?}: {part}: {text}");
        }
    };
    let own = ["--lockfile", "ci.lock"];
    let check = ["lock", "--check", own[0], own[1]];
    let command = "`cairn lock --lockfile ci.lock`";
    named(&check, 1, &["there is no lock `ci.lock`", command]);
    world.write("ci.lock", "\n");
    named(
        &check,
        3,
        &["the lock is empty", "--> ci.lock:1", "cairn lock --update"],
    );
    named(
        &[&["lock", "--update"], &own[..]].concat(),
        0,
        &["+ image "],
    );
    named(
        &[&["lock", "--update"], &own[..]].concat(),
        0,
        &["nothing moved\n"],
    );
    named(
        &[&["lock"], &own[..]].concat(),
        0,
        &["nothing was missing\n"],
    );
    named(&check, 0, &[]);
    let dockerfile = std::fs::read_to_string(world.context().join("Dockerfile")).unwrap();
    let more = format!("{}?more", world.url());
    world.write("Dockerfile", &format!("{dockerfile}ADD {more} /more\n"));
    named(&check, 1, &["`ci.lock` is stale: it lacks", &more, command]);
    let locked = ["build", "--locked", own[0], own[1]];
    named(&locked, 3, &["`ci.lock` does not hold"]);
    let folder = world.folder.path().to_str().unwrap();
    for arguments in [&["build"][..], &["lock", "--check"], &["lock"]] {
        let (code, text) = world.told(&[arguments, &["--lockfile", folder]].concat());
        assert!(matches!(code, Some(1 | 3)), "{text}");
        assert!(text.contains(&format!("`{folder}`")), "{text}");
    }
    assert!(!world.context().join("cairn.lock").exists());
}

#[test]
fn the_epoch_is_locked_too() {
    if !require("git") {
        return;
    }
    let world = World::new();
    crate::support::run(
        world
            .command(&["lock"])
            .env("SOURCE_DATE_EPOCH", "1000000000"),
    );
    let locked = world.run(&["build", "-q"]);
    let given = crate::support::run(
        world
            .command(&["build", "-q", "--no-cache"])
            .env("SOURCE_DATE_EPOCH", "1000000000"),
    );
    assert_eq!(locked, given);
    let mut other = world.command(&["build", "--locked"]);
    let output = other.env("SOURCE_DATE_EPOCH", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        world
            .lock()
            .contains("seconds = 1000000000 # 2001-09-09T01:46:40Z\nfrom = \"SOURCE_DATE_EPOCH\"")
    );
}
