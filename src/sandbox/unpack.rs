//! A layer's tar to a folder that an overlay takes as a lower one.
//!
//! In: a tar from anywhere. Out: files. What the tar removes from layers below becomes a 0:0
//! device or an opaque directory (kernel, overlayfs.rst). Nothing is written outside of the
//! folder: no symlink is followed, and every path is checked.

use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use super::folder;
use super::links;
use super::marks;
use super::notify::owner::record::{self, Owner, Table};
use super::owner::{self, Kept, KeptDevice};
use crate::canon::EntryPath;
use crate::layer::Meta;
use crate::layer::entry::Device;
use crate::layer::read::{Member, MemberKind, Reader};
use crate::layer::scan::MOST_ENTRIES;

/// Unpacks a tar, not compressed. `lowers` are the layers below, the lowest first.
pub(super) fn unpack(tar: impl Read, folder: &Path, lowers: &[PathBuf]) -> Result<(), Error> {
    let opened = |folder: &Path| {
        let opened = folder::open_folder(folder);
        opened.doing(|| format!("open the folder `{}`", folder.display()))
    };
    let top = opened(folder)?;
    let lowers = lowers.iter().rev().map(|lower| opened(lower));
    let mut unpacking = Unpacking {
        lowers: lowers.collect::<Result<_, _>>()?,
        parent: (
            EntryPath::root(),
            top.try_clone().doing(|| "unpack".to_owned())?,
        ),
        directories: Vec::new(),
        links: Table::new(),
        top,
    };
    let mut reader = Reader::new(io::BufReader::with_capacity(256 << 10, tar));
    let mut count = 0;
    while let Some(member) = reader.next_member()? {
        count += 1;
        if count > MOST_ENTRIES {
            return Err(Error::Refused(format!(
                "the layer has more than {MOST_ENTRIES} members"
            )));
        }
        unpacking
            .add(&member, &mut reader)
            .map_err(|source| Error::Io {
                what: format!(
                    "unpack `{}` of the layer",
                    String::from_utf8_lossy(&member.path).escape_debug()
                ),
                source,
            })?;
    }
    links::write(folder, std::mem::take(&mut unpacking.links))?;
    unpacking
        .finish()
        .doing(|| "finish the layer's directories".to_owned())
}

struct Unpacking {
    top: OwnedFd,
    /// The layers below, the highest first.
    lowers: Vec<OwnedFd>,
    /// The directory that was used last.
    parent: (EntryPath, OwnedFd),
    /// Metadata of directories, which what comes into them changes: set at the end.
    directories: Vec<(EntryPath, Meta)>,
    /// Owners of what can't say it.
    links: Table,
}

fn invalid(error: crate::canon::path::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}

