//! Files of a commit.
//!
//! In: a URL and a commit. Out: a checked-out folder, which is read as a context is. git itself
//! does the fetching and checks every object; it sees no configuration but cairn's, so that no
//! filter, hook or helper of the user's reaches the files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions};

use super::context::{self, Context};
use crate::plan::step::MovingRef;
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
    /// No such name.
    #[error("`{url}` has no branch, tag or commit `{name}`")]
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
    folder: (tempfile::TempDir, std::fs::File),
}

impl Checkout {
    /// The folder that it is checked out into, and what keeps it there.
    pub fn into_folder(self) -> (std::path::PathBuf, (tempfile::TempDir, std::fs::File)) {
        (self.folder.0.path().join("tree"), self.folder)
    }
}

/// What of a repository is wanted beside a commit's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Extras {
    /// A `.git` with the commit alone, so that git tells what it is.
    pub git_dir: bool,
    /// The files of the commits that its submodules are at.
    pub submodules: bool,
}

/// Fetches `commit` from `url` and checks it out. `search_path` is the `PATH` that git and its
/// transports are found by.
pub fn check_out(
    url: &str,
    commit: &str,
    extras: Extras,
    store: &Store,
    search_path: &OsStr,
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
    let git = |arguments: &[&str]| -> Result<(), Error> {
        run(&tree, search_path, arguments)?.map_err(refuse)?;
        Ok(())
    };
    if extras.submodules && tree.join(".gitmodules").is_file() {
        add_submodules(url, &git)?;
    }
    if extras.git_dir {
        add_git_dir(url, commit, &git)?;
        // It tells where and when it was fetched.
        for name in ["FETCH_HEAD", "ORIG_HEAD"] {
            let _ = std::fs::remove_file(tree.join(".git").join(name));
        }
    }
    let context = Context::open_passing(&tree, store)?;
    Ok(Checkout {
        context: std::sync::Arc::new(context),
        folder: (folder, locked),
    })
}

type Git<'a> = dyn Fn(&[&str]) -> Result<(), Error> + 'a;

/// Checks out the submodules, each at its commit. What git keeps of them is no file of theirs:
/// whoever takes the files leaves `.git` out.
fn add_submodules(url: &str, git: &Git<'_>) -> Result<(), Error> {
    // Relative addresses are relative to this one.
    git(&[
        "--git-dir=../repository",
        "config",
        "remote.origin.url",
        url,
    ])?;
    // Files of this machine are only for a repository of this machine.
    let files = match url.starts_with("file://") {
        true => "protocol.file.allow=always",
        false => "protocol.file.allow=never",
    };
    let base = ["-c", files, "--git-dir=../repository", "--work-tree=."];
    let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
    git(&[&base[..], &update].concat())
}

/// Makes `.git`: one commit in loose objects, which follow from it alone, and an index that knows
/// no times.
fn add_git_dir(url: &str, commit: &str, git: &Git<'_>) -> Result<(), Error> {
    git(&["init", "--quiet", "--template=", "--initial-branch=main"])?;
    git(&["remote", "add", "origin", url])?;
    let any = "uploadpack.allowAnySHA1InWant";
    git(&["--git-dir=../repository", "config", any, "true"])?;
    let loose = "fetch.unpackLimit=1000000000";
    let fetch = ["fetch", "--quiet", "--no-tags", "--depth=1"];
    git(&[&["-c", loose][..], &fetch, &["--", "../repository", commit]].concat())?;
    let quiet = "core.logAllRefUpdates=false";
    git(&["-c", quiet, "update-ref", "--no-deref", "HEAD", commit])?;
    git(&["read-tree", "HEAD"])
}

