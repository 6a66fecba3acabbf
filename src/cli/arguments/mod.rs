//! What can be said on the command line.

pub mod diff;
mod recipe;
pub mod verify;

pub use recipe::{Commands, Dockerfile, Locking, Look, Network, Recipe};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::canon::Platform;
use crate::cli::exit::Failure;
use crate::cli::flags;
use crate::cli::foreign::Foreign;
use crate::cli::output::Compression;
use crate::cli::progress::Progress;
use crate::ui::progress::Mode;

/// Builds OCI images whose digests follow purely from their inputs.
///
/// Exit codes: 0 done; 1 the build failed; 2 the command line makes no sense; 3 an input can't be
/// had; 4 something is not what its digest says; 129, 130 and 143 ended by SIGHUP, SIGINT and
/// SIGTERM.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Say how things are done: which mirror, which credentials, why a step runs
    #[arg(short = 'D', long, global = true)]
    pub debug: bool,
    /// When to use colours
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub color: Colour,
    /// Where images are kept [default: $CAIRN_HOME, else $XDG_DATA_HOME/cairn]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a recipe
    #[command(visible_alias = "b")]
    Build(Box<Build>),
    /// Write down what every name in a recipe that can move means now, in cairn.lock
    ///
    /// What the lock holds already stays as it is; `--update` moves it.
    Lock(Box<Lock>),
    /// Show what would be built, and touch nothing
    Plan(Box<Plan>),
    /// Write the cairn.toml that says what a Dockerfile says
    ///
    /// What was expanded, such as arguments, stands there as what it came out as, and a command has
    /// its whole environment. What can't be said there is told with its place.
    Convert(Box<Convert>),
    /// Say why a step ran, why a file is in an image or not, which step made it, and what makes the image
    /// so big
    Explain(Explain),
    /// Show all that a command wrote, or list the commands of the last build
    Log(Log),
    /// List the caches that commands keep (`RUN --mount=type=cache`), or remove some
    Caches(Caches),
    /// Say what this machine lets commands do, what is slower for it, and how to mend it
    ///
    /// Each is really tried. The exit code is 1 where commands can't be run as they should.
    Doctor(Doctor),
    /// Send an image to a registry
    Push(Push),
    /// Fetch an image from a registry
    Pull(Pull),
    /// List the images of the store
    Images(Images),
    /// Show an image: config, layers, history
    Inspect(Inspect),
    /// Say what differs between two images, layers, folders or files
    ///
    /// Of images: documents, layers, and every path of the file systems. Files that differ are
    /// opened: text by line, ELF files by section, and what is in zips, tars, compressed files,
    /// Debian packages and the like, as deep as it goes. Exit codes, as those of diff(1): 0
    /// identical, 1 not, 2 trouble.
    Diff(diff::Diff),
    /// Rebuild an image from its recipe and lock, and say how far it agrees
    ///
    /// Exit codes: 0 identical, or enough rebuilders say so; 1 something differs; 2 there is nothing to
    /// compare, or the command line makes no sense.
    Verify(Box<verify::Verify>),
    /// Give an image another name
    Tag(Tag),
    /// Remove images, and the blobs that only they have
    ///
    /// What building them left besides stays: the layers of stages, downloads, base images, and
    /// the caches that make the next build fast. No command frees these yet: delete the store's
    /// folder, or of its folders all but `blobs`, which are caches.
    Rm(Rm),
    /// Serve the store as a registry
    Serve(Serve),
    /// Print the JSON Schema of cairn.toml
    Schema,
    /// Print completions for a shell
    Completions(Completions),
    /// Print the manual page
    Man,
}

impl Command {
    /// How its progress is shown, and with it its failure.
    pub fn mode(&self) -> Mode {
        match self {
            Command::Build(arguments) => arguments.progress.mode(),
            Command::Lock(arguments) => arguments.progress.mode(),
            Command::Push(arguments) => arguments.progress.mode(),
            Command::Pull(arguments) => arguments.progress.mode(),
            _ => Mode::Auto,
        }
    }
}

