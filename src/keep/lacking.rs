//! What a store, or an artifact, lacks of a lock's inputs.
//!
//! In: each by its kind, platform and name. Out: what is said of all of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::canon::{Digest, Platform};

/// Names of one kind that are told.
const TOLD: usize = 3;

/// What is lacking, of which there is some.
#[derive(Debug)]
pub struct Lacking(pub(super) Vec<Lack>);

/// One thing that is lacking.
#[derive(Debug)]
pub(super) struct Lack {
    /// Which it is of; none is all.
    pub(super) platform: Option<Platform>,
    pub(super) kind: Kind,
    /// As the lock calls it.
    pub(super) name: String,
    pub(super) digest: Digest,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Or a part of one.
    Image,
    /// Of a server.
    File,
    Commit,
    Package,
    /// What a command was answered.
    Fetched,
}

impl Kind {
    fn words(self, count: usize) -> String {
        let (one, several) = match self {
            Kind::Image => ("a part of an image", "parts of images"),
            Kind::File => ("a file", "files"),
            Kind::Commit => ("a commit", "commits"),
            Kind::Package => ("a package", "packages"),
            Kind::Fetched => ("an answer that a command got", "answers that commands got"),
        };
        match count {
            1 => one.to_owned(),
            _ => format!("{count} {several}"),
        }
    }
}

impl Lacking {
    /// The platforms of which something is lacking.
    fn platforms(&self) -> Vec<String> {
        let of = self.0.iter().filter_map(|lack| lack.platform.as_ref());
        let mut platforms: Vec<_> = of.map(Platform::to_string).collect();
        platforms.sort();
        platforms.dedup();
        platforms
    }

    /// What brings it.
    pub(super) fn way_out(&self) -> String {
        let platforms = match self.platforms().join(",") {
            none if none.is_empty() => String::new(),
            some => format!(" --platform {some}"),
        };
        format!(
            "`cairn build --locked{platforms}` brings it, as long as it can be had; `cairn lock --push` sends inputs that no image was built with"
        )
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for lack in &self.0 {
            let platform = lack.platform.as_ref().map(Platform::to_string);
            groups.entry((platform, lack.kind)).or_default().push(lack);
        }
        for ((platform, kind), lacks) in groups {
            let of = platform.map_or_else(String::new, |platform| format!("{platform}: "));
            let words = kind.words(lacks.len());
            let first = lacks.iter().take(TOLD);
            let names = first.map(|lack| format!("`{}` ({})", lack.name, lack.digest.short()));
            let more = if lacks.len() > TOLD { ", …" } else { "" };
            let names = names.collect::<Vec<_>>().join(", ");
            write!(f, "\n  {of}{words}: {names}{more}")?;
        }
        Ok(())
    }
}
