//! Files of a commit.
//!
//! In: a URL and a commit. Out: a checked-out folder, which is read as a context is. git itself
//! does the fetching and checks every object (`program` runs it); it sees no configuration but
//! cairn's, so that no filter, hook or helper of the user's reaches the files. `names` knows which
//! commit a name means.

mod names;
mod program;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::access::BadSecret;
use super::context::{self, Context};
use crate::canon::Epoch;
use crate::plan::step::{GitExtras, KeptRef};
use crate::store::Store;

pub use names::{Resolved, resolve};
use program::Git;
pub use program::{Remote, stop_running};

/// Why a commit can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git can't be run.
    #[error("can't run `git`: {0}\nhint: install git; cairn fetches with it")]
    Start(std::io::Error),
    /// git says no.
    #[error("can't fetch commit {commit} of `{url}`: {reason}{}", way_in(reason))]
    Git {
        /// From where.
        url: String,
        /// What.
        commit: String,
        /// git's last words.
        reason: String,
    },
    /// No such name.
    #[error("`{url}` has no branch or tag `{name}`{}", hint_for(name))]
    NoRef {
        /// Where.
        url: String,
        /// As it was asked for.
        name: String,
    },
    /// Another commit than the recipe says.
    #[error(
        "`{name}` of `{url}` is not what the recipe says\n  expected {expected}\n  got      {got}\nhint: if the new commit is meant, put it into the recipe"
    )]
    Checksum {
        /// Where.
        url: String,
        /// As it was asked for.
        name: String,
        /// As the recipe has it.
        expected: String,
        /// As it is.
        got: String,
    },
    /// Elsewhere, and what proves who asks goes nowhere else.
    #[error(
        "`{0}` leads to another address, and credentials are for the one that is named\nhint: name the address that it leads to"
    )]
    Redirect(String),
    /// A secret for the server.
    #[error(transparent)]
    Secret(#[from] BadSecret),
    /// The folder to check out into.
    #[error("can't make a folder to check out into: {0}")]
    Folder(std::io::Error),
    /// The store, where that folder is.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// What was checked out.
    #[error(transparent)]
    Context(#[from] context::Error),
}

/// The way out where a server, or ssh on the way to it, wants to know who asks.
fn way_in(reason: &str) -> &'static str {
    let ways = [
        (
            "could not read Username",
            "\nhint: what the server asks for can be given: `--secret id=GIT_AUTH_TOKEN,env=NAME`",
        ),
        (
            "Authentication failed",
            "\nhint: see that the secret or login is right, and may read this repository",
        ),
        (
            "Permission denied (publickey",
            "\nhint: hand on an agent that has a key for it: `--ssh default`",
        ),
        (
            "Host key verification failed",
            "\nhint: let ssh know the host: `ssh-keyscan HOST >> ~/.ssh/known_hosts`",
        ),
    ];
    let found = ways.iter().find(|(said, _)| reason.contains(said));
    found.map_or("", |(_, hint)| hint)
}

fn hint_for(name: &str) -> &'static str {
    let is_short = name.len() < 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_short {
        true => "\nhint: of a commit write all hex digits: `git rev-parse NAME` prints them",
        false => "",
    }
}

/// A commit's files; the folder goes with the value.
pub struct Checkout {
    /// The files.
    pub context: std::sync::Arc<Context>,
    /// When the commit was made.
    pub time: Epoch,
    folder: (tempfile::TempDir, std::fs::File),
}

impl Checkout {
    /// The folder that it is checked out into, and what keeps it there.
    pub fn into_folder(self) -> (std::path::PathBuf, (tempfile::TempDir, std::fs::File)) {
        (self.folder.0.path().join("tree"), self.folder)
    }
}

