//! Other names for files whose owner is known by their inode.
//!
//! In: a rename or a hard link. Out: nothing, the kernel carries it out. An overlay copies a layer's
//! file up before it gets another name, and the copy is another inode: so it is copied up here, and
//! its owner goes along.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Gid, Uid};
use rustix::io::Errno;

use super::record::{self, Table};
use super::{Answer, Call, Caller, or_continue};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};

pub(super) fn answer(call: Call, caller: &Caller<'_>, table: &mut Table) -> Answer {
    match table.is_empty() {
        true => Answer::Continue,
        false => or_continue(copy_up(call, caller, table)),
    }
}

fn copy_up(call: Call, caller: &Caller<'_>, table: &mut Table) -> Result<Answer, Errno> {
    let (start, path) = match call {
        Call::Link | Call::Rename => (libc::AT_FDCWD, caller.argument(0)),
        _ => (caller.int(0), caller.argument(1)),
    };
    let rights = Rights::of(caller, Users::One)?;
    let file = resolve::file(caller, &rights, start, path, Way::plain(false))?;
    let Some(kept) = record::linked_file(file.as_fd(), table)? else {
        return Ok(Answer::Continue);
    };
    caller.check()?;
    let (uid, gid) = (Some(Uid::ROOT), Some(Gid::ROOT));
    rustix::fs::chownat(&file, "", uid, gid, AtFlags::EMPTY_PATH)?;
    record::keep(file.as_fd(), kept, table)?;
    Ok(Answer::Continue)
}
