//! The corpus: Dockerfiles as people write them (`testdata/corpus`), each built twice from one lock
//! in circumstances as different as one machine allows, on empty stores; then its image is put to
//! work by podman.
//!
//! ```sh
//! CORPUS=all cargo test --test it corpus:: -- --nocapture
//! ```
//! builds all of them, and writes `target/corpus/table.md`: which are identical, which paths differ,
//! which normalisers had something to do, and how long it took. `CORPUS='npm pip'` builds these; without
//! it, [`USUAL`] are built. What `cairn diff` says of two images is in `target/corpus/NAME.text`.
//! `CORPUS_PLAIN=1` builds each once more without what makes it the same twice: no lock, so that its
//! commands have the network, the clock and the chance of this machine, and no normaliser. How long
//! that took stands beside the first build, and has its downloads in it, as a replay has its reading.
//!
//! # A project
//! A folder with a `Dockerfile`, what that copies, and `check`: a shell script that is run in a
//! container of the image. Its first line says how: `# offline` has no network and is the image's
//! user, `# network` reaches what this machine does and is root. It fails where the image doesn't do
//! its job.
//!
//! # What varies
//! [`circumstances`] has it. Of the time only this: the time since boot, that the second build
//! comes later, and that the context's files are twenty years older. Both builds' commands ask the
//! kernel of one machine for the time.

mod circumstances;
mod differences;
mod known;
mod table;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cairn::normal::{Done, RECORD};
use cairn::store::{RecordKind, Store};

use crate::real::PROJECTS;
use crate::support::bases::{Bases, succeeded};
use crate::support::engines::{Containers, drivers};
use crate::support::load::Load;
use crate::support::programs::program;
use crate::support::served::Served;
use crate::support::users::Users;
use crate::support::{require, run, temp};

use circumstances::{Circumstances, Site};
use table::{Row, Table};

/// What is built where nothing is asked for.
const USUAL: &str = "users heredoc multistage";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus")
}

