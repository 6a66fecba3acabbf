//! Caches: folders that commands keep from build to build.
//!
//! In: a cache's name, and who else may use it meanwhile. Out: [`Cache`], a folder and the lock on
//! it. What is in one is nobody's input: a build without it comes out the same, later.
//!
//! ```text
//! caches/HEX-USERS/root     what the cache holds
//!                  id       its name
//!                  made     there once it was filled
//!                  size     bytes that it took up after its last use, at the time of that
//! caches/HEX-USERS.lock     held as its users share it
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::snapshot::Unpacker;
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

/// A cache that is there, in use or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: String,
    /// Bytes on disk after its last use, where that came to an end.
    pub size: Option<u64>,
    /// When that was.
    pub used: Option<SystemTime>,
    place: PathBuf,
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

    /// All caches, by name.
    pub fn caches(&self) -> Vec<Kept> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let Ok(found) = std::fs::read_dir(self.root.join("caches")) else {
            return Vec::new();
        };
        let named = found.flatten().filter_map(|place| {
            let place = place.path();
            let id = std::fs::read_to_string(place.join("id")).ok()?;
            let used = used(&place);
            let size = std::fs::read_to_string(place.join("size")).ok();
            let size = size.and_then(|size| size.parse().ok());
            Some(Kept {
                id,
                size,
                used,
                place,
            })
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by(|a, b| (&a.id, &a.place).cmp(&(&b.id, &b.place)));
        named
    }
}

impl Cache {
    /// Its folder; whoever uses it first makes it with [`Cache::fill`].
    pub fn folder(&self) -> PathBuf {
        self.place.join("root")
    }

    /// Has `unpacker` fill the folder with what the cache holds at first, unless it is there. A
    /// second user waits meanwhile.
    pub fn fill<E: From<Error>>(&self, unpacker: &dyn Unpacker<E>) -> Result<(), E> {
        let done = self.place.join("made");
        if done.exists() && self.folder().exists() {
            return Ok(());
        }
        let _lock = lock::exclusive(&self.place.join("filling"))?;
        if done.exists() && self.folder().exists() {
            return Ok(());
        }
        let folder = self.folder();
        if folder.exists() {
            // Whoever began to fill it was interrupted, before any command saw it.
            unpacker.remove(&folder)?;
        }
        super::make_root(&folder)?;
        unpacker.unpack(&folder)?;
        File::create(&done).map_err(io_error("write", &done))?;
        Ok(())
    }

    /// Notes how many bytes it takes up on disk, and that it was used now.
    pub fn measured(&self, size: u64) -> Result<(), Error> {
        let path = self.place.join("size");
        std::fs::write(&path, size.to_string()).map_err(io_error("write", &path))
    }
}

impl Kept {
    /// Removes it, its files by `remove`, unless somebody uses it: whether it is gone.
    pub fn remove<E: From<Error>>(
        &self,
        remove: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(_lock) = lock::try_exclusive(&lock_of(&self.place))? else {
            return Ok(false);
        };
        // Others may have used it since, or removed it.
        if used(&self.place) != self.used {
            return Ok(false);
        }
        let gone = |path: &Path| {
            let removed = std::fs::remove_file(path).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
            removed.map_err(io_error("remove", path))
        };
        // First of all what says that it is whole.
        gone(&self.place.join("made"))?;
        remove(&self.place.join("root"))?;
        match std::fs::remove_dir_all(&self.place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            other => other
                .map(|()| true)
                .map_err(|error| E::from(io_error("remove", &self.place)(error))),
        }
    }
}

/// When a cache was last used.
fn used(place: &Path) -> Option<SystemTime> {
    let size = place.join("size").metadata();
    size.and_then(|meta| meta.modified()).ok()
}

/// Where the lock of a cache is.
fn lock_of(place: &Path) -> PathBuf {
    place.with_extension("lock")
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
        let names: Vec<_> = store.caches().into_iter().map(|kept| kept.id).collect();
        assert_eq!(names, ["a", "a", "a", "b"]);
    }

    impl Store {
        fn cache_lock(&self, id: &str) -> PathBuf {
            let name = format!("{}-whole.lock", Digest::of(id.as_bytes()).hex());
            self.root.join("caches").join(name)
        }
    }

    /// Writes one file; fails after it.
    struct Half(&'static str, bool);

    impl Unpacker<Error> for Half {
        fn unpack(&self, folder: &Path) -> Result<(), Error> {
            std::fs::write(folder.join(self.0), b"").map_err(io_error("write", folder))?;
            match self.1 {
                true => Err(Error::Missing("it".to_owned())),
                false => Ok(()),
            }
        }

        fn remove(&self, folder: &Path) -> Result<(), Error> {
            std::fs::remove_dir_all(folder).map_err(io_error("remove", folder))
        }
    }

    #[test]
    fn a_cache_is_filled_once_and_anew_where_that_was_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cache = store.cache("a", "whole", Sharing::Shared).unwrap();
        cache.fill(&Half("half", true)).unwrap_err();
        cache.fill(&Half("one", false)).unwrap();
        cache.fill(&Half("two", false)).unwrap();
        let is_there = ["half", "one", "two"].map(|name| cache.folder().join(name).exists());
        assert_eq!(is_there, [false, true, false]);
    }

    #[test]
    fn a_cache_is_removed_unless_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cache = store.cache("a", "whole", Sharing::Shared).unwrap();
        cache.fill(&Half("one", false)).unwrap();
        assert_eq!(store.caches()[0].size, None);
        cache.measured(7).unwrap();
        let kept = store.caches().remove(0);
        assert_eq!((kept.id.as_str(), kept.size), ("a", Some(7)));
        let remove = |folder: &Path| Half("", false).remove(folder);
        assert!(!kept.remove(remove).unwrap());
        let root = cache.folder();
        drop(cache);
        assert!(kept.remove(remove).unwrap());
        assert!(!root.exists() && store.caches().is_empty());
    }
}
