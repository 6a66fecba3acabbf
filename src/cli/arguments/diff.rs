//! The arguments of `cairn diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::canon::Platform;

/// `cairn diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// An image of the store by name or digest, a layer by its blob's digest,
    /// `docker-image://NAME` of a registry, `oci-layout://PATH`, or a path: a layout or an archive
    /// of one, what `docker save` writes, a layer's tar, any other folder or file
    pub before: String,
    /// What to compare it with
    pub after: String,
    /// Only these paths, and what is below them
    #[arg(last = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Which image of several [default: the only one, else this machine's]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// How it is told
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// The file to write; else standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Count by directory, and open no files
    #[arg(long)]
    pub stat: bool,
    /// How often its own size a compressed layer or archive may hold
    #[arg(long, value_name = "FACTOR", default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub max_expansion: u64,
}

/// How a comparison is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people, on a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// One file for a browser, that needs nothing else
    Html,
}
