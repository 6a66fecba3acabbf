//! Images that recipes of real life stand on, made once in a run of the tests, when the first asks.
//!
//! In: the Debian that this machine gets packages from; `testdata/real/bases`. Out: a registry on
//! the loopback that has them, also in the place of Docker Hub.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::programs::{program, require, run};
use super::served::Served;
use super::{cairn, temp};

/// What came of making an image: why there is none.
type Made = Arc<OnceLock<Result<(), String>>>;

/// The registry, and what makes its images.
pub struct Bases {
    folder: PathBuf,
    hub: Served,
    made: Mutex<BTreeMap<String, Made>>,
    /// Removes the folder when this process ends, however it does: its input ends then.
    _remover: Child,
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the command printed, or what it said when it failed.
pub fn succeeded(mut command: Command) -> Result<String, String> {
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let from = said.len().saturating_sub(4000);
            let tail = said.get(from..).unwrap_or(&said);
            Err(format!("{command:?} ended with {}:\n{tail}", output.status))
        }
    }
}

impl Bases {
    /// None where Debian can't be had.
    pub fn get() -> Option<&'static Bases> {
        static BASES: OnceLock<Option<Bases>> = OnceLock::new();
        let make = || require("mmdebstrap").then(Bases::make);
        BASES.get_or_init(make).as_ref()
    }

    fn make() -> Bases {
        let folder = temp().keep();
        let mut remover = program("sh", &["-c", "cat; rm -rf \"$0\"", text(&folder)]);
        let remover = remover.stdin(Stdio::piped()).spawn().unwrap();
        run(program("chmod", &["755"]).arg(&folder));
        let hub = Served::new(&folder.join("hub"));
        let config = format!(
            "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
            hub.name("").trim_end_matches('/')
        );
        std::fs::write(folder.join("registries.conf"), config).unwrap();
        let bases = Bases {
            folder,
            hub,
            made: Mutex::default(),
            _remover: remover,
        };
        bases.debian();
        bases
    }

    /// What has cairn take the registry for Docker Hub.
    pub fn config(&self) -> PathBuf {
        self.folder.join("registries.conf")
    }

    /// A store that nothing of a test's own is proven by: images are unpacked there once for all.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn cairn(&self, arguments: &[&str]) -> Command {
        let mut command = cairn(&self.store());
        command.env("CONTAINERS_REGISTRIES_CONF", self.config());
        command.args(arguments);
        command
    }

    /// Debian's smallest system, with the authorities that this machine trusts besides Debian's:
    /// there are networks where nobody gets out without.
    fn debian(&self) {
        let context = self.folder.join("debian");
        std::fs::create_dir_all(context.join("authorities")).unwrap();
        let mirrors = [
            "/etc/apt/sources.list.d/debian.sources",
            "/etc/apt/sources.list",
        ];
        let mirrors = mirrors
            .iter()
            .find(|path| Path::new(path).exists())
            .unwrap();
        let tar = context.join("debian.tar");
        let arguments = [
            "--variant=minbase",
            "--quiet",
            "bookworm",
            text(&tar),
            mirrors,
        ];
        run(&mut program("mmdebstrap", &arguments));
        let copy = "cp /usr/local/share/ca-certificates/*.crt \"$0\" 2>/dev/null || true";
        let authorities = context.join("authorities");
        run(&mut program("sh", &["-c", copy, text(&authorities)]));
        let recipe = r#"
            from = "scratch"
            [[steps]]
            unpack = { paths = ["debian.tar"], to = "/" }
            [[steps]]
            copy = { paths = ["authorities"], to = "/usr/local/share/ca-certificates" }
            [config]
            cmd = ["bash"]
            [config.env]
            PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        "#;
        std::fs::write(context.join("cairn.toml"), recipe).unwrap();
        let names = ["library/debian:bookworm", "library/debian:bookworm-slim"];
        let [full, slim] = names.map(|name| self.hub.name(name));
        let arguments = ["build", "--push", "-t", &full, "-t", &slim, text(&context)];
        run(&mut self.cairn(&arguments));
        std::fs::remove_dir_all(&context).unwrap();
    }

    /// Makes the image of `bases/FILE.Dockerfile`, which Docker Hub has as `name`; else says why not.
    pub fn base(&self, file: &str, name: &str) -> Result<(), String> {
        let made = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(made.entry(name.to_owned()).or_default())
        };
        let make = || {
            let begin = Instant::now();
            let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/real/bases");
            let file = data.join(format!("{file}.Dockerfile"));
            let name = self.hub.name(&format!("library/{name}"));
            let (file, data) = (text(&file), text(&data));
            // Debian's packages make keys, which are nobody's but the tests'.
            let arguments = [
                "build",
                "--push",
                "--allow-keys",
                "-t",
                &name,
                "-f",
                file,
                data,
            ];
            let done = succeeded(self.cairn(&arguments)).map(drop);
            let seconds = begin.elapsed().as_secs();
            let _ = writeln!(std::io::stderr(), "base: {name} {seconds} s");
            done
        };
        made.get_or_init(make).clone()
    }
}
