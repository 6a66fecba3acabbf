//! Snapshots: layers and files unpacked for commands to run on.
//!
//! In: a name, and how what it names is unpacked. Out: a folder that holds all of it. Any snapshot
//! may be deleted while no cairn is at work, and is made again when it is wanted. It is not
//! synced, so that one is trusted only until the machine starts again: a crash may have left half
//! of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Error, Store, io_error, lock};

/// Unpacks, and removes what was unpacked: its files may belong to users for whom only the
/// sandbox can act.
pub trait Unpacker<E> {
    /// Unpacks into `folder`, which is empty.
    fn unpack(&self, folder: &Path) -> Result<(), E>;

    /// Removes `folder` and all that it holds.
    fn remove(&self, folder: &Path) -> Result<(), E>;
}

impl Store {
    /// The folder of the snapshot `name`, a plain file name, which is made if it isn't there.
    /// Whoever asks for it meanwhile waits.
    pub fn snapshot<E: From<Error>>(
        &self,
        name: &str,
        unpacker: &dyn Unpacker<E>,
    ) -> Result<PathBuf, E> {
        let place = self.root.join("snapshots").join(name);
        let boot = boot_id();
        if is_whole(&place, &boot) {
            return Ok(place.join("root"));
        }
        let _lock = lock::exclusive(&self.root.join("snapshots").join(format!("{name}.lock")))?;
        if is_whole(&place, &boot) {
            return Ok(place.join("root"));
        }
        if place.symlink_metadata().is_ok() {
            unpacker.remove(&place)?;
        }
        let (made, held) = self.temporary_folder()?;
        let root = made.path().join("root");
        let unpacked = super::make_root(&root)
            .map_err(E::from)
            .and_then(|()| unpacker.unpack(&root));
        if let Err(error) = unpacked {
            // What is left of it is tidied up by whoever comes next.
            let _ = unpacker.remove(&root);
            return Err(error);
        }
        let marker = made.path().join("made");
        std::fs::File::create(&marker)
            .and_then(|mut file| file.write_all(boot.as_bytes()))
            .map_err(io_error("write", &marker))?;
        let made = made.keep();
        #[expect(clippy::disallowed_methods, reason = "a cache, not synced on purpose")]
        let renamed = std::fs::rename(&made, &place).map_err(io_error("write", &place));
        drop(held);
        renamed?;
        Ok(place.join("root"))
    }

    /// Unfinished folders whose makers are gone and that could not be removed, as their files
    /// belong to users of the sandbox: it is for the sandbox to remove them.
    pub fn abandoned_folders(&self) -> Vec<(PathBuf, std::fs::File)> {
        lock::abandoned_folders(&self.root.join("tmp"))
    }
}

fn is_whole(place: &Path, boot: &str) -> bool {
    let marker = std::fs::read_to_string(place.join("made"));
    marker.is_ok_and(|made| made == boot)
}

/// What names the time since the machine started (proc(5), "boot_id").
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Maker<'a> {
        times: &'a Cell<u32>,
        fails: bool,
    }

    impl Unpacker<Error> for Maker<'_> {
        fn unpack(&self, folder: &Path) -> Result<(), Error> {
            self.times.set(self.times.get() + 1);
            std::fs::write(folder.join("file"), b"x").map_err(io_error("write", folder))?;
            match self.fails {
                true => Err(Error::Missing("it".to_owned())),
                false => Ok(()),
            }
        }

        fn remove(&self, folder: &Path) -> Result<(), Error> {
            std::fs::remove_dir_all(folder).map_err(io_error("remove", folder))
        }
    }

    #[test]
    fn a_snapshot_is_made_once_for_each_start_of_the_machine_and_never_by_halves() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let times = Cell::new(0);
        let times = &times;
        let make = |fails| store.snapshot("name", &Maker { times, fails });
        make(true).unwrap_err();
        let place = make(false).unwrap();
        assert!(place.join("file").exists());
        assert_eq!(make(true).unwrap(), place);
        assert_eq!(times.get(), 2);
        // As another start of the machine would have named itself.
        std::fs::write(place.parent().unwrap().join("made"), "other").unwrap();
        make(false).unwrap();
        assert_eq!(times.get(), 3);
        assert!(store.abandoned_folders().is_empty());
    }

    #[test]
    fn what_is_abandoned_is_held_as_long_as_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (made, lock) = store.temporary_folder().unwrap();
        assert!(store.abandoned_folders().is_empty());
        drop(lock);
        let abandoned = store.abandoned_folders();
        assert_eq!(abandoned[0].0, made.path());
        // Whoever would take it now waits until it is gone.
        let again = std::fs::File::open(made.path()).unwrap();
        let shared = rustix::fs::FlockOperation::NonBlockingLockShared;
        assert!(rustix::fs::flock(&again, shared).is_err());
        drop(abandoned);
        assert!(rustix::fs::flock(&again, shared).is_ok());
    }
}
