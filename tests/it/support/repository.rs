//! Repositories, on this machine and behind a server that asks who is there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::programs::program;
use super::rude::{Reply, Request, Rude};
use super::run;

/// A repository.
pub struct Repository(pub PathBuf);

impl Repository {
    /// A new one, whose objects have that format.
    pub fn new(folder: &Path, format: &str) -> Repository {
        std::fs::create_dir_all(folder).unwrap();
        let repository = Repository(folder.to_owned());
        let format = format!("--object-format={format}");
        repository.git(&["init", "--quiet", "--initial-branch=main", &format]);
        repository.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        repository
    }

    /// What git writes; every commit is of one second of 2001.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = program("git", &["-c", "protocol.file.allow=always", "-C"]);
        command.arg(&self.0).args(arguments);
        command.env("HOME", &self.0).env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "somebody");
            command.env(format!("GIT_{role}_EMAIL"), "somebody@example.org");
            command.env(format!("GIT_{role}_DATE"), "1000000000 +0000");
        }
        run(&mut command).trim().to_owned()
    }

    /// Commits these files beside what is there, and gives the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", "a commit"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Where it is, for git on this machine.
    pub fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }
}

/// What `git http-backend` answers for the repositories below `root`.
pub fn git_answer(root: &Path, request: &Request) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut command = program("git", &["http-backend"]);
    let header = |name: &str| request.header(name).unwrap_or_default();
    command
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("HOME", root)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    let output = fed(command, &request.body);
    let end = output.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let lines: Vec<_> = lines.collect();
    let status = lines.iter().find(|(name, _)| *name == "Status");
    let status = status.map_or(200, |(_, status)| status[..3].parse().unwrap());
    let body = output.get(end + 4..).unwrap_or_default();
    let reply = Reply::new(status, body);
    let headers = lines.into_iter().filter(|(name, _)| *name != "Status");
    headers.fold(reply, |reply, (name, value)| reply.with(name, value))
}

fn fed(mut command: Command, body: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// A server of the repositories below `root`, and of the file `/file`, for those alone who show
/// this `Authorization`.
pub fn guarded(root: &Path, authorization: &str) -> Rude {
    let (root, authorization) = (root.to_owned(), authorization.to_owned());
    Rude::new(move |request, _| {
        if request.header("authorization") != Some(&authorization) {
            let scheme = "Basic realm=\"repositories\"";
            return Reply::new(401, "").with("WWW-Authenticate", scheme);
        }
        match request.path.split('?').next() {
            Some("/file") => Reply::new(200, "the file"),
            _ => git_answer(&root, request),
        }
    })
}
