//! The packages that there are: those of archives, and those that an image has installed.
//!
//! In: `Packages` files and a dpkg status (deb822(5), dpkg's own). Out: [`Index`], by name and by
//! what is provided. It borrows from the texts: only what is asked for is read further.

use std::collections::BTreeMap;

use super::Version;
use super::control::{Paragraph, paragraphs};
use super::relation::{Relation, clauses};

/// All packages.
#[derive(Debug, Default)]
pub struct Index<'a> {
    packages: Vec<Candidate<'a>>,
    by_name: BTreeMap<&'a str, Vec<usize>>,
    providers: BTreeMap<String, Vec<usize>>,
}

/// A package that can be installed, or is.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// `libc6`.
    pub name: &'a str,
    /// Its version.
    pub version: Version,
    /// `amd64`, `all`.
    pub architecture: &'a str,
    /// The archive that has it, by number; none where it is installed.
    pub archive: Option<usize>,
    /// Whether all others may rely on it (Debian Policy 3.8).
    pub is_essential: bool,
    /// `required`, `important`, …
    pub priority: &'a str,
    /// Whether `name:any` means it (`Multi-Arch: allowed`).
    pub is_allowed: bool,
    /// Virtual packages that it stands for.
    pub provides: Vec<Relation>,
    /// All that is said of it.
    pub paragraph: Paragraph<'a>,
}

impl<'a> Candidate<'a> {
    /// The package of one paragraph; none where it lacks what every package has.
    pub fn new(paragraph: Paragraph<'a>, archive: Option<usize>) -> Option<Candidate<'a>> {
        candidate(paragraph, archive)
    }

    /// Whether it is this package, or stands for it, that `relation` means.
    pub fn satisfies(&self, relation: &Relation, architecture: &str) -> bool {
        let is_meant = match relation.architecture.as_deref() {
            Some("any") => self.is_allowed,
            None | Some("native") => true,
            Some(other) => other == architecture,
        };
        let is_it = self.name == relation.name && relation.admits(&self.version);
        is_meant
            && (is_it
                || self
                    .provides
                    .iter()
                    .any(|provided| stands_for(provided, relation)))
    }
}

/// Whether what provides `provided` has what `relation` asks for (Debian Policy 7.5).
fn stands_for(provided: &Relation, relation: &Relation) -> bool {
    provided.name == relation.name
        && match (&relation.versions, &provided.versions) {
            (None, _) => true,
            (Some(_), Some((_, version))) => relation.admits(version),
            (Some(_), None) => false,
        }
}

impl<'a> Index<'a> {
    /// Adds the packages of an archive's index for one architecture. Says how many paragraphs of
    /// it name no package that can be installed.
    pub fn add_archive(&mut self, text: &'a str, archive: usize) -> usize {
        let mut unread = 0;
        for paragraph in paragraphs(text) {
            match candidate(paragraph, Some(archive)) {
                Some(candidate) => self.add(candidate),
                None => unread += 1,
            }
        }
        unread
    }

    /// Adds what a dpkg status says is installed.
    pub fn add_installed(&mut self, status: &'a str) {
        for paragraph in paragraphs(status) {
            let status = paragraph.get("Status").unwrap_or("");
            let mut words = status.split_whitespace().skip(1);
            let is_there = words.next().is_some_and(|flag| flag == "ok")
                && words.next().is_some_and(|state| {
                    matches!(state, "installed" | "unpacked" | "half-configured")
                        || state.starts_with("triggers-")
                });
            if let Some(candidate) = candidate(paragraph, None).filter(|_| is_there) {
                self.add(candidate);
            }
        }
    }

    fn add(&mut self, candidate: Candidate<'a>) {
        let number = self.packages.len();
        self.by_name.entry(candidate.name).or_default().push(number);
        for provided in &candidate.provides {
            let providers = self.providers.entry(provided.name.clone()).or_default();
            if providers.last() != Some(&number) {
                providers.push(number);
            }
        }
        self.packages.push(candidate);
    }

    /// The package of that number.
    pub fn get(&self, number: usize) -> Option<&Candidate<'a>> {
        self.packages.get(number)
    }

    /// All of them, in the order in which they came.
    pub fn packages(&self) -> &[Candidate<'a>] {
        &self.packages
    }

    /// The numbers of those that are called `name`.
    pub fn named(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The numbers of those that provide `name`.
    pub fn providing(&self, name: &str) -> &[usize] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that there are.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().copied()
    }
}

fn candidate(paragraph: Paragraph<'_>, archive: Option<usize>) -> Option<Candidate<'_>> {
    let (mut name, mut version, mut architecture) = (None, None, None);
    let (mut is_essential, mut priority, mut is_allowed) = (false, "", false);
    let mut provides = Vec::new();
    for (field, value) in paragraph.fields() {
        match field {
            "Package" => name = Some(value),
            "Version" => version = Version::new(value),
            "Architecture" => architecture = Some(value),
            "Essential" => is_essential = value == "yes",
            "Priority" => priority = value,
            "Multi-Arch" => is_allowed = value == "allowed",
            "Provides" => provides = clauses(value).into_iter().flatten().collect(),
            _ => {}
        }
    }
    Some(Candidate {
        name: name.filter(|name| super::relation::is_name(name))?,
        version: version?,
        architecture: architecture?,
        archive,
        is_essential,
        priority,
        is_allowed,
        provides,
        paragraph,
    })
}
