//! Files of a commit.
//!
//! In: a URL and a commit. Out: a checked-out folder, which is read as a context is. git itself
//! does the fetching and checks every object; it sees no configuration but cairn's, so that no
//! filter, hook or helper of the user's reaches the files.

use std::path::Path;
use std::process::{Command, Stdio};

use super::context::{self, Context};
use crate::canon::pattern::Rules;
use crate::store::Store;

/// Why a commit can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git can't be run.
    #[error("can't run `git`: {0}\nhint: install git; cairn fetches with it")]
    Start(std::io::Error),
    /// git says no.
    #[error("can't fetch commit {commit} of `{url}`: {reason}")]
    Git {
        /// From where.
        url: String,
        /// What.
        commit: String,
        /// git's last words.
        reason: String,
    },
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

/// A commit's files; the folder goes with the value.
pub struct Checkout {
    /// The files.
    pub context: std::sync::Arc<Context>,
    _folder: (tempfile::TempDir, std::fs::File),
}

/// Fetches `commit` from `url` and checks it out. `search_path` is the `PATH` that git and its
/// transports are found by.
pub fn check_out(
    url: &str,
    commit: &str,
    store: &Store,
    search_path: &std::ffi::OsStr,
) -> Result<Checkout, Error> {
    let (folder, locked) = store.temporary_folder()?;
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).map_err(Error::Folder)?;
    let git = |arguments: &[&str]| run(folder.path(), search_path, arguments);
    let refuse = |reason: String| Error::Git {
        url: url.to_owned(),
        commit: commit.to_owned(),
        reason,
    };
    let attempt = |arguments: &[&str]| git(arguments)?.map_err(refuse);
    attempt(&["init", "--quiet", "--bare", "--template=", "repository"])?;
    fn with<'a>(rest: &[&'a str]) -> Vec<&'a str> {
        [&["--git-dir=repository", "--work-tree=tree"], rest].concat()
    }
    let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
    // Not every server gives a commit that no ref names; then all of it is fetched.
    let shallow = git(&with(
        &[&fetch[..], &["--depth=1", "--", url, commit]].concat(),
    ))?;
    if shallow.is_err() {
        let all = [
            "--",
            url,
            "+refs/heads/*:refs/fetched/heads/*",
            "+refs/tags/*:refs/fetched/tags/*",
        ];
        attempt(&with(&[&fetch[..], &all].concat()))?;
    }
    attempt(&with(&[
        "checkout", "--quiet", "--force", "--detach", commit,
    ]))?;
    let context = Context::open(&tree, &Rules::default(), store)?;
    Ok(Checkout {
        context: std::sync::Arc::new(context),
        _folder: (folder, locked),
    })
}

/// Runs git; the inner error is what it said.
fn run(
    folder: &Path,
    search_path: &std::ffi::OsStr,
    arguments: &[&str],
) -> Result<Result<(), String>, Error> {
    let output = Command::new("git")
        .args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.fsmonitor=false",
        ])
        .args([
            "-c",
            "core.symlinks=true",
            "-c",
            "protocol.ext.allow=never",
            "-c",
            "advice.detachedHead=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", search_path)
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::Start)?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(500)
        .collect();
    Ok(Err(said))
}