impl Command {
    /// Takes what the environment says of progress, where no argument does.
    pub fn default_progress(&mut self, default: &str) -> Result<(), Failure> {
        match self {
            Command::Build(arguments) => arguments.progress.or_default(default),
            Command::Lock(arguments) => arguments.progress.or_default(default),
            Command::Verify(arguments) => arguments.progress.or_default(default),
            Command::Push(arguments) => arguments.progress.or_default(default),
            Command::Pull(arguments) => arguments.progress.or_default(default),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub recipe: Recipe,
    #[command(flatten, next_help_heading = "Dockerfiles")]
    pub commands: Commands,
    #[command(flatten, next_help_heading = "Pinned inputs")]
    pub locking: Locking,
    #[command(flatten, next_help_heading = "Looking, in place of building")]
    pub look: Look,
    /// A name for the image
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    /// Where the image goes besides the store: `type=oci|oci-dir|docker|tar|local|image|registry|
    /// cacheonly`, with `dest=PATH` (`-` is standard output), `name=NAME`, `compression=CODEC`,
    /// `push-by-digest=true`, `annotation.KEY=VALUE`; a bare PATH is `type=local`. A field that holds
    /// a comma stands in quotation marks: `"dest=a,b"`
    #[arg(short, long, value_name = "SPEC")]
    pub output: Vec<String>,
    /// Short for `-o type=registry`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = flags::switch, value_name = "BOOL")]
    pub push: Option<bool>,
    /// Load the image into docker, podman or containerd, whichever answers
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = flags::switch, value_name = "BOOL")]
    pub load: Option<bool>,
    /// How layers are compressed [default: gzip]
    #[arg(long, value_enum, value_name = "CODEC")]
    pub compression: Option<Compression>,
    /// Write the image's ID, the digest of its config, to a file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write what was built to a file, as buildx does
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Run steps although the store has their results
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = flags::switch, value_name = "BOOL")]
    pub no_cache: Option<bool>,
    /// Ask registries even for names that the store has
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = flags::switch, value_name = "BOOL")]
    pub pull: Option<bool>,
    /// How often its own size a compressed layer or archive may hold
    #[arg(long, value_name = "FACTOR", default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub max_expansion: u64,
    #[command(flatten)]
    pub progress: Progress,
    #[command(flatten)]
    pub foreign: Foreign,
}

/// `cairn lock`.
#[derive(Debug, Args)]
pub struct Lock {
    #[command(flatten)]
    pub recipe: Recipe,
    #[command(flatten, next_help_heading = "Dockerfiles")]
    pub commands: Commands,
    /// Take what these names mean today, or all names: an image, a URL, a repository, a command,
    /// or all that have this in their names
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub update: Option<Vec<String>>,
    /// Write all that the lock names to a folder, an OCI layout, for `cairn pull --inputs`
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "diff"])]
    pub vendor: Option<PathBuf>,
    /// Send all that the lock names to a registry, for `cairn pull --inputs`
    #[arg(long, value_name = "NAME[:TAG]", conflicts_with_all = ["check", "diff"])]
    pub push: Option<String>,
    /// Change nothing; fail where the recipe asks for what the lock lacks
    #[arg(long, conflicts_with = "update")]
    pub check: bool,
    /// Change nothing; say what `--update` would change
    #[arg(long, conflicts_with = "check")]
    pub diff: bool,
    /// What the lock doesn't hold was what this provenance of buildx says: the file of
    /// `--metadata-file`, or a statement of in-toto
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "diff"])]
    pub import_provenance: Option<PathBuf>,
    /// Also write the source policy by which BuildKit takes what the lock says; `-` is standard
    /// output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "diff"])]
    pub write_policy: Option<PathBuf>,
    /// The lock [default: cairn.lock beside the recipe; of a recipe with a name of its own, that
    /// name and `.lock`]
    #[arg(long, value_name = "FILE")]
    pub lockfile: Option<PathBuf>,
    #[command(flatten)]
    pub progress: Progress,
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub recipe: Recipe,
    /// As JSON
    #[arg(long, conflicts_with = "graph")]
    pub json: bool,
    /// As a graph in DOT
    #[arg(long)]
    pub graph: bool,
}

