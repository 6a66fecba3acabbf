//! Locks that somebody edited: every field of them.
//!
//! In: locks with an entry of every kind. Out: builds by them that are refused, with the place and
//! the way out.

use cairn::canon::{Digest, Source};
use cairn::lock::{LARGEST, Lock, read, write};
use toml::{Table, Value};

use super::World;
use crate::packages::tools;
use crate::support::archive::{Archive, Signer};
use crate::support::require;
use crate::support::sample::busybox;

/// What commands call this machine.
pub(super) const HOST: &[&str] = &["--add-host", "world.test:host-gateway"];

impl World {
    /// With a command that fetches, too; none where there is nothing to run.
    pub(super) fn with_command() -> Option<World> {
        if !require("git") || !require("busybox") {
            return None;
        }
        let world = World::new();
        let dockerfile = std::fs::read_to_string(world.context().join("Dockerfile")).unwrap();
        let port = world.server.address.port();
        let command = format!(
            r#"["/bin/busybox", "wget", "-q", "-O", "/fetched", "http://world.test:{port}/file"]"#
        );
        let rest = format!(
            "ADD {}/dated /\nCOPY --chmod=755 busybox /bin/busybox\nRUN {command}\n",
            world.server_url()
        );
        std::fs::write(world.context().join("busybox"), busybox()).unwrap();
        world.write("Dockerfile", &(dockerfile + &rest));
        Some(world)
    }

    /// A recipe whose packages are all from this archive.
    pub(super) fn of_packages(archive: &Archive, signer: &Signer) -> World {
        let world = World::new();
        let mirror = archive.url();
        let recipe = format!(
            "from = \"{}\"\n[[steps]]\npackages.debian = {{ suite = \"test\", variant = \"distroless\", \
             mirror = \"{mirror}\", keys = [\"archive.asc\"], install = [\"app\"] }}\n",
            world.image()
        );
        std::fs::remove_file(world.context().join("Dockerfile")).unwrap();
        world.write("cairn.toml", &recipe);
        world.write("archive.asc", &signer.key());
        world
    }

    pub(super) fn parsed(&self) -> Lock {
        let source = Source::new("cairn.lock", self.lock().into(), LARGEST).unwrap();
        read::read(&source).unwrap()
    }

    /// What the lock, changed and sealed anew, ends with.
    pub(super) fn refused_with(&self, hosts: &[&str], change: impl Fn(&mut Lock)) -> (i32, String) {
        let text = self.lock();
        let mut lock = self.parsed();
        change(&mut lock);
        let edited = write::write(&lock).unwrap();
        assert_ne!(edited, text);
        self.write("cairn.lock", &edited);
        let (code, said) = self.told(&[&["build", "--locked"], hosts].concat());
        self.write("cairn.lock", &text);
        assert!(matches!(code, Some(3 | 4)), "{code:?}: {said}\n{edited}");
        (code.unwrap(), said)
    }
}

/// A way into a document.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Key(String),
    Item(usize),
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Change,
    Remove,
    Rename,
    Add,
}

/// Everything in `value`: tables, lists and what is in them.
fn places(value: &Value, at: &[Part], found: &mut Vec<Vec<Part>>) {
    let mut go = |part, value| {
        let place = [at, &[part]].concat();
        found.push(place.clone());
        places(value, &place, found);
    };
    match value {
        Value::Table(table) => table
            .iter()
            .for_each(|(key, value)| go(Part::Key(key.clone()), value)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(number, value)| go(Part::Item(number), value)),
        _ => {}
    }
}

fn inside<'v>(value: &'v mut Value, part: &Part) -> &'v mut Value {
    match part {
        Part::Key(key) => &mut value[key.as_str()],
        Part::Item(number) => &mut value[*number],
    }
}

