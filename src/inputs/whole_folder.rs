//! A folder of this machine as it is: owners, times, devices and all, to be compared and never
//! built from.
//!
//! In: a path. Out: its table of entries. Links are never followed. Extended attributes are those
//! of files and directories, without what the machine's own access control keeps in them.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, RawDir};

use super::beneath::Folder;
use crate::canon::EntryPath;
use crate::canon::digest::Hashed;
use crate::layer::entry::{Device, FirstNames, Xattrs};
use crate::layer::{Entry, Kind, Meta, Tree, tree};

/// Why a folder can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something in it.
    #[error("`{path}`: {source}")]
    Io {
        /// From the folder.
        path: EntryPath,
        /// Why.
        source: io::Error,
    },
    /// Its entries make no table.
    #[error(transparent)]
    Tree(#[from] tree::Error),
}

/// What stands there, its content not yet read.
struct Found {
    entry: Entry,
    /// Device and inode of a file that has several names.
    linked: Option<(u64, u64)>,
}

/// Everything in the folder at `path`, itself included. Sockets are left out, as tars do.
pub fn read(path: &Path) -> Result<Tree, Error> {
    let folder = Folder::open(path).map_err(of(&EntryPath::root()))?;
    let mut found = Vec::new();
    let mut todo = vec![EntryPath::root()];
    while let Some(directory) = todo.pop() {
        list(&folder, &directory, &mut found, &mut todo).map_err(of(&directory))?;
    }
    found.sort_by(|one, other| one.entry.path.cmp(&other.entry.path));
    let mut first_names = FirstNames::default();
    for Found { entry, linked } in &mut found {
        let link = linked.and_then(|inode| first_names.link(inode, &entry.path));
        entry.kind = link.unwrap_or(entry.kind.clone());
    }
    let entries = found.into_par_iter().map(|found| {
        let mut entry = found.entry;
        complete(&folder, &mut entry).map_err(of(&entry.path))?;
        Ok(entry)
    });
    // A link has the metadata of what it names, and the same file.
    Ok(Tree::new(entries.collect::<Result<_, Error>>()?)?)
}

fn of(path: &EntryPath) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.clone();
    move |source| Error::Io { path, source }
}

fn list(
    folder: &Folder,
    directory: &EntryPath,
    found: &mut Vec<Found>,
    todo: &mut Vec<EntryPath>,
) -> io::Result<()> {
    let fd = folder.open_directory(directory)?;
    if directory.is_root() {
        found.extend(self::found(&fd, c".", directory)?);
    }
    let mut buffer = vec![std::mem::MaybeUninit::uninit(); 32 << 10];
    let mut entries = RawDir::new(&fd, &mut buffer);
    let mut names: Vec<CString> = Vec::new();
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    for name in names {
        let path = EntryPath::new(name.as_bytes()).and_then(|name| directory.join(&name));
        let path = path.map_err(io::Error::other)?;
        let Some(object) = self::found(&fd, &name, &path)? else {
            continue;
        };
        if object.entry.is_directory() {
            todo.push(path);
        }
        found.push(object);
    }
    Ok(())
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the fields' types differ between architectures"
)]
fn found(
    directory: &OwnedFd,
    name: &std::ffi::CStr,
    path: &EntryPath,
) -> io::Result<Option<Found>> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let device = Device {
        major: rustix::fs::major(stat.st_rdev as _),
        minor: rustix::fs::minor(stat.st_rdev as _),
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File {
            size: stat.st_size as u64,
            digest: crate::canon::Digest::of(b""),
        },
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
            Kind::Symlink(target.into_bytes().into())
        }
        FileType::CharacterDevice => Kind::CharacterDevice(device),
        FileType::BlockDevice => Kind::BlockDevice(device),
        FileType::Fifo => Kind::Fifo,
        FileType::Socket | FileType::Unknown => return Ok(None),
    };
    let is_linked = stat.st_nlink > 1 && matches!(kind, Kind::File { .. });
    Ok(Some(Found {
        linked: is_linked.then_some((stat.st_dev as u64, stat.st_ino as u64)),
        entry: Entry {
            path: path.clone(),
            kind,
            meta: Meta {
                mode: (stat.st_mode & 0o7777) as u16,
                uid: stat.st_uid,
                gid: stat.st_gid,
                mtime: stat.st_mtime as i64,
                xattrs: None,
            },
        },
    }))
}

/// Adds what only an open file tells.
fn complete(folder: &Folder, entry: &mut Entry) -> io::Result<()> {
    match &mut entry.kind {
        Kind::File { size, digest } => {
            let file = folder.open_file(&entry.path)?;
            entry.meta.xattrs = xattrs(&file)?;
            let mut hashed = Hashed::new(file);
            io::copy(&mut hashed, &mut io::sink())?;
            (*digest, *size) = hashed.finish();
        }
        Kind::Hardlink(_) => entry.meta.xattrs = xattrs(&folder.open_file(&entry.path)?)?,
        Kind::Directory => entry.meta.xattrs = xattrs(&folder.open_directory(&entry.path)?)?,
        _ => {}
    }
    Ok(())
}

fn xattrs(file: &impl AsFd) -> io::Result<Option<Box<Xattrs>>> {
    // Linux, xattr(7): names of all attributes, and a value, are at most 64 KiB each.
    let mut names = vec![0_u8; 64 << 10];
    let length = match rustix::fs::flistxattr(file, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut xattrs = Xattrs::new();
    for name in names[..length].split(|&byte| byte == 0) {
        let is_machines = name.starts_with(b"system.") || name == b"security.selinux";
        if name.is_empty() || is_machines {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        let length = rustix::fs::fgetxattr(file, name, &mut value[..])?;
        xattrs.insert(name.into(), value[..length].into());
    }
    Ok((!xattrs.is_empty()).then(|| Box::new(xattrs)))
}