/// The commit that a name means today.
pub fn resolve(
    url: &str,
    wanted: &MovingRef,
    store: &Store,
    search_path: &OsStr,
) -> Result<String, Error> {
    let name = wanted.name.as_deref().unwrap_or("HEAD");
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = match name.len() == 40 && is_hex(name) {
        true => name.to_ascii_lowercase(),
        false => {
            let (folder, _locked) = store.temporary_folder()?;
            let listed = run(folder.path(), search_path, &["ls-remote", "--", url])?;
            let listed = listed.map_err(|reason| Error::Git {
                url: url.to_owned(),
                commit: name.to_owned(),
                reason,
            })?;
            match named(&listed, name) {
                Some(commit) => commit,
                None if is_hex(name) && name.len() >= 4 => {
                    begun(url, name, folder.path(), search_path)?
                }
                None => {
                    let (url, name) = (url.to_owned(), name.to_owned());
                    return Err(Error::NoRef { url, name });
                }
            }
        }
    };
    match &wanted.checksum {
        Some(checksum) if !commit.starts_with(&checksum.to_ascii_lowercase()) => {
            Err(Error::Checksum {
                url: url.to_owned(),
                name: name.to_owned(),
                expected: checksum.clone(),
                got: commit,
            })
        }
        _ => Ok(commit),
    }
}

/// The commit of the ref that `name` means among those that `git ls-remote` lists: a branch before
/// a tag, as `git checkout` has it; of a tag that is an object the commit that it names.
fn named(listed: &str, name: &str) -> Option<String> {
    let listed: std::collections::BTreeMap<_, _> = listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(commit, name)| (name.trim(), commit))
        .collect();
    let tag = format!("refs/tags/{}", name.trim_start_matches("refs/tags/"));
    let names = [
        format!("{name}^{{}}"),
        name.to_owned(),
        format!("refs/heads/{name}"),
        format!("{tag}^{{}}"),
        tag,
        format!("refs/{name}"),
    ];
    let mut found = names.iter().filter_map(|name| listed.get(name.as_str()));
    let is_commit = |commit: &&&str| commit.len() == 40;
    found.find(is_commit).map(|commit| (**commit).to_owned())
}

/// The commit whose beginning is `prefix`: only all of the repository tells.
fn begun(url: &str, prefix: &str, folder: &Path, search_path: &OsStr) -> Result<String, Error> {
    let refuse = |_| Error::NoRef {
        url: url.to_owned(),
        name: prefix.to_owned(),
    };
    let git = |arguments: &[&str]| run(folder, search_path, arguments)?.map_err(refuse);
    git(&["init", "--quiet", "--bare", "--template=", "all"])?;
    git(&[
        "--git-dir=all",
        "fetch",
        "--quiet",
        "--",
        url,
        "+refs/*:refs/*",
    ])?;
    let commit = format!("{prefix}^{{commit}}");
    let told = git(&["--git-dir=all", "rev-parse", "--verify", "--quiet", &commit])?;
    Ok(told.trim().to_owned())
}

/// The gits that run, to be stopped with cairn.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops every git that runs, and lets none begin: for a process that is told to end.
pub fn stop_running() {
    let running = running();
    for id in running.iter().filter_map(|&id| pid(id)) {
        // git stops its transports with itself. It may just have ended.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    std::mem::forget(running);
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// Runs git, and returns what it writes; the inner error is what it said.
fn run(
    folder: &Path,
    search_path: &OsStr,
    arguments: &[&str],
) -> Result<Result<String, String>, Error> {
    /// Most bytes that it may write: the refs of a repository.
    const LARGEST: u64 = 256 << 20;
    let mut command = command(folder, search_path, arguments);
    let mut child = {
        let mut running = running();
        let child = command.spawn().map_err(Error::Start)?;
        running.insert(child.id());
        child
    };
    let output = child.stdout.take();
    let (written, said) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut written = Vec::new();
            let output = output.map(|output| output.take(LARGEST).read_to_end(&mut written));
            output.transpose().map(|_| written)
        });
        let said = child.stderr.take().map_or_else(String::new, last_words);
        (reader.join(), said)
    });
    // Its number is another's only once it was waited for, and by then it is not in the set.
    if let Some(id) = pid(child.id()) {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(id), ended));
    }
    running().remove(&child.id());
    let status = child.wait().map_err(Error::Start)?;
    Ok(match (status.success(), written) {
        (true, Ok(Ok(written))) => Ok(String::from_utf8_lossy(&written).into_owned()),
        _ => Err(said),
    })
}

