//! Where things are mounted in a command's root: found as the command would, and made if missing.
//!
//! In: the root as a descriptor, paths in it. Out: descriptors, and the paths that had to be made.
//! Symlinks never lead out of the root.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Timestamps};
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use crate::canon::EntryPath;

/// Most symlinks on the way to a place, as the kernel's own limit.
const MOST_LINKS: usize = 40;

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// An empty file.
    File,
    /// An empty directory.
    Directory,
}

/// A command's root while things are mounted in it.
pub(super) struct Places {
    root: OwnedFd,
    device: u64,
    /// What was made in the root's own file system.
    pub stubs: Vec<EntryPath>,
}

/// Opens `path` in `root`, following symlinks within; for its place, not its content.
pub(super) fn find(root: impl AsFd, path: &EntryPath) -> rustix::io::Result<OwnedFd> {
    let path = match path.is_root() {
        true => b".",
        false => path.as_bytes(),
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

impl Places {
    /// Of a root that is mounted.
    pub(super) fn new(root: OwnedFd) -> Result<Places, Error> {
        let stat = rustix::fs::fstat(&root).doing(|| "look at the root".to_owned())?;
        Ok(Places {
            root,
            device: stat.st_dev,
            stubs: Vec::new(),
        })
    }

    /// The root.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The place `path`, made if it isn't there.
    pub(super) fn get(&mut self, path: &EntryPath, missing: Missing) -> Result<OwnedFd, Error> {
        match find(&self.root, path) {
            Err(Errno::NOENT) => {
                let path = self.make(path, missing);
                let path = path.doing(|| "make a place to mount on".to_owned())?;
                find(&self.root, &path)
            }
            other => other,
        }
        .doing(|| format!("reach `{path}`"))
    }

    /// The directory `path`, made if it isn't there, and not a stub then.
    pub(super) fn get_for_good(&mut self, path: &EntryPath) -> Result<OwnedFd, Error> {
        let stubs = self.stubs.len();
        let got = self.get(path, Missing::Directory);
        self.stubs.truncate(stubs);
        got
    }

    /// Makes what is missing of `path`; gives it without symlinks.
    fn make(&mut self, path: &EntryPath, missing: Missing) -> std::io::Result<EntryPath> {
        let invalid = |_| std::io::Error::from_raw_os_error(libc::ENAMETOOLONG);
        let mut left: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        let mut at = EntryPath::root();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == b".." {
                at = at.parent().unwrap_or_default();
                continue;
            }
            let parent = find(&self.root, &at)?;
            let here = at
                .join(&EntryPath::new(&name).map_err(invalid)?)
                .map_err(invalid)?;
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            match rustix::fs::statat(&parent, name.as_slice(), flags) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = rustix::fs::readlinkat(&parent, name.as_slice(), Vec::new())?;
                    let target = target.into_bytes();
                    if target.first() == Some(&b'/') {
                        at = EntryPath::root();
                    }
                    let parts = target.split(|&byte| byte == b'/');
                    let parts = parts.filter(|part| !part.is_empty() && *part != b".");
                    for part in parts.rev() {
                        left.push_front(part.to_vec());
                    }
                }
                Ok(_) => at = here,
                Err(Errno::NOENT) => {
                    let is_file = left.is_empty() && missing == Missing::File;
                    self.make_one(&parent, &name, is_file, &here)?;
                    at = here;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(at)
    }

    fn make_one(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        is_file: bool,
        path: &EntryPath,
    ) -> std::io::Result<()> {
        let before = rustix::fs::fstat(parent)?;
        if is_file {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::openat(parent, name, flags, mode)?;
        } else {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
        }
        if before.st_dev == self.device {
            self.stubs.push(path.clone());
            restore_times(parent, &before)?;
        }
        Ok(())
    }
}

/// The directory's times as they were: what was made in it is none of the command's doing.
fn restore_times(directory: &OwnedFd, before: &rustix::fs::Stat) -> std::io::Result<()> {
    let time = |seconds: i64, nanoseconds: u64| rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as i64,
    };
    let times = Timestamps {
        last_access: time(before.st_atime, before.st_atime_nsec),
        last_modification: time(before.st_mtime, before.st_mtime_nsec),
    };
    // A descriptor of a place alone has no times that could be set through it.
    let name = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(directory)
    );
    Ok(rustix::fs::utimensat(
        rustix::fs::CWD,
        name,
        &times,
        AtFlags::empty(),
    )?)
}
