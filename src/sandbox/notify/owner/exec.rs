//! Programs that run as their owner.
//!
//! In: an exec. Out: nothing, the kernel carries it out; but before it does, the process becomes
//! whom the file's set-user-ID and set-group-ID bits say. What cannot be emulated: that libc
//! distrusts its environment in such a program (`AT_SECURE`).

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::identity::Identities;
use super::record::{self, Table};
use super::{Answer, Call, Caller, or_continue};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};

pub(super) fn answer(
    call: Call,
    caller: &Caller<'_>,
    identities: &mut Identities,
    table: &Table,
) -> Answer {
    or_continue(become_owner(call, caller, identities, table))
}

fn become_owner(
    call: Call,
    caller: &Caller<'_>,
    identities: &mut Identities,
    table: &Table,
) -> Result<Answer, Errno> {
    let rights = Rights::of(caller, Users::One)?;
    let file = match call {
        Call::Execve => {
            let path = caller.argument(0);
            resolve::file(caller, &rights, libc::AT_FDCWD, path, Way::plain(true))?
        }
        _ => {
            let way = Way::of_flags(caller.int(4));
            resolve::file(caller, &rights, caller.int(0), caller.argument(1), way)?
        }
    };
    let stat = rustix::fs::fstat(&file)?;
    let now = identities.of(caller.pid())?;
    let runs = stat.st_mode & libc::S_IFMT == libc::S_IFREG && stat.st_mode & 0o111 != 0;
    let (sets_user, sets_group) = (
        stat.st_mode & libc::S_ISUID != 0,
        // Without its group's execute bit it means something else (mandatory locks).
        stat.st_mode & (libc::S_ISGID | libc::S_IXGRP) == libc::S_ISGID | libc::S_IXGRP,
    );
    let next = match runs && (sets_user || sets_group) && !is_script(&file) {
        false => now.with_program(None, None),
        true => {
            let owner = record::owner(file.as_fd(), table)?;
            now.with_program(
                sets_user.then_some(owner.uid),
                sets_group.then_some(owner.gid),
            )
        }
    };
    // A path that nothing runs leaves the process as it is; what fails later than here (a format
    // that the kernel doesn't know) does not, which is a gap.
    if runs && next != *now {
        caller.check()?;
        identities.change(caller.pid(), next)?;
    }
    Ok(Answer::Continue)
}

/// Whether an interpreter runs it: the kernel then heeds the interpreter's bits alone.
fn is_script(file: &std::os::fd::OwnedFd) -> bool {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    let mut start = [0; 2];
    let read = std::fs::File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}
