//! What can be said of a recipe, by every command that reads one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::canon::Platform;
use crate::cli::flags::{self, Allow, Annotation, Call, Format, Resources, Secret, Ssh};
use crate::normal::Without;
use crate::plan::command::Ulimit;

/// What chooses a recipe and how it is read.
#[derive(Debug, Args)]
pub struct Recipe {
    /// The context, which files are copied from: a folder, a git URL (`URL.git#REF:FOLDER`,
    /// `URL.git?ref=REF&subdir=FOLDER`), the URL of a tar, or `-`, a tar or a Dockerfile on standard
    /// input
    #[arg(default_value = ".", value_name = "PATH")]
    pub context: String,
    /// The recipe [default: PATH/cairn.toml, else PATH/Dockerfile]; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// The platforms to build for, in place of the recipe's; `local` is this machine's [default:
    /// $DOCKER_DEFAULT_PLATFORM, for a recipe that names none]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = flags::platform)]
    pub platform: Vec<Platform>,
    /// A folder, or what `docker-image://`, `oci-layout://`, git and HTTP have, under a name that the
    /// recipe copies from
    #[arg(long, value_name = "NAME=PATH", value_parser = key_value)]
    pub build_context: Vec<(String, String)>,
    /// A label of the image
    #[arg(long, value_name = "KEY=VALUE", value_parser = flags::label)]
    pub label: Vec<(String, String)>,
    /// An annotation of the manifest, or with `index:` before it of the index of several
    #[arg(long, value_name = "KEY=VALUE", value_parser = flags::annotation)]
    pub annotation: Vec<Annotation>,
    /// Which inputs may be had, and what is taken in place of some: the JSON of a BuildKit source
    /// policy [default: $EXPERIMENTAL_BUILDKIT_SOURCE_POLICY]
    #[arg(long, value_name = "FILE")]
    pub source_policy_file: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Dockerfiles")]
    pub dockerfile: Dockerfile,
}

impl Recipe {
    /// Annotations of the index, where there is one.
    pub fn index_annotations(&self) -> BTreeMap<String, String> {
        let of_index = self.annotation.iter().filter(|it| it.of_index);
        of_index
            .map(|it| (it.key.clone(), it.value.clone()))
            .collect()
    }

    /// Whether its context is had from elsewhere.
    pub fn is_fetched(&self) -> bool {
        !matches!(
            flags::ContextValue::new(&self.context),
            Ok(flags::ContextValue::Folder(_))
        )
    }
}

/// What a Dockerfile is given.
#[derive(Debug, Args)]
pub struct Dockerfile {
    /// A value for an ARG; without one, the environment's
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = flags::build_argument)]
    pub build_arg: Vec<(String, Option<String>)>,
    /// A line of /etc/hosts for RUN
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = flags::add_host)]
    pub add_host: Vec<(String, String)>,
    /// A resource limit of RUN, as ulimit has it: `nofile=1024:2048`
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = flags::ulimit)]
    pub ulimit: Vec<Ulimit>,
    /// What /dev/shm of RUN may hold [default: 64m]
    #[arg(long, value_name = "BYTES", value_parser = flags::bytes)]
    pub shm_size: Option<u64>,
    /// What RUN reaches: the network, nothing, or all that this machine does (with `--allow
    /// network.host`)
    #[arg(long, value_enum, value_name = "NETWORK")]
    pub network: Option<Network>,
}

impl Dockerfile {
    /// A flag that was given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--build-arg", !self.build_arg.is_empty()),
            ("--add-host", !self.add_host.is_empty()),
            ("--ulimit", !self.ulimit.is_empty()),
            ("--shm-size", self.shm_size.is_some()),
            ("--network", self.network.is_some()),
        ];
        flags
            .into_iter()
            .find(|(_, given)| *given)
            .map(|(flag, _)| flag)
    }
}

/// What RUN reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// The network
    Default,
    /// Itself alone
    None,
    /// Whatever this machine reaches
    Host,
}

/// What the commands of a recipe are run with. But for `no_normalise` and `strict` it is in no
/// step's key.
#[derive(Debug, Args)]
pub struct Commands {
    /// A secret for `RUN --mount=type=secret`, and for servers: `id=ID,src=FILE` or `id=ID,env=NAME`
    #[arg(long, value_name = "SPEC", value_parser = flags::secret)]
    pub secret: Vec<Secret>,
    /// An agent for `RUN --mount=type=ssh`, and for git: `default`, or `ID=SOCKET`
    #[arg(long, value_name = "SPEC", value_parser = flags::ssh)]
    pub ssh: Vec<Ssh>,
    /// Let RUN have more: `network.host`, `security.insecure`, `device[=NAME]`
    #[arg(long, value_name = "WHAT", value_parser = flags::allow)]
    pub allow: Vec<Allow>,
    /// Run no RUN whose result may depend on more than the recipe and its lock: by what it asks for, as
    /// it has a network that no lock holds, or on this machine
    #[arg(long)]
    pub require_hermetic: bool,
    /// Leave what RUN leaves as it is where this normaliser would change it; `all` is every one. They
    /// are listed by `cairn explain --normalisers`
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = flags::normaliser)]
    pub no_normalise: Vec<Without>,
    /// Run the processes of each RUN one at a time, where its result depends on which is faster: it takes
    /// longer
    #[arg(long)]
    pub strict: bool,
    /// Let RUN leave private keys that it made, which are then in every copy of the image
    #[arg(long)]
    pub allow_keys: bool,
    /// Bytes of memory for each RUN
    #[arg(long, value_name = "BYTES", value_parser = flags::bytes)]
    pub memory: Option<u64>,
    /// Resources of each RUN, as BuildKit has them: `memory=512m`
    #[arg(long, value_name = "SPEC", value_parser = flags::resources, conflicts_with = "memory")]
    pub resource: Option<Resources>,
    /// Processes for each RUN
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub processes: Option<u64>,
    /// Time for each RUN, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = flags::duration)]
    pub timeout: Option<Duration>,
    /// Bytes that all caches of RUN may hold: those go first that were not used for longest
    #[arg(long, value_name = "BYTES", value_parser = flags::bytes, default_value = "20g")]
    pub cache_size: u64,
    /// Run the steps of these stages although the store has their results
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Open a shell in the file system of a RUN that failed
    #[arg(long)]
    pub debug_shell: bool,
}

/// How a build uses its lock.
#[derive(Debug, Default, Args)]
pub struct Locking {
    /// Fail where the lock doesn't say what a name means
    #[arg(long)]
    pub locked: bool,
    /// Use no network: what the store lacks can't be had
    #[arg(long)]
    pub offline: bool,
    /// The lock [default: cairn.lock beside the recipe; of a recipe with a name of its own, that
    /// name and `.lock`]
    #[arg(long, value_name = "FILE")]
    pub lockfile: Option<PathBuf>,
}

/// What is looked at, and nothing built.
#[derive(Debug, Args)]
pub struct Look {
    /// Tell what should be otherwise in the recipe; fails where something has to. Short for
    /// `--call check`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = flags::switch, value_name = "BOOL")]
    pub check: Option<bool>,
    /// What to do with a recipe: `build`, `check`, `outline` (arguments, secrets), `targets`
    /// (stages); `,format=json` and `,ignorestatus=true` may follow
    #[arg(long, value_name = "WHAT", value_parser = flags::call, conflicts_with = "check")]
    pub call: Option<Call>,
    /// How that is told
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The page about a rule of `--check`
    #[arg(long, value_name = "RULE")]
    pub explain: Option<String>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it has to be KEY=VALUE".to_owned()),
    }
}
