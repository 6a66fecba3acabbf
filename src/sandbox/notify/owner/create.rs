//! Calls that make files: theirs is the user who made them, and devices are files that stand for
//! them.
//!
//! In: the call. Out: what it makes, with its owner recorded. Where that is root's the kernel
//! makes it by itself; else cairn does, in the caller's stead. A directory with the set-group-ID
//! bit hands its group on. Not covered: sockets that `bind` makes, files made through a symbolic
//! link that leads nowhere; those are root's.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::identity::{Identities, Identity};
use super::record::{self, Owner, Table};
use super::{Answer, Call, Caller, device};
use crate::sandbox::notify::resolve;
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::owner::Kept;

/// What `openat2` is given: flags, mode, resolve.
const HOW: usize = 24;

/// A call, taken apart.
enum Wanted {
    Directory { mode: u32 },
    Link { target: Vec<u8> },
    Node { mode: u32, device: u64 },
    Open { flags: u32, mode: u32 },
}

pub(super) fn answer(
    call: Call,
    caller: &Caller<'_>,
    identities: &Identities,
    table: &mut Table,
) -> Result<Answer, Errno> {
    make(call, caller, identities.of(caller.pid())?, table)
}

fn take_apart(call: Call, caller: &Caller<'_>) -> Result<(i32, u64, Wanted), Errno> {
    let (word, long) = (|at| caller.word(at), |at| caller.argument(at));
    let node = |mode, device| Wanted::Node { mode, device };
    let open = |flags, mode| Wanted::Open { flags, mode };
    Ok(match call {
        Call::Mkdir => (libc::AT_FDCWD, long(0), Wanted::Directory { mode: word(1) }),
        Call::Mkdirat => (caller.int(0), long(1), Wanted::Directory { mode: word(2) }),
        Call::Symlink => {
            let target = caller.path(long(0))?;
            (libc::AT_FDCWD, long(1), Wanted::Link { target })
        }
        Call::Symlinkat => {
            let target = caller.path(long(0))?;
            (caller.int(1), long(2), Wanted::Link { target })
        }
        Call::Mknod => (libc::AT_FDCWD, long(0), node(word(1), long(2))),
        Call::Mknodat => (caller.int(0), long(1), node(word(2), long(3))),
        Call::Creat => {
            let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC).cast_unsigned();
            (libc::AT_FDCWD, long(0), open(flags, word(1)))
        }
        Call::Open => (libc::AT_FDCWD, long(0), open(word(1), word(2))),
        Call::Openat => (caller.int(0), long(1), open(word(2), word(3))),
        _ => {
            let mut how = [0; HOW];
            caller.read(long(2), &mut how)?;
            let (words, _) = how.as_chunks();
            let words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
            // A new flag, or a way of resolving: what that makes, the kernel makes.
            let flags = match words[2] {
                0 => u32::try_from(words[0]).unwrap_or(0),
                _ => 0,
            };
            (
                caller.int(0),
                long(1),
                open(flags, (words[1] & 0o7777) as u32),
            )
        }
    })
}

fn make(
    call: Call,
    caller: &Caller<'_>,
    who: &Identity,
    table: &mut Table,
) -> Result<Answer, Errno> {
    // What is wrong with the path is wrong for the kernel, too.
    let Ok((start, address, wanted)) = take_apart(call, caller) else {
        return Ok(Answer::Continue);
    };
    if let Wanted::Open { flags, .. } = wanted {
        let flags = flags.cast_signed();
        let makes = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
        if !makes || flags & libc::O_PATH != 0 {
            return Ok(Answer::Continue);
        }
    }
    let Ok(path) = caller.path(address) else {
        return Ok(Answer::Continue);
    };
    let rights = Rights::of(caller, Users::One)?;
    if let Wanted::Open { flags, .. } = wanted
        && flags.cast_signed() & libc::O_TMPFILE == libc::O_TMPFILE
    {
        let way = resolve::Way::plain(true);
        return match resolve::file(caller, &rights, start, address, way) {
            Ok(folder) => made(caller, who, &rights, table, folder.as_fd(), b".", &wanted),
            Err(_) => Ok(Answer::Continue),
        };
    }
    if path.ends_with(b"/") && !matches!(wanted, Wanted::Directory { .. }) {
        return Ok(Answer::Continue);
    }
    let Ok((folder, name)) = resolve::parent(caller, &rights, start, &path) else {
        return Ok(Answer::Continue);
    };
    made(caller, who, &rights, table, folder.as_fd(), &name, &wanted)
}

