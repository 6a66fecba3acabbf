//! Packages of a distribution that a step installs.
//!
//! In: what a recipe asks for. Out: [`Packages`], a question: what it comes out as depends on what
//! the archives have. Once that is known, it is the packages that a step's key is made of.

use serde::Serialize;

use crate::canon::{Digest, Platform};

/// What is to be installed, and from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Packages {
    /// Whose packages.
    pub distribution: Distribution,
    /// What they are for.
    pub platform: Platform,
    /// Where they may come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
    /// Relations, each of one package: `curl`, `libssl3 (>= 3.0)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub install: Vec<String>,
    /// Files with the keys that sign the archives, relative to the recipe's folder; where there
    /// are none, the keys of the image below are taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// What else is installed, and how.
    pub variant: Variant,
    /// Whether what packages recommend is installed, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recommends: bool,
    /// The packages in the order in which they are installed, known once they were solved; then
    /// nothing else of the question matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solved: Option<Vec<Installed>>,
}

/// A package that is installed. What its file says of itself is here, too, so that an answer that
/// says otherwise is found out, and not what came of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Installed {
    /// `libc6`.
    pub name: String,
    /// `2.36-9+deb12u10`.
    pub version: String,
    /// `amd64`, `all`.
    pub architecture: String,
    /// Of its file.
    pub sha256: Digest,
    /// Bytes of its file.
    pub size: u64,
    /// Whether it is there for others alone, which apt remembers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
}

/// A distribution with packages of Debian's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
}

impl Distribution {
    /// Its name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Distribution::Debian => "debian",
            Distribution::Ubuntu => "ubuntu",
        }
    }

    /// The keyring that its images have.
    pub fn keyring(self) -> &'static str {
        match self {
            Distribution::Debian => "usr/share/keyrings/debian-archive-keyring.gpg",
            Distribution::Ubuntu => "usr/share/keyrings/ubuntu-archive-keyring.gpg",
        }
    }
}

/// What else is installed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// What is asked for and needed; where nothing is installed yet, the essential packages.
    #[default]
    Plain,
    /// And all of priority `required`, and apt.
    Minbase,
    /// What is asked for and needed alone, and no scripts of theirs run.
    Distroless,
}

/// A suite of an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Archive {
    /// `bookworm`, `bookworm-security`.
    pub suite: String,
    /// `main`, …
    pub components: Vec<String>,
    /// Where it is; else where the machine says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// Where an archive is: an address without a slash at its end, in which `dists` is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mirror {
    /// The archive as it is today.
    Today(String),
    /// The archive as it was at an instant, which the address holds as `20250520T000000Z`.
    Snapshot(String),
}

impl Packages {
    /// What is left of the question once it is solved: the answer, and how it is installed.
    pub fn solved(&self, packages: Vec<Installed>) -> Packages {
        Packages {
            distribution: self.distribution,
            platform: self.platform.clone(),
            archives: Vec::new(),
            install: Vec::new(),
            keys: Vec::new(),
            variant: match self.variant {
                Variant::Distroless => Variant::Distroless,
                Variant::Plain | Variant::Minbase => Variant::Plain,
            },
            recommends: false,
            solved: Some(packages),
        }
    }
}

/// What Debian calls a platform's architecture; none for what it isn't made for.
pub fn architecture(platform: &Platform) -> Option<&'static str> {
    let variant = platform.variant.as_deref();
    Some(match (platform.architecture.as_str(), variant) {
        _ if platform.os != "linux" => return None,
        ("amd64", _) => "amd64",
        ("386", _) => "i386",
        ("arm64", _) => "arm64",
        ("arm", Some("v5" | "v6")) => "armel",
        ("arm", _) => "armhf",
        ("ppc64le", _) => "ppc64el",
        ("riscv64", _) => "riscv64",
        ("s390x", _) => "s390x",
        ("mips64le", _) => "mips64el",
        _ => return None,
    })
}
