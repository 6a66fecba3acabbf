//! The Dockerfiles of `testdata/real`, locked: built again where there is no network at all, with
//! the same packages in them.
//!
//! That their bytes are the same, too, is the matter of other tests: their commands may read more
//! than what they fetch.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::real::{PROJECTS, Project, data};
use crate::support::bases::{Bases, succeeded};
use crate::support::programs::program;
use crate::support::{cairn, require, run, temp};

/// Those that are tried where nothing is asked for: one of apt's, one of pip's.
const USUAL: &str = "python static";

fn command(bases: &Bases, context: &Path, arguments: &[&str]) -> Command {
    let mut command = cairn(&bases.store());
    command.env("CONTAINERS_REGISTRIES_CONF", bases.config());
    command.args(arguments).current_dir(context);
    command
}

/// The same, where there is no network but a loopback that is down.
fn cut_off(like: &Command) -> Command {
    let mut command = program("unshare", &["--net"]);
    command.arg(like.get_program()).args(like.get_args());
    command.env_clear();
    for (name, value) in like.get_envs() {
        command.env(name, value.unwrap());
    }
    command.current_dir(like.get_current_dir().unwrap());
    command
}

/// The files of an image, each with its size, and what its package manager says of packages.
fn packages(tar: &Path) -> (usize, String) {
    let list = run(program("tar", &["-tf"]).arg(tar));
    let mut status = program("tar", &["-xOf"]);
    let output = status.arg(tar).arg("var/lib/dpkg/status").output().unwrap();
    (
        list.lines().count(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn check(bases: &Bases, project: &Project) -> Result<(), String> {
    for (file, name) in project.bases {
        bases.base(file, name)?;
    }
    let folder = temp();
    let context = folder.path().join("context");
    run(program("cp", &["-r"]).args([&data().join(project.name), &context]));
    let begin = Instant::now();
    succeeded(command(bases, &context, &["lock"]))?;
    let recorded = begin.elapsed().as_secs();
    let lock = std::fs::read_to_string(context.join("cairn.lock")).unwrap();
    let tar = folder.path().join("image.tar");
    let output = format!("type=tar,dest={}", tar.display());
    let arguments = [
        "build",
        "--locked",
        "--offline",
        "--no-cache",
        "-o",
        &output,
    ];
    let mut built = Vec::new();
    for _ in 0..2 {
        let digest = succeeded(cut_off(&command(bases, &context, &arguments)))?;
        built.push((packages(&tar), digest));
    }
    let same = if built[0].1 == built[1].1 {
        "same"
    } else {
        "other"
    };
    let requests = lock
        .lines()
        .filter(|line| line.contains("status = "))
        .count();
    let seconds = begin.elapsed().as_secs();
    let _ = writeln!(
        std::io::stderr(),
        "real: {} locked in {recorded} s ({requests} requests), twice replayed in {} s, {same} bytes",
        project.name,
        seconds - recorded
    );
    match built[0].0 == built[1].0 {
        true => Ok(()),
        false => Err("other packages or files than before".to_owned()),
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "to try others: REAL_LOCKED='go node' cargo test, or all"
)]
fn real_dockerfiles_replay_where_there_is_no_network() {
    if !rustix::process::geteuid().is_root() {
        return crate::support::programs::skipped("root alone can take the network away");
    }
    if !require("unshare") {
        return;
    }
    let Some(bases) = Bases::get() else { return };
    let wanted = std::env::var("REAL_LOCKED").unwrap_or_else(|_| USUAL.to_owned());
    let is_wanted = |name: &str| wanted == "all" || wanted.split(' ').any(|wanted| wanted == name);
    let chosen: Vec<_> = PROJECTS
        .iter()
        .filter(|project| is_wanted(project.name))
        .collect();
    assert!(!chosen.is_empty(), "there is no project `{wanted}`");
    let failures = chosen.iter().filter_map(|project| {
        let why = check(bases, project).err()?;
        Some(format!("{}: {why}", project.name))
    });
    let failures: Vec<_> = failures.collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