/// Makes it in `folder`, unless the kernel makes the same.
fn made(
    caller: &Caller<'_>,
    who: &Identity,
    rights: &Rights,
    table: &mut Table,
    folder: BorrowedFd<'_>,
    name: &[u8],
    wanted: &Wanted,
) -> Result<Answer, Errno> {
    let stat = rustix::fs::fstat(folder)?;
    let inherited = match stat.st_mode & libc::S_ISGID != 0 {
        true => Some(record::owner(folder, table)?.gid),
        false => None,
    };
    let owner = Owner {
        uid: who.users.file,
        gid: inherited.unwrap_or(who.groups.file),
    };
    let is_device = matches!(wanted, Wanted::Node { mode, .. } if device::is_wanted(*mode));
    if owner == (Owner { uid: 0, gid: 0 }) && !is_device {
        return Ok(Answer::Continue);
    }
    let mode_of = |mode: u32| Ok::<_, Errno>(Mode::from_raw_mode(mode & 0o7777 & !caller.umask()?));
    let kept = Kept {
        uid: owner.uid,
        gid: owner.gid,
        device: None,
    };
    caller.check()?;
    let file = match wanted {
        Wanted::Directory { mode } => {
            let mode = mode_of(mode & 0o1777)?;
            // This process has a umask of its own; the kernel hands the bit on.
            let bit = Mode::from_raw_mode(stat.st_mode & libc::S_ISGID);
            rights.act(|| {
                rustix::fs::mkdirat(folder, name, mode)?;
                let file = named(folder, name)?;
                chmod(file.as_fd(), mode | bit)?;
                Ok(file)
            })?
        }
        Wanted::Link { target } => rights.act(|| {
            rustix::fs::symlinkat(target.as_slice(), folder, name)?;
            named(folder, name)
        })?,
        Wanted::Node { mode, device } if is_device => {
            if !who.is_privileged() {
                return Err(Errno::PERM);
            }
            let (node, permissions) = (device::Node::new(*mode, *device), mode_of(*mode)?);
            node.make(rights, folder, name, permissions, owner, table)?;
            return Ok(Answer::Value(0));
        }
        Wanted::Node { mode, .. } => {
            let file_type = match mode & libc::S_IFMT {
                libc::S_IFIFO => FileType::Fifo,
                libc::S_IFSOCK => FileType::Socket,
                0 | libc::S_IFREG => FileType::RegularFile,
                _ => return Ok(Answer::Continue),
            };
            let mode = mode_of(*mode)?;
            rights.act(|| {
                rustix::fs::mknodat(folder, name, file_type, mode, 0)?;
                let file = named(folder, name)?;
                chmod(file.as_fd(), mode)?;
                Ok(file)
            })?
        }
        Wanted::Open { flags, mode } => {
            let mode = mode_of(*mode)?;
            let asked = flags.cast_signed();
            let unnamed = asked & libc::O_TMPFILE == libc::O_TMPFILE;
            let forced = if unnamed {
                0
            } else {
                libc::O_CREAT | libc::O_EXCL
            };
            let forced = forced | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NOCTTY;
            let flags = OFlags::from_bits_retain((asked | forced).cast_unsigned());
            let opened = rights.act(|| {
                let file = rustix::fs::openat(folder, name, flags, mode)?;
                rustix::fs::fchmod(&file, mode)?;
                Ok(file)
            });
            let Ok(file) = opened else {
                // It was there, or nobody can make it so: as the kernel has it.
                return Ok(Answer::Continue);
            };
            record::keep(file.as_fd(), kept, table)?;
            return Ok(Answer::Descriptor {
                file,
                close_on_exec: asked & libc::O_CLOEXEC != 0,
            });
        }
    };
    record::keep(file.as_fd(), kept, table)?;
    Ok(Answer::Value(0))
}

/// What was just made.
fn named(folder: BorrowedFd<'_>, name: &[u8]) -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

fn chmod(file: BorrowedFd<'_>, mode: Mode) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmodat(CWD, path, mode, rustix::fs::AtFlags::empty())
}
