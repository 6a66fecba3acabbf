//! Tools that fetch: recorded, then given the same again, however the server changes.
//!
//! In: Debian's packages of the tools, repositories that the test makes. Out: locks, builds by them
//! and what is said of them. What the tools leave behind themselves (times, caches, logs) is no part
//! of what is compared: it is what they fetched.

mod fetching;
mod gem;
mod languages;
mod maven;
mod packages;
mod secrets;
mod tampering;
mod world;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::bases::Bases;
use crate::support::{cairn, run, temp};
use world::{Answers, HOST, World};

/// A recipe whose command fetches from a server of its own.
struct Bench {
    bases: &'static Bases,
    folder: tempfile::TempDir,
    world: World,
    tool: &'static str,
}

/// What is done to the world of a tool, and what must come of it.
struct Changes<'a> {
    /// A newer version appears.
    newer: &'a dyn Fn(&World),
    /// Under the same names there is something else.
    other: &'a dyn Fn(&World),
    /// What `--diff` says of the newer version.
    said: &'a str,
    /// What it says of what is other; nothing, where the tool itself refuses that.
    other_said: &'a str,
    /// A file below `input`, and what has the tool ask for something that it never asked for.
    asks: (&'a str, &'a str),
    /// What the failure names: what was asked and the nearest that was recorded.
    told: [&'a str; 2],
}

impl Bench {
    /// On the image of `bases/FILE.Dockerfile`, which is called `image`; none where it can't be made.
    /// `script` fetches into `/out`; what it fetches from is `HTTPS` and, in clear, `HTTP`.
    fn new(tool: &'static str, file: &str, image: &str, script: &str) -> Option<Bench> {
        let bases = Bases::get()?;
        if file != "debian" {
            bases.base(file, image).unwrap();
        }
        let folder = temp();
        let world = World::new(&folder.path().join("authority.pem"));
        let bench = Bench {
            bases,
            folder,
            world,
            tool,
        };
        let lines: Vec<_> = script.lines().map(str::trim).collect();
        let url = bench.url();
        let script = lines.join("\n").replace("HTTPS", &url);
        let script = script.replace("HTTP", &url.replace("https", "http"));
        let dockerfile = format!(
            "FROM {image} AS fetch\nRUN --mount=target=/input,source=input <<END\nset -e\nmkdir /out\n{script}\nEND\n\
             FROM scratch\nCOPY --from=fetch /out /\n"
        );
        bench.write("Dockerfile", dockerfile);
        Some(bench)
    }

    fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.context().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Of the server, as commands name it.
    fn url(&self) -> String {
        format!("https://{HOST}:{}", self.world.port)
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.context().join("cairn.lock")).unwrap()
    }

    fn command_in(&self, store: &Path, arguments: &[&str]) -> Command {
        let mut command = cairn(store);
        command
            .env("CONTAINERS_REGISTRIES_CONF", self.bases.config())
            .env("SSL_CERT_FILE", self.folder.path().join("authority.pem"))
            .current_dir(self.context());
        let recipe = ["build", "lock"].contains(&arguments[0]);
        let host = format!("{HOST}:host-gateway");
        let host: &[_] = if recipe { &["--add-host", &host] } else { &[] };
        command.args(arguments).args(host);
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_in(&self.bases.store(), arguments)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// The exit code, and what was said.
    fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.command(arguments).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    /// Builds by the lock, with nothing of before; the server isn't asked.
    #[track_caller]
    fn replay(&self, more: &[&str]) -> String {
        let asked = self.world.asked();
        let arguments = ["build", "-q", "--locked", "--no-cache"];
        let digest = self.run(&[&arguments, more].concat());
        assert_eq!(self.world.asked(), asked, "{}", self.tool);
        digest
    }

    /// What has moved since it was recorded: the exit code, and all that is said.
    fn diff(&self) -> (Option<i32>, String) {
        let output = self.command(&["lock", "--diff"]).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// Has the command recorded, then the world changed, and checks that nothing comes of it.
    fn check(mut self, changes: &Changes<'_>) {
        let begin = Instant::now();
        self.run(&["lock", "--progress=plain"]);
        let lock = self.lock();
        let digest = self.replay(&[]);
        let vendor = self.folder.path().join("vendor");
        let vendor = vendor.to_str().unwrap();
        self.run(&["lock", "--vendor", vendor]);
        (changes.newer)(&self.world);
        assert_eq!(self.replay(&[]), digest, "{}: newer", self.tool);
        let (_, said) = self.diff();
        assert!(said.contains(changes.said), "{}: {said}", self.tool);
        (changes.other)(&self.world);
        assert_eq!(self.replay(&[]), digest, "{}: other", self.tool);
        let (code, said) = self.diff();
        match changes.other_said {
            "" => assert_ne!(code, Some(0), "{}: {said}", self.tool),
            other => assert!(said.contains(other), "{}: {said}", self.tool),
        }
        self.world.set(Answers::Failure(500));
        assert_eq!(self.replay(&[]), digest, "{}: failing", self.tool);
        self.world.end();
        assert_eq!(self.replay(&["--offline"]), digest, "{}: gone", self.tool);
        assert_eq!(self.lock(), lock);
        let store = temp();
        run(&mut self.command_in(store.path(), &["pull", "--inputs", vendor]));
        let arguments = ["build", "-q", "--locked", "--offline"];
        let elsewhere = run(&mut self.command_in(store.path(), &arguments));
        assert_eq!(elsewhere, digest, "{}: elsewhere", self.tool);
        let (file, content) = changes.asks;
        self.write(&format!("input/{file}"), content);
        let (code, text) = self.told(&["build", "--locked", "--progress=plain"]);
        assert_eq!(code, Some(3), "{}: {text}", self.tool);
        for part in changes.told {
            let part = part.replace("HTTPS", &self.url());
            assert!(text.contains(&part), "{}: {part} in {text}", self.tool);
        }
        self.report(&lock, begin.elapsed());
    }

    /// Says, past the harness, what the lock holds.
    fn report(&self, lock: &str, took: Duration) {
        let exchanges = lock.lines().filter(|line| line.contains("status = "));
        let sizes = lock.split("size = ").skip(1).filter_map(|rest| {
            rest.split([' ', ',', '}'])
                .next()?
                .trim()
                .parse::<u64>()
                .ok()
        });
        let _ = writeln!(
            std::io::stderr(),
            "tools: {} recorded {} requests, {} bytes; {} s",
            self.tool,
            exchanges.count(),
            sizes.sum::<u64>(),
            took.as_secs()
        );
    }
}
