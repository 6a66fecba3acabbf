//! Packages of a distribution that a recipe asks for, as they were solved.
//!
//! In: a solution. Out: values, in the order in which they are installed.

use serde::{Deserialize, Serialize};

use crate::canon::Digest;

/// What one `packages` step of a recipe came out as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSet {
    /// When it was solved, in seconds since 1970.
    pub instant: i64,
    /// The signed files that the solution follows from, by URL, and the fingerprints that signed
    /// them.
    pub releases: Vec<Release>,
    /// In the order in which they are installed.
    pub packages: Vec<Package>,
}

impl PackageSet {
    /// Whether the same packages were solved, whatever list they stood in.
    pub fn is_same(&self, other: &PackageSet) -> bool {
        self.packages == other.packages
    }
}

/// A signed list of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Where its `InRelease` is.
    pub url: String,
    /// Of that file.
    pub sha256: Digest,
    /// Hex digits of the fingerprint of the key that signed it.
    pub signer: String,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// `libc6`.
    pub name: String,
    /// `2.36-9+deb12u10`.
    pub version: String,
    /// `amd64`, `all`.
    pub architecture: String,
    /// Where it was.
    pub url: String,
    /// Of the whole file.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// Whether it is there for others alone: nobody asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
}
