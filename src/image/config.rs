//! The image config: image-spec, config.md, with Docker's additions.
//!
//! In: JSON. Out: [`ImageConfig`], which keeps every field that it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::{DiffId, Platform};

/// Fields that a document has and cairn doesn't interpret.
pub type Foreign = BTreeMap<String, Value>;

/// An image's config document.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Go's GOARCH.
    pub architecture: String,
    /// Go's GOOS.
    pub os: String,
    /// Of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What a container starts with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub config: Option<Execution>,
    /// The layers.
    pub rootfs: RootFs,
    /// How each layer came about, and the steps that made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<History>>,
    /// `author`, `os.version`, `os.features` and whatever else a base brings.
    #[serde(flatten)]
    pub foreign: Foreign,
}

/// The `config` object: what a container starts with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `user[:group]`, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `80/tcp` to an empty object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// `NAME=value`, in the order in which they were set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Arguments before those that a container is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments unless a container is given some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths to an empty object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Where the command starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// By key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// `SIGTERM` or its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's; image-spec reserves the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `OnBuild`, `Shell`, `ArgsEscaped` and whatever else a base brings.
    #[serde(flatten)]
    pub foreign: Foreign,
}

/// An empty JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Docker's `HEALTHCHECK`; durations in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Between two checks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interval: i64,
    /// Until a check counts as failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout: i64,
    /// Before failures count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_period: i64,
    /// Between two checks within the start period.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_interval: i64,
    /// Failures in a row until the container counts as unhealthy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: i64,
}

/// The layers, bottom first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bottom first.
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        }
    }
}

/// One step of the image's history.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether it made no layer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub empty_layer: bool,
    /// `author`, `comment` and whatever else a base brings.
    #[serde(flatten)]
    pub foreign: Foreign,
}

impl ImageConfig {
    /// The platform that it says, in normal form.
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_only_docker_knows_are_kept() {
        let text = r#"{"architecture":"amd64","config":{"ArgsEscaped":true,"Cmd":["sh"],"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"]},"created":"2020-01-01T00:00:00.5Z","history":[{"comment":"c","created_by":"x","empty_layer":true}],"os":"linux","os.version":"1","rootfs":{"diff_ids":[],"type":"layers"}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        let canonical = crate::canon::json::to_vec(&config).unwrap();
        assert_eq!(String::from_utf8(canonical).unwrap(), text);
    }
}
