//! Dockerfiles and what must come of each: our own in testdata/dockerfile/, written from the
//! language's documentation, and those in testdata/reference/, with what BuildKit made of them.
//!
//! One test goes through each collection, in threads that share one store, and tells all failures
//! at once. `CASE=NAME` picks one case; `CASE=PREFIX*` some.
//!
//! What can't be yet stands in the collection's `not-yet.txt`, each with its reason. A case that
//! stands there and is as it must be fails, too: its line has to go.

mod case;
mod image;
mod judge;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::{Base, Case};
use image::Image;

use crate::support::recipes::{entries, testdata};
use crate::support::users::{User, Users};
use crate::support::{cairn, require, run, temp};

/// The names of the base. The reference cases were made with the latter: some copy their
/// Dockerfile into the image, so that it counts to the letter.
const NAMES: [&str; 3] = ["busybox", "127.0.0.1:5000/busybox", "127.0.0.1:5000/alpine"];

/// The name of the other base: of Debian the cases need a shell, a `bash` and its tree alone.
const DEBIAN: &str = "127.0.0.1:5000/debian:bookworm";

/// Whoever runs the tests, or a user who was made for them.
struct Builder {
    /// Where everything is laid out that is built.
    folder: tempfile::TempDir,
    users: Option<(Users, User)>,
}

impl Builder {
    /// None where there are no such users.
    fn new(user: User) -> Option<Builder> {
        let users = match user {
            User::Me => None,
            _ => Some((Users::new()?, user)),
        };
        let folder = temp();
        run(Command::new("chmod").arg("755").arg(folder.path()));
        Some(Builder { folder, users })
    }

    fn store(&self) -> PathBuf {
        match &self.users {
            None => self.folder.path().join("store"),
            Some((users, user)) => users.store(*user),
        }
    }

    fn cairn(&self) -> Command {
        match &self.users {
            None => cairn(&self.store()),
            Some((users, user)) => users.cairn(*user),
        }
    }

    /// A folder where something is to be built; [`Builder::hand_over`] it before.
    fn place(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.folder.path()).unwrap()
    }

    /// Lets the user have what was laid out.
    fn hand_over(&self, place: &Path) {
        if let Some((users, user)) = &self.users {
            users.give(*user, place);
        }
    }
}

/// A store with the bases.
struct World {
    builder: Builder,
    busybox: Image,
    debian: Image,
    scratch: Image,
}

impl World {
    fn new(builder: Builder) -> World {
        let mut world = World {
            builder,
            busybox: Image::default(),
            debian: Image::default(),
            scratch: Image::default(),
        };
        world.busybox = world.make_busybox();
        world.debian = world.make_debian();
        world
    }

    /// An image with one program, this machine's busybox, and links to it.
    fn make_busybox(&self) -> Image {
        let context = self.builder.folder.path().join("base");
        let bin = context.join("root/bin");
        std::fs::create_dir_all(&bin).unwrap();
        let program = run(Command::new("sh").args(["-c", "command -v busybox"]));
        std::fs::copy(program.trim_end(), bin.join("busybox")).unwrap();
        for name in run(Command::new("busybox").arg("--list")).lines() {
            if name != "busybox" {
                std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
            }
        }
        let folders = [
            "dev", "etc", "home", "proc", "root", "sbin", "sys", "tmp", "usr/bin", "usr/sbin",
            "var/tmp",
        ];
        for folder in folders {
            std::fs::create_dir_all(context.join("root").join(folder)).unwrap();
        }
        for file in ["passwd", "group"] {
            let source = testdata().join("dockerfile").join(file);
            std::fs::copy(source, context.join("root/etc").join(file)).unwrap();
        }
        for (folder, mode) in [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(context.join("root").join(folder), mode).unwrap();
        }
        // Owners of the archive are the image's.
        let mut tar = Command::new("tar");
        tar.args(["--owner=0", "--group=0", "--mtime=@315532800", "-C"]);
        tar.arg(context.join("root"));
        run(tar.arg("-cf").arg(context.join("root.tar")).arg("."));
        std::fs::remove_dir_all(context.join("root")).unwrap();
        let dockerfile = format!(
            "FROM scratch\nADD root.tar /\nENV {}\nCMD [\"sh\"]\n",
            judge::PATH
        );
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        self.image(&context, &NAMES)
    }

    /// What stands in for Debian: busybox under other names.
    fn make_debian(&self) -> Image {
        let context = self.builder.place();
        let dockerfile = "FROM busybox\nRUN mkdir -p /usr/local\nCOPY --chmod=755 <<'E' /bin/bash\n#!/bin/sh\nexec /bin/sh \"$@\"\nE\nCMD [\"bash\"]\n";
        std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
        self.image(context.path(), &[DEBIAN])
    }

    /// The image of a context, under these names.
    fn image(&self, context: &Path, names: &[&str]) -> Image {
        self.builder.hand_over(context);
        let mut build = self.builder.cairn();
        build.args(["build", "-q", "--platform=linux/amd64"]);
        build.args(names.iter().flat_map(|name| ["-t", name]));
        let output = build.arg(context).output().unwrap();
        match output.status.success() {
            true => {
                let digest = String::from_utf8(output.stdout).unwrap();
                Image::read(&self.builder.store(), digest.trim_end(), None)
            }
            // Every case that begins with it fails, and says why.
            false => Image::default(),
        }
    }

