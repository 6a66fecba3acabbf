//! Commits: had once, and then only when their files are needed.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::recipes::entries;
use crate::support::repository::{Repository, git_answer};
use crate::support::rude::Rude;
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

/// What `git` says in the `.git` that an `ADD` of `address` keeps; and that it is the same twice.
fn kept(folder: &Path, address: &str, arguments: &[&str]) -> Result<String, String> {
    let context = folder.join("context");
    std::fs::create_dir_all(&context).unwrap();
    let recipe = format!("FROM scratch\nADD --keep-git-dir=true {address} /\n");
    std::fs::write(context.join("Dockerfile"), recipe).unwrap();
    let build = |out: &Path| {
        let mut command = cairn(&folder.join("store"));
        command.args(["build", "-q", "--no-cache", "-o"]).arg(out);
        let output = command.arg(&context).output().unwrap();
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    let outs = [folder.join("one"), folder.join("two")];
    let digests = [build(&outs[0])?, build(&outs[1])?];
    assert_eq!(digests[0], digests[1]);
    let said = git(&outs[0], arguments);
    for out in outs {
        std::fs::remove_dir_all(out).unwrap();
    }
    Ok(said)
}

#[test]
fn a_kept_git_dir_knows_by_what_name_it_was_asked_for() {
    if !require("git") {
        return;
    }
    let (folder, root) = (temp(), temp());
    let repository = Repository::new(&root.path().join("r.git"), "sha1");
    let first = repository.commit(&[("file", "one")]);
    repository.git(&["tag", "light"]);
    repository.git(&["tag", "-a", "-m", "a tag", "v1a"]);
    repository.commit(&[("file", "two")]);
    let root = root.path().to_owned();
    let server = Rude::new(move |request, _| git_answer(&root, request));
    let url = format!("http://{}/r.git", server.address);
    let asked =
        |rest: &str, arguments: &[&str]| kept(folder.path(), &format!("{url}{rest}"), arguments);
    let describe = ["describe", "--tags", "--exact-match"];
    assert_eq!(asked("#v1a", &describe).unwrap(), "v1a");
    assert_eq!(asked("?tag=light", &describe).unwrap(), "light");
    let refs = ["for-each-ref", "--format=%(refname) %(objecttype)"];
    assert_eq!(asked("#v1a", &refs).unwrap(), "refs/tags/v1a tag");
    assert_eq!(asked("", &refs).unwrap(), "refs/heads/main commit");
    assert_eq!(asked(&format!("#{first}"), &refs).unwrap(), "");
    assert_eq!(asked("#v1a", &["status", "--porcelain"]).unwrap(), "");
    assert_eq!(asked("#v1a", &["rev-parse", "HEAD"]).unwrap(), first);
    // The beginning of a commit is no name, but may say which it has to be.
    let short = asked(&format!("?ref={}", &first[..8]), &refs).unwrap_err();
    assert!(short.contains("write all hex digits"), "{short}");
    assert!(asked(&format!("?tag=v1a&checksum={}", &first[..8]), &refs).is_ok());
    let other = asked(&format!("?branch=main&checksum={}", &first[..8]), &refs);
    assert!(other.unwrap_err().contains("is not what the recipe says"));
    let pinned = asked(
        &format!("?branch=main&checksum={first}&fetch-by-commit=true"),
        &["rev-parse", "HEAD"],
    );
    assert_eq!(pinned.unwrap(), first);
}

#[test]
fn a_checksum_alone_is_of_what_the_server_begins_with() {
    if !require("git") {
        return;
    }
    let (folder, root) = (temp(), temp());
    let repository = Repository::new(&root.path().join("r.git"), "sha1");
    let first = repository.commit(&[("file", "one")]);
    let second = repository.commit(&[("file", "two")]);
    let root = root.path().to_owned();
    let server = Rude::new(move |request, _| git_answer(&root, request));
    let build = |checksum: &str| {
        let recipe = format!(
            "FROM scratch\nADD --checksum={checksum} http://{}/r.git /\n",
            server.address
        );
        std::fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let mut command = cairn(&folder.path().join("store"));
        command
            .args(["build", "-q"])
            .arg(folder.path())
            .output()
            .unwrap()
    };
    assert!(build(&second[..8]).status.success());
    assert_eq!(build(&first[..8]).status.code(), Some(4));
    // All of it needs nobody who says what it is the beginning of.
    assert!(build(&first).status.success());
}

#[test]
fn repositories_of_sha256_are_as_good() {
    if !require("git") {
        return;
    }
    let (folder, root) = (temp(), temp());
    let repository = Repository::new(&root.path().join("r.git"), "sha256");
    let commit = repository.commit(&[("file", "one")]);
    repository.git(&["tag", "v1"]);
    assert_eq!(commit.len(), 64);
    let root = root.path().to_owned();
    let server = Rude::new(move |request, _| git_answer(&root, request));
    let url = format!("http://{}/r.git", server.address);
    for rest in [
        "",
        "#v1",
        &format!("#{commit}"),
        &format!("?checksum={commit}"),
    ] {
        let head = kept(
            folder.path(),
            &format!("{url}{rest}"),
            &["rev-parse", "HEAD"],
        );
        assert_eq!(head.as_deref(), Ok(&*commit), "{rest}");
    }
}

#[test]
fn files_have_the_time_of_their_commit_where_that_is_asked_for() {
    if !require("git") {
        return;
    }
    let (folder, root) = (temp(), temp());
    let repository = Repository::new(&root.path().join("r.git"), "sha1");
    repository.commit(&[("file", "one"), ("dir/file", "two")]);
    let root = root.path().to_owned();
    let server = Rude::new(move |request, _| git_answer(&root, request));
    let times = |query: &str| {
        let recipe = format!(
            "FROM scratch\nADD http://{}/r.git{query} /\n",
            server.address
        );
        std::fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let out = folder.path().join("out.tar");
        let mut command = cairn(&folder.path().join("store"));
        command
            .args(["build", "-q", "-o"])
            .arg(format!("type=tar,dest={}", out.display()));
        run(command.arg(folder.path()));
        let mut tar = tar::Archive::new(std::fs::File::open(out).unwrap());
        let members = tar.entries().unwrap().map(Result::unwrap);
        // The root is no file of a repository.
        let members = members.filter(|member| member.path().unwrap().parent().is_some());
        let members = members.filter(|member| member.path().unwrap().as_os_str() != "./");
        let times = members.map(|member| member.header().mtime().unwrap());
        times.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(Vec::from_iter(times("")), [315_532_800]);
    assert_eq!(Vec::from_iter(times("?mtime=checkout")), [315_532_800]);
    assert_eq!(Vec::from_iter(times("?mtime=commit")), [1_000_000_000]);
}
