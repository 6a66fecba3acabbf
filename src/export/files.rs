//! An image's file system: as one tar, or in a folder.
//!
//! In: an image of the store. Out: its files, layers merged. In a folder they belong to whoever
//! runs cairn; modes and times are kept, devices are left out.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;
use crate::canon::event::Events;
use crate::inputs::{BaseImage, Files, stage};
use crate::layer::chunk::KnownChunks;
use crate::layer::codec::Expansion;
use crate::layer::pack::{Contents, Packing, pack};
use crate::layer::{Codec, Entry, Kind};
use crate::plan::Selection;
use crate::store::Store;

/// All files of an image.
pub fn of(image: &BaseImage, store: &Store, limit: Expansion) -> Result<Files, Error> {
    let all = Selection {
        sources: vec![".".to_owned()],
        ..Selection::default()
    };
    Ok(stage::files(&image.stack, &all, store, limit)?)
}

struct NoChunks;

impl KnownChunks for NoChunks {
    fn get(&self, _: &crate::canon::Digest) -> Option<crate::layer::chunk::Compressed> {
        None
    }
}

/// Writes the files as a tar, compressed as a layer is.
pub fn write_tar(files: &Files, codec: Codec, out: &mut dyn Write) -> Result<(), Error> {
    for pick in &files.picks {
        let packing = Packing {
            codec,
            known: &NoChunks,
            previous: None,
            threads: 1,
            moved: &|_| {},
        };
        pack(&pick.tree, &pick.origins, &packing, out)?;
    }
    Ok(())
}

/// Writes the files into a folder, over what is there.
pub fn write_folder(files: &Files, folder: &Path, events: &Events) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    for pick in &files.picks {
        let mut directories: Vec<(PathBuf, &Entry)> = Vec::new();
        let mut entries = pick.tree.entries().iter().enumerate();
        let written = entries.try_for_each(|(index, entry)| {
            let path = below(folder, entry.path.as_bytes());
            match &entry.kind {
                // The folder itself is the user's.
                Kind::Directory if entry.path.is_root() => {}
                Kind::Directory => {
                    make_directory(&path).map_err(failed(&path))?;
                    directories.push((path, entry));
                }
                Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Whiteout => {
                    events.warn(format!("`{}` is a device or pipe and left out", entry.path));
                }
                _ => write_entry(entry, index, &pick.origins, folder, &path)
                    .map_err(failed(&path))?,
            }
            Ok(())
        });
        // Last, and from below: a directory that can't be written to has its files by then. And
        // whatever failed, none stays open that should not be.
        let mut directories = directories.iter().rev();
        let finished =
            directories.try_for_each(|(path, entry)| finish(path, entry).map_err(failed(path)));
        written.and(finished)?;
    }
    Ok(())
}

fn below(folder: &Path, path: &[u8]) -> PathBuf {
    folder.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path))
}

/// A real directory: a link or file in its place goes, so that nothing is written through it. Its
/// owner may write to it for now, whatever the umask or an earlier export says.
fn make_directory(path: &Path) -> io::Result<()> {
    const ALL: u32 = 0o700;
    let mode = |path| std::fs::symlink_metadata(path).map(|there| (there.is_dir(), there.mode()));
    match mode(path) {
        Ok((true, _)) => {}
        Ok((false, _)) => std::fs::remove_file(path).and_then(|()| std::fs::create_dir(path))?,
        Err(_) => std::fs::create_dir(path)?,
    }
    match mode(path)? {
        (_, mode) if mode & ALL == ALL => Ok(()),
        (_, mode) => std::fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 | ALL)),
    }
}

fn write_entry(
    entry: &Entry,
    index: usize,
    contents: &dyn Contents,
    folder: &Path,
    path: &Path,
) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => std::fs::remove_dir_all(path)?,
        Ok(_) => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    match &entry.kind {
        Kind::Symlink(target) => {
            let target = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(target);
            std::os::unix::fs::symlink(target, path)?;
            set_time(path, entry)
        }
        Kind::Hardlink(target) => std::fs::hard_link(below(folder, target.as_bytes()), path),
        _ => {
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            io::copy(&mut contents.open(index, entry)?, &mut file)?;
            finish(path, entry)
        }
    }
}

fn finish(path: &Path, entry: &Entry) -> io::Result<()> {
    // Whoever runs cairn owns the file: it must not run as its owner for others.
    let mode = u32::from(entry.meta.mode) & if entry.is_directory() { 0o1777 } else { 0o777 };
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    set_time(path, entry)
}

/// The time of the entry itself, also where it is a link.
fn set_time(path: &Path, entry: &Entry) -> io::Result<()> {
    let seconds = rustix::fs::Timespec {
        tv_sec: entry.meta.mtime,
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: seconds,
        last_modification: seconds,
    };
    let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(
        rustix::fs::CWD,
        path,
        &times,
        nofollow,
    )?)
}
