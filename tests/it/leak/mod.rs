//! Leaks: what a program can learn in a step of the time, of chance and of the machine.
//!
//! ```sh
//! cargo test --test it leak:: -- --nocapture
//! ```
//! builds one recipe several times in circumstances as different as one machine allows, whose commands
//! run a probe (`support/leak`): it tries every way that there is, and prints `way: value`. What isn't
//! the same in all builds has to be in [`known`], with why; all else is a leak that nobody knew of, and
//! fails the test. `target/leak/table.md` has each way that varies outside, where the same probe is run in
//! two of the circumstances without cairn, or inside; with `LEAK=all` those that don't, too.
//!
//! [`catalogue`] says for each known source of difference which test shows that it is gone.

mod catalogue;
mod circumstances;
mod known;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::load::Load;
use crate::support::programs::program;
use crate::support::users::Users;
use crate::support::{require, run, temp};

use circumstances::Circumstances;

/// The probe as root, linked in each way, without network and with one that is replayed; as somebody. Each
/// stands on the same files: what another found would be a difference of its own.
const RECIPE: &str = r#"
FROM scratch AS base
COPY root /
COPY --chown=1000:1001 mine /mine
WORKDIR /w
FROM base AS static
RUN --network=none ["/probe-static", "/w/static", "/w/folder"]
FROM base AS dynamic
RUN --network=none ["/probe", "/w/dynamic", "/w/folder"]
FROM base AS musl
RUN --network=none ["/probe-musl", "/w/musl", "/w/folder"]
FROM base AS replayed
RUN ["/probe", "/w/replayed", "/w/folder"]
FROM base AS user
USER 1000:1001
RUN --network=none ["/probe", "/mine/user", "/mine/folder"]
FROM scratch
COPY --from=static /w/static /
COPY --from=dynamic /w/dynamic /
COPY --from=musl /w/musl /
COPY --from=replayed /w/replayed /
COPY --from=user /mine/user /
"#;

/// What the probes of [`RECIPE`] write.
const TEXTS: [&str; 5] = ["static", "dynamic", "musl", "replayed", "user"];