impl Unpacking {
    fn add(&mut self, member: &Member, content: &mut impl Read) -> io::Result<()> {
        let path = EntryPath::new(&member.path).map_err(invalid)?;
        let (Some(name), Some(parent)) = (path.name(), path.parent()) else {
            if member.kind == MemberKind::Directory {
                self.directories.push((path, member.meta.clone()));
            }
            return Ok(());
        };
        let parent = self.open(&parent)?;
        if let Some(removed) = name.strip_prefix(b".wh.") {
            return white_out(&parent, removed);
        }
        let is_directory = member.kind == MemberKind::Directory;
        let was_removed = make_room(&parent, name, is_directory)?;
        let meta = &member.meta;
        let mut device = None;
        match &member.kind {
            MemberKind::Directory => {
                match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
                    Err(Errno::EXIST) => {}
                    other => other?,
                }
                if was_removed {
                    marks::make_opaque(&parent, name)?;
                }
                self.directories.push((path, meta.clone()));
                return Ok(());
            }
            MemberKind::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)?;
                let mut file = std::fs::File::from(file);
                io::copy(content, &mut file)?;
                file.flush()?;
            }
            MemberKind::Hardlink(target) => {
                let target = EntryPath::new(target).map_err(invalid)?;
                let (Some(name_there), Some(there)) = (target.name(), target.parent()) else {
                    return Err(Errno::PERM.into());
                };
                let there = self.open(&there)?;
                return Ok(rustix::fs::linkat(
                    &there,
                    name_there,
                    &parent,
                    name,
                    AtFlags::empty(),
                )?);
            }
            MemberKind::Symlink(target) => {
                rustix::fs::symlinkat(target.as_slice(), &parent, name)?;
            }
            MemberKind::CharacterDevice(numbers) => {
                device = make_device(&parent, name, false, *numbers)?;
            }
            MemberKind::BlockDevice(numbers) => {
                device = make_device(&parent, name, true, *numbers)?;
            }
            MemberKind::Fifo => {
                rustix::fs::mknodat(&parent, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
            }
        }
        let is_symlink = matches!(member.kind, MemberKind::Symlink(_));
        if !set_meta(&parent, name, meta, device, is_symlink)? {
            let (uid, gid) = (meta.uid, meta.gid);
            let inode = record::inode_in(&parent, name)?;
            self.links.insert(inode, Owner { uid, gid })?;
        }
        Ok(())
    }

    /// The directory `path`, made as the layers below have it if this layer has none.
    fn open(&mut self, path: &EntryPath) -> io::Result<OwnedFd> {
        if self.parent.0 == *path {
            return self.parent.1.try_clone();
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let name = match path.is_root() {
            true => b".",
            false => path.as_bytes(),
        };
        let opened = match rustix::fs::openat2(&self.top, name, flags, Mode::empty(), resolve) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR) => self.make(path)?,
            Err(error) => return Err(error.into()),
        };
        self.parent = (path.clone(), opened.try_clone()?);
        Ok(opened)
    }

    fn make(&mut self, path: &EntryPath) -> io::Result<OwnedFd> {
        let mut at = self.top.try_clone()?;
        let mut way = EntryPath::root();
        for name in path.components() {
            way = way
                .join(&EntryPath::new(name).map_err(invalid)?)
                .map_err(invalid)?;
            let stat = rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW);
            let was_removed = match stat {
                Ok(stat) => marks::is_whiteout(&at, name, &stat)?,
                Err(_) => false,
            };
            if was_removed {
                rustix::fs::unlinkat(&at, name, AtFlags::empty())?;
            }
            match rustix::fs::mkdirat(&at, name, Mode::RWXU) {
                Ok(()) => {
                    if was_removed {
                        marks::make_opaque(&at, name)?;
                    }
                    let meta = self.meta_below(&way);
                    self.directories.push((way.clone(), meta));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = folder::open_directory(&at, name)?;
        }
        Ok(at)
    }

    /// What a directory is like that the tar doesn't tell of.
    fn meta_below(&self, path: &EntryPath) -> Meta {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let mut found = self.lowers.iter().filter_map(|lower| {
            let name = path.as_bytes();
            let there = rustix::fs::openat2(lower, name, flags, Mode::empty(), resolve).ok()?;
            let stat = rustix::fs::fstat(&there).ok()?;
            let mut value = vec![0; 64];
            let kept = rustix::fs::fgetxattr(&there, owner::NAME, value.as_mut_slice());
            let kept = kept
                .ok()
                .and_then(|length| Kept::read(value.get(..length)?));
            Some(Meta {
                mode: (stat.st_mode & 0o7777) as u16,
                uid: kept.map_or(stat.st_uid, |kept| kept.uid),
                gid: kept.map_or(stat.st_gid, |kept| kept.gid),
                mtime: stat.st_mtime,
                xattrs: None,
            })
        });
        found.next().unwrap_or(Meta::plain(0o755, 0))
    }

    /// Sets what directories are like, the innermost first.
    fn finish(self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        for (path, meta) in self.directories.iter().rev() {
            let name = match path.is_root() {
                true => b".",
                false => path.as_bytes(),
            };
            match rustix::fs::openat2(&self.top, name, flags, Mode::empty(), resolve) {
                Ok(directory) => {
                    set_meta(&directory, b".", meta, None, false)?;
                }
                // A later member took its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Makes `removed` gone from the layers below.
fn white_out(parent: &OwnedFd, removed: &[u8]) -> io::Result<()> {
    if removed == b".wh..opq" {
        return marks::make_opaque(parent, b".");
    }
    // AUFS's own names, and none at all.
    if removed.starts_with(b".wh.") || matches!(removed, b"" | b"." | b"..") {
        return Ok(());
    }
    match rustix::fs::statat(parent, removed, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            marks::make_opaque(parent, removed)
        }
        Ok(_) => Ok(()),
        Err(Errno::NOENT) => marks::make_whiteout(parent, removed),
        Err(error) => Err(error.into()),
    }
}

/// Removes what an earlier member put there, but a directory for a directory; whether it was that
/// nothing of below is there.
fn make_room(parent: &OwnedFd, name: &[u8], is_directory: bool) -> io::Result<bool> {
    let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        other => other?,
    };
    let was_removed = marks::is_whiteout(parent, name, &stat)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
    } else if !is_directory {
        folder::remove_in(parent, name)?;
    }
    Ok(was_removed)
}

/// Makes a device, or a file that stands for it where this user may make none.
fn make_device(
    parent: &OwnedFd,
    name: &[u8],
    is_block: bool,
    device: Device,
) -> io::Result<Option<KeptDevice>> {
    let kind = match is_block {
        true => FileType::BlockDevice,
        false => FileType::CharacterDevice,
    };
    let numbers = rustix::fs::makedev(device.major, device.minor);
    let mode = Mode::RUSR | Mode::WUSR;
    // 0:0 would remove what is below.
    if numbers != 0 {
        match rustix::fs::mknodat(parent, name, kind, mode, numbers) {
            Err(Errno::PERM) => {}
            other => return Ok(other.map(|()| None)?),
        }
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, mode)?;
    Ok(Some(KeptDevice { is_block, device }))
}

fn set_xattr(parent: &OwnedFd, name: &[u8], xattr: &str, value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::lsetxattr(
        marks::place(parent, name).as_slice(),
        xattr,
        value,
        XattrFlags::empty(),
    )?)
}

