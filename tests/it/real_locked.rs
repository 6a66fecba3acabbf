//! The Dockerfiles of `testdata/real`, locked: built again from what `push --inputs` sent, where
//! there is no network at all, in an empty store, and once more by another user in another place.
//! Each time it is the same image.
//!
//! Where it can't be yet, because a command writes down what no lock holds, [`OTHERS`] says so; the
//! image has the same files then, with the same owners and modes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::real::{PROJECTS, Project, data};
use crate::support::bases::{Bases, succeeded};
use crate::support::programs::program;
use crate::support::served::Served;
use crate::support::users::{User, Users};
use crate::support::{cairn, require, run, temp};

/// Those that are tried where nothing is asked for: one of pip's, one of apt's.
const USUAL: &str = "python php";

/// Those whose bytes aren't the same yet, and why.
const OTHERS: &[(&str, &str)] = &[(
    "java",
    "Maven's jar holds the times that its files really have",
)];

/// Who builds, and where.
struct Builder<'a> {
    name: String,
    context: PathBuf,
    /// The program, without arguments.
    cairn: Box<dyn Fn() -> Command + 'a>,
    /// Where they may write.
    out: PathBuf,
    umask: &'static str,
}

impl Builder<'_> {
    fn command(&self, bases: &Bases, arguments: &[&str]) -> Command {
        let like = (self.cairn)();
        let script = format!("umask {}; exec \"$0\" \"$@\"", self.umask);
        let mut command = program("sh", &["-c", &script]);
        command.arg(like.get_program()).args(like.get_args());
        command.env_clear();
        for (name, value) in like.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("CONTAINERS_REGISTRIES_CONF", bases.config());
        command.args(arguments).current_dir(&self.context);
        command
    }

    /// Builds where there is no network but a loopback that is down; gives the digest.
    fn build_alone(&self, bases: &Bases, arguments: &[&str]) -> Result<String, String> {
        let build = ["build", "-q", "--locked", "--offline"];
        let like = self.command(bases, &[&build, arguments].concat());
        let mut command = program("unshare", &["--net"]);
        command.arg(like.get_program()).args(like.get_args());
        command.env_clear();
        for (name, value) in like.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.current_dir(&self.context);
        succeeded(command)
    }

    /// Writes the files of what was built to a tar.
    fn export(&self, bases: &Bases) -> Result<PathBuf, String> {
        let tar = self.out.join("image.tar");
        let output = format!("type=tar,dest={}", tar.display());
        self.build_alone(bases, &["-o", &output]).map(|_| tar)
    }
}