/// Fetches `commit` and checks it out.
pub fn check_out(
    remote: &Remote<'_>,
    commit: &str,
    extras: &GitExtras,
    store: &Store,
) -> Result<Checkout, Error> {
    let (folder, locked) = store.temporary_folder()?;
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).map_err(Error::Folder)?;
    let refuse = |reason: String| remote.refused(commit, reason);
    let bare = Git::new(folder.path(), remote);
    let attempt = |arguments: &[&str]| bare.run(arguments)?.map_err(refuse);
    let format = match commit.len() {
        64 => "--object-format=sha256",
        _ => "--object-format=sha1",
    };
    let init = [
        "init",
        "--quiet",
        "--bare",
        "--template=",
        format,
        "repository",
    ];
    attempt(&init)?;
    fn with<'a>(rest: &[&'a str]) -> Vec<&'a str> {
        [&["--git-dir=repository", "--work-tree=tree"], rest].concat()
    }
    // A tag that is an object brings its commit along.
    let kept = extras.kept_ref.as_ref().filter(|_| extras.keep_git_dir);
    let wanted = kept.map_or(commit, |kept| &kept.object);
    let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
    // Not every server gives a commit that no ref names; then all of it is fetched.
    let shallow = ["--depth=1", "--", remote.url, wanted];
    let shallow = bare.ask(&with(&[&fetch[..], &shallow].concat()))?;
    if shallow.is_err() {
        let all = [
            "--",
            remote.url,
            "+refs/heads/*:refs/fetched/heads/*",
            "+refs/tags/*:refs/fetched/tags/*",
        ];
        let all = with(&[&fetch[..], &all].concat());
        bare.ask(&all)?.map_err(refuse)?;
    }
    attempt(&with(&[
        "checkout", "--quiet", "--force", "--detach", commit,
    ]))?;
    let time = attempt(&with(&["show", "-s", "--format=%ct", commit]))?;
    let inside = Git::new(&tree, remote);
    if extras.submodules && tree.join(".gitmodules").is_file() {
        add_submodules(&inside, remote, commit)?;
        remove_links(&tree).map_err(Error::Folder)?;
    }
    if extras.keep_git_dir {
        add_git_dir(&inside, remote, commit, kept, format)?;
        // It tells where and when it was fetched.
        for name in ["FETCH_HEAD", "ORIG_HEAD"] {
            let _ = std::fs::remove_file(tree.join(".git").join(name));
        }
    }
    let context = Context::open_passing(&tree, store)?;
    Ok(Checkout {
        context: std::sync::Arc::new(context),
        // What is no time of an image is none of a commit's either: git takes any number.
        time: time.trim().parse().unwrap_or_default(),
        folder: (folder, locked),
    })
}

/// Checks out the submodules, each at its commit.
fn add_submodules(git: &Git<'_>, remote: &Remote<'_>, commit: &str) -> Result<(), Error> {
    let refuse = |reason: String| remote.refused(commit, reason);
    // Relative addresses are relative to this one.
    let origin = ["config", "remote.origin.url", remote.place()];
    git.run(&[&["--git-dir=../repository"], &origin[..]].concat())?
        .map_err(refuse)?;
    // Files of this machine are only for a repository of this machine.
    let files = match remote.url.starts_with("file://") {
        true => "protocol.file.allow=always",
        false => "protocol.file.allow=never",
    };
    let base = ["-c", files, "--git-dir=../repository", "--work-tree=."];
    let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
    git.ask(&[&base[..], &update].concat())?.map_err(refuse)?;
    Ok(())
}

/// Removes what git leaves of each submodule, which is no file of it: the way to its repository.
/// No file of a commit has that name.
fn remove_links(folder: &Path) -> std::io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if entry.file_name() == ".git" && kind.is_file() {
                std::fs::remove_file(entry.path())?;
            } else if kind.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Makes `.git`: one commit in loose objects, which follow from it alone, the name that it was
/// asked for by, and an index that knows no times.
fn add_git_dir(
    git: &Git<'_>,
    remote: &Remote<'_>,
    commit: &str,
    kept: Option<&KeptRef>,
    format: &str,
) -> Result<(), Error> {
    let run = |arguments: &[&str]| {
        let refuse = |reason: String| remote.refused(commit, reason);
        git.run(arguments)?.map_err(refuse).map(drop)
    };
    let init = [
        "init",
        "--quiet",
        "--template=",
        "--initial-branch=main",
        format,
    ];
    run(&init)?;
    run(&["remote", "add", "origin", remote.url])?;
    let any = "uploadpack.allowAnySHA1InWant";
    run(&["--git-dir=../repository", "config", any, "true"])?;
    let wanted = kept.map_or(commit, |kept| &kept.object);
    let loose = "fetch.unpackLimit=1000000000";
    let fetch = ["fetch", "--quiet", "--no-tags", "--depth=1"];
    run(&[&["-c", loose][..], &fetch, &["--", "../repository", wanted]].concat())?;
    let quiet = "core.logAllRefUpdates=false";
    run(&["-c", quiet, "update-ref", "--no-deref", "HEAD", commit])?;
    if let Some(kept) = kept {
        run(&["-c", quiet, "update-ref", &kept.name, &kept.object])?;
    }
    run(&["read-tree", "HEAD"])
}
