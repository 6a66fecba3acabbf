//! Commands whose network is recorded and replayed, in the sandbox.
//!
//! In: programs of this machine with what they are linked with, as a layer. Out: what they got.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cairn::canon::event::{Event, Events};
use cairn::canon::{DiffId, Digest, Epoch, StepKey};
use cairn::image::Descriptor;
use cairn::inputs::Stack;
use cairn::inputs::layers::Layer;
use cairn::layer::codec::Expansion;
use cairn::lock::{Body, Exchange, Record, Request, Response};
use cairn::plan::Command;
use cairn::plan::command::{MountKind, Network, Sharing};
use cairn::sandbox::SessionSettings;
use cairn::step::run::{CommandSettings, Error, Fetching, Keys, Ran, Runner};
use cairn::store::Store;

use super::ground::{INSTANT, World, ok};
use crate::run::ground::script;
use crate::support::programs::{program, run};
use crate::support::{require, temp};

/// A root of this machine's programs, and a store.
pub struct Ground {
    _folder: tempfile::TempDir,
    pub store: Store,
    below: Stack,
    settings: CommandSettings,
}

fn libraries(program: &Path) -> Vec<PathBuf> {
    let told = std::process::Command::new("ldd").arg(program).output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    let words = told.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

impl Ground {
    pub fn new(programs: &[&str]) -> Option<Ground> {
        if !(require("busybox") && programs.iter().all(|name| require(name))) {
            return None;
        }
        let folder = temp();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        for name in [
            "sh", "cat", "wget", "nslookup", "nc", "ls", "head", "sleep", "sort", "tar",
        ] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let mut wanted: Vec<PathBuf> = Vec::new();
        for name in programs {
            let found =
                run(program("sh", &["-c", &format!("command -v {name}")]).env("LC_ALL", "C"));
            let found = std::fs::canonicalize(found.trim()).unwrap();
            let to = root.join("bin").join(name);
            std::fs::copy(&found, to).unwrap();
            wanted.extend(libraries(&found));
        }
        if programs.contains(&"git") {
            let place = PathBuf::from(run(&mut program("git", &["--exec-path"])).trim());
            let to = root.join(place.strip_prefix("/").unwrap());
            std::fs::create_dir_all(&to).unwrap();
            for name in ["git", "git-remote-http"] {
                std::fs::copy(place.join(name), to.join(name)).unwrap();
                wanted.extend(libraries(&place.join(name)));
            }
        }
        // What resolves names is opened when it is needed.
        wanted.extend(["libnss_dns.so.2", "libnss_files.so.2"].map(|name| {
            let found = libraries(Path::new("/bin/sh"));
            let libc = found
                .iter()
                .find(|path| path.ends_with("libc.so.6"))
                .unwrap();
            libc.with_file_name(name)
        }));
        for library in wanted {
            let place = root.join(library.strip_prefix("/").unwrap());
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(std::fs::canonicalize(&library).unwrap(), place).unwrap();
        }
        for name in ["etc", "tmp", "root"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        std::fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n").unwrap();
        let tar = folder.path().join("root.tar");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        run(&mut program(
            "tar",
            &[
                "--owner=0",
                "--group=0",
                "-C",
                &text(&root),
                "-cf",
                &text(&tar),
                ".",
            ],
        ));
        let tar = std::fs::read(tar).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let mut writer = store.write_blob().unwrap();
        writer.write_all(&tar).unwrap();
        let blob = writer.finish().unwrap();
        let layer = Layer {
            diff_id: DiffId(blob.digest),
            descriptor: Descriptor {
                media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
                digest: blob.digest,
                size: blob.size,
                annotations: None,
                platform: None,
                foreign: Default::default(),
            },
            tree: None,
        };
        Some(Ground {
            _folder: folder,
            store,
            below: Stack::new(vec![layer]),
            settings: CommandSettings {
                session: SessionSettings {
                    program: PathBuf::from(env!("CARGO_BIN_EXE_cairn")),
                    ..SessionSettings::default()
                },
                ..CommandSettings::default()
            },
        })
    }

    /// What the command wrote, and what came of it.
    pub fn run(&self, command: &Command, fetching: Fetching<'_>) -> (String, Result<Ran, Error>) {
        let heard: Arc<Mutex<String>> = Arc::default();
        let ears = Arc::clone(&heard);
        let events = Events::new(move |event| {
            if let Event::Output { line, .. } | Event::Note { message: line } = event {
                *ears.lock().unwrap() += &format!("{line}\n");
            }
        });
        let runner = Runner::new(
            &self.settings,
            None,
            &self.store,
            &events,
            Epoch::default(),
            Expansion::UNLIMITED,
        );
        let key = StepKey(Digest::of(b"key"));
        let keys = Keys {
            log: &key,
            seed: &key,
        };
        let work = events.start("command");
        let ran = runner.run(command, &self.below, &[], fetching, keys, &work);
        let said = heard.lock().unwrap().clone();
        (said, ran)
    }

    #[track_caller]
    pub fn record(&self, command: &Command) -> (String, Record) {
        let (said, ran) = self.run(command, Fetching::Recorded { instant: INSTANT });
        let ran = ran.unwrap_or_else(|error| panic!("{error}\n{said}"));
        (said, ran.fetched.unwrap().record.unwrap())
    }

    #[track_caller]
    pub fn replay(&self, command: &Command, record: &Record) -> String {
        let (said, ran) = self.run(command, Fetching::Replayed(record));
        let ran = ran.unwrap_or_else(|error| panic!("{error}\n{said}"));
        assert!(ran.fetched.is_none());
        said
    }

    pub fn fails(&self, command: &Command, record: &Record) -> (String, Error) {
        let (said, ran) = self.run(command, Fetching::Replayed(record));
        (said, ran.err().unwrap())
    }
}

/// A command with a network, for which `world.test` is this machine.
fn networked(text: &str) -> Command {
    Command {
        network: Network::Default,
        hosts: vec![("world.test".to_owned(), "host-gateway".to_owned())],
        ..script(text)
    }
}

/// A record of one answer to each of these URLs: their own path.
fn written(store: &Store, urls: &[&str]) -> Record {
    let exchange = |url: &&str| {
        let blob = store.put(format!("{url}\n").as_bytes()).unwrap();
        Exchange {
            request: Request {
                url: (*url).to_owned(),
                method: "GET".to_owned(),
                asked: Default::default(),
                sent: None,
            },
            response: Response {
                status: 200,
                headers: Default::default(),
                body: Some(Body {
                    sha256: blob.digest,
                    size: blob.size,
                }),
                trailers: Default::default(),
            },
        }
    };
    Record {
        instant: INSTANT,
        names: vec!["pkg.example".to_owned()],
        exchanges: urls.iter().map(exchange).collect(),
    }
}

#[test]
fn commands_fetch_the_same_again_when_the_world_is_another() {
    let Some(ground) = Ground::new(&["curl"]) else {
        return;
    };
    let count = AtomicUsize::new(0);
    let world = World::new(move |_| ok("", format!("{}\n", count.fetch_add(1, Ordering::SeqCst))));
    let (one, two) = (world.url("/1"), world.url("/2"));
    let text = format!("wget -qO- {one}; curl -sS {two}; curl -sS {two}; wget -qO- {one}");
    let command = networked(&text);
    let (said, record) = ground.record(&command);
    assert_eq!(said, "0\n1\n2\n3\n");
    for _ in 0..2 {
        assert_eq!(ground.replay(&command, &record), said);
    }
    assert_eq!(world.lines().len(), 4);
    assert_eq!(record.names, [""; 0]);
    assert_eq!(record.exchanges.len(), 4);
}

#[test]
fn names_lead_to_the_record_and_to_nothing_else() {
    let Some(ground) = Ground::new(&["curl"]) else {
        return;
    };
    let urls = [
        "http://pkg.example/a",
        "https://pkg.example/b",
        "https://pkg.example:8443/c",
    ];
    let record = written(&ground.store, &urls);
    let fetch = urls.map(|url| format!("curl -sS {url}; "));
    let text = format!(
        "{} curl -sS --http2-prior-knowledge http://pkg.example/a; curl -sS --http2 http://pkg.example/a; \
         curl -sS http://other.example/; nslookup pkg.example | tail -n 4; true",
        fetch.concat()
    );
    let said = ground.replay(&networked(&text), &record);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], urls);
    assert_eq!(lines[3..5], [urls[0]; 2]);
    assert!(
        lines[5].contains("Could not resolve host: other.example"),
        "{said}"
    );
    assert!(said.contains("198.1"), "{said}");
}

