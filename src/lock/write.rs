//! A lock to its text.
//!
//! In: a [`Lock`]. Out: TOML, the same for equal locks; one line for each name, file, package and
//! exchange, so that a diff shows what moved and git merges what doesn't touch.
//!
//! ```text
//! version = 1
//! recipe = "Dockerfile"
//!
//! [epoch]
//! seconds = 315532800 # 1980-01-01T00:00:00Z
//! from = "default"
//! seal = "…"
//!
//! [git]
//! "https://example.org/theme.git#v1" = { commit = "…", tree = "sha256:…", seal = "…" }
//!
//! [http]
//! "https://example.org/tool.tgz" = { sha256 = "sha256:…", size = 1, seal = "…" }
//!
//! [platform."linux/amd64".images]
//! "docker.io/library/debian:12" = { index = "sha256:…", manifest = "sha256:…", seal = "…" }
//!
//! [[platform."linux/amd64".packages]]
//! step = "packages curl"
//! selected = "sha256:…"
//! seal = "…"
//! instant = 1798459200 # 2026-12-28T12:00:00Z
//! releases = [
//!   { url = "…", sha256 = "sha256:…", signer = "…" },
//! ]
//! packages = [
//!   { name = "curl", version = "7.88.1-10", architecture = "amd64", url = "…", sha256 = "…", size = 1 },
//! ]
//!
//! [[platform."linux/amd64".commands]]
//! step = "run apt-get update"
//! stage = "build"
//! selected = "sha256:…"
//! seal = "…"
//! instant = 1798459200 # 2026-12-28T12:00:00Z
//! names = ["example.org"]
//! exchanges = [
//!   { method = "GET", url = "https://example.org/a", status = 200, headers = { etag = "…" }, body = { sha256 = "sha256:…", size = 1 } },
//! ]
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::seal::Seal;
use super::{Asked, Asker, LARGEST, Lock, VERSION};
use crate::canon::{Epoch, json};

const HEAD: &str = "\
# What the names in the recipe that can move meant when `cairn lock` looked. Commit it.
# `cairn lock --update` changes it; what is changed by hand is refused, as the seals tell.
";

/// Members that come first, in this order; all others follow by name.
const FIRST: [&str; 12] = [
    "instant", "names", "releases", "name", "version", "method", "url", "asked", "sent", "status",
    "index", "commit",
];

/// Why a lock can't be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number that JSON can't hold exactly.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// More text than is read again.
    #[error(
        "the lock would be {0} bytes long, and is read only as long as it has {LARGEST}\nhint: have the commands fetch fewer files, such as an archive of all of them"
    )]
    TooLarge(usize),
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::Json(error.into())
    }
}

/// The text of `lock`.
///
/// # Errors
/// Where it is none that [`super::read::read`] takes.
pub fn write(lock: &Lock) -> Result<String, Error> {
    let mut text = format!("{HEAD}version = {VERSION}\n");
    line(&mut text, "recipe", &string(&lock.recipe));
    if let Some(epoch) = &lock.epoch {
        text.push_str("\n[epoch]\n");
        line(&mut text, "seconds", &instant(epoch.seconds));
        line(
            &mut text,
            "from",
            &inline(&serde_json::to_value(epoch.from)?),
        );
        let seal = Seal::of(&["epoch"], epoch)?;
        line(&mut text, "seal", &string(&seal.to_string()));
    }
    table(&mut text, &["git"], &lock.git)?;
    table(&mut text, &["http"], &lock.http)?;
    for (platform, of) in &lock.platforms {
        let platform = platform.to_string();
        let place = |table| ["platform", platform.as_str(), table];
        table(&mut text, &place("images"), &of.images)?;
        for asked in &of.packages {
            answer(&mut text, &place("packages"), asked)?;
        }
        for asked in &of.commands {
            answer(&mut text, &place("commands"), asked)?;
        }
    }
    match text.len() > LARGEST {
        true => Err(Error::TooLarge(text.len())),
        false => Ok(text),
    }
}

/// The seal of what an asker was answered.
pub(super) fn seal_of<T: Serialize>(
    place: &[&str],
    by: &Asker,
    answer: &T,
) -> Result<Seal, json::Error> {
    Seal::of(place, &(&by.step, &by.stage, &by.selected, answer))
}

/// A table with one line an entry; nothing where there is none.
fn table<T: Serialize>(
    text: &mut String,
    place: &[&str],
    entries: &BTreeMap<String, T>,
) -> Result<(), json::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let _ = writeln!(text, "\n[{}]", head(place));
    for (name, entry) in entries {
        let seal = Seal::of(&[place, &[name]].concat(), entry)?;
        let mut entry = serde_json::to_value(entry)?;
        if let Value::Object(members) = &mut entry {
            members.insert("seal".to_owned(), seal.to_string().into());
        }
        line(text, &string(name), &inline(&entry));
    }
    Ok(())
}

/// What a step was answered: lists have a line for each of their tables.
fn answer<T: Serialize>(
    text: &mut String,
    place: &[&str],
    asked: &Asked<T>,
) -> Result<(), json::Error> {
    let Asked { by, answer } = asked;
    let _ = writeln!(text, "\n[[{}]]", head(place));
    line(text, "step", &string(&by.step));
    if let Some(stage) = &by.stage {
        line(text, "stage", &string(stage));
    }
    line(text, "selected", &string(&by.selected.to_string()));
    let seal = seal_of(place, by, answer)?;
    line(text, "seal", &string(&seal.to_string()));
    let Value::Object(members) = serde_json::to_value(answer)? else {
        return Ok(());
    };
    for (name, value) in in_order(&members) {
        let value = match value {
            Value::Number(seconds) if name == "instant" => instant(seconds.as_i64().unwrap_or(0)),
            Value::Array(items) if items.iter().all(Value::is_object) => {
                let lines = items.iter().map(|item| format!("  {},\n", inline(item)));
                format!("[\n{}]", lines.collect::<String>())
            }
            other => inline(other),
        };
        line(text, name, &value);
    }
    Ok(())
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{key} = {value}");
}

/// Seconds since 1970, and what that is.
fn instant(seconds: i64) -> String {
    match seconds.to_string().parse::<Epoch>() {
        Ok(epoch) => format!("{seconds} # {epoch}"),
        Err(_) => seconds.to_string(),
    }
}

fn head(place: &[&str]) -> String {
    place
        .iter()
        .map(|part| key(part))
        .collect::<Vec<_>>()
        .join(".")
}

fn key(text: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !text.is_empty() && text.bytes().all(is_bare) {
        true => text.to_owned(),
        false => string(text),
    }
}

/// A basic string (TOML 1.0, "String"): always on one line.
fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{0}'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items = items.iter().map(inline);
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members = in_order(members)
                .into_iter()
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // Nothing that is none is ever written; numbers and truth values are as in JSON.
        other => other.to_string(),
    }
}

/// Members in the order in which they are written.
fn in_order(members: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    let rank = |name: &str| FIRST.iter().position(|first| *first == name);
    members.sort_by_key(|(name, _)| (rank(name).unwrap_or(FIRST.len()), name.to_owned()));
    members
}
