//! Caches: folders that commands keep from build to build.
//!
//! In: a cache's name, and who else may use it meanwhile. Out: [`Cache`], a folder and the lock on
//! it. What is in one is nobody's input: a build without it comes out the same, later.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Error, Store, io_error, lock};
use crate::canon::Digest;

/// Who else may use a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Anyone who shares it, too.
    Shared,
    /// Nobody: whoever comes meanwhile gets a folder of its own.
    Private,
    /// Nobody: whoever comes meanwhile waits.
    Locked,
}

/// A cache in use; it is free for others when this is dropped.
#[derive(Debug)]
pub struct Cache {
    place: PathBuf,
    _lock: File,
}

/// How many folders a private cache may have: more are used by nobody at a time.
const MOST_PRIVATE: u32 = 1024;

impl Store {
    /// The cache `id` of the sandbox's users `users`, a plain file name.
    pub fn cache(&self, id: &str, users: &str, sharing: Sharing) -> Result<Cache, Error> {
        let name = format!("{}-{users}", Digest::of(id.as_bytes()).hex());
        let at = |number: u32| match number {
            0 => self.root.join("caches").join(&name),
            number => self.root.join("caches").join(format!("{name}-{number}")),
        };
        let locked = |place: PathBuf, lock| {
            std::fs::create_dir_all(&place).map_err(io_error("make", &place))?;
            let label = place.join("id");
            if !label.exists() {
                std::fs::write(&label, id).map_err(io_error("write", &label))?;
            }
            Ok(Cache { place, _lock: lock })
        };
        let lock_of = |place: &Path| place.with_extension("lock");
        let first = at(0);
        match sharing {
            Sharing::Shared => match lock::shared(&lock_of(&first))? {
                Some(lock) => locked(first, lock),
                None => Err(Error::Missing(format!("folder for the cache `{id}`"))),
            },
            Sharing::Locked => {
                let lock = lock::exclusive(&lock_of(&first))?;
                locked(first, lock)
            }
            Sharing::Private => {
                for place in (0..MOST_PRIVATE).map(at) {
                    if let Some(lock) = lock::try_exclusive(&lock_of(&place))? {
                        return locked(place, lock);
                    }
                }
                Err(Error::Missing(format!("folder left for the cache `{id}`")))
            }
        }
    }

    /// The folders of all caches, each with the name of its cache.
    pub fn caches(&self) -> Vec<(String, PathBuf)> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let Ok(found) = std::fs::read_dir(self.root.join("caches")) else {
            return Vec::new();
        };
        let named = found.flatten().filter_map(|place| {
            let id = std::fs::read_to_string(place.path().join("id")).ok()?;
            Some((id, place.path().join("root")))
        });
        let mut named: Vec<_> = named.collect();
        named.sort();
        named
    }
}

impl Cache {
    /// Its folder; whoever uses it first makes it with [`Cache::fill`].
    pub fn folder(&self) -> PathBuf {
        self.place.join("root")
    }

    /// Has `make` fill the folder with what the cache holds at first, unless it is there. A second
    /// user waits meanwhile.
    pub fn fill<E: From<Error>>(&self, make: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        let done = self.place.join("made");
        if done.exists() {
            return Ok(());
        }
        let _lock = lock::exclusive(&self.place.join("filling"))?;
        if done.exists() {
            return Ok(());
        }
        let folder = self.folder();
        if folder.exists() {
            // Whoever began to fill it was interrupted, before any command saw it.
            std::fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))?;
        }
        std::fs::create_dir(&folder).map_err(io_error("make", &folder))?;
        make(&folder)?;
        File::create(&done).map_err(io_error("write", &done))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_says_who_gets_which_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cache = |id, sharing| store.cache(id, "whole", sharing).unwrap();
        let first = cache("a", Sharing::Shared);
        assert_eq!(cache("a", Sharing::Shared).folder(), first.folder());
        let private = cache("a", Sharing::Private);
        assert_ne!(private.folder(), first.folder());
        assert_ne!(cache("a", Sharing::Private).folder(), private.folder());
        assert_ne!(cache("b", Sharing::Locked).folder(), first.folder());
        let lock = |id| lock::try_exclusive(&store.cache_lock(id)).unwrap();
        assert!(lock("a").is_none() && lock("b").is_some());
        let held = cache("b", Sharing::Locked);
        assert!(lock("b").is_none());
        drop(held);
        assert!(lock("b").is_some());
        let folder = first.folder();
        drop((first, private));
        assert_eq!(cache("a", Sharing::Private).folder(), folder);
        let names: Vec<_> = store.caches().into_iter().map(|(id, _)| id).collect();
        assert_eq!(names, ["a", "a", "a", "b"]);
    }

    impl Store {
        fn cache_lock(&self, id: &str) -> PathBuf {
            let name = format!("{}-whole.lock", Digest::of(id.as_bytes()).hex());
            self.root.join("caches").join(name)
        }
    }

    #[test]
    fn a_cache_is_filled_once_and_anew_where_that_was_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cache = store.cache("a", "whole", Sharing::Shared).unwrap();
        let failed = cache.fill(|folder| {
            std::fs::write(folder.join("half"), b"").unwrap();
            Err(Error::Missing("it".to_owned()))
        });
        failed.unwrap_err();
        let fill = |name: &'static str| {
            let write = |folder: &Path| std::fs::write(folder.join(name), b"");
            cache.fill(|folder| write(folder).map_err(io_error("write", folder)))
        };
        fill("one").unwrap();
        fill("two").unwrap();
        let is_there = ["half", "one", "two"].map(|name| cache.folder().join(name).exists());
        assert_eq!(is_there, [false, true, false]);
    }
}