/// The names of all projects, sorted.
#[expect(clippy::disallowed_methods, reason = "sorted")]
fn names() -> Vec<String> {
    let folders = std::fs::read_dir(data()).unwrap().map(|item| item.unwrap());
    let folders = folders.filter(|item| item.path().join("Dockerfile").is_file());
    let mut names: Vec<_> = folders
        .map(|item| item.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Everything that the projects share.
struct Workshop {
    bases: &'static Bases,
    users: Users,
    containers: Containers,
    /// A folder on another file system than the users' folder is, where this machine has one.
    memory: tempfile::TempDir,
    /// Where results are left.
    results: PathBuf,
    /// Whether each is built without measures, too.
    is_timed: bool,
}

impl Workshop {
    /// None where it can't be set up.
    fn new() -> Option<Workshop> {
        let programs = ["podman", "runc", "taskset", "timeout", "unshare"];
        if !programs.iter().all(|program| require(program)) {
            return None;
        }
        let (users, bases) = (Users::new()?, Bases::get()?);
        let memory = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| temp());
        run(program("chmod", &["755"]).arg(memory.path()));
        let driver = drivers("vfs", "overlay").pop().unwrap();
        let containers = Containers::new("podman", driver, memory.path());
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/corpus");
        std::fs::create_dir_all(&results).unwrap();
        Some(Workshop {
            bases,
            users,
            containers,
            memory,
            results,
            is_timed: is_timed(),
        })
    }

    /// Builds a project twice, compares, checks; else why that can't be done.
    fn row(&self, name: &str, at: usize) -> Result<Row, String> {
        self.make_bases(name)?;
        let begin = Instant::now();
        let recorder = Site::new(self, name, Circumstances::recorded());
        let vendor = recorder.folder.join("vendor");
        let flags = known::flags(name);
        let lock = ["lock", "--vendor", text(&vendor)];
        succeeded(recorder.cairn(&[&lock[..], flags].concat()))?;
        let mut seconds = vec![begin.elapsed().as_secs()];
        run(program("chmod", &["-R", "a+rX"]).arg(&vendor));
        let lock = recorder.context.join("cairn.lock");
        let image = format!("localhost/corpus/{name}:1");
        let mut built = Vec::new();
        for circumstances in [Circumstances::plain(), Circumstances::other(at)] {
            let site = Site::new(self, name, circumstances);
            run(&mut program("cp", &[text(&lock), text(&site.context)]));
            site.give(self);
            succeeded(site.cairn(&["pull", "--inputs", text(&vendor)]))?;
            let load = Load::begin(site.circumstances.load);
            let begin = Instant::now();
            let limits = ["--memory", site.circumstances.memory];
            let build = ["build", "-q", "--locked", "--offline", "-t", &image];
            let digest = succeeded(site.cairn(&[&build[..], &limits, flags].concat()))?;
            drop(load);
            seconds.push(begin.elapsed().as_secs());
            let image = (site.store.clone(), digest.trim().to_owned());
            built.push((site, image));
        }
        let [(_, one), (_, two)] = &built[..] else {
            unreachable!("two were built");
        };
        let is_identical = one.1 == two.1;
        let differences = match is_identical {
            true => Vec::new(),
            false => differences::between(one, two, &self.results.join(name)),
        };
        Ok(Row {
            name: name.to_owned(),
            is_identical,
            differences,
            passes: passes(&one.0),
            failed: self.check(name, &one.0).err(),
            seconds,
            without: self.is_timed.then(|| self.without_measures(name)).flatten(),
        })
    }

    /// How long a build takes whose commands have this machine's time, chance and network, and whose
    /// files stay as they are, in seconds; none where it fails.
    fn without_measures(&self, name: &str) -> Option<u64> {
        let site = Site::new(self, name, Circumstances::without());
        let begin = Instant::now();
        let limits = ["--memory", site.circumstances.memory];
        let build = ["build", "-q", "--no-normalise=all"];
        let built = succeeded(site.cairn(&[&build[..], &limits, known::flags(name)].concat()));
        built.is_ok().then(|| begin.elapsed().as_secs())
    }

    /// Makes the images that the project stands on, besides Debian.
    fn make_bases(&self, name: &str) -> Result<(), String> {
        let recipe = std::fs::read_to_string(data().join(name).join("Dockerfile")).unwrap();
        let from = recipe.lines().filter_map(|line| line.strip_prefix("FROM "));
        for image in from.filter_map(|line| line.split_whitespace().next()) {
            let known = PROJECTS.iter().flat_map(|project| project.bases);
            if let Some((file, name)) = known.into_iter().find(|(_, name)| *name == image) {
                self.bases.base(file, name)?;
            }
        }
        Ok(())
    }

    /// Has podman run the project's check in its image, which it pulls from the store.
    fn check(&self, name: &str, store: &Path) -> Result<(), String> {
        let check = data().join(name).join("check");
        let script = std::fs::read_to_string(&check).unwrap();
        let served = Served::new(store);
        let source = served.name(&format!("corpus/{name}:1"));
        let pull = ["pull", "-q", "--tls-verify=false", &source];
        let id = succeeded(self.containers.command(&pull))?;
        let mount = format!("{}:/check:ro", text(&check));
        let how: &[&str] = match script.lines().next() {
            Some("# offline") => &["--network", "none"],
            Some("# network") => &["--network", "host", "--user", "0"],
            _ => return Err("`check` says neither `# offline` nor `# network`".to_owned()),
        };
        let limits = [
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
        ];
        let arguments = [
            &[
                "--runtime",
                "runc",
                "run",
                "--rm",
                "-v",
                &mount,
                "--entrypoint",
                "sh",
            ],
            how,
            &limits,
            &[id.trim(), "-eux", "/check"],
        ];
        let container = self.containers.command(&arguments.concat());
        let mut limited = program("timeout", &["300"]);
        limited
            .arg(container.get_program())
            .args(container.get_args());
        let ran = succeeded(limited).map(drop);
        succeeded(self.containers.command(&["rmi", "-f", id.trim()]))?;
        ran
    }
}

/// The names of the normalisers that had something to do in the last build of a store.
fn passes(store: &Path) -> BTreeSet<String> {
    let store = Store::open(store).unwrap();
    let commands = store.last_commands().into_iter();
    let done = commands.filter_map(|command| {
        let key = command.key.0;
        store.record::<Vec<Done>>(RecordKind::Step, &key, RECORD)
    });
    done.flatten().map(|done| done.normaliser).collect()
}

#[expect(clippy::disallowed_methods, reason = "it takes too long for every day")]
fn is_timed() -> bool {
    std::env::var_os("CORPUS_PLAIN").is_some()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "to try others: CORPUS='npm pip' cargo test, or all"
)]
fn the_corpus_is_identical_twice_and_its_images_work() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let wanted = std::env::var("CORPUS").unwrap_or_else(|_| USUAL.to_owned());
    let names = names();
    let chosen: Vec<_> = match wanted.as_str() {
        "all" => names.iter().map(String::as_str).collect(),
        some => some.split(' ').collect(),
    };
    let table = Table::at(&workshop.results.join("table.md"));
    let mut failures = Vec::new();
    for name in chosen {
        let at = names.iter().position(|there| there == name);
        let row = match at {
            Some(at) => workshop.row(name, at),
            None => Err("there is no such project".to_owned()),
        };
        let (line, word, problem) = match &row {
            Ok(row) => (row.line(), row.word(), row.problem()),
            Err(why) => {
                let problem = known::reason(name).is_none().then(|| why.clone());
                let _ = writeln!(std::io::stderr(), "corpus: {why}");
                (table::without_image(name), "no image", problem)
            }
        };
        let problem = problem.map(|problem| format!("{name}: {word}: {problem}"));
        let said = problem.clone().unwrap_or_else(|| format!("{name}: {word}"));
        let _ = writeln!(std::io::stderr(), "corpus: {said}");
        table.put(name, line);
        failures.extend(problem);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn the_lists_name_projects_of_the_corpus() {
    let names = names();
    let listed = known::KNOWN.iter().map(|(name, _)| *name);
    let listed = listed.chain(known::WITH_KEYS.iter().chain(known::STRICT).copied());
    for name in listed.chain(USUAL.split(' ')) {
        assert!(names.iter().any(|there| there == name), "no `{name}`");
    }
}