    /// What is otherwise than the case says.
    fn differences(&self, case: &Case) -> Vec<String> {
        let place = self.builder.place();
        case.lay_out(place.path());
        self.builder.hand_over(place.path());
        let mut build = self.builder.cairn();
        build.args(["build", "--progress=plain"]);
        if !case
            .arguments
            .iter()
            .any(|argument| argument == "--platform")
        {
            build.arg("--platform=linux/amd64");
        }
        build.arg("-f").arg(case.file(place.path()));
        let folders = place.path().join("folders").display().to_string();
        let arguments = case.arguments.iter();
        build.args(arguments.map(|argument| argument.replace("{folders}", &folders)));
        build.arg(place.path().join("context"));
        build.envs(&case.env);
        let output = build.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let mut found = Vec::new();
        for part in &case.says {
            if !said.contains(part.as_str()) {
                found.push(format!("doesn't say {part:?}"));
            }
        }
        for part in &case.silent_on {
            if said.contains(part.as_str()) {
                found.push(format!("says {part:?}"));
            }
        }
        let code = output.status.code();
        match &case.fails {
            Some(_) if output.status.success() => found.push("doesn't fail".to_owned()),
            // 1 and 3 are failures of the build; all else is none of this kind, or a crash.
            Some(_) if !matches!(code, Some(1 | 3)) => found.push(format!("ends with {code:?}")),
            Some(parts) => {
                for part in parts.iter().filter(|part| !said.contains(part.as_str())) {
                    found.push(format!("fails without saying {part:?}"));
                }
            }
            None if !output.status.success() => found.push("fails".to_owned()),
            None => {
                let digest = String::from_utf8_lossy(&output.stdout);
                let base = match case.base {
                    Base::Busybox => &self.busybox,
                    Base::Debian => &self.debian,
                    Base::Scratch => &self.scratch,
                };
                let known = match case.base {
                    Base::Debian => &self.debian,
                    Base::Busybox | Base::Scratch => &self.busybox,
                };
                let got = Image::read(&self.builder.store(), digest.trim_end(), Some(known));
                found.extend(judge::differences(case, base, &got));
            }
        }
        if !found.is_empty() {
            found.push(format!("it said:\n{}", said.trim_end()));
        }
        found
    }
}

/// What a collection's `not-yet.txt` has: names and reasons.
fn not_yet(collection: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(collection.join("not-yet.txt")).unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, why) = line.split_once(": ").unwrap();
            (name.to_owned(), why.to_owned())
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "it is said to the test")]
fn is_picked(name: &str) -> bool {
    match std::env::var("CASE") {
        Ok(picked) => match picked.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == picked,
        },
        Err(_) => true,
    }
}

/// The collection's cases that were picked.
fn cases(collection: &Path) -> Vec<Case> {
    let folders = entries(collection).into_iter();
    let folders = folders.filter(|folder| folder.join("case.toml").is_file());
    let cases = folders.map(|folder| Case::read(&folder));
    cases.filter(|case| is_picked(&case.name)).collect()
}

/// Has `user` build a collection, and tells all failures.
fn run_all(collection: &str, user: User) {
    if !["busybox", "bzip2", "xz", "tar"].into_iter().all(require) {
        return;
    }
    let collection = testdata().join(collection);
    let (cases, not_yet) = (cases(&collection), not_yet(&collection));
    let Some(builder) = Builder::new(user) else {
        return;
    };
    let world = World::new(builder);
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = world.differences(case);
                    let told = match (not_yet.get(&case.name), found.is_empty()) {
                        (None, true) | (Some(_), false) => continue,
                        (None, false) => found.join("\n  "),
                        (Some(_), true) => {
                            "is as it must be: take it out of not-yet.txt".to_owned()
                        }
                    };
                    let about = case.about.trim();
                    let told = format!("{}: {about}\n  {told}", case.name);
                    failures.lock().unwrap().push(told);
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}

#[test]
fn dockerfiles_give_what_the_language_says() {
    run_all("dockerfile", User::Me);
}

#[test]
fn dockerfiles_give_what_the_language_says_to_who_has_a_range_of_users() {
    run_all("dockerfile", User::Ranged);
}

#[test]
fn dockerfiles_give_what_the_language_says_to_who_has_no_other_users() {
    run_all("dockerfile", User::Single);
}

#[test]
fn dockerfiles_give_what_buildkit_makes_of_them() {
    run_all("reference", User::Me);
}

#[test]
fn dockerfiles_give_what_buildkit_makes_of_them_to_who_has_a_range_of_users() {
    run_all("reference", User::Ranged);
}

#[test]
fn dockerfiles_give_what_buildkit_makes_of_them_to_who_has_no_other_users() {
    run_all("reference", User::Single);
}

#[test]
fn what_is_not_yet_is_a_case() {
    for collection in ["dockerfile", "reference"] {
        let collection = testdata().join(collection);
        for name in not_yet(&collection).keys() {
            assert!(collection.join(name).join("case.toml").is_file(), "{name}");
        }
    }
}
