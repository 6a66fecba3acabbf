//! Programs that run as their owner.
//!
//! In: an exec. Out: nothing, the kernel carries it out; but before it does, the process becomes
//! whom the file's set-user-ID and set-group-ID bits say. What cannot be emulated: that libc
//! distrusts its environment in such a program (`AT_SECURE`). Programs of 32 bits are refused, as
//! their calls go by numbers that nobody here answers.

use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::{Errno, ReadWriteFlags};

use super::identity::Identities;
use super::record::{self, Table};
use super::{Answer, Call, Caller};
use crate::sandbox::notify::call::ARCHITECTURE_OF_32_BITS;
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};

pub(super) fn answer(
    call: Call,
    caller: &Caller<'_>,
    identities: &mut Identities,
    table: &Table,
) -> Answer {
    match become_owner(call, caller, identities, table) {
        Ok(true) => Answer::Continue,
        Ok(false) => refuse(caller),
        // The kernel says better what is wrong.
        Err(_) => Answer::Continue,
    }
}

/// Whether the program may run.
fn become_owner(
    call: Call,
    caller: &Caller<'_>,
    identities: &mut Identities,
    table: &Table,
) -> Result<bool, Errno> {
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
    let is_file = stat.st_mode & libc::S_IFMT == libc::S_IFREG && stat.st_mode & 0o111 != 0;
    // Who may not run it must not become its owner by trying to.
    let runs = is_file && rights.act(|| may_run(&file)).is_ok();
    let start = match runs {
        true => beginning(&file),
        false => [0; 20],
    };
    if is_of_32_bits(start) {
        return Ok(false);
    }
    let (sets_user, sets_group) = (
        stat.st_mode & libc::S_ISUID != 0,
        // Without its group's execute bit it means something else (mandatory locks).
        stat.st_mode & (libc::S_ISGID | libc::S_IXGRP) == libc::S_ISGID | libc::S_IXGRP,
    );
    // What an interpreter runs is as the interpreter's bits say.
    let is_script = start.starts_with(b"#!");
    let next = match runs && (sets_user || sets_group) && !is_script {
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
    Ok(true)
}

/// Whether this thread may, as the kernel has it.
fn may_run(file: &OwnedFd) -> Result<(), Errno> {
    let (path, wanted) = (place(file), Access::EXEC_OK);
    rustix::fs::accessat(CWD, path, wanted, AtFlags::EACCESS)
}

/// The path of an open file that any call follows, even of one open to be named only.
fn place(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// What a file begins with, as far as it tells what runs it; zeroes where that can't be read.
fn beginning(file: &OwnedFd) -> [u8; 20] {
    let mut start = [0; 20];
    // A script may be shorter.
    if let Ok(mut file) = std::fs::File::open(place(file)) {
        let _ = file.read(&mut start);
    }
    start
}

/// Whether it is a program of 32 bits that this machine runs: ELF, of the machine 386.
fn is_of_32_bits(start: [u8; 20]) -> bool {
    ARCHITECTURE_OF_32_BITS.is_some()
        && start.starts_with(b"\x7fELF\x01")
        && start.ends_with(&3_u16.to_le_bytes())
}

/// Says so where the caller would say it. Never waits: nobody else could be answered meanwhile.
fn refuse(caller: &Caller<'_>) -> Answer {
    const WHY: &[u8] = b"cairn: 32-bit programs don't run where there is one user only: \
        `cairn doctor` tells how to have more\n";
    if let Ok(error) = caller.taken(2) {
        let why = [std::io::IoSlice::new(WHY)];
        let _ = rustix::io::pwritev2(error, &why, u64::MAX, ReadWriteFlags::NOWAIT);
    }
    Answer::Fail(Errno::OPNOTSUPP)
}
