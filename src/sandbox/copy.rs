//! Layers to one folder that shows what an overlay of them would, where no overlay can be mounted.
//!
//! In: folders as an overlay takes them. Out: copies of what is seen of them, in a folder of any
//! file system, and who owns what can't say it. All that a layer has of a file goes along: owner,
//! mode, times, attributes. Where file systems can share content (btrfs, xfs), they do.
//!
//! Each name becomes a file of its own, also where names of a layer are links of one file: an
//! overlay parts them as soon as a command writes to one, gives it away or changes its mode, and
//! what a command leaves must not depend on which of the two it ran on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use super::folder;
use super::list;
use super::marks;
use super::notify::owner::record::{self, Table};
use super::{Layers, Request, Source, links, root};
use crate::canon::EntryPath;
use crate::layer::scan::MOST_ENTRIES;

/// Copies what the request's command is to see of layers, unless overlays show it. What comes back
/// are the owners that its files can't say.
pub(super) fn prepare(request: &Request) -> Result<Table, Error> {
    let mounts = request.mounts.iter().enumerate();
    let mounted = mounts.filter_map(|(number, mount)| match &mount.source {
        Source::Overlay { lowers, .. } => Some((number, lowers)),
        _ => None,
    });
    let lowers = mounted.clone().flat_map(|(_, lowers)| lowers);
    let lowers: Vec<_> = request.lowers.iter().chain(lowers).cloned().collect();
    let links = links::read(&lowers)?;
    if request.ways.layers == Layers::Mounted {
        return Ok(links);
    }
    let mut copied = Table::new();
    if request.ways.layers == Layers::Copied {
        copy(&request.lowers, &links, &request.upper, &mut copied)?;
    }
    for (number, lowers) in mounted {
        let scratch = root::scratch(request, number);
        root::make_directory(&scratch)?;
        let into = scratch.join(root::SCRATCH_UPPER);
        root::make_directory(&into)?;
        copy(lowers, &links, &into, &mut copied)?;
    }
    Ok(copied)
}

/// Copies what is seen of `lowers` (the lowest first) into `into`, whose own metadata stays; what is
/// there already is over them. `links` are the owners that the layers can't say; `copied` gets those that the
/// copies can't.
fn copy(lowers: &[PathBuf], links: &Table, into: &Path, copied: &mut Table) -> Result<(), Error> {
    let opened = |folder: &Path| {
        let opened = folder::open_folder(folder);
        opened.doing(|| format!("open the folder `{}`", folder.display()))
    };
    let layers = lowers.iter().rev().map(|lower| opened(lower));
    let mut copying = Copying {
        layers: layers.collect::<Result<_, _>>()?,
        links,
        into: opened(into)?,
        copied,
        count: 0,
        directories: Vec::new(),
    };
    let doing = |path: &EntryPath| format!("copy `{path}` of the layers");
    let mut left = vec![copying.root().doing(|| doing(&EntryPath::root()))?];
    while let Some(directory) = left.pop() {
        let below = copying.fill(&directory).doing(|| doing(&directory.path))?;
        left.extend(below);
        if copying.count > MOST_ENTRIES {
            return Err(Error::Refused(format!(
                "the layers have more than {MOST_ENTRIES} files"
            )));
        }
    }
    copying.finish().doing(|| "copy directories".to_owned())
}

/// A directory of the copy, and the numbers of the layers that something is seen of in it, the
/// highest first.
struct Directory {
    path: EntryPath,
    layers: Vec<usize>,
}

/// What layers have of one name, as it is seen from above.
#[derive(Default)]
struct Seen {
    /// Those that have a directory there.
    directories: Vec<usize>,
    /// Whether nothing of lower ones is seen.
    is_closed: bool,
    /// Whether a directory is there already, over all of them.
    is_there: bool,
}

impl Seen {
    /// Nothing yet, below what `into` has of that name.
    fn over(into: &OwnedFd, name: &[u8]) -> io::Result<Seen> {
        let kind = match rustix::fs::statat(into, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Seen {
            directories: Vec::new(),
            is_closed: kind.is_some_and(|kind| kind != FileType::Directory),
            is_there: kind == Some(FileType::Directory),
        })
    }
}

struct Copying<'a> {
    /// The highest first.
    layers: Vec<OwnedFd>,
    links: &'a Table,
    into: OwnedFd,
    copied: &'a mut Table,
    count: usize,
    /// Those that were made, with the layer that says what they are like: set at the end, as what
    /// comes into them changes it.
    directories: Vec<(EntryPath, usize)>,
}

