//! The arguments of `cairn verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Commands, Locking, Recipe};
use crate::cli::progress::Progress;
use crate::verify::{Quorum, Variation};

/// `cairn verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The image: a name or digest of the store, `docker-image://NAME` of a registry,
    /// `oci-layout://PATH`, or the path of a layout or archive
    pub image: String,
    #[command(flatten)]
    pub recipe: Recipe,
    #[command(flatten, next_help_heading = "Commands")]
    pub commands: Commands,
    #[command(flatten, next_help_heading = "Pinned inputs")]
    pub locking: Locking,
    /// Build it again, with an empty cache, and compare [default, where nothing else is asked for]
    #[arg(long)]
    pub rebuild: bool,
    /// What is otherwise in the rebuild: `all`, or of time, cores, uid, path, locale, hostname,
    /// fs-order, memory, kernel-name, load, pid
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = varied)]
    pub vary: Vec<Varied>,
    /// Say of what differs which program wrote it and what it asked for that varies. What the rebuild's
    /// commands open is watched for that, which takes longer; what no lock holds is had as it is now
    #[arg(long)]
    pub explain: bool,
    /// The name under which the statement speaks for whoever rebuilds
    #[arg(long, value_name = "NAME")]
    pub rebuilder: Option<String>,
    /// How many rebuilders of how many have to say that it is identical: `2-of-3`
    #[arg(long, value_name = "K-of-N")]
    pub require: Option<Quorum>,
    /// A rebuilder's statement, which `--require` counts
    #[arg(long, value_name = "FILE", requires = "require")]
    pub statement: Vec<PathBuf>,
    /// How it is told
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// The file for the statement about this rebuild
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub progress: Progress,
    // The rebuild itself, which this program starts as a process of its own.
    #[arg(long, hide = true, value_name = "DIR")]
    pub inside: Option<PathBuf>,
}

/// How a verdict is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// As the in-toto statement
    Json,
}

/// A value of `--vary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Varied {
    /// Everything.
    All,
    /// One thing.
    One(Variation),
}

fn varied(text: &str) -> Result<Varied, String> {
    match text {
        "all" => Ok(Varied::All),
        text => text.parse().map(Varied::One),
    }
}

impl Verify {
    /// What is to be otherwise.
    pub fn variations(&self) -> std::collections::BTreeSet<Variation> {
        let all = self.vary.iter().flat_map(|varied| match varied {
            Varied::All => Variation::all().collect(),
            Varied::One(one) => vec![*one],
        });
        all.collect()
    }
}
