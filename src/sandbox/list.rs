//! A folder of the sandbox to a list of what it holds.
//!
//! In: a folder that a command wrote to. Out: [`Found`]s. Names, depths and attributes are
//! hostile: a path that no layer can hold is an error.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use super::folder;
use super::found::{Found, FoundKind};
use super::notify::Links;
use super::notify::owner::record::{self, Table};
use super::owner::{self, Kept};
use crate::canon::EntryPath;
use crate::layer::entry::{Device, Xattrs};

/// Most entries of a folder.
const MOST_ENTRIES: usize = crate::layer::scan::MOST_ENTRIES;
/// Largest list of names of attributes, and largest value (xattr(7)).
const LARGEST_ATTRIBUTE: usize = 64 << 10;
/// Attributes that are the overlay's.
const OVERLAY: &[u8] = b"user.overlay.";
/// The host's labels are no part of an image.
const LABEL: &[u8] = b"security.selinux";

/// All that `folder` holds, itself first, in the order of paths; `links` are the owners of what
/// can't say it.
pub(super) fn list(folder: &Path, links: &Links) -> Result<Vec<Found>, Error> {
    let doing = || format!("list the folder `{}`", folder.display());
    let links: Table = links.iter().copied().collect();
    let mut at = folder::open_folder(folder).doing(doing)?;
    let mut found = vec![look(&at, b".", EntryPath::root(), &links).doing(doing)?];
    let mut path = EntryPath::root();
    let mut left = vec![enter(&at, &path, &mut found, &links)?];
    while let Some(directories) = left.last_mut() {
        if let Some(name) = directories.pop() {
            path = below(&path, &name)?;
            at = folder::open_directory(&at, &name).doing(|| format!("open `{path}`"))?;
            left.push(enter(&at, &path, &mut found, &links)?);
        } else {
            left.pop();
            if let Some(parent) = path.parent() {
                at = folder::open_directory(&at, b"..").doing(|| format!("leave `{path}`"))?;
                path = parent;
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn below(path: &EntryPath, name: &[u8]) -> Result<EntryPath, Error> {
    let joined = EntryPath::new(name).and_then(|name| path.join(&name));
    joined.map_err(|error| {
        let name = String::from_utf8_lossy(name).escape_debug().to_string();
        Error::Refused(format!(
            "a path below `{path}` is in no layer: `{name}`: {error}"
        ))
    })
}

/// Lists one directory, and gives the directories in it.
fn enter(
    directory: &OwnedFd,
    path: &EntryPath,
    found: &mut Vec<Found>,
    links: &Table,
) -> Result<Vec<Vec<u8>>, Error> {
    let names = folder::names(directory).doing(|| format!("list `{path}`"))?;
    let mut directories = Vec::new();
    for name in names.into_keys() {
        let path = below(path, &name)?;
        if found.len() >= MOST_ENTRIES {
            return Err(Error::Refused(format!(
                "the step made more than {MOST_ENTRIES} files"
            )));
        }
        let one = look(directory, &name, path, links).doing(|| "look at a file".to_owned())?;
        if matches!(one.kind, FoundKind::Directory { .. }) {
            directories.push(name);
        }
        found.push(one);
    }
    Ok(directories)
}

/// What `name` in a directory is.
fn look(
    directory: &OwnedFd,
    name: &[u8],
    path: EntryPath,
    links: &Table,
) -> std::io::Result<Found> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let device = || Device {
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
    };
    let type_ = FileType::from_raw_mode(stat.st_mode);
    let mut xattrs = match type_ {
        FileType::CharacterDevice if stat.st_rdev == 0 => Xattrs::new(),
        _ => xattrs(directory, name)?,
    };
    let kept = xattrs.remove(owner::NAME.as_bytes());
    let kept = kept.and_then(|value| Kept::read(&value));
    let kept = match (kept, links.is_empty()) {
        (None, false) => record::linked(directory, name, links)?,
        (kept, _) => kept,
    };
    let opaque = xattrs.remove(&b"user.overlay.opaque"[..]);
    xattrs.retain(|name, _| !name.starts_with(OVERLAY) && **name != *LABEL);
    let kind = match type_ {
        FileType::RegularFile => FoundKind::File {
            size: stat.st_size as u64,
        },
        FileType::Directory => FoundKind::Directory {
            opaque: opaque.is_some_and(|value| *value == *b"y"),
        },
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
            FoundKind::Symlink(target.into_bytes().into())
        }
        FileType::CharacterDevice if stat.st_rdev == 0 => FoundKind::Whiteout,
        FileType::CharacterDevice => FoundKind::CharacterDevice(device()),
        FileType::BlockDevice => FoundKind::BlockDevice(device()),
        FileType::Fifo => FoundKind::Fifo,
        FileType::Socket => FoundKind::Socket,
        FileType::Unknown => return Err(std::io::ErrorKind::InvalidData.into()),
    };
    // Who could be given it truly has it, whatever was kept before.
    let (uid, gid) = match kept {
        Some(kept) if (stat.st_uid, stat.st_gid) == (0, 0) => (kept.uid, kept.gid),
        _ => (stat.st_uid, stat.st_gid),
    };
    let kind = match (kind, kept.and_then(|kept| kept.device)) {
        (FoundKind::File { .. }, Some(kept)) => match kept.is_block {
            true => FoundKind::BlockDevice(kept.device),
            false => FoundKind::CharacterDevice(kept.device),
        },
        (kind, _) => kind,
    };
    Ok(Found {
        path,
        kind,
        mode: (stat.st_mode & 0o7777) as u16,
        uid,
        gid,
        mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
        inode: stat.st_ino,
        links: names(&stat),
        xattrs,
    })
}

#[allow(clippy::useless_conversion, reason = "32 bits elsewhere")]
fn names(stat: &rustix::fs::Stat) -> u64 {
    u64::from(stat.st_nlink)
}

/// The extended attributes of `name` in a directory, but those that this process may not read.
pub(super) fn xattrs(directory: &OwnedFd, name: &[u8]) -> std::io::Result<Xattrs> {
    let place = super::marks::place(directory, name);
    let place = place.as_slice();
    let mut names = Vec::new();
    match rustix::fs::llistxattr_query(place) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    names.resize(LARGEST_ATTRIBUTE, 0);
    let length = rustix::fs::llistxattr(place, names.as_mut_slice())?;
    let mut xattrs = Xattrs::new();
    for name in names[..length.min(names.len())].split(|&byte| byte == 0) {
        if name.is_empty() {
            continue;
        }
        let mut value = vec![0; LARGEST_ATTRIBUTE];
        match rustix::fs::lgetxattr(place, name, value.as_mut_slice()) {
            Ok(length) => value.truncate(length),
            // It may be listed and not be ours to read.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => continue,
            Err(error) => return Err(error.into()),
        }
        xattrs.insert(name.into(), value.into());
    }
    Ok(xattrs)
}
