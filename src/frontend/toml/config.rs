//! An image's config as it is written.
//!
//! In: [`super::de`]. Out: values with places, for [`super::lower_config`]. The documentation of
//! types and keys is what an editor shows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{At, Field, List, Table, TextOr};

/// What a container of the image starts with. It changes the base's config: lists and single
/// values replace what was there, tables add to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What of the base's config goes: a key, such as `"entrypoint"`, or one member of a table,
    /// such as `"env.PATH"`, `"labels.org.example"`, `"ports.80/tcp"` or `"volumes./data"`.
    #[serde(default)]
    pub unset: Field<List<At<String>>>,
    /// The command, as a list of words. A new one drops the base's `cmd`.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub entrypoint: Field<At<List<At<String>>>>,
    /// Arguments of the command, or the command itself where there is no entrypoint; those of
    /// `docker run` take their place.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub cmd: Field<At<List<At<String>>>>,
    /// Environment variables, in this order.
    #[serde(default)]
    pub env: Field<Table<String>>,
    /// Who runs it: `user` or `user:group`, by name or number.
    #[serde(default)]
    pub user: Field<At<String>>,
    /// Where it starts, absolute.
    #[serde(default)]
    #[schemars(extend("pattern" = "^/"))]
    pub workdir: Field<At<String>>,
    /// Ports that it listens on: `"8080"` is `"8080/tcp"`.
    #[serde(default)]
    pub ports: Field<List<At<String>>>,
    /// Directories that hold data, absolute.
    #[serde(default)]
    pub volumes: Field<List<At<String>>>,
    /// Labels.
    #[serde(default)]
    pub labels: Field<Table<String>>,
    /// The signal that asks it to stop: `"SIGTERM"` or its number.
    #[serde(default)]
    pub stop_signal: Field<At<String>>,
    /// How a running container is checked; `"none"` turns the base's check off.
    #[serde(default)]
    pub healthcheck: Field<At<TextOr<Healthcheck>>>,
    /// What a Dockerfile that begins with the image does first: `ONBUILD`'s instructions.
    #[serde(default)]
    pub on_build: Field<List<At<String>>>,
    /// What runs the text commands of a Dockerfile that begins with the image: `SHELL`.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub shell: Field<At<List<At<String>>>>,
    /// `ArgsEscaped`, an old mark that builders of Dockerfiles set with each command.
    #[serde(default)]
    pub args_escaped: Field<bool>,
    /// Annotations of the image's manifest.
    #[serde(default)]
    pub annotations: Field<Table<String>>,
    /// Who made the image.
    #[serde(default)]
    pub author: Field<String>,
    /// The platform's architecture, such as `"amd64"`; `platforms` says the same in one word.
    /// Not in a stage.
    #[serde(default)]
    pub architecture: Field<At<String>>,
    /// The platform's operating system; else `"linux"`. Not in a stage.
    #[serde(default)]
    pub os: Field<At<String>>,
    /// The variant of the architecture, such as `"v7"` of `"arm"`. Not in a stage.
    #[serde(default)]
    pub variant: Field<At<String>>,
}

/// How a running container is checked. Times are such as `"30s"` or `"1m30s"`; what isn't said is
/// the engine's choice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Healthcheck {
    /// `["CMD", …]`, or `["CMD-SHELL", "…"]` for a shell's command line.
    #[schemars(extend("minItems" = 2))]
    pub test: Field<At<List<At<String>>>>,
    /// Between two checks.
    #[serde(default)]
    pub interval: Field<At<String>>,
    /// Until a check counts as failed.
    #[serde(default)]
    pub timeout: Field<At<String>>,
    /// Before failures count.
    #[serde(default)]
    pub start_period: Field<At<String>>,
    /// Between two checks within the start period.
    #[serde(default)]
    pub start_interval: Field<At<String>>,
    /// Failures in a row until the container counts as unhealthy.
    #[serde(default)]
    pub retries: Field<u32>,
}
