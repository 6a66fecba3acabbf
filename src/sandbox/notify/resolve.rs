//! Paths of other processes: what they name, from the process's own root and working directory.
//!
//! In: a [`Caller`], its rights and what it passed. Out: the file, opened to be named only
//! (`O_PATH`). Nothing is found that the caller could not find: only its [`Rights`] open
//! directories, `..` ends at its root, and links of a `/proc` lead where its own lead.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::Caller;
use super::rights::Rights;

/// Most symbolic links on one way, as the kernel has it.
const MOST_LINKS: u32 = 40;
/// `PROC_SUPER_MAGIC`, and the number of its root's inode.
const PROC: (u64, u64) = (0x9fa0, 1);

/// How a path is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Whether a symbolic link at its end is followed.
    pub follow: bool,
    /// Whether an empty path names the descriptor itself (`AT_EMPTY_PATH`).
    pub empty: bool,
}

impl Way {
    /// As calls with `AT_*` flags mean it.
    pub fn of_flags(flags: i32) -> Way {
        Way {
            follow: flags & libc::AT_SYMLINK_NOFOLLOW == 0,
            empty: flags & libc::AT_EMPTY_PATH != 0,
        }
    }

    /// As `stat` and `chown` (follows), or `lstat` and `lchown` mean it.
    pub fn plain(follow: bool) -> Way {
        Way {
            follow,
            empty: false,
        }
    }
}

/// The file that a caller names by a descriptor (or `AT_FDCWD`) and a path at `address`.
///
/// # Errors
/// As the kernel has them; or that the kernel would find it, where cairn can't: let the kernel go
/// on by itself then.
pub fn file(
    caller: &Caller<'_>,
    rights: &Rights,
    start: i32,
    address: u64,
    way: Way,
) -> Result<OwnedFd, Errno> {
    // With AT_EMPTY_PATH no path at all is an empty one, since Linux 6.11.
    let path = match way.empty && address == 0 {
        true => Vec::new(),
        false => caller.path(address)?,
    };
    match path.as_slice() {
        [] if way.empty => caller.start(start),
        [] => Err(Errno::NOENT),
        path => at(caller, rights, start, path, way.follow),
    }
}

/// The directory that a name would be made in, and the name, which is neither `.` nor `..`.
pub fn parent(
    caller: &Caller<'_>,
    rights: &Rights,
    start: i32,
    path: &[u8],
) -> Result<(OwnedFd, Vec<u8>), Errno> {
    let kept = path.iter().rposition(|byte| *byte != b'/');
    let path = &path[..kept.map_or(0, |last| last + 1)];
    let cut = path.iter().rposition(|byte| *byte == b'/');
    let (folder, name) = path.split_at(cut.map_or(0, |slash| slash + 1));
    match name {
        b"" | b"." | b".." => return Err(Errno::EXIST),
        _ => {}
    }
    let folder = match folder {
        b"" => caller.start(start)?,
        folder => at(caller, rights, start, folder, true)?,
    };
    Ok((folder, name.to_vec()))
}

fn at(
    caller: &Caller<'_>,
    rights: &Rights,
    start: i32,
    path: &[u8],
    follow: bool,
) -> Result<OwnedFd, Errno> {
    let absolute = path.first() == Some(&b'/');
    let from = match absolute {
        true => caller.root()?,
        false => caller.start(start)?,
    };
    // What `/proc` says depends on who asks, so that the kernel must not resolve it for us. A way
    // there that doesn't start in it crosses into another mount.
    if rustix::fs::fstatfs(&from)?.f_type.cast_unsigned() != PROC.0 {
        let within = match absolute {
            true => ResolveFlags::IN_ROOT,
            false => ResolveFlags::BENEATH,
        };
        let within = within | ResolveFlags::NO_XDEV;
        match rights.act(|| openat2(&from, path, flags(follow), Mode::empty(), within)) {
            // A mount, or `..` or a link leads out of where it starts.
            Err(Errno::XDEV | Errno::AGAIN) => {}
            other => return other,
        }
    }
    let root = caller.root()?;
    rights.act(|| walk(caller, root, from, path, follow))
}

fn flags(follow: bool) -> OFlags {
    match follow {
        true => OFlags::PATH | OFlags::CLOEXEC,
        false => OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
    }
}

/// Goes along `path` step by step.
fn walk(
    caller: &Caller<'_>,
    root: OwnedFd,
    from: OwnedFd,
    path: &[u8],
    follow: bool,
) -> Result<OwnedFd, Errno> {
    let (root_stat, root_mount) = (rustix::fs::fstat(&root)?, mount(root.as_fd())?);
    let mut here = from;
    let mut links = 0;
    let mut names: VecDeque<Vec<u8>> = components(path).collect();
    let mut folder_wanted = path.ends_with(b"/");
    while let Some(name) = names.pop_front() {
        if name == b".." {
            let stat = rustix::fs::fstat(&here)?;
            let at_root = (stat.st_dev, stat.st_ino) == (root_stat.st_dev, root_stat.st_ino)
                && mount(here.as_fd())? == root_mount;
            if !at_root {
                here = openat(&here, "..", flags(false) | OFlags::DIRECTORY, Mode::empty())?;
            }
            continue;
        }
        let next = openat(&here, name.as_slice(), flags(false), Mode::empty());
        let proc = rustix::fs::fstatfs(&here)?.f_type.cast_unsigned() == PROC.0;
        let proc_root = proc && rustix::fs::fstat(&here)?.st_ino == PROC.1;
        let target = match (proc_root, name.as_slice()) {
            (true, b"self") => own_number(caller, &here)?,
            (true, b"thread-self") => {
                let number = own_number(caller, &here)?;
                [number.as_slice(), b"/task/", &number].concat()
            }
            _ => {
                let next = next?;
                let is_link = rustix::fs::fstat(&next)?.st_mode & libc::S_IFMT == libc::S_IFLNK;
                let last = names.is_empty() && !folder_wanted;
                if !is_link || (last && !follow) {
                    here = next;
                    continue;
                }
                links += 1;
                if proc && !proc_root {
                    // Not a text but the file itself: the kernel jumps there.
                    here = openat(&here, name.as_slice(), flags(true), Mode::empty())?;
                    continue;
                }
                rustix::fs::readlinkat(&next, "", Vec::new())?.into_bytes()
            }
        };
        if links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        if target.first() == Some(&b'/') {
            here = rustix::io::fcntl_dupfd_cloexec(&root, 0)?;
        }
        folder_wanted |= names.is_empty() && target.ends_with(b"/");
        for name in components(&target).rev() {
            names.push_front(name);
        }
    }
    let stat = rustix::fs::fstat(&here)?;
    match folder_wanted && stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        true => Err(Errno::NOTDIR),
        false => Ok(here),
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let names = path.split(|byte| *byte == b'/');
    names
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
}

/// The number of a file's mount.
fn mount(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    Ok(statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// The number that the caller's process has in this `/proc`: of its own namespace, or of ours.
fn own_number(caller: &Caller<'_>, proc: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let numbers = caller.status("NStgid")?;
    let mut numbers = numbers.split_whitespace();
    let is_ours = rustix::fs::fstat(proc)?.st_dev == rustix::fs::stat("/proc")?.st_dev;
    let number = match is_ours {
        true => numbers.next(),
        false => numbers.next_back(),
    };
    Ok(number.ok_or(Errno::SRCH)?.as_bytes().to_vec())
}