/// Whether the file has all of it, its owner too, which some can't have.
fn set_meta(
    parent: &OwnedFd,
    name: &[u8],
    meta: &Meta,
    device: Option<KeptDevice>,
    is_symlink: bool,
) -> io::Result<bool> {
    let (uid, gid) = (meta.uid, meta.gid);
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    // The numbers that mean "leave it" are no owners.
    let is_sound = uid != u32::MAX && gid != u32::MAX;
    let owned = match is_sound {
        true => {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)
        }
        false => Err(Errno::INVAL),
    };
    let (is_kept, kept) = match owned {
        // Somebody whom this session doesn't have.
        Err(Errno::INVAL | Errno::PERM) => (true, Kept { uid, gid, device }),
        other => {
            other?;
            let (uid, gid) = (0, 0);
            (device.is_some(), Kept { uid, gid, device })
        }
    };
    // Symlinks have no such attributes.
    let mut says_owner = !(is_kept && is_symlink);
    if is_kept && !is_symlink {
        match set_xattr(parent, name, owner::NAME, kept.text().as_bytes()) {
            // Nor have pipes and devices.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => says_owner = false,
            other => other?,
        }
    }
    if !is_symlink {
        let mode = Mode::from_raw_mode(meta.mode.into());
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?;
    }
    for (xattr, value) in meta.xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
        if marks::is_mark(xattr) || **xattr == *owner::NAME.as_bytes() {
            continue;
        }
        let there = marks::place(parent, name);
        let flags = XattrFlags::empty();
        match rustix::fs::lsetxattr(there.as_slice(), &**xattr, value, flags) {
            // The layer has it; commands here don't see it.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => {}
            other => other?,
        }
    }
    let time = rustix::fs::Timespec {
        tv_sec: meta.mtime,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(parent, name, &times, flags)?;
    Ok(says_owner)
}
