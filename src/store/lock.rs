//! Locks between processes: `flock` on files, which the kernel drops with their holder.
//!
//! In: paths. Out: open files whose life is the lock's.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{Error, io_error};

/// Takes the lock at `path` together with everybody else at work; none where the store is
/// read-only, since nobody can remove anything there.
pub(super) fn shared(path: &Path) -> Result<Option<File>, Error> {
    let opened = File::options().create(true).append(true).open(path);
    let file = match opened.or_else(|_| File::open(path)) {
        Ok(file) => file,
        Err(error) if is_read_only(&error) => return Ok(None),
        Err(error) => return Err(io_error("lock", path)(error)),
    };
    wait(&file, FlockOperation::LockShared).map_err(io_error("lock", path))?;
    Ok(Some(file))
}

/// Takes the lock at `path` alone, waiting for it.
pub(super) fn exclusive(path: &Path) -> Result<File, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(io_error("lock", path))?;
    wait(&file, FlockOperation::LockExclusive).map_err(io_error("lock", path))?;
    Ok(file)
}

/// As [`exclusive`], none where somebody else has it.
pub(super) fn try_exclusive(path: &Path) -> Result<Option<File>, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(io_error("lock", path))?;
    let is_alone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    Ok(is_alone.then_some(file))
}

/// Turns a shared lock into an exclusive one, unless somebody else shares it.
pub(super) fn try_upgrade(file: &File) -> bool {
    let is_alone = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !is_alone {
        // Failing, the kernel has dropped the shared lock, too (Linux, flock(2)).
        downgrade(file);
    }
    is_alone
}

/// The reverse of [`try_upgrade`].
pub(super) fn downgrade(file: &File) {
    // The lock is held, so this neither waits nor fails but for a signal, and then it is kept.
    let _ = wait(file, FlockOperation::LockShared);
}

/// A temporary file in `folder` that [`remove_abandoned`] leaves alone while its writer lives.
pub(super) fn temporary(folder: &Path) -> Result<tempfile::NamedTempFile, Error> {
    loop {
        let file = tempfile::NamedTempFile::new_in(folder)
            .map_err(|error| io_error("write in", folder)(bare(error)))?;
        wait(file.as_file(), FlockOperation::LockShared).map_err(io_error("lock", file.path()))?;
        // Before it was locked, another cairn may have taken it for abandoned.
        if is_linked(file.as_file()) {
            return Ok(file);
        }
    }
}

/// A temporary folder in `folder`, locked likewise as long as the file lives.
pub(super) fn temporary_folder(folder: &Path) -> Result<(tempfile::TempDir, File), Error> {
    loop {
        let made = tempfile::tempdir_in(folder)
            .map_err(|error| io_error("write in", folder)(bare(error)))?;
        let file = match File::open(made.path()) {
            // Somebody who tidies up was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            opened => opened.map_err(io_error("read", made.path()))?,
        };
        wait(&file, FlockOperation::LockShared).map_err(io_error("lock", made.path()))?;
        if is_linked(&file) {
            return Ok((made, file));
        }
    }
}

/// The system's error under one of `tempfile`, whose text has a path of its own, which means
/// nothing to anybody.
pub(crate) fn bare(error: std::io::Error) -> std::io::Error {
    let inner = error.get_ref().and_then(|inner| inner.source());
    let inner = inner.and_then(|inner| inner.downcast_ref::<std::io::Error>());
    match inner.and_then(std::io::Error::raw_os_error) {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => error,
    }
}

/// Whether it still has a name.
fn is_linked(file: &File) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink > 0)
}

/// Removes what writers that no longer live have left in `folder`.
pub(super) fn remove_abandoned(folder: &Path) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the order of removal shows nowhere"
    )]
    let Ok(files) = std::fs::read_dir(folder) else {
        return;
    };
    for path in files.flatten().map(|file| file.path()) {
        // Neither waits for a pipe nor follows a link that somebody put there.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        let flags = flags | rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()) else {
            continue;
        };
        // Held until it is gone: a writer that has just made it waits, and then sees that.
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Somebody else may have been faster, which is as good.
            let _ = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
        }
    }
}

/// Folders that those who made them left behind, each with its lock, without which whoever makes one
/// at that moment might have it removed.
pub(super) fn abandoned_folders(folder: &Path) -> Vec<(std::path::PathBuf, File)> {
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let Ok(found) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = found.flatten().map(|file| file.path());
    let abandoned = paths.filter_map(|path| {
        let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let file = File::open(&path).ok().filter(|_| is_folder)?;
        let is_alone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        is_alone.then_some((path, file))
    });
    let mut abandoned: Vec<_> = abandoned.collect();
    abandoned.sort_by(|(a, _), (b, _)| a.cmp(b));
    abandoned
}

fn wait(file: &File, operation: FlockOperation) -> std::io::Result<()> {
    loop {
        match flock(file, operation) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn is_read_only(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(
        error.kind(),
        ReadOnlyFilesystem | PermissionDenied | NotFound
    )
}
