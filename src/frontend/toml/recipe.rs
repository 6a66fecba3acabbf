//! The recipe as it is written: a type for each table of `cairn.toml`.
//!
//! In: [`super::de`]. Out: values with places, for [`super::check`]; the JSON Schema is made of
//! these types too, and their documentation is what an editor shows, so it speaks to whoever
//! writes a recipe.

use schemars::JsonSchema;
use serde::Deserialize;

use super::config::Config;
use super::field::{At, Field, Keyed, List, Table, TextOr};
use super::step::Verb;

/// A recipe of cairn: from what, and by which steps, an image is built.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "cairn.toml")]
pub struct Recipe {
    /// The format that the recipe is written for. It names every choice that the image's bytes
    /// depend on; this cairn writes 1.
    #[serde(default)]
    #[schemars(extend("minimum" = 1, "maximum" = 1))]
    #[expect(dead_code, reason = "it is read before everything else")]
    pub format: Field<At<i64>>,
    /// The platforms to build for, such as `linux/amd64`; several make an index. Without it the
    /// platform is that of the machine, unless `--platform` names another.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub platforms: Field<At<List<At<String>>>>,
    /// What the image begins with: `"scratch"`, an image reference, or a table that names a
    /// stage or an OCI layout.
    pub from: Field<At<TextOr<Base>>>,
    /// Folders that steps can copy from by name, each relative to the recipe's folder.
    #[serde(default)]
    pub contexts: Field<Table<Field<At<String>>>>,
    /// Stages by name: file systems that others begin with or copy from.
    #[serde(default)]
    pub stages: Field<Table<Field<Stage>>>,
    /// What is done to the file system, in this order.
    #[serde(default)]
    pub steps: Field<List<Keyed<Verb>>>,
    /// What a container of the image starts with. It changes the base's; what isn't said stays.
    #[serde(default)]
    pub config: Field<Config>,
}

/// A file system that is built on the way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// What the stage begins with: `"scratch"`, an image reference, or a table that names another
    /// stage or an OCI layout.
    pub from: Field<At<TextOr<Base>>>,
    /// What is done to the file system, in this order.
    #[serde(default)]
    pub steps: Field<List<Keyed<Verb>>>,
    /// The config of an image that is this stage (`--target`) or begins with it.
    #[serde(default)]
    pub config: Field<Config>,
}

/// What a stage or image begins with: exactly one of `image`, `stage` and `oci`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [
    {"required": ["image"]}, {"required": ["stage"]}, {"required": ["oci"]},
]))]
pub struct Base {
    /// An image reference: `docker.io/library/alpine:3.20`, best with its digest.
    #[serde(default)]
    pub image: Field<At<String>>,
    /// The name of a stage of this recipe.
    #[serde(default)]
    pub stage: Field<At<String>>,
    /// An OCI image layout, a folder or an archive, relative to the recipe's folder.
    #[serde(default)]
    pub oci: Field<At<String>>,
    /// With `oci`: the image's name in the layout, where it holds several.
    #[serde(default)]
    pub name: Field<At<String>>,
}

/// What files are copied from: exactly one of `stage`, `image`, `context` and `oci`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [
    {"required": ["stage"]}, {"required": ["image"]}, {"required": ["context"]}, {"required": ["oci"]},
]))]
pub struct Origin {
    /// The name of a stage of this recipe.
    #[serde(default)]
    pub stage: Field<At<String>>,
    /// An image reference: `docker.io/library/alpine:3.20`, best with its digest.
    #[serde(default)]
    pub image: Field<At<String>>,
    /// The name of a context: one of `[contexts]`, or of `--build-context`.
    #[serde(default)]
    pub context: Field<At<String>>,
    /// An OCI image layout, a folder or an archive, relative to the recipe's folder.
    #[serde(default)]
    pub oci: Field<At<String>>,
    /// With `oci`: the image's name in the layout, where it holds several.
    #[serde(default)]
    pub name: Field<At<String>>,
}
