//! The environment, read in one place.
//!
//! In: variables, the working directory, the machine. Out: [`Environment`]: values that the rooms
//! are given.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::arguments::{Colour, Global};
use super::exit::Failure;
use crate::canon::event::Events;
use crate::canon::{Epoch, Platform};
use crate::inputs::base::Registries;
use crate::inputs::debian::PackageSettings;
use crate::plan::packages::Distribution;
use crate::registry::{Client, Paths, Settings, proxies};
use crate::store::Store;
use crate::ui::progress::{self, Mode};

/// What SOURCE_DATE_EPOCH is where it is to be the time of the build's context.
pub const OF_CONTEXT: &str = "context";

/// What the environment says.
#[derive(Clone)]
pub struct Environment {
    /// Whether standard error takes colours.
    pub colour: bool,
    /// Whether standard output does.
    pub colours_stdout: bool,
    pub debug: bool,
    /// When the program began.
    pub start: Instant,
    store: Option<PathBuf>,
    source_date_epoch: Option<String>,
    working_directory: PathBuf,
    paths: Paths,
    pub search_path: OsString,
    /// Cores of this machine: how many threads compress.
    pub threads: usize,
}

impl Environment {
    /// Reads it.
    pub fn read(global: &Global) -> Environment {
        let path = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME");
        let below_home = |below: &str| home.as_ref().map(|home| home.join(below));
        let data = path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data = data.or_else(|| below_home(".local/share"));
        let config = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let config = config.or_else(|| below_home(".config"));
        let below_config = |below: &str| config.as_ref().map(|config| config.join(below));
        let runtime_auth =
            path("XDG_RUNTIME_DIR").map(|runtime| runtime.join("containers/auth.json"));
        let auth_files = match path("REGISTRY_AUTH_FILE") {
            Some(only) => vec![only],
            None => [runtime_auth, below_config("containers/auth.json")]
                .into_iter()
                .flatten()
                .collect(),
        };
        let etc = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let registries_conf = path("CONTAINERS_REGISTRIES_CONF")
            .or_else(|| below_config("containers/registries.conf"));
        let paths = Paths {
            docker_config: path("DOCKER_CONFIG").or_else(|| below_home(".docker")),
            auth_files,
            registries_conf: registries_conf
                .into_iter()
                .chain(etc(&["/etc/containers/registries.conf"]))
                .collect(),
            registries_conf_dirs: etc(&["/etc/containers/registries.conf.d"])
                .into_iter()
                .chain(below_config("containers/registries.conf.d"))
                .collect(),
            certs_dirs: etc(&[
                "/etc/containerd/certs.d",
                "/etc/docker/certs.d",
                "/etc/containers/certs.d",
            ])
            .into_iter()
            .chain(below_config("containers/certs.d"))
            .collect(),
            extra_ca: path("SSL_CERT_FILE"),
        };
        let no_colour = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let colours = |is_terminal: bool| match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => is_terminal && !no_colour && !is_dumb,
        };
        Environment {
            colour: colours(std::io::stderr().is_terminal()),
            colours_stdout: colours(std::io::stdout().is_terminal()),
            debug: global.debug,
            start: Instant::now(),
            store: global
                .store
                .clone()
                .or_else(|| path("CAIRN_HOME"))
                .or_else(|| data.map(|data| data.join("cairn"))),
            source_date_epoch: variable("SOURCE_DATE_EPOCH")
                .map(|text| text.to_string_lossy().into_owned()),
            working_directory: working_directory(),
            paths,
            search_path: variable("PATH").unwrap_or_default(),
            threads: threads(),
        }
    }

    /// With another store.
    pub fn with_store(&self, store: PathBuf) -> Environment {
        Environment {
            store: Some(store),
            ..self.clone()
        }
    }

    /// What this program was started with, its own name left out.
    pub fn arguments(&self) -> impl Iterator<Item = OsString> {
        std::env::args_os().skip(1)
    }

    /// The store, made where nothing is yet.
    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(self.store_path()?)?)
    }

    /// The store, only to look at.
    pub fn store_to_read(&self) -> Result<Store, Failure> {
        Ok(Store::open_to_read(self.store_path()?))
    }

    fn store_path(&self) -> Result<&Path, Failure> {
        self.store.as_deref().ok_or_else(|| {
            Failure::usage(
                "neither HOME nor CAIRN_HOME says where images are kept",
                "set CAIRN_HOME to a folder",
            )
        })
    }

    /// The build's timestamp, where one is given: what `--build-arg` says, else the environment.
    pub fn epoch(&self, given: Option<&str>) -> Result<Option<Epoch>, Failure> {
        match given.or(self.source_date_epoch.as_deref()) {
            None | Some("" | OF_CONTEXT) => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error| {
                Failure::usage(
                    format!("SOURCE_DATE_EPOCH: {error}"),
                    "unset it, or use `git log -1 --format=%ct`",
                )
            }),
        }
    }

    /// The time of day, in seconds since 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "the instant of a lock is when it was made"
    )]
    pub fn now(&self) -> i64 {
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// A path as it is from the working directory.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.working_directory.join(path)
    }

    /// This machine's platform, for recipes that name none.
    pub fn platform(&self) -> Platform {
        Environment::machine()
    }

    /// What this program was made for.
    pub fn machine() -> Platform {
        Platform::new(std::env::consts::OS, std::env::consts::ARCH, None)
    }

    /// Whoever shows what goes on.
    pub fn events(&self, mode: Mode) -> Events {
        progress::listener(mode, self.colour, self.debug, self.start)
    }

    /// Clients of registries, which speak to nobody in a build that is `offline`.
    pub fn registries(&self, events: &Events, offline: bool) -> Registries {
        let (paths, events) = (self.paths.clone(), events.clone());
        Registries::new(move || {
            let settings = Settings {
                paths: paths.clone(),
                offline,
                ..Settings::default()
            };
            Client::new(settings, events.clone())
        })
    }

    /// Proxies that docker's users have set, by the names of their variables.
    pub fn docker_proxies(&self) -> Result<Vec<(&'static str, String)>, crate::registry::Error> {
        proxies::of_docker(&self.paths)
    }

    /// What programs of engines see.
    #[expect(
        clippy::disallowed_methods,
        reason = "engines need the user's environment"
    )]
    pub fn for_programs(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    /// SOURCE_DATE_EPOCH as it is set, for an `ARG` of that name.
    pub fn source_date_epoch(&self) -> Option<&str> {
        self.source_date_epoch
            .as_deref()
            .filter(|text| !text.is_empty())
    }

    /// What a variable holds that a secret is in.
    pub fn secret_variable(&self, name: &str) -> Option<Vec<u8>> {
        variable(name).map(OsString::into_vec)
    }

    /// A variable that the caller names: for `--build-arg NAME`.
    pub fn variable(&self, name: &str) -> Option<String> {
        variable(name)?.into_string().ok()
    }

    /// Where packages come from, and what time it is.
    pub fn packages(&self) -> PackageSettings {
        let given = [
            (Distribution::Debian, "CAIRN_DEBIAN_MIRROR"),
            (Distribution::Ubuntu, "CAIRN_UBUNTU_MIRROR"),
        ];
        let given = given.into_iter().filter_map(|(of, name)| {
            let mirror = self.variable(name).filter(|value| !value.is_empty())?;
            Some((of, mirror))
        });
        PackageSettings::new(given.collect(), super::apt::archives(), now())
    }

    /// The store's place, for people.
    pub fn store_name(&self) -> String {
        self.store
            .as_deref()
            .unwrap_or(Path::new(""))
            .display()
            .to_string()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the environment is read"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a signature says of the time is compared with it, and nothing else"
)]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the working directory is read"
)]
fn working_directory() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "only for speed: bytes don't depend on it"
)]
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
