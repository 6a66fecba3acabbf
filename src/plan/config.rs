//! What an image's config has otherwise than its base's.
//!
//! In: a recipe's words. Out: [`ConfigChange`], applied by `build`.

use std::collections::BTreeMap;

use serde::Serialize;

/// A change of an image's config: first everything in `unset` goes, then the rest is set.
/// Lists and single values replace what was there; maps and `env` add to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ConfigChange {
    /// What of the base goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Unset>,
    /// Arguments before those that a container is given. As with `ENTRYPOINT`, a new one drops
    /// an inherited `cmd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments unless a container is given some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// In the recipe's order; a name that is there already keeps its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// `user[:group]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// `80/tcp`, normal form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Absolute paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// By key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM` or its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How a running container is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// What an image that begins with this one does first: instructions of a Dockerfile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// What runs commands that are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// `ArgsEscaped` of the config, as builders of Dockerfiles say it of each command that they
    /// set; it matters on Windows alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// `author` of the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Of the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One inherited thing that goes. In a recipe: `entrypoint`, `env`, `env.NAME`, `labels.KEY`, …
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unset {
    /// All of a field.
    All(Field),
    /// One member of a map, or of `env`.
    Member(Field, String),
}

/// A field of the config that can be unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// `Entrypoint`.
    Entrypoint,
    /// `Cmd`.
    Cmd,
    /// `Env`; members by name.
    Env,
    /// `User`.
    User,
    /// `WorkingDir`.
    Workdir,
    /// `ExposedPorts`; members as `80/tcp`.
    Ports,
    /// `Volumes`; members by path.
    Volumes,
    /// `Labels`; members by key.
    Labels,
    /// `StopSignal`.
    StopSignal,
    /// `Healthcheck`.
    Healthcheck,
    /// `author`.
    Author,
    /// `OnBuild`.
    OnBuild,
    /// `Shell`.
    Shell,
    /// The manifest's; members by key.
    Annotations,
}

/// How a running container is checked; durations in nanoseconds, absent ones are the engine's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: i64,
    /// Until a check counts as failed.
    pub timeout: i64,
    /// Before failures count.
    pub start_period: i64,
    /// Between two checks within the start period.
    pub start_interval: i64,
    /// Failures in a row until the container counts as unhealthy.
    pub retries: i64,
}
