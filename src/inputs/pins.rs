//! The lock as a build uses it: what names are held to, and what they turned out to mean.
//!
//! In: a lock or none, and what is to be done about names that it doesn't hold. Out: what a name
//! is held to; and [`Pins::found`], a lock of everything that the build came upon.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::canon::{Digest, Platform, Reference};
use crate::lock::provenance::Provenance;
use crate::lock::{Asked, Asker, Commit, File, Image, Lock, OfPlatform, PackageSet, Record};

/// What is done about a name that the lock doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unheld {
    /// It means what it means today.
    #[default]
    Looked,
    /// It means what it means today, and what a command fetches is recorded.
    Recorded {
        /// The instant of the records, in seconds since 1970.
        instant: i64,
    },
    /// The build fails.
    Refused,
}

/// A name that a lock can't say the meaning of: it may only come from there and isn't there, or the
/// recipe itself says another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// `--locked` without a lock: which names, as people are told them.
    #[error(
        "not pinned, as there is no lock: {0}\nhint: `cairn lock` makes one; commit it beside the recipe"
    )]
    NoLock(String),
    /// The lock is not this recipe's, or of before a change.
    #[error("`{lock}` does not hold {names}\nhint: {way_out}")]
    Missing {
        /// The lock's file name.
        lock: String,
        /// As people are told them.
        names: String,
        /// What helps.
        way_out: &'static str,
    },
    /// Both say something, and not the same.
    #[error(
        "`{lock}` has another `{name}` than the recipe\n  the recipe says {recipe}\n  the lock says   {held}\nhint: `cairn lock --update {name}` takes what the recipe says"
    )]
    Contradicted {
        /// The lock's file name.
        lock: String,
        /// As the lock calls it.
        name: String,
        /// As the recipe has it.
        recipe: String,
        /// As the lock has it.
        held: String,
    },
}

/// The way out where a lock lacks something.
pub const ADD: &str = "`cairn lock` adds what is missing to it";

/// What the names of a recipe are held to.
#[derive(Debug)]
pub struct Pins {
    held: Option<Lock>,
    /// The lock's file name, for people.
    file_name: String,
    unheld: Unheld,
    offline: bool,
    proposed: Provenance,
    found: Mutex<Lock>,
}

impl Default for Pins {
    fn default() -> Pins {
        Pins::new(None, Unheld::default(), false)
    }
}

impl Pins {
    /// Held to `held`, where there is a lock. `offline` says that nothing outside is asked.
    pub fn new(held: Option<Lock>, unheld: Unheld, offline: bool) -> Pins {
        Pins {
            held,
            file_name: "cairn.lock".to_owned(),
            unheld,
            offline,
            proposed: Provenance::default(),
            found: Mutex::default(),
        }
    }

    /// The same, where the lock's file has that name.
    pub fn called(self, file_name: String) -> Pins {
        Pins { file_name, ..self }
    }

    /// The lock's file name.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The same, where names that aren't held mean what `proposed` says, as far as it does.
    pub fn proposing(self, proposed: Provenance) -> Pins {
        Pins { proposed, ..self }
    }

    /// What names that aren't held are to mean.
    pub fn proposed(&self) -> &Provenance {
        &self.proposed
    }

    /// The lock.
    pub fn held(&self) -> Option<&Lock> {
        self.held.as_ref()
    }

    /// Whether nothing outside is asked.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// What is done about names that the lock doesn't hold.
    pub fn unheld(&self) -> Unheld {
        self.unheld
    }

    /// Everything that was looked up or held so far.
    pub fn found(&self) -> Lock {
        self.found_mut().clone()
    }

