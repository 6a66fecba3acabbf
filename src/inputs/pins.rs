//! The lock as a build uses it: what names are held to, and what they turned out to mean.
//!
//! In: a lock or none, and what is to be done about names that it doesn't hold. Out: what a name
//! is held to; and [`Pins::found`], a lock of everything that the build came upon.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::canon::{Platform, Reference};
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

/// A name that a build may only take from the lock, and that isn't there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// `--locked` without a lock.
    #[error(
        "`{0}` is not pinned, as there is no lock\nhint: `cairn lock` makes one; commit it beside the recipe"
    )]
    NoLock(String),
    /// The lock is not this recipe's, or of before a change.
    #[error("the lock does not hold `{0}`\nhint: `cairn lock` adds what is missing to it")]
    Missing(String),
}

/// What the names of a recipe are held to.
#[derive(Debug, Default)]
pub struct Pins {
    held: Option<Lock>,
    unheld: Unheld,
    offline: bool,
    proposed: Provenance,
    found: Mutex<Lock>,
}

impl Pins {
    /// Held to `held`, where there is a lock. `offline` says that nothing outside is asked.
    pub fn new(held: Option<Lock>, unheld: Unheld, offline: bool) -> Pins {
        Pins {
            held,
            unheld,
            offline,
            proposed: Provenance::default(),
            found: Mutex::default(),
        }
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

    /// What an image's name means; none where that is to be looked up.
    pub fn image(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Option<Image>, NotHeld> {
        let name = reference.to_string();
        let held = self.of(platform).and_then(|of| of.images.get(&name));
        self.or_unheld(held.copied(), &name)
    }

    /// Remembers what an image's name means.
    pub fn put_image(&self, reference: &Reference, platform: &Platform, image: Image) {
        let name = reference.to_string();
        self.change(platform, |of| of.images.insert(name, image));
    }

    /// What the ref of a repository means, by [`crate::lock::git_name`].
    pub fn commit(&self, name: &str) -> Result<Option<Commit>, NotHeld> {
        let held = self.held.as_ref().and_then(|lock| lock.git.get(name));
        self.or_unheld(held.cloned(), name)
    }

    /// Remembers what the ref of a repository means.
    pub fn put_commit(&self, name: &str, commit: Commit) {
        self.found_mut().git.insert(name.to_owned(), commit);
    }

    /// What a file of an HTTP server is.
    pub fn file(&self, url: &str) -> Result<Option<File>, NotHeld> {
        let held = self.held.as_ref().and_then(|lock| lock.http.get(url));
        self.or_unheld(held.copied(), url)
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
        match (held, self.unheld, &self.held) {
            (Some(held), ..) => Ok(Some(held)),
            (None, Unheld::Refused, None) => Err(NotHeld::NoLock(name.to_owned())),
            (None, Unheld::Refused, Some(_)) => Err(NotHeld::Missing(name.to_owned())),
            (None, Unheld::Looked | Unheld::Recorded { .. }, _) => Ok(None),
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