/// The document after the edit; none where it can't be made there.
fn edited(document: &Table, place: &[Part], edit: Edit) -> Option<Table> {
    let mut document = Value::Table(document.clone());
    let (last, parents) = place.split_last().unwrap();
    let parent = parents.iter().fold(&mut document, inside);
    match (edit, parent, last) {
        (Edit::Change, parent, _) => match inside(parent, last) {
            Value::String(text) => match text.pop()? {
                '0' => text.push('1'),
                '1'..='9' | 'a'..='f' => text.push('0'),
                other => text.extend([other, 'x']),
            },
            Value::Integer(number) => *number += 1,
            Value::Boolean(value) => *value = !*value,
            _ => return None,
        },
        (Edit::Remove, Value::Table(table), Part::Key(key)) => drop(table.remove(key)?),
        (Edit::Remove, Value::Array(items), Part::Item(number)) => drop(items.remove(*number)),
        (Edit::Rename, Value::Table(table), Part::Key(key)) => {
            let value = table.remove(key)?;
            table.insert(format!("{key}x"), value);
        }
        (Edit::Add, parent, _) => {
            let Value::Table(table) = inside(parent, last) else {
                return None;
            };
            table.insert("x".to_owned(), Value::String("x".to_owned()));
        }
        _ => return None,
    }
    match document {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// Edits everything in the lock of `world`, and counts how often that was refused: each time.
fn refuse_every_edit(world: &World, hosts: &[&str]) -> usize {
    let text = world.lock();
    let document: Table = text.parse().unwrap();
    let mut found = Vec::new();
    places(&Value::Table(document.clone()), &[], &mut found);
    let mut count = 0;
    for place in found {
        for edit in [Edit::Change, Edit::Remove, Edit::Rename, Edit::Add] {
            let Some(changed) = edited(&document, &place, edit) else {
                continue;
            };
            world.write("cairn.lock", &changed.to_string());
            let (code, said) = world.told(&[&["build", "--locked"], hosts].concat());
            let what = format!("{edit:?} {place:?}: {said}");
            assert!(matches!(code, Some(3 | 4)), "{code:?} {what}");
            assert!(
                said.contains("cairn.lock") && said.contains("= hint: "),
                "{what}"
            );
            let entry = place.iter().find_map(|part| match part {
                Part::Key(key) if key.contains("://") || key.contains("base:1") => Some(key),
                _ => None,
            });
            let is_named = entry.is_some_and(|name| said.contains(name));
            // Nothing stands where something was removed whole; what lacks is named then.
            let is_gone = said.contains("does not hold") || said.contains("holds nothing");
            let is_placed =
                said.contains("--> cairn.lock:") || said.contains("the lock has version");
            assert!(
                is_named || is_gone || is_placed || place.len() == 1,
                "{what}"
            );
            count += 1;
        }
    }
    world.write("cairn.lock", &text);
    let (code, said) = world.told(&[&["build", "--locked"], hosts].concat());
    assert_eq!(code, Some(0), "{said}");
    count
}

#[test]
fn no_edit_of_what_a_dockerfile_locked_is_taken() {
    let Some(world) = World::with_command() else {
        return;
    };
    world.run(&[&["lock"], HOST].concat());
    let lock = world.lock();
    for part in [
        "[epoch]",
        "[git]",
        "[http]",
        ".images]",
        ".commands]]",
        "modified = ",
    ] {
        assert!(lock.contains(part), "{part}: {lock}");
    }
    let count = refuse_every_edit(&world, HOST);
    assert!(count > 100, "{count}");
}

#[test]
fn no_edit_of_locked_packages_is_taken() {
    if !tools() || !require("git") {
        return;
    }
    let (archive, signer) = (crate::packages::archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let world = World::of_packages(&archive, &signer);
    world.run(&["lock"]);
    let lock = world.lock();
    assert!(
        lock.contains("automatic = true") && lock.contains("signer = "),
        "{lock}"
    );
    let count = refuse_every_edit(&world, &[]);
    assert!(count > 100, "{count}");
}

/// Seals guard against slips. What somebody means is held to what there is.
#[test]
fn what_is_sealed_anew_still_has_to_be_true() {
    let Some(world) = World::with_command() else {
        return;
    };
    world.run(&[&["lock"], HOST].concat());
    // All of it is cached, and that hides nothing.
    world.run(&[&["build", "-q", "--locked"], HOST].concat());
    let other = Digest::of(b"other");
    let refused = |change: &dyn Fn(&mut Lock), parts: &[&str]| {
        let (_, said) = world.refused_with(HOST, change);
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
    };
    let url = world.url();
    let branch = format!("{}#main", world.repository_url());
    let file = |lock: &mut Lock, change: &dyn Fn(&mut cairn::lock::File)| {
        lock.http.values_mut().for_each(change);
    };
    refused(
        &|lock| file(lock, &|file| file.sha256 = other),
        &[&url, "the lock"],
    );
    refused(
        &|lock| file(lock, &|file| file.size += 1),
        &[&url, "the lock"],
    );
    let commit = |lock: &mut Lock, change: &dyn Fn(&mut cairn::lock::Commit)| {
        lock.git.values_mut().for_each(change);
    };
    refused(
        &|lock| commit(lock, &|commit| commit.tree = other),
        &[&branch, "the lock"],
    );
    refused(
        &|lock| {
            let of = lock.platforms.values_mut().next().unwrap();
            of.images
                .values_mut()
                .for_each(|image| image.manifest = other);
        },
        &[&world.image()],
    );
    let body = |lock: &mut Lock, change: &dyn Fn(&mut cairn::lock::Body)| {
        let of = lock.platforms.values_mut().next().unwrap();
        let exchanges = &mut of.commands[0].answer.exchanges;
        let bodies = exchanges
            .iter_mut()
            .filter_map(|one| one.response.body.as_mut());
        bodies.for_each(change);
    };
    refused(
        &|lock| body(lock, &|body| body.sha256 = other),
        &["world.test", &other.hex()],
    );
    refused(&|lock| body(lock, &|body| body.size += 1), &["world.test"]);
}

#[test]
fn packages_that_are_sealed_anew_still_have_to_be_true() {
    if !tools() || !require("git") {
        return;
    }
    let (archive, signer) = (crate::packages::archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let world = World::of_packages(&archive, &signer);
    world.run(&["lock"]);
    world.run(&["build", "-q", "--locked"]);
    let refused = |change: &dyn Fn(&mut cairn::lock::Package)| {
        let (_, said) = world.refused_with(&[], |lock| {
            let of = lock.platforms.values_mut().next().unwrap();
            let packages = &mut of.packages[0].answer.packages;
            change(packages.iter_mut().find(|one| one.name == "lib").unwrap());
        });
        assert!(said.contains("lib"), "{said}");
    };
    refused(&|package| package.sha256 = Digest::of(b"other"));
    refused(&|package| package.size += 1);
    refused(&|package| package.version = "3".to_owned());
    refused(&|package| package.architecture = "all".to_owned());
    refused(&|package| package.name = "libb".to_owned());
}