/// What differs between the files of two images: contents, and names with what is listed of them.
fn differences(folder: &Path, tars: [&Path; 2]) -> [String; 2] {
    for (tar, name) in tars.iter().zip(["one", "two"]) {
        let files = folder.join(name);
        std::fs::create_dir(&files).unwrap();
        run(program("tar", &["-xpf"]).arg(tar).arg("-C").arg(&files));
        let mut list = program("tar", &["--numeric-owner", "--full-time", "-tvf"]);
        let list = list.arg(tar).output().unwrap().stdout;
        std::fs::write(folder.join(name.to_owned() + ".list"), list).unwrap();
    }
    let differ = |arguments: &[&str]| {
        let mut diff = program("diff", arguments);
        let output = diff.current_dir(folder).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let contents = differ(&["-rq", "--no-dereference", "one", "two"]);
    // Devices it can't compare, and says so of each.
    let contents = contents
        .lines()
        .filter(|line| !line.contains(" special file"));
    let contents: Vec<_> = contents.collect();
    [contents.join("\n"), differ(&["one.list", "two.list"])]
}

/// Bytes of the artifact that the store has.
fn size_of(store: &Path, artifact: &str) -> u64 {
    let hex = artifact.trim().trim_start_matches("sha256:");
    let manifest = std::fs::read(store.join("blobs/sha256").join(hex)).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    layers
        .iter()
        .map(|layer| layer["size"].as_u64().unwrap())
        .sum()
}

fn check(bases: &Bases, users: &Users, project: &Project) -> Result<(), String> {
    for (file, name) in project.bases {
        bases.base(file, name)?;
    }
    let folder = temp();
    run(program("chmod", &["755"]).arg(folder.path()));
    let registry = Served::new(&folder.path().join("registry"));
    let image = registry.name(&format!("{}:1", project.name));
    let place = |name: &str, user: User, umask, cairn| {
        let place = users.path(&format!("{}-{name}", project.name));
        let (context, out) = (place.join("context"), place.join("out"));
        std::fs::create_dir_all(&out).unwrap();
        let copy = format!("umask {umask}; exec cp -r \"$0\" \"$1\"");
        run(program("sh", &["-c", &copy])
            .arg(data().join(project.name))
            .arg(&context));
        users.give(user, &place);
        let name = format!("{} {name}", project.name);
        Builder {
            name,
            context,
            cairn,
            out,
            umask,
        }
    };
    let recorder_store = bases.store();
    let empty = temp();
    let first = place(
        "recorded",
        User::Me,
        "022",
        Box::new(|| cairn(&recorder_store)),
    );
    let second = place(
        "elsewhere",
        User::Me,
        "077",
        Box::new(|| cairn(empty.path())),
    );
    let third = place(
        "as-another",
        User::Single,
        "002",
        Box::new(|| users.cairn(User::Single)),
    );
    let begin = Instant::now();
    succeeded(first.command(bases, &["lock"]))?;
    let built = ["build", "-q", "--locked", "-t", &image];
    let expected = succeeded(first.command(bases, &built))?;
    let recorded = begin.elapsed().as_secs();
    succeeded(first.command(bases, &["push", "--inputs", &image]))?;
    let lock = first.context.join("cairn.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let requests = text
        .lines()
        .filter(|line| line.contains("status = "))
        .count();
    let (mut results, mut artifact) = (Vec::new(), 0);
    let mut others = Vec::new();
    let why = OTHERS.iter().find(|(name, _)| *name == project.name);
    for other in [&second, &third] {
        let begin = Instant::now();
        run(program("cp", &[]).arg(&lock).arg(&other.context));
        let pulled = succeeded(other.command(bases, &["pull", "--inputs", &image]))?;
        if artifact == 0 {
            artifact = size_of(empty.path(), &pulled);
        }
        let digest = other.build_alone(bases, &[])?;
        let seconds = begin.elapsed().as_secs();
        let word = if digest == expected { "same" } else { "OTHER" };
        results.push(format!("{}: {word} in {seconds} s", other.name));
        if digest != expected {
            let between = temp();
            let tars = [first.export(bases)?, other.export(bases)?];
            let [contents, lists] = differences(between.path(), [&tars[0], &tars[1]]);
            results.push(contents.clone());
            if why.is_none() || !lists.is_empty() {
                others.push(format!("{}:\n{contents}\n{lists}", other.name));
            }
        }
    }
    results.extend(why.map(|(_, why)| format!("known: {why}")));
    let _ = writeln!(
        std::io::stderr(),
        "real: {} locked in {recorded} s ({requests} requests, {} KiB); {}",
        project.name,
        artifact >> 10,
        results.join("; ")
    );
    match others.is_empty() {
        true => Ok(()),
        false => Err(others.join("\n")),
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "to try others: REAL_LOCKED='go node' cargo test, or all"
)]
fn real_dockerfiles_give_the_same_image_from_their_inputs_alone() {
    if !require("unshare") {
        return;
    }
    // Root alone can take the network away.
    let Some(users) = Users::new() else { return };
    let Some(bases) = Bases::get() else { return };
    let wanted = std::env::var("REAL_LOCKED").unwrap_or_else(|_| USUAL.to_owned());
    let is_wanted = |name: &str| wanted == "all" || wanted.split(' ').any(|wanted| wanted == name);
    let chosen: Vec<_> = PROJECTS
        .iter()
        .filter(|project| is_wanted(project.name))
        .collect();
    assert!(!chosen.is_empty(), "there is no project `{wanted}`");
    let failures = chosen.iter().filter_map(|project| {
        let why = check(bases, &users, project).err()?;
        Some(format!("{}: {why}", project.name))
    });
    let failures: Vec<_> = failures.collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
