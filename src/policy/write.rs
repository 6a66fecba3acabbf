//! A lock to the policy by which BuildKit takes what the lock says.
//!
//! In: a [`Lock`]. Out: JSON text: for each name of an image its digest, for each ref of a
//! repository its commit, for each URL its checksum; sorted, so that equal locks give equal text.

use std::collections::BTreeMap;

use serde::Serialize;

use super::git_place;
use super::input::HTTP_CHECKSUM;
use crate::lock::{Lock, git_parts};

/// Why there is no such policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A policy has one answer for a name.
    #[error(
        "`{name}` means {one} and {other}, and a source policy has one meaning for a name\nhint: `cairn lock --update {name}` takes what it means today, for all of its platforms"
    )]
    Ambiguous {
        /// The name.
        name: String,
        /// What it means.
        one: String,
        /// What it also means.
        other: String,
    },
    /// The star is a policy's own.
    #[error("`{0}` holds a star, which in a source policy stands for anything")]
    Star(String),
    /// JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct PolicyText {
    version: u32,
    rules: Vec<RuleText>,
}

#[derive(Serialize)]
struct RuleText {
    action: &'static str,
    selector: SelectorText,
    updates: UpdateText,
}

// Go's encoding of the message names it so, and that is what buildctl and buildx read.
#[derive(Serialize)]
struct SelectorText {
    identifier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    match_type: Option<&'static str>,
}

#[derive(Serialize)]
struct UpdateText {
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attrs: BTreeMap<&'static str, String>,
}

/// The policy that says what `lock` says, as far as BuildKit asks it: what commands fetch is none
/// of it.
pub fn write(lock: &Lock) -> Result<String, Error> {
    let mut rules = Vec::new();
    let mut images = BTreeMap::new();
    for (name, image) in lock.platforms.values().flat_map(|of| &of.images) {
        if !name.contains('@') {
            put(&mut images, name, &image.named().to_string())?;
        }
    }
    for (name, digest) in images {
        let from = format!("docker-image://{name}");
        let to = format!("{from}@{digest}");
        rules.push(to_identifier(from, to));
    }
    let mut commits = BTreeMap::new();
    for (key, commit) in &lock.git {
        let (url, name) = git_parts(key);
        let place = git_place(url);
        if place.contains('*') {
            return Err(Error::Star(key.clone()));
        }
        let name = name.unwrap_or_default();
        if name != commit.commit {
            put(&mut commits, &format!("{place}#{name}"), &commit.commit)?;
        }
    }
    for (name, commit) in commits {
        let (place, _) = name.rsplit_once('#').unwrap_or((&name, ""));
        let to = format!("git://{}#{commit}", place.replace('$', "$$"));
        let from = format!("git://{}", name.strip_suffix('#').unwrap_or(&name));
        rules.push(to_identifier(from, to.clone()));
        // A folder of it.
        rules.push(to_identifier(
            format!("git://{name}:*"),
            format!("{to}:${{1}}"),
        ));
    }
    for (url, file) in &lock.http {
        let is_pattern = url.contains(['*', '$']);
        let checksum = (HTTP_CHECKSUM, file.sha256.to_string());
        rules.push(RuleText {
            action: "CONVERT",
            selector: SelectorText {
                identifier: url.clone(),
                match_type: is_pattern.then_some("EXACT"),
            },
            updates: UpdateText {
                identifier: None,
                attrs: BTreeMap::from([checksum]),
            },
        });
    }
    let policy = PolicyText { version: 1, rules };
    Ok(serde_json::to_string_pretty(&policy)? + "\n")
}

fn put(all: &mut BTreeMap<String, String>, name: &str, meaning: &str) -> Result<(), Error> {
    match all.get(name) {
        Some(other) if other != meaning => Err(Error::Ambiguous {
            name: name.to_owned(),
            one: other.clone(),
            other: meaning.to_owned(),
        }),
        _ => {
            all.insert(name.to_owned(), meaning.to_owned());
            Ok(())
        }
    }
}

fn to_identifier(from: String, to: String) -> RuleText {
    RuleText {
        action: "CONVERT",
        selector: SelectorText {
            identifier: from,
            match_type: None,
        },
        updates: UpdateText {
            identifier: Some(to),
            attrs: BTreeMap::new(),
        },
    }
}