    /// What an image's name means; none where that is to be looked up, or its digest says it.
    pub fn image(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Option<Image>, NotHeld> {
        let name = reference.to_string();
        let held = self.of(platform).and_then(|of| of.images.get(&name));
        match (&reference.digest, held) {
            (None, _) => self.or_unheld(held.copied(), &name),
            (Some(own), Some(held)) if *own != held.named() => {
                Err(self.contradicted(&name, own, &held.named()))
            }
            (Some(_), held) => Ok(held.copied()),
        }
    }

    /// Remembers what an image's name means.
    pub fn put_image(&self, reference: &Reference, platform: &Platform, image: Image) {
        let name = reference.to_string();
        self.change(platform, |of| of.images.insert(name, image));
    }

    /// What the ref of a repository means, by [`crate::lock::git_name`]; none where that is to be
    /// looked up, or the ref is the commit itself: `own`.
    pub fn commit(&self, name: &str, own: Option<&str>) -> Result<Option<Commit>, NotHeld> {
        let held = self.held.as_ref().and_then(|lock| lock.git.get(name));
        match (own, held) {
            (None, _) => self.or_unheld(held.cloned(), name),
            (Some(own), Some(held)) if *own != held.commit => {
                Err(self.contradicted(name, &own, &held.commit))
            }
            (Some(_), held) => Ok(held.cloned()),
        }
    }

    /// Remembers what the ref of a repository means.
    pub fn put_commit(&self, name: &str, commit: Commit) {
        self.found_mut().git.insert(name.to_owned(), commit);
    }

    /// What a file of an HTTP server is; none where that is to be looked up, or the recipe says
    /// it: `own`, which may be newer than the lock unless nothing else than that counts.
    pub fn file(&self, url: &str, own: Option<&Digest>) -> Result<Option<File>, NotHeld> {
        let held = self.held.as_ref().and_then(|lock| lock.http.get(url));
        match (own, held, self.unheld) {
            (None, ..) => self.or_unheld(held.copied(), url),
            (Some(own), Some(held), Unheld::Refused) if *own != held.sha256 => {
                Err(self.contradicted(url, own, &held.sha256))
            }
            (Some(_), ..) => Ok(None),
        }
    }

    /// Remembers what a file of an HTTP server is.
    pub fn put_file(&self, url: &str, file: File) {
        self.found_mut().http.insert(url.to_owned(), file);
    }

    /// What a command fetched.
    pub fn record(&self, platform: &Platform, by: &Asker) -> Result<Option<&Record>, NotHeld> {
        let held = self.of(platform).and_then(|of| answer(&of.commands, by));
        self.or_unheld(held, &by.step)
    }

    /// Remembers what a command fetched.
    pub fn put_record(&self, platform: &Platform, by: &Asker, answer: Record) {
        self.change(platform, |of| put(&mut of.commands, by, answer));
    }

    /// What packages were solved.
    pub fn packages(
        &self,
        platform: &Platform,
        by: &Asker,
    ) -> Result<Option<&PackageSet>, NotHeld> {
        let held = self.of(platform).and_then(|of| answer(&of.packages, by));
        self.or_unheld(held, &by.step)
    }

    /// Remembers what packages were solved.
    pub fn put_packages(&self, platform: &Platform, by: &Asker, answer: PackageSet) {
        self.change(platform, |of| put(&mut of.packages, by, answer));
    }

    fn of(&self, platform: &Platform) -> Option<&OfPlatform> {
        self.held.as_ref()?.platforms.get(platform)
    }

    fn or_unheld<T>(&self, held: Option<T>, name: &str) -> Result<Option<T>, NotHeld> {
        match (held, self.unheld) {
            (Some(held), _) => Ok(Some(held)),
            (None, Unheld::Refused) => Err(self.not_held(format!("`{name}`"), ADD)),
            (None, Unheld::Looked | Unheld::Recorded { .. }) => Ok(None),
        }
    }

    /// That these names, as people are told them, are not held.
    pub fn not_held(&self, names: String, way_out: &'static str) -> NotHeld {
        match self.held {
            None => NotHeld::NoLock(names),
            Some(_) => NotHeld::Missing {
                lock: self.file_name.clone(),
                names,
                way_out,
            },
        }
    }

    fn contradicted(&self, name: &str, recipe: &dyn Display, held: &dyn Display) -> NotHeld {
        NotHeld::Contradicted {
            lock: self.file_name.clone(),
            name: name.to_owned(),
            recipe: recipe.to_string(),
            held: held.to_string(),
        }
    }

    fn found_mut(&self) -> MutexGuard<'_, Lock> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, platform: &Platform, change: impl FnOnce(&mut OfPlatform) -> T) {
        let mut found = self.found_mut();
        change(found.platforms.entry(platform.clone()).or_default());
    }
}

fn answer<'a, T>(all: &'a [Asked<T>], by: &Asker) -> Option<&'a T> {
    let same = |asked: &&Asked<T>| asked.by.selected == by.selected;
    all.iter().find(same).map(|asked| &asked.answer)
}

fn put<T>(all: &mut Vec<Asked<T>>, by: &Asker, answer: T) {
    all.retain(|asked| asked.by.selected != by.selected);
    let by = by.clone();
    all.push(Asked { by, answer });
}
