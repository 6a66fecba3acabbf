//! Opening files below a folder without ever leaving it.
//!
//! In: a folder and paths from it. Out: open files. No symbolic link is followed, wherever it
//! stands: not even one that somebody puts there while we look (Linux, openat2(2),
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`; where a kernel or a sandbox has no openat2, the same
//! is done component by component).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::stat::Stat;
use crate::canon::EntryPath;

/// An open folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens the folder at `path`, following links to it: it is the user's own word.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Folder(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens a directory below.
    pub fn open_directory(&self, path: &EntryPath) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a file below. A fifo or device that took its place is not waited for.
    pub fn open_file(&self, path: &EntryPath) -> io::Result<File> {
        Ok(self
            .open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?
            .into())
    }

    fn open_at(&self, path: &EntryPath, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let name: &[u8] = if path.is_root() {
            b"."
        } else {
            path.as_bytes()
        };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.0, name, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => self.open_step_by_step(path, flags),
            opened => Ok(opened?),
        }
    }

    fn open_step_by_step(&self, path: &EntryPath, flags: OFlags) -> io::Result<OwnedFd> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(name) = path.name() else {
            return Ok(rustix::fs::openat(&self.0, ".", flags, Mode::empty())?);
        };
        let mut here = self.0.try_clone()?;
        let above = path.components().count() - 1;
        for component in path.components().take(above) {
            here = rustix::fs::openat(&here, component, step, Mode::empty())?;
        }
        Ok(rustix::fs::openat(&here, name, flags, Mode::empty())?)
    }

    /// What `stat` says of a name in an open directory, a link itself and not what it names.
    pub fn stat(directory: &OwnedFd, name: &[u8]) -> io::Result<Stat> {
        let stat = rustix::fs::statat(
            directory,
            OsStr::from_bytes(name),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        Ok(stat.into())
    }

    /// The text of a symbolic link in an open directory.
    pub fn read_link(directory: &OwnedFd, name: &[u8]) -> io::Result<Box<[u8]>> {
        Ok(
            rustix::fs::readlinkat(directory, OsStr::from_bytes(name), Vec::new())?
                .into_bytes()
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn links_are_not_followed_wherever_they_stand() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("in");
        std::fs::create_dir_all(inside.join("a/b")).unwrap();
        std::fs::write(root.path().join("secret"), "x").unwrap();
        std::fs::write(inside.join("a/b/file"), "y").unwrap();
        std::os::unix::fs::symlink("..", inside.join("up")).unwrap();
        std::os::unix::fs::symlink("a/b/file", inside.join("link")).unwrap();
        let folder = Folder::open(&inside).unwrap();
        let path = |text: &str| EntryPath::new(text.as_bytes()).unwrap();
        for flags in [OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW] {
            for refused in ["up/secret", "link", "up"] {
                assert!(folder.open_file(&path(refused)).is_err());
                assert!(folder.open_step_by_step(&path(refused), flags).is_err());
            }
            let found = [
                folder.open_file(&path("a/b/file")).unwrap(),
                folder
                    .open_step_by_step(&path("a/b/file"), flags)
                    .unwrap()
                    .into(),
            ];
            for mut file in found {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "y");
            }
        }
    }
}
