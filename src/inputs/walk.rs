//! The walk over a folder: names and what `stat` says, on all cores, in the order of paths.
//!
//! In: a folder and what to leave out. Out: [`Found`] objects, sorted; nothing is read but
//! directories and links.

use std::io;

use rayon::prelude::*;
use rustix::fs::{FileType, RawDir};

use super::beneath::Folder;
use super::stat::Stat;
use crate::canon::EntryPath;
use crate::canon::pattern::{Rules, Verdict};

/// An object of a folder.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: EntryPath,
    pub(super) kind: FoundKind,
}

/// What it is.
#[derive(Debug)]
pub(super) enum FoundKind {
    File(Stat),
    Directory,
    Symlink(Box<[u8]>),
    /// Something that no image takes from a context, in words: a socket, …
    Special(&'static str),
    /// A directory that can't be read, or something that vanished.
    Unreadable(io::Error),
}

/// Everything in `folder` that `ignored` doesn't leave out, sorted by path, the root itself not
/// included.
pub(super) fn walk(folder: &Folder, ignored: &Rules) -> Vec<Found> {
    let mut found = Vec::new();
    let root = EntryPath::root();
    let mut down = || directory(folder, ignored, &root, Verdict::default(), &mut found);
    // A path of 4095 bytes can be 2048 folders deep. Only what is used of a stack costs memory.
    let pool = rayon::ThreadPoolBuilder::new()
        .stack_size(128 << 20)
        .build();
    let unreadable = match pool {
        Ok(pool) => pool.install(down),
        Err(_) => down(),
    };
    if let Some(error) = unreadable {
        found.push(Found {
            path: EntryPath::root(),
            kind: FoundKind::Unreadable(error),
        });
    }
    found
}

/// Adds what is below `path`, or says why that can't be read.
fn directory(
    folder: &Folder,
    ignored: &Rules,
    path: &EntryPath,
    verdict: Verdict,
    found: &mut Vec<Found>,
) -> Option<io::Error> {
    let (fd, names) = match open_and_list(folder, path) {
        Ok(listed) => listed,
        Err(error) => return Some(error),
    };
    let mut here = Vec::with_capacity(names.len());
    let mut subdirectories = Vec::new();
    for name in names {
        // A name that no image can hold is none that a rule could leave out either.
        let Some(child) = EntryPath::new(&name)
            .ok()
            .and_then(|name| path.join(&name).ok())
        else {
            let error = io::Error::other("it holds a path longer than 4095 bytes");
            return Some(error);
        };
        let child_verdict = ignored.verdict(&child, verdict);
        let is_ignored = child_verdict.matches();
        let stat = match Folder::stat(&fd, &name) {
            Ok(stat) => stat,
            Err(_) if is_ignored => continue,
            Err(error) => {
                here.push(Found {
                    path: child,
                    kind: FoundKind::Unreadable(error),
                });
                continue;
            }
        };
        if is_ignored && stat.file_type() != FileType::Directory {
            continue;
        }
        let kind = match stat.file_type() {
            FileType::RegularFile => FoundKind::File(stat),
            FileType::Symlink => match Folder::read_link(&fd, &name) {
                Ok(target) => FoundKind::Symlink(target),
                Err(error) => FoundKind::Unreadable(error),
            },
            FileType::Directory => {
                if !is_ignored || ignored.may_differ_below(&child, child_verdict) {
                    subdirectories.push((here.len(), child_verdict, is_ignored));
                } else {
                    continue;
                }
                FoundKind::Directory
            }
            FileType::Socket => FoundKind::Special("a socket"),
            FileType::Fifo => FoundKind::Special("a named pipe"),
            FileType::CharacterDevice => FoundKind::Special("a character device"),
            FileType::BlockDevice => FoundKind::Special("a block device"),
            FileType::Unknown => FoundKind::Special("of a type that cairn does not know"),
        };
        here.push(Found { path: child, kind });
    }
    drop(fd);
    if subdirectories.is_empty() {
        found.append(&mut here);
        return None;
    }
    let below: Vec<_> = subdirectories
        .par_iter()
        .map(|&(at, verdict, _)| {
            let mut below = Vec::new();
            let unreadable = directory(folder, ignored, &here[at].path, verdict, &mut below);
            (below, unreadable)
        })
        .collect();
    let mut below = subdirectories.iter().zip(below).peekable();
    for (at, mut object) in here.into_iter().enumerate() {
        let Some((&(_, _, is_ignored), (mut inside, unreadable))) =
            below.next_if(|((directory, _, _), _)| *directory == at)
        else {
            found.push(object);
            continue;
        };
        // An ignored directory is there only for the sake of what an exception takes back.
        if is_ignored && inside.is_empty() {
            continue;
        }
        if let Some(error) = unreadable.filter(|_| !is_ignored) {
            object.kind = FoundKind::Unreadable(error);
        }
        found.push(object);
        found.append(&mut inside);
    }
    None
}

fn open_and_list(
    folder: &Folder,
    path: &EntryPath,
) -> io::Result<(std::os::fd::OwnedFd, Vec<Vec<u8>>)> {
    let fd = folder.open_directory(path)?;
    let mut names = Vec::new();
    // As much as glibc's readdir takes at a time.
    let mut buffer = vec![std::mem::MaybeUninit::uninit(); 32 << 10];
    let mut entries = RawDir::new(&fd, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    // Some file systems list a name twice when the folder changes meanwhile.
    names.dedup();
    Ok((fd, names))
}
