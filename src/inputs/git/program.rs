//! Running git.
//!
//! In: its arguments, and who asks. Out: what it writes, or says. What proves who asks goes to git
//! in its environment and not among its arguments, which everybody on a machine can read; and only
//! where another machine is asked.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions};

use super::Error;
use crate::canon::Login;
use crate::inputs::access::{Access, Authorization, BadSecret};
use crate::inputs::http;

/// Where to fetch from, and who asks.
#[derive(Debug, Clone)]
pub struct Remote<'a> {
    /// Anything that git fetches from.
    pub url: &'a str,
    authorization: Option<Authorization>,
    /// Where the server has it, if elsewhere.
    moved: OnceLock<String>,
    agent: Option<&'a Path>,
    search_path: &'a OsStr,
}

impl<'a> Remote<'a> {
    /// The repository at `url`. `search_path` is the `PATH` that git and its transports are found
    /// by.
    pub fn new(
        url: &'a str,
        login: Option<&Login>,
        access: &Access<'a>,
        search_path: &'a OsStr,
    ) -> Result<Remote<'a>, BadSecret> {
        Ok(Remote {
            url,
            authorization: access.to_repository(url, login)?,
            moved: OnceLock::new(),
            agent: access.agent,
            search_path,
        })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &str {
        self.moved.get().map_or(self.url, String::as_str)
    }

    /// Whether git was led elsewhere and didn't follow.
    fn is_redirect(&self, reason: &str) -> bool {
        self.authorization.is_some() && reason.contains("returned error: 30")
    }

    /// Finds out where the server has it. git would show what proves who asks to whatever server
    /// it is led to; this stays with the one that was named.
    fn follow(&self) -> bool {
        let moved = self
            .authorization
            .as_ref()
            .filter(|_| self.moved.get().is_none())
            .and_then(|authorization| http::moved_repository(self.url, authorization));
        moved.is_some_and(|moved| self.moved.set(moved).is_ok())
    }

    /// git's refusal as an error.
    pub(super) fn refused(&self, commit: &str, reason: String) -> Error {
        if self.is_redirect(&reason) {
            return Error::Redirect(self.url.to_owned());
        }
        Error::Git {
            url: self.url.to_owned(),
            commit: commit.to_owned(),
            reason,
        }
    }

    /// Variables by which git proves who asks.
    fn variables(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        if let Some(authorization) = &self.authorization {
            let scope = authorization.scope(self.place());
            let header = format!("Authorization: {}", authorization.value());
            let settings = [
                (format!("http.{scope}.extraHeader"), header),
                // git would send it along to wherever the server points.
                (format!("http.{scope}.followRedirects"), "false".to_owned()),
            ];
            variables.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
            for (number, (key, value)) in settings.into_iter().enumerate() {
                variables.push((format!("GIT_CONFIG_KEY_{number}"), key));
                variables.push((format!("GIT_CONFIG_VALUE_{number}"), value));
            }
        }
        variables
    }
}

/// git in a folder.
pub(super) struct Git<'a> {
    folder: &'a Path,
    remote: &'a Remote<'a>,
}

impl<'a> Git<'a> {
    pub(super) fn new(folder: &'a Path, remote: &'a Remote<'a>) -> Git<'a> {
        Git { folder, remote }
    }

    /// Runs it, and returns what it writes; the inner error is what it said.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Result<String, String>, Error> {
        run(command(self.folder, self.remote.search_path, arguments))
    }

    /// The same where it asks another machine.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Result<String, String>, Error> {
        let asked = self.ask_once(arguments)?;
        match asked {
            Err(reason) if self.remote.is_redirect(&reason) && self.remote.follow() => {
                self.ask_once(arguments)
            }
            asked => Ok(asked),
        }
    }

    fn ask_once(&self, arguments: &[&str]) -> Result<Result<String, String>, Error> {
        let remote = self.remote;
        let placed = arguments.iter().map(|argument| match *argument {
            url if url == remote.url => remote.place(),
            other => other,
        });
        let placed: Vec<_> = placed.collect();
        let mut command = command(self.folder, remote.search_path, &placed);
        command.envs(remote.variables());
        if let Some(agent) = remote.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        run(command)
    }
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
fn run(mut command: Command) -> Result<Result<String, String>, Error> {
    /// Most bytes that it may write: the refs of a repository.
    const LARGEST: u64 = 256 << 20;
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

pub(super) fn command(folder: &Path, search_path: &OsStr, arguments: &[&str]) -> Command {
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
        // ssh knows hosts, keys and settings as it does for its user; but nobody is there to
        // answer it.
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
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

    #[test]
    fn of_a_long_speech_the_end_is_kept() {
        let speech = std::io::repeat(b'x').take(1 << 20);
        let said = last_words(speech.chain(&b"\x1b[1m\nfatal: no\n"[..]));
        assert_eq!(said.len(), 499);
        assert!(said.ends_with("x [1m fatal: no"), "{said}");
    }
}