#[test]
fn what_can_not_be_replayed_ends_the_command_at_once() {
    let Some(ground) = Ground::new(&["curl"]) else {
        return;
    };
    let record = written(&ground.store, &["https://pkg.example/a"]);
    for (text, expected) in [
        (
            "curl -sS https://pkg.example/b",
            "the lock has no answer to `GET https://pkg.example/b`",
        ),
        (
            "nc pkg.example 22",
            "`pkg.example:22` is spoken to in a protocol other than HTTP (SSH)",
        ),
        ("nc 192.0.2.1 9418", "`192.0.2.1:9418` is spoken to"),
        (
            "echo hello | nc pkg.example 7777",
            "`pkg.example:7777` is spoken to",
        ),
    ] {
        let begun = std::time::Instant::now();
        let command = networked(&format!("{text}; sleep 300"));
        let (said, error) = ground.fails(&command, &record);
        assert!(matches!(error, Error::Proxy(_)), "{said} {error}");
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(begun.elapsed().as_secs() < 60);
    }
    // Another failure is the command's own, and a name that isn't there may explain it.
    let (said, error) = ground.fails(&networked("curl -sS http://other.example/"), &record);
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert!(
        said.contains("the lock has no name `other.example`"),
        "{said}"
    );
}

#[test]
fn caches_feed_no_record_and_are_kept_by_record() {
    let Some(ground) = Ground::new(&["curl"]) else {
        return;
    };
    let kind = MountKind::Cache {
        id: "id".to_owned(),
        sharing: Sharing::Shared,
        from: None,
        read_only: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    let cached = |network| Command {
        mounts: crate::run::ground::mounted("/cache", kind.clone(), "").mounts,
        network,
        ..networked("cat /cache/n; echo x >>/cache/n; true")
    };
    let command = cached(Network::Default);
    let wrote = |said: &str| said.matches('x').count();
    let (said, record) = ground.record(&command);
    assert_eq!(wrote(&said), 0);
    assert_eq!(wrote(&ground.record(&command).0), 0);
    let other = written(&ground.store, &[]);
    for expected in 0..2 {
        for record in [&record, &other] {
            assert_eq!(wrote(&ground.replay(&command, record)), expected);
        }
        let (said, _) = ground.run(&command, Fetching::Forwarded);
        assert_eq!(wrote(&said), expected);
    }
    // One without a network has that of all.
    let (said, _) = ground.run(&cached(Network::None), Fetching::Replayed(&record));
    assert_eq!(wrote(&said), 2);
}

#[test]
fn names_are_recorded_that_there_are_outside() {
    let Some(ground) = Ground::new(&[]) else {
        return;
    };
    // The one name that every machine has without asking another.
    let text = "nslookup -type=a LocalHost. | tail -n 2; nslookup -type=a nobody.invalid; nslookup -type=aaaa localhost; true";
    let (said, record) = ground.record(&networked(text));
    assert_eq!(record.names, ["localhost"], "{said}");
    assert!(said.contains("198.1"), "{said}");
    assert!(said.contains("can't find nobody.invalid"), "{said}");
    assert_eq!(ground.replay(&networked(text), &record), said);
}
