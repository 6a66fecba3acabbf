//! Folders of the sandbox: opened, read from, removed, with whatever a command left in them.
//!
//! In: paths of the host, names that a command chose. Out: descriptors. No symlink is followed
//! below the folder, and no depth is too deep: one descriptor at a time goes down and up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use crate::canon::EntryPath;

/// Bytes of a block of stat(2).
const BLOCK: u64 = 512;

/// Opens a directory to go through it.
pub(super) fn open_directory(folder: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// Opens a folder of the host to go through it.
pub(super) fn open_folder(folder: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty())
}

/// What a directory holds, sorted: name and type, which some file systems don't tell.
pub(super) fn names(directory: &OwnedFd) -> rustix::io::Result<BTreeMap<Vec<u8>, FileType>> {
    let mut names = BTreeMap::new();
    for item in Dir::read_from(directory)? {
        let item = item?;
        let name = item.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.insert(name.to_vec(), item.file_type());
        }
    }
    Ok(names)
}

/// Opens a regular file for reading.
pub(super) fn open(folder: &Path, path: &EntryPath) -> Result<File, Error> {
    let top = open_folder(folder).doing(|| format!("open the folder `{}`", folder.display()))?;
    // What is no file must not make it wait: a pipe has no other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let name = path.as_bytes();
    let file = rustix::fs::openat2(&top, name, flags, Mode::empty(), resolve);
    let file = file.doing(|| format!("open `{path}`"))?;
    let stat = rustix::fs::fstat(&file).doing(|| format!("look at `{path}`"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Refused(format!("`{path}` is no regular file")));
    }
    Ok(file.into())
}

/// How many bytes a folder and all that it holds take up on disk.
pub(super) fn measure(folder: &Path) -> Result<u64, Error> {
    let doing = || format!("measure the folder `{}`", folder.display());
    let mut at = open_folder(folder).doing(doing)?;
    let mut counted = BTreeSet::new();
    let (mut blocks, entered) = measure_one(&at, &mut counted).doing(doing)?;
    let mut left = vec![entered];
    while let Some(directories) = left.last_mut() {
        if let Some(name) = directories.pop() {
            at = open_directory(&at, &name).doing(doing)?;
            let (more, entered) = measure_one(&at, &mut counted).doing(doing)?;
            blocks += more;
            left.push(entered);
        } else {
            left.pop();
            if !left.is_empty() {
                at = open_directory(&at, b"..").doing(doing)?;
            }
        }
    }
    Ok(blocks.saturating_mul(BLOCK))
}

/// Blocks of what a directory holds, and the directories in it. A file of several names is counted
/// once: `counted` has those.
fn measure_one(
    directory: &OwnedFd,
    counted: &mut BTreeSet<(u64, u64)>,
) -> rustix::io::Result<(u64, Vec<Vec<u8>>)> {
    let (mut blocks, mut directories) = (0u64, Vec::new());
    for name in names(directory)?.into_keys() {
        let stat = rustix::fs::statat(directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_nlink == 1 || counted.insert((stat.st_dev, stat.st_ino)) {
            blocks = blocks.saturating_add(stat.st_blocks.unsigned_abs());
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            directories.push(name);
        }
    }
    Ok((blocks, directories))
}

/// Removes a folder and all that it holds.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    let doing = || format!("remove the folder `{}`", folder.display());
    let top = match open_folder(folder) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.doing(doing)?,
    };
    empty(top).doing(doing)?;
    let parent = folder.parent().unwrap_or(Path::new("/"));
    let name = folder.file_name().unwrap_or_default();
    let parent = open_folder(parent).doing(doing)?;
    rustix::fs::unlinkat(&parent, name.as_bytes(), AtFlags::REMOVEDIR).doing(doing)?;
    super::links::remove(folder)
}

/// Removes the directory `name` and all that it holds.
pub(super) fn remove_in(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    empty(open_directory(parent, name)?)?;
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Removes all that a directory holds.
fn empty(top: OwnedFd) -> rustix::io::Result<()> {
    let mut at = top;
    let mut left = vec![remove_all_but_full(&at)?];
    let mut way: Vec<Vec<u8>> = Vec::new();
    while let Some(full) = left.last_mut() {
        if let Some(name) = full.pop() {
            at = open_directory(&at, &name)?;
            left.push(remove_all_but_full(&at)?);
            way.push(name);
        } else {
            left.pop();
            if let Some(name) = way.pop() {
                at = open_directory(&at, b"..")?;
                rustix::fs::unlinkat(&at, name.as_slice(), AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// Removes what can be removed at once, and gives the directories that hold something.
fn remove_all_but_full(directory: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut full = Vec::new();
    for name in names(directory)?.into_keys() {
        match rustix::fs::unlinkat(directory, name.as_slice(), AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {
                match rustix::fs::unlinkat(directory, name.as_slice(), AtFlags::REMOVEDIR) {
                    Err(Errno::NOTEMPTY | Errno::EXIST) => full.push(name),
                    other => other?,
                }
            }
            other => other?,
        }
    }
    Ok(full)
}