#[derive(Debug, Args)]
pub struct Convert {
    // The context may be the Dockerfile itself.
    #[command(flatten)]
    pub recipe: Recipe,
    /// The file to write; else standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub asked: Explained,
    /// The recipe, whose own rules go before those of the context
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The context, or the image, as `cairn diff` takes one
    #[arg(default_value = ".", value_name = "CONTEXT")]
    pub context: PathBuf,
}

/// What is explained: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Explained {
    /// The rule that keeps a path of the context in or out
    #[arg(long, value_name = "PATH")]
    pub ignore: Option<PathBuf>,
    /// What normalisers did to the files that a command left: the key of its step, or its first
    /// four digits or more, as `cairn log` lists them
    #[arg(long, value_name = "KEY")]
    pub normalised: Option<String>,
    /// What is done to the files that commands leave, so that they don't tell when they were made
    #[arg(long)]
    pub normalisers: bool,
    /// Which steps made, changed or removed a path of an image, which stands in the context's place
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// What is in a layer of an image, by its number from the bottom, from 0
    #[arg(long, value_name = "NUMBER")]
    pub layer: Option<usize>,
    /// Why steps of the last build ran: which of what their keys are made of changed since the build
    /// before, from what to what. STEP is a part of one's name, or its key as `cairn log` lists it: of
    /// that one alone, and those that it ran for
    #[arg(long, value_name = "STEP", num_args = 0..=1, default_missing_value = "")]
    pub why: Option<String>,
    /// What makes an image so big: its layers, what of them nobody sees, its largest files
    #[arg(long)]
    pub size: bool,
}

#[derive(Debug, Args)]
pub struct Log {
    /// The key of a step, or its first four digits or more
    pub key: Option<String>,
}

#[derive(Debug, Args)]
pub struct Caches {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Remove the caches of this name
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    pub remove: Vec<String>,
    /// Remove all caches
    #[arg(long, conflicts_with_all = ["json", "remove"])]
    pub remove_all: bool,
}

/// `cairn doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Push {
    /// An image of the store, by name or digest
    pub image: String,
    /// Where to [default: where its name says]
    pub target: Option<String>,
    /// Send along everything that the lock names which it was built with
    #[arg(long)]
    pub inputs: bool,
    #[command(flatten)]
    pub progress: Progress,
}

#[derive(Debug, Args)]
pub struct Pull {
    /// What to fetch
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub reference: String,
    /// Fetch what an image was built with, as `cairn push --inputs` sent it, or what `cairn lock
    /// --push` sent or `--vendor` wrote (a folder begins with `.` or `/`)
    #[arg(long, conflicts_with_all = ["platform", "all_platforms"])]
    pub inputs: bool,
    /// Write the lock of these inputs to a file
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub lockfile: Option<PathBuf>,
    /// Which image of several [default: this machine's]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// All images of several
    #[arg(long, conflicts_with = "platform")]
    pub all_platforms: bool,
    #[command(flatten)]
    pub progress: Progress,
}

#[derive(Debug, Args)]
pub struct Images {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Digests alone
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// An image of the store, by name or digest
    pub image: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Tag {
    /// An image of the store, by name or digest
    pub image: String,
    /// The new name
    pub name: String,
}

#[derive(Debug, Args)]
pub struct Rm {
    /// Images of the store: a name takes away that name, a digest all names
    #[arg(required = true)]
    pub images: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen: `127.0.0.1:5000`, `[::1]:5000`; port 0 takes a free one, and `0.0.0.0:5000`
    /// serves everybody who reaches this machine
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000", value_parser = address)]
    pub listen: std::net::SocketAddr,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    pub shell: clap_complete::Shell,
}

fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or(5000);
        format!("it has to be an IP address and a port, such as `127.0.0.1:{port}`")
    })
}

#[cfg(test)]
mod tests {
    use crate::cli::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
