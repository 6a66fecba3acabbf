//! Commits: had once, and then only when their files are needed.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::recipes::entries;
use crate::support::{cairn, require, run, temp};

/// A repository, a recipe that copies from its only commit, and a store.
struct Case {
    folder: tempfile::TempDir,
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    command.env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "somebody");
        command.env(format!("GIT_{role}_EMAIL"), "somebody@example.org");
    }
    run(&mut command).trim().to_owned()
}

impl Case {
    fn new() -> Case {
        let case = Case { folder: temp() };
        let repository = case.repository();
        std::fs::create_dir_all(repository.join("lib")).unwrap();
        std::fs::write(repository.join("README"), "about").unwrap();
        std::fs::write(repository.join("lib/code"), "code").unwrap();
        git(&repository, &["init", "--quiet"]);
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "--quiet", "-m", "first"]);
        case.write_recipe("to = \"/all\"");
        case
    }

    fn repository(&self) -> std::path::PathBuf {
        self.folder.path().join("repository")
    }

    /// The repository can't be had any more.
    fn remove_repository(&self) {
        std::fs::remove_dir_all(self.repository()).unwrap();
    }

    fn write_recipe(&self, first: &str) {
        let url = format!("file://{}", self.repository().display());
        let commit = git(&self.repository(), &["rev-parse", "HEAD"]);
        let step = |rest: &str| {
            format!("[[steps]]\ngit = {{ url = \"{url}\", commit = \"{commit}\", {rest} }}\n")
        };
        let head = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n";
        let second = step("paths = [\"lib\"], to = \"/lib\"");
        let recipe = format!("{head}{}{second}", step(first));
        std::fs::write(self.folder.path().join("cairn.toml"), recipe).unwrap();
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    fn command(&self) -> Command {
        let mut command = cairn(&self.store());
        command.args(["build", "--quiet"]).arg(self.folder.path());
        command
    }
}

#[test]
fn a_commit_is_fetched_once() {
    if !require("git") {
        return;
    }
    let case = Case::new();
    let first = run(&mut case.command());
    assert!(entries(&case.store().join("contexts")).is_empty());
    case.remove_repository();
    // Without a PATH no git is found either.
    let mut again = case.command();
    assert_eq!(run(again.env("PATH", "/nowhere")), first);
    let anew = case.command().arg("--no-cache").output().unwrap();
    assert_eq!(anew.status.code(), Some(3));
    let text = String::from_utf8(anew.stderr).unwrap();
    assert!(text.contains("can't fetch commit"), "{text}");
}

#[test]
fn files_of_a_commit_are_had_when_a_layer_is_made_anew() {
    if !require("git") {
        return;
    }
    let case = Case::new();
    let first = run(&mut case.command());
    for lost in ["layers", "steps", "blobs", "trees"] {
        std::fs::remove_dir_all(case.store().join(lost)).unwrap();
        assert_eq!(run(&mut case.command()), first, "without {lost}");
    }
    std::fs::remove_dir_all(case.store().join("blobs")).unwrap();
    case.remove_repository();
    let output = case.command().output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn another_selection_of_a_commit_is_another_question() {
    if !require("git") {
        return;
    }
    let case = Case::new();
    let first = run(&mut case.command());
    case.write_recipe("exclude = [\"README\"], to = \"/all\"");
    let second = run(&mut case.command());
    assert_ne!(first, second);
    let mut anew = cairn(&case.folder.path().join("another"));
    anew.args(["build", "--quiet"]).arg(case.folder.path());
    assert_eq!(run(&mut anew), second);
}

#[test]
fn a_build_that_is_told_to_end_takes_its_git_along() {
    if !require("git") {
        return;
    }
    let (folder, silent) = (temp(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let recipe = format!(
        "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n[[steps]]\n\
         git = {{ url = \"git://{}/x\", commit = \"{}\", to = \"/\" }}\n",
        silent.local_addr().unwrap(),
        "0123456789".repeat(4)
    );
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    let mut command = cairn(&folder.path().join("store"));
    command.args(["build", "--quiet"]).arg(folder.path());
    let mut build = command.stderr(Stdio::null()).spawn().unwrap();
    let (mut connection, _) = silent.accept().unwrap();
    let timeout = Some(Duration::from_secs(20));
    connection.set_read_timeout(timeout).unwrap();
    assert!(connection.read(&mut [0; 1000]).unwrap() > 0);
    let id = Pid::from_raw(i32::try_from(build.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    assert_eq!(build.wait().unwrap().code(), Some(143));
    // Whoever held the other end is gone: what it had sent has an end.
    connection.read_to_end(&mut Vec::new()).unwrap();
}
