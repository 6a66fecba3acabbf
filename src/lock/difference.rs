//! What moved from one lock to another, in people's words.
//!
//! In: two locks, the one before and the one after. Out: [`Moved`], by what moved, in the order of
//! the lock's text. Pure; what changed inside of images is for whoever can read them.

use std::collections::{BTreeMap, BTreeSet};

use super::package_url::{self, Named};
use super::{Asked, Exchange, Image, Lock, OfPlatform, PackageSet, Record};
use crate::canon::{Digest, Platform};

/// Something that isn't the same in both locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What, for people: `image docker.io/library/debian:12 (linux/amd64)`.
    pub what: String,
    /// How.
    pub how: How,
}

/// How it moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// An image for a platform: before and after.
    Image(Platform, Image, Image),
    /// Anything else: what is to be said of it.
    Changed(String),
}

/// The changes of packages, for people: the first few by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packages {
    /// `NAME BEFORE→AFTER`, `+NAME VERSION`, `-NAME VERSION`, by name.
    pub changes: Vec<String>,
}

/// Changes that are said by name.
const NAMED: usize = 8;

impl Packages {
    /// From `before` to `after`, versions by name.
    pub fn new(before: &BTreeSet<Named>, after: &BTreeSet<Named>) -> Packages {
        let versions = |all: &BTreeSet<Named>| {
            let mut by_name = BTreeMap::<String, Vec<String>>::new();
            for named in all {
                let versions = by_name.entry(named.name.clone()).or_default();
                versions.push(named.version.clone());
            }
            by_name
        };
        let (before, after) = (versions(before), versions(after));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changes =
            names
                .into_iter()
                .filter_map(|name| match (before.get(name), after.get(name)) {
                    (Some(old), Some(new)) if old == new => None,
                    (Some(old), Some(new)) => {
                        Some(format!("{name} {}→{}", old.join(","), new.join(",")))
                    }
                    (None, Some(new)) => Some(format!("+{name} {}", new.join(","))),
                    (Some(old), None) => Some(format!("-{name} {}", old.join(","))),
                    (None, None) => None,
                });
        Packages {
            changes: changes.collect(),
        }
    }
}

impl std::fmt::Display for Packages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.changes.len();
        let noun = if count == 1 { "package" } else { "packages" };
        write!(f, "{count} {noun} changed")?;
        let named = self.changes.iter().take(NAMED);
        for change in named {
            write!(f, ", {change}")?;
        }
        match count > NAMED {
            true => f.write_str(", …"),
            false => Ok(()),
        }
    }
}

/// What moved from `before` to `after`.
pub fn difference(before: &Lock, after: &Lock) -> Vec<Moved> {
    let mut moved = Vec::new();
    if let (Some(old), Some(new)) = (&before.epoch, &after.epoch)
        && old.seconds != new.seconds
    {
        moved.push(Moved {
            what: "epoch".to_owned(),
            how: How::Changed(format!("{}→{}", old.seconds, new.seconds)),
        });
    }
    maps(&mut moved, "git", &before.git, &after.git, |old, new| {
        How::Changed(match old.commit == new.commit {
            true => format!("other files of the same commit {}", short(&old.commit)),
            false => format!("commit {}→{}", short(&old.commit), short(&new.commit)),
        })
    });
    maps(&mut moved, "http", &before.http, &after.http, |old, new| {
        How::Changed(match old.sha256 == new.sha256 {
            true => "another time".to_owned(),
            false => format!(
                "{}→{}, {} bytes→{}",
                shortened(&old.sha256),
                shortened(&new.sha256),
                old.size,
                new.size
            ),
        })
    });
    let none = OfPlatform::default();
    let platforms: BTreeSet<_> = before
        .platforms
        .keys()
        .chain(after.platforms.keys())
        .collect();
    for platform in platforms {
        let old = before.platforms.get(platform).unwrap_or(&none);
        let new = after.platforms.get(platform).unwrap_or(&none);
        of_platform(&mut moved, platform, old, new);
    }
    moved
}

