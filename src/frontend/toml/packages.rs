//! Packages as they are written.
//!
//! In: [`super::de`]. Out: values with places, for [`super::lower_packages`]. The documentation of
//! types and keys is what an editor shows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{At, Field, List};

/// Installs packages of a distribution, as its own tools would: solved, checked against the
/// archive's signature, unpacked, and configured without a network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Packages {
    /// Packages of Debian.
    #[serde(default)]
    pub debian: Field<At<Set>>,
    /// Packages of Ubuntu.
    #[serde(default)]
    pub ubuntu: Field<At<Set>>,
}

/// What is installed, and from where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Set {
    /// The release, such as `"bookworm"`, by the name that stays the same.
    #[schemars(extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9./_-]*$"))]
    pub suite: Field<At<String>>,
    /// Which parts of it; else `["main"]`.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub components: Field<At<List<At<String>>>>,
    /// Where the archive is: the address that `dists` is below. Else it is the one in
    /// `$CAIRN_DEBIAN_MIRROR` or `$CAIRN_UBUNTU_MIRROR`, or the one that this machine's apt has
    /// for the suite.
    #[serde(default)]
    #[schemars(extend("pattern" = "^https?://"))]
    pub mirror: Field<At<String>>,
    /// In place of `mirror`: the archive as it was at the instant that the address holds, as in
    /// `"https://HOST/archive/debian/20250520T000000Z"`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^https?://.*/[0-9]{8}T[0-9]{6}Z"))]
    pub snapshot: Field<At<String>>,
    /// Further suites that packages may come from, such as those of security updates.
    #[serde(default)]
    pub sources: Field<List<At<Archive>>>,
    /// Packages, each with the versions that will do: `"curl"`, `"libssl3 (>= 3.0)"`,
    /// `"vim=2:9.0.1378-2"`.
    #[serde(default)]
    pub install: Field<List<At<String>>>,
    /// Files with the keys that sign the archives, armoured or not, relative to the recipe; else
    /// the keys that the image below has.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub keys: Field<At<List<At<String>>>>,
    /// `"minbase"`: all packages of priority `required`, and apt, too. `"distroless"`: only what is
    /// asked for and what it needs, without a shell if need be, and no script of any package runs.
    #[serde(default)]
    #[schemars(extend("enum" = ["minbase", "distroless"]))]
    pub variant: Field<At<String>>,
    /// Whether what packages recommend is installed, too; else it isn't.
    #[serde(default)]
    pub recommends: Field<bool>,
}

/// A further suite.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Archive {
    /// Such as `"bookworm-security"`.
    #[schemars(extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9./_-]*$"))]
    pub suite: Field<At<String>>,
    /// Which parts of it; else those of the first suite.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub components: Field<At<List<At<String>>>>,
    /// Where its archive is; else where the first suite's is.
    #[serde(default)]
    #[schemars(extend("pattern" = "^https?://"))]
    pub mirror: Field<At<String>>,
    /// In place of `mirror`: its archive as it was at the instant that the address holds.
    #[serde(default)]
    #[schemars(extend("pattern" = "^https?://.*/[0-9]{8}T[0-9]{6}Z"))]
    pub snapshot: Field<At<String>>,
}