fn command(folder: &Path, search_path: &OsStr, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    for setting in [
        "core.hooksPath=/dev/null",
        "core.autocrlf=false",
        "core.fsmonitor=false",
        "core.symlinks=true",
        "protocol.ext.allow=never",
        "advice.detachedHead=false",
    ] {
        command.args(["-c", setting]);
    }
    command
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
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The end of what it says until it says no more: a server can have it say anything.
fn last_words(mut stream: impl Read) -> String {
    const KEPT: usize = 500;
    let (mut said, mut buffer) = (Vec::new(), [0; 4 << 10]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        said.drain(..said.len().saturating_sub(KEPT));
    }
    let said = String::from_utf8_lossy(&said);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    said.trim().chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::event::Events;
    use crate::canon::{EntryPath, Epoch};
    use crate::plan::Selection;

    /// Two commits, a tag of the first, and a submodule in the second.
    fn repository(folder: &Path, path: &OsStr) -> (String, String) {
        let git = |at: &str, arguments: &[&str]| {
            let mut command = command(&folder.join(at), path, arguments);
            for role in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{role}_NAME"), "a");
                command.env(format!("GIT_{role}_EMAIL"), "a@example.org");
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {said}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        for name in ["a", "b"] {
            std::fs::create_dir(folder.join(name)).unwrap();
            git(name, &["init", "--quiet", "--initial-branch=main"]);
            std::fs::write(folder.join(name).join("file"), name).unwrap();
            git(name, &["add", "."]);
            git(name, &["commit", "--quiet", "-m", "first"]);
        }
        git("a", &["tag", "-a", "-m", "one", "v1"]);
        let url = format!("file://{}", folder.join("b").display());
        let add = ["submodule", "--quiet", "add", &url, "sub"];
        git(
            "a",
            &[&["-c", "protocol.file.allow=always"], &add[..]].concat(),
        );
        git("a", &["commit", "--quiet", "-m", "second"]);
        let commit = |name| git("a", &["rev-parse", name]);
        (commit("v1^{commit}"), commit("HEAD"))
    }

    #[test]
    fn names_mean_commits_and_extras_are_among_the_files() {
        #[expect(clippy::disallowed_methods, reason = "git is looked for in it")]
        let path = std::env::var_os("PATH").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = repository(folder.path(), &path);
        let url = format!("file://{}", folder.path().join("a").display());
        let store = Store::open(&folder.path().join("store")).unwrap();
        let meant = |name: Option<&str>, checksum: Option<&str>| {
            let wanted = MovingRef {
                name: name.map(str::to_owned),
                checksum: checksum.map(str::to_owned),
            };
            resolve(&url, &wanted, &store, &path)
        };
        for (name, commit) in [
            (None, &second),
            (Some("main"), &second),
            (Some("refs/heads/main"), &second),
            (Some("v1"), &first),
            (Some("refs/tags/v1"), &first),
            (Some(&first[..7]), &first),
            (Some(&second[..]), &second),
        ] {
            assert_eq!(
                meant(name, Some(&commit[..9])).unwrap(),
                *commit,
                "{name:?}"
            );
        }
        assert!(matches!(meant(Some("no"), None), Err(Error::NoRef { .. })));
        let other = meant(Some("main"), Some(&first));
        assert!(matches!(other, Err(Error::Checksum { .. })));

        let digest = |extras: Extras, paths: &[&str]| {
            let checkout = check_out(&url, &second, extras, &store, &path).unwrap();
            let work = Events::none().start("read");
            let selection = Selection {
                sources: vec![".".to_owned()],
                ..Selection::default()
            };
            let files = checkout.context.files(&selection, Epoch::default(), &work);
            let files = files.unwrap();
            let entries = files.picks[0].tree.entries();
            for path in paths {
                let path = EntryPath::new(path.as_bytes()).unwrap();
                assert!(entries.iter().any(|entry| entry.path == path), "{path}");
            }
            files.digest()
        };
        let all = Extras {
            git_dir: true,
            submodules: true,
        };
        digest(Extras::default(), &["file", ".gitmodules"]);
        let paths = ["file", "sub/file", ".git/HEAD", ".git/index"];
        let one = digest(all, &paths);
        assert_eq!(one, digest(all, &paths));
    }

    #[test]
    fn of_a_long_speech_the_end_is_kept() {
        let speech = std::io::repeat(b'x').take(1 << 20);
        let said = last_words(speech.chain(&b"\x1b[1m\nfatal: no\n"[..]));
        assert_eq!(said.len(), 499);
        assert!(said.ends_with("x [1m fatal: no"), "{said}");
    }
}