impl Copying<'_> {
    fn root(&self) -> io::Result<Directory> {
        let mut layers = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            layers.push(number);
            if marks::is_opaque(layer, b".")? {
                break;
            }
        }
        let path = EntryPath::root();
        Ok(Directory { path, layers })
    }

    /// Copies what a directory holds, and gives the directories in it.
    fn fill(&mut self, directory: &Directory) -> io::Result<Vec<Directory>> {
        let into = open(&self.into, &directory.path)?;
        let mut names: BTreeMap<Vec<u8>, Seen> = BTreeMap::new();
        for &layer in &directory.layers {
            let from = open(&self.layers[layer], &directory.path)?;
            for name in folder::names(&from)?.into_keys() {
                let seen = match names.entry(name.clone()) {
                    Entry::Occupied(seen) => seen.into_mut(),
                    Entry::Vacant(place) => place.insert(Seen::over(&into, &name)?),
                };
                if seen.is_closed {
                    continue;
                }
                let stat = rustix::fs::statat(&from, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    seen.directories.push(layer);
                    seen.is_closed = marks::is_opaque(&from, &name)?;
                    continue;
                }
                seen.is_closed = true;
                // A directory over a file hides it.
                if seen.directories.is_empty()
                    && !seen.is_there
                    && !marks::is_whiteout(&from, &name, &stat)?
                {
                    make_object(&from, &into, &name, &stat)?;
                    self.copy_meta(&from, &into, &name, &stat)?;
                    self.count += 1;
                }
            }
        }
        let mut below = Vec::new();
        for (name, seen) in names {
            let Some(&highest) = seen.directories.first() else {
                continue;
            };
            let name_there = EntryPath::new(&name).map_err(io::Error::other)?;
            let path = directory.path.join(&name_there).map_err(io::Error::other)?;
            if !seen.is_there {
                rustix::fs::mkdirat(&into, &*name, Mode::RWXU)?;
                self.directories.push((path.clone(), highest));
            }
            self.count += 1;
            let layers = seen.directories;
            below.push(Directory { path, layers });
        }
        Ok(below)
    }

    /// Sets what directories are like, the innermost first.
    fn finish(&mut self) -> io::Result<()> {
        let directories = std::mem::take(&mut self.directories);
        for (path, layer) in directories.iter().rev() {
            let (from, into) = (open(&self.layers[*layer], path)?, open(&self.into, path)?);
            let stat = rustix::fs::fstat(&from)?;
            self.copy_meta(&from, &into, b".", &stat)?;
        }
        Ok(())
    }

    /// Makes `name` in `into` like `name` in `from`, which is `stat`.
    fn copy_meta(
        &mut self,
        from: &OwnedFd,
        into: &OwnedFd,
        name: &[u8],
        stat: &Stat,
    ) -> io::Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        rustix::fs::chownat(into, name, Some(uid), Some(gid), flags)?;
        // After the owner, which takes away set-id bits and capabilities.
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            rustix::fs::chmodat(into, name, mode, AtFlags::empty())?;
        }
        for (xattr, value) in list::xattrs(from, name)? {
            if marks::is_mark(&xattr) {
                continue;
            }
            let place = marks::place(into, name);
            let flags = XattrFlags::empty();
            match rustix::fs::lsetxattr(place.as_slice(), &*xattr, &value, flags) {
                // The host's labels and what the file system itself hands out: none of the layer's.
                Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => {}
                other => other?,
            }
        }
        if !self.links.is_empty()
            && let Some(owner) = self.links.get(&record::inode_in(from, name)?)
        {
            self.copied.insert(record::inode_in(into, name)?, owner)?;
        }
        let time = |seconds: i64, nanoseconds: u64| Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds as i64,
        };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        Ok(rustix::fs::utimensat(into, name, &times, flags)?)
    }
}

/// A directory of a layer or of the copy.
fn open(top: &OwnedFd, path: &EntryPath) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let path = match path.is_root() {
        true => b".",
        false => path.as_bytes(),
    };
    Ok(rustix::fs::openat2(
        top,
        path,
        flags,
        Mode::empty(),
        resolve,
    )?)
}

/// Makes anything but a directory, without its metadata.
fn make_object(from: &OwnedFd, into: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut from = std::fs::File::from(rustix::fs::openat(from, name, flags, mode)?);
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mut into = std::fs::File::from(rustix::fs::openat(into, name, flags, mode)?);
            // By copy_file_range(2), which shares content where the file system can.
            io::copy(&mut from, &mut into).map(drop)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            Ok(rustix::fs::symlinkat(&target, into, name)?)
        }
        kind => Ok(rustix::fs::mknodat(into, name, kind, mode, stat.st_rdev)?),
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
