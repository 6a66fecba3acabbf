//! `getsockopt` of who is at the other end of a Unix socket, by which servers know their users
//! (`SO_PEERCRED`, unix(7)).
//!
//! In: the call. Out: who that process is now; to the kernel all are one user. Of a process that is gone, and of
//! what isn't such a socket, the kernel tells what it knows.

use std::os::fd::AsFd as _;

use rustix::io::Errno;

use super::identity::Identities;
use super::{Answer, Caller};
use crate::sandbox::{processes, sys_notify};

/// The option's level and name, in the order of the call's arguments from the second on.
pub(super) const OPTION: [i32; 2] = [libc::SOL_SOCKET, libc::SO_PEERCRED];

pub(super) fn answer(caller: &Caller<'_>, identities: &Identities) -> Answer {
    super::or_continue(told(caller, identities))
}

fn told(caller: &Caller<'_>, identities: &Identities) -> Result<Answer, Errno> {
    let process = sys_notify::peer(caller.taken(caller.int(0))?.as_fd())?.ok_or(Errno::SRCH)?;
    let namespace = |process| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    // Whoever else has that number is nobody of the step's.
    if namespace(process) != namespace(caller.pid()) {
        return Err(Errno::SRCH);
    }
    let own = processes::own_number(process).ok_or(Errno::SRCH)?;
    let identity = identities.of(process)?;
    let ids = [own, identity.users.effective, identity.groups.effective];
    let told = ids.map(u32::to_ne_bytes).concat();
    let mut room = [0; 4];
    caller.read(caller.argument(4), &mut room)?;
    let length = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno::INVAL)?;
    let length = length.min(told.len());
    caller.write(caller.argument(3), &told[..length])?;
    caller.write(caller.argument(4), &(length as u32).to_ne_bytes())?;
    Ok(Answer::Value(0))
}
