//! `getsockopt` of who is at the other end of a Unix socket, by which servers know their users
//! (`SO_PEERCRED`, unix(7)).
//!
//! In: the call. Out: who that process is now; to the kernel all are one user. Of a process that is gone, and of
//! what isn't such a socket, the kernel tells what it knows.

use rustix::net::sockopt::socket_peercred;

use super::identity::Identities;
use super::{Answer, Caller};
use crate::sandbox::processes;

/// `struct ucred`: three numbers.
const LENGTH: usize = 12;

/// The option's level and name, in the order of the call's arguments from the second on.
pub(super) const OPTION: [i32; 2] = [libc::SOL_SOCKET, libc::SO_PEERCRED];

pub(super) fn answer(caller: &Caller<'_>, identities: &Identities) -> Answer {
    super::or_continue(told(caller, identities))
}

fn told(caller: &Caller<'_>, identities: &Identities) -> Result<Answer, rustix::io::Errno> {
    use rustix::io::Errno;
    let peer = socket_peercred(caller.taken(caller.int(0))?)?;
    let process = peer.pid.as_raw_nonzero().get().cast_unsigned();
    let own = processes::own_number(process).ok_or(Errno::SRCH)?;
    let identity = identities.of(process)?;
    let ids = [own, identity.users.effective, identity.groups.effective];
    let told = ids.map(u32::to_ne_bytes).concat();
    let mut room = [0; 4];
    caller.read(caller.argument(4), &mut room)?;
    let length = usize::try_from(u32::from_ne_bytes(room))
        .unwrap_or(0)
        .min(LENGTH);
    caller.write(caller.argument(3), &told[..length])?;
    caller.write(caller.argument(4), &(length as u32).to_ne_bytes())?;
    Ok(Answer::Value(0))
}
