//! `cairn.lock`: what every name of a recipe that can move meant when it was locked.
//!
//! In: what was resolved and recorded, or a lock's text. Out: [`Lock`], its text ([`write`](mod@write),
//! [`read`](mod@read)), and what differs between two of them. Pure: never reads a file, a network
//! or a clock.

pub mod difference;
pub mod exchange;
pub mod package;
pub mod package_url;
pub mod provenance;
pub mod read;
pub mod seal;
pub mod write;

#[cfg(test)]
mod tests;

pub use exchange::{Body, Exchange, NO_ANSWER, Record, Request, Response};
pub use package::{Package, PackageSet, Release};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canon::{Digest, Platform};

/// The version of the text that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// Most bytes of a lock's text: some 100,000 exchanges.
pub const LARGEST: usize = 64 << 20;

/// All that was locked of one recipe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// The recipe's file name.
    pub recipe: String,
    /// The build's timestamp.
    pub epoch: Option<LockedEpoch>,
    /// What refs of repositories named, by [`git_name`].
    pub git: BTreeMap<String, Commit>,
    /// What files of HTTP servers were, by URL.
    pub http: BTreeMap<String, File>,
    /// What depends on the platform that is built for.
    pub platforms: BTreeMap<Platform, OfPlatform>,
}

/// What was locked for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfPlatform {
    /// What names in registries meant, by the whole name.
    pub images: BTreeMap<String, Image>,
    /// What packages were solved, in the recipe's order.
    pub packages: Vec<Asked<PackageSet>>,
    /// What commands fetched, in the recipe's order.
    pub commands: Vec<Asked<Record>>,
}

/// The timestamp of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedEpoch {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Who chose it.
    pub from: EpochFrom,
}

/// Who chose an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EpochFrom {
    /// Nobody.
    #[serde(rename = "default")]
    Default,
    /// The environment or a build argument.
    #[serde(rename = "SOURCE_DATE_EPOCH")]
    Given,
}

/// What a name in a registry meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The index that it named, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// The manifest of the platform.
    pub manifest: Digest,
}

impl Image {
    /// What the name itself meant.
    pub fn named(&self) -> Digest {
        self.index.unwrap_or(self.manifest)
    }
}

/// What a ref of a repository named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Hex digits.
    pub commit: String,
    /// The ref itself, where the recipe wants it kept: its name, what it named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<[String; 2]>,
    /// Of the table of all its files, submodules included where they are asked for.
    pub tree: Digest,
}

/// What an HTTP server had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Of all of it.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// What the server said of its time, in seconds since 1970, where that reaches the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
}

/// What came of a step that asks the world more than one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<T> {
    /// Which step.
    pub by: Asker,
    /// What came.
    pub answer: T,
}

/// A step that asks, as it is known from build to build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asker {
    /// For people: `run apt-get update`.
    pub step: String,
    /// The stage, where it has a name.
    pub stage: Option<String>,
    /// Of everything in the recipe and its arguments that says what is asked.
    pub selected: Digest,
}

/// What the commit of a repository goes by: the URL, the ref, whether submodules and `.git` belong
/// to its files.
pub fn git_name(url: &str, name: Option<&str>, submodules: bool, git_dir: bool) -> String {
    let submodules = if submodules { "+submodules" } else { "" };
    let git_dir = if git_dir { "+git-dir" } else { "" };
    format!("{url}#{}{submodules}{git_dir}", name.unwrap_or("HEAD"))
}

/// URL and ref of what [`git_name`] makes; no ref is the server's `HEAD`.
pub fn git_parts(name: &str) -> (&str, Option<&str>) {
    let (url, name) = name.rsplit_once('#').unwrap_or((name, "HEAD"));
    let name = name.strip_suffix("+git-dir").unwrap_or(name);
    let name = name.strip_suffix("+submodules").unwrap_or(name);
    (url, Some(name).filter(|name| *name != "HEAD"))
}