fn of_platform(moved: &mut Vec<Moved>, platform: &Platform, old: &OfPlatform, new: &OfPlatform) {
    let at = moved.len();
    maps(moved, "image", &old.images, &new.images, |old, new| {
        How::Image(platform.clone(), *old, *new)
    });
    steps(moved, &old.packages, &new.packages, of_packages);
    steps(moved, &old.commands, &new.commands, of_records);
    for moved in moved.iter_mut().skip(at) {
        moved.what = format!("{} ({platform})", moved.what);
    }
}

fn maps<T: PartialEq>(
    moved: &mut Vec<Moved>,
    kind: &str,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    changed: impl Fn(&T, &T) -> How,
) {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for name in names {
        let how = match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => changed(old, new),
            (None, _) => How::Added,
            (_, None) => How::Removed,
        };
        let what = format!("{kind} {name}");
        moved.push(Moved { what, how });
    }
}

/// Steps are the same where what they ask is; the recipe's order stays.
fn steps<T: PartialEq>(
    moved: &mut Vec<Moved>,
    before: &[Asked<T>],
    after: &[Asked<T>],
    changed: impl Fn(&T, &T) -> String,
) {
    for new in after {
        let old = before.iter().find(|old| old.by.selected == new.by.selected);
        let how = match old {
            Some(old) if old.answer == new.answer => continue,
            Some(old) => How::Changed(changed(&old.answer, &new.answer)),
            None => How::Added,
        };
        let what = new.by.step.clone();
        moved.push(Moved { what, how });
    }
    for old in before {
        if after.iter().all(|new| old.by.selected != new.by.selected) {
            let (what, how) = (old.by.step.clone(), How::Removed);
            moved.push(Moved { what, how });
        }
    }
}

fn of_packages(old: &PackageSet, new: &PackageSet) -> String {
    let named = |set: &PackageSet| {
        let packages = set.packages.iter().map(|package| Named {
            name: package.name.clone(),
            version: package.version.clone(),
        });
        packages.collect::<BTreeSet<_>>()
    };
    let packages = Packages::new(&named(old), &named(new));
    match packages.changes.is_empty() {
        true => "the same packages, by another release".to_owned(),
        false => packages.to_string(),
    }
}

fn of_records(old: &Record, new: &Record) -> String {
    let answers = |record: &Record| {
        let mut answers = BTreeMap::<_, Vec<_>>::new();
        for Exchange { request, response } in &record.exchanges {
            let all = answers.entry(request.clone()).or_default();
            all.push(response.clone());
        }
        answers
    };
    let (before, after) = (answers(old), answers(new));
    let changed = after.iter().filter(|(request, response)| {
        let old = before.get(request);
        old.is_some_and(|old| old != *response)
    });
    let added = after.keys().filter(|request| !before.contains_key(request));
    let removed = before.keys().filter(|request| !after.contains_key(request));
    let parts = [
        ("other answer", changed.count()),
        ("more request", added.count()),
        ("fewer request", removed.count()),
    ];
    let mut said: Vec<_> = parts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        })
        .collect();
    if said.is_empty() {
        said.push("the same answers at another time".to_owned());
    }
    let named = |record: &Record| {
        let urls = record
            .exchanges
            .iter()
            .map(|exchange| &exchange.request.url);
        urls.filter_map(|url| package_url::package(url))
            .collect::<BTreeSet<_>>()
    };
    let packages = Packages::new(&named(old), &named(new));
    if !packages.changes.is_empty() {
        said.push(packages.to_string());
    }
    said.join("; ")
}

/// The first digits of a digest, for people.
pub fn shortened(digest: &Digest) -> String {
    short(&digest.hex()).to_owned()
}

fn short(hex: &str) -> &str {
    hex.get(..12).unwrap_or(hex)
}