/// What one probe found: values by their ways.
type Told = BTreeMap<String, Vec<String>>;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read(path: &Path) -> Told {
    let mut told = Told::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let (way, value) = line.split_once(": ").unwrap_or((line, ""));
        told.entry(way.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    told
}

/// Makes the probe of all C files that it consists of.
fn make(compiler: &str, at: &Path, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/leak");
    let parts = [
        "main",
        "clocks",
        "waits",
        "processor",
        "chance",
        "files",
        "names",
        "mounts",
        "queues",
        "network",
        "links",
        "process",
        "limits",
        "refused",
        "proc",
    ];
    let parts = parts.map(|name| folder.join(name).with_extension("c"));
    let mut compile = program(compiler, &["-O1", "-w", "-pthread"]);
    run(compile.args(arguments).arg("-o").arg(at).args(parts));
}

/// A context with the probe, linked in each way, and what one of them is linked with.
fn make_context(folder: &Path) {
    let root = folder.join("root");
    for path in [&root, &folder.join("mine"), &root.join("etc")] {
        std::fs::create_dir_all(path).unwrap();
    }
    make("cc", &root.join("probe-static"), &["-static"]);
    make("cc", &root.join("probe"), &[]);
    // The kernel's own headers, for which musl has none.
    let headers = ["/usr/include", "/usr/include/x86_64-linux-gnu"];
    let headers = headers.map(|folder| format!("-idirafter{folder}"));
    let arguments = ["-static", &headers[0], &headers[1]];
    make("musl-gcc", &root.join("probe-musl"), &arguments);
    let linked = run(program("ldd", &[]).arg(root.join("probe")));
    let words = linked.split_whitespace();
    for library in words.filter(|word| word.starts_with('/')) {
        let place = root.join(library.strip_prefix('/').unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(library, place).unwrap();
    }
    std::fs::write(root.join("input"), "an input\n").unwrap();
    std::fs::write(folder.join("Dockerfile"), RECIPE).unwrap();
    run(program("chmod", &["-R", "a+rX"]).arg(folder));
}

/// Where builds happen.
struct Workshop {
    users: Users,
    /// A folder on another file system than the users' is, where this machine has one.
    memory: tempfile::TempDir,
    context: PathBuf,
    vendor: PathBuf,
}

impl Workshop {
    /// None where it can't be set up.
    fn new() -> Option<Workshop> {
        let programs = [
            "cc", "ldd", "musl-gcc", "setarch", "taskset", "timeout", "unshare",
        ];
        if !programs.iter().all(|program| require(program)) {
            return None;
        }
        let users = Users::new()?;
        let memory = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| temp());
        run(program("chmod", &["1777"]).arg(memory.path()));
        let (context, vendor) = (users.path("context"), users.path("vendor"));
        make_context(&context);
        let workshop = Workshop {
            users,
            memory,
            context,
            vendor,
        };
        let store = workshop.users.path("recorder");
        let lock = ["lock", "--vendor", text(&workshop.vendor)];
        run(crate::support::cairn(&store)
            .args(lock)
            .arg(&workshop.context));
        let readable = ["-R", "a+rX"];
        run(program("chmod", &readable).args([&workshop.vendor, &workshop.context]));
        Some(workshop)
    }

    /// A folder that is in memory or on a disk, the user's.
    fn folder(&self, circumstances: &Circumstances, name: &str) -> PathBuf {
        let name = format!("{name}-{}", circumstances.name);
        let folder = match circumstances.is_in_memory {
            true => self.memory.path().join(name),
            false => self.users.path(&name),
        };
        std::fs::create_dir(&folder).unwrap();
        self.users.give(circumstances.user, &folder);
        folder
    }

    /// What the probes found in a build's steps.
    fn build(&self, circumstances: &Circumstances) -> Vec<Told> {
        let store = self.folder(circumstances, "store");
        let out = store.join("out");
        let output = format!("type=local,dest={}", text(&out));
        let program = self.users.path("cairn");
        let cairn = |arguments: &[&str]| {
            let mut command = circumstances.command(&self.users, &program);
            let like = crate::support::cairn(&store);
            for (name, value) in like.get_envs() {
                command.env(name, value.unwrap_or_default());
            }
            run(command.args(arguments).current_dir(&self.context));
        };
        cairn(&["pull", "--inputs", text(&self.vendor)]);
        let load = Load::begin(circumstances.load);
        let memory = ["--memory", circumstances.memory];
        let build = ["build", "--locked", "--offline", "-o", &output];
        cairn(&[&build[..], &memory].concat());
        drop(load);
        TEXTS.map(|name| read(&out.join(name))).to_vec()
    }

    /// What the probe finds without cairn.
    fn outside(&self, circumstances: &Circumstances) -> Told {
        let folder = self.folder(circumstances, "outside");
        let probe = self.context.join("root/probe");
        let mut command = circumstances.command(&self.users, &probe);
        run(command.arg(folder.join("text")).arg(folder.join("folder")));
        read(&folder.join("text"))
    }
}

/// The ways that don't tell the same everywhere.
fn differing<'a>(told: &[&'a Told]) -> BTreeSet<&'a str> {
    let ways = told.iter().flat_map(|told| told.keys());
    let differs = |way: &&String| told.iter().any(|one| one.get(*way) != told[0].get(*way));
    ways.filter(differs).map(String::as_str).collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "to see what doesn't vary, too: LEAK=all cargo test"
)]
fn what_is_known_to_differ_differs_and_nothing_else() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let all = Circumstances::all();
    let builds = all.each_ref().map(|it| workshop.build(it));
    let outside = [&all[0], &all[2]].map(|it| workshop.outside(it));
    let mut inside = BTreeMap::<&str, Vec<&str>>::new();
    for (at, name) in TEXTS.iter().enumerate() {
        let told: Vec<_> = builds.iter().map(|build| &build[at]).collect();
        for way in differing(&told) {
            inside.entry(way).or_default().push(name);
        }
    }
    let outside = differing(&outside.each_ref());
    let ways = builds.iter().flatten().flat_map(Told::keys);
    let ways: BTreeSet<_> = ways.map(String::as_str).collect();
    let shows_all = std::env::var("LEAK").is_ok_and(|value| value == "all");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/leak/table.md");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let table = table::table(&ways, &outside, &inside, shows_all);
    std::fs::write(path, table).unwrap();
    let mut problems = Vec::new();
    for (way, programs) in &inside {
        if known::of(way).is_none() {
            let values = |name: &str| {
                let at = TEXTS.iter().position(|it| *it == name).unwrap();
                let values = builds.iter().map(|build| build[at].get(*way));
                values
                    .map(|value| format!("{value:?}"))
                    .collect::<Vec<_>>()
                    .join("\n  ")
            };
            problems.push(format!("{way} ({programs:?}):\n  {}", values(programs[0])));
        }
    }
    for row in catalogue::rows() {
        let differs = |way: &str| inside.contains_key(way);
        problems.extend(row.problems(ways.iter().copied(), differs));
    }
    for leak in known::KNOWN.iter().filter(|leak| leak.is_certain) {
        if !inside.keys().any(|way| leak.is_of(way)) {
            problems.push(format!("{:?} are the same everywhere", leak.ways));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
