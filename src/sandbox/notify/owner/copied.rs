//! Calls that make an overlay copy a file up whose owner is known by its inode.
//!
//! In: a call that changes a file, or gives it another name. Out: nothing, the kernel carries it
//! out. An overlay copies a layer's file up before it is changed, and the copy is another inode: so
//! it is copied up here, and its owner goes along. Files and directories need none of that: theirs
//! is an attribute, which is copied, too.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::record::{self, Table};
use super::{Answer, Call, Caller};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};

/// The calls. Those that make or open files are none, as pipes are opened without a copy, and
/// `chown` is answered by itself.
pub(super) const CALLS: &[Call] = &[
    Call::Chmod,
    Call::Fchmod,
    Call::Fchmodat,
    Call::Fchmodat2,
    Call::Fremovexattr,
    Call::Fsetxattr,
    Call::Futimesat,
    Call::Link,
    Call::Linkat,
    Call::Lremovexattr,
    Call::Lsetxattr,
    Call::Removexattr,
    Call::Rename,
    Call::Renameat,
    Call::Renameat2,
    Call::Setxattr,
    Call::Utime,
    Call::Utimensat,
    Call::Utimes,
];

/// How a call says which file it means.
#[derive(Clone, Copy)]
enum Name {
    Path { start: i32, address: u64, way: Way },
    Descriptor(i32),
}

pub(super) fn answer(call: Call, caller: &Caller<'_>, table: &mut Table) -> Answer {
    if !table.is_empty() {
        let (first, second) = names(call, caller);
        for name in [Some(first), second].into_iter().flatten() {
            // What can't be found or copied the kernel won't find or copy either, and says so.
            let _ = copy_up(name, caller, table);
        }
    }
    Answer::Continue
}

/// The file that a call changes or names anew, and the other one of two that change places.
fn names(call: Call, caller: &Caller<'_>) -> (Name, Option<Name>) {
    let path = |start, address, way| Name::Path {
        start,
        address: caller.argument(address),
        way,
    };
    let here = |way| path(libc::AT_FDCWD, 0, way);
    let there = |way| path(caller.int(0), 1, way);
    let (follow, itself) = (Way::plain(true), Way::plain(false));
    let one = match call {
        Call::Fchmod | Call::Fsetxattr | Call::Fremovexattr => Name::Descriptor(caller.int(0)),
        // Without a path it is the descriptor's file.
        Call::Futimesat | Call::Utimensat if caller.argument(1) == 0 => {
            Name::Descriptor(caller.int(0))
        }
        Call::Utimensat | Call::Fchmodat2 => there(Way::of_flags(caller.int(3))),
        Call::Futimesat | Call::Fchmodat => there(follow),
        Call::Linkat => {
            let flags = caller.int(4);
            there(Way {
                follow: flags & libc::AT_SYMLINK_FOLLOW != 0,
                empty: flags & libc::AT_EMPTY_PATH != 0,
            })
        }
        Call::Renameat | Call::Renameat2 => there(itself),
        Call::Link | Call::Rename | Call::Lsetxattr | Call::Lremovexattr => here(itself),
        _ => here(follow),
    };
    let exchanges = call == Call::Renameat2 && caller.word(4) & libc::RENAME_EXCHANGE != 0;
    (one, exchanges.then(|| path(caller.int(2), 3, itself)))
}

fn copy_up(name: Name, caller: &Caller<'_>, table: &mut Table) -> Result<(), Errno> {
    let rights = Rights::of(caller, Users::One)?;
    let file = match name {
        Name::Descriptor(number) => caller.descriptor(number)?,
        Name::Path {
            start,
            address,
            way,
        } => resolve::file(caller, &rights, start, address, way)?,
    };
    let Some(kept) = record::linked_file(file.as_fd(), table)? else {
        return Ok(());
    };
    caller.check()?;
    if !table.has_copy(file.as_fd())? {
        rights.act(|| touch(&file))?;
        record::keep(file.as_fd(), kept, table)?;
    }
    Ok(())
}

/// Changes what no layer holds: when it was last read, to what that was.
fn touch(file: &OwnedFd) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(file)?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: i64::try_from(stat.st_atime_nsec).unwrap_or(0),
        },
        last_modification: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
    };
    rustix::fs::utimensat(file, "", &times, AtFlags::EMPTY_PATH)
}
