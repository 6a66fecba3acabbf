//! `getuid`, `setuid` and their kin, and the `prctl` that goes before some of them.
//!
//! In: the call. Out: the ids, or new ones; credentials(7).

use rustix::io::Errno;

use super::identity::{Change, Identities, Ids};
use super::{Answer, Call, Caller};

/// Most groups of a process, as the kernel has it.
const MOST_GROUPS: u32 = 1 << 16;

pub(super) fn answer(
    call: Call,
    caller: &Caller<'_>,
    identities: &mut Identities,
) -> Result<Answer, Errno> {
    let now = identities.of(caller.pid())?;
    let id = |id: u32| Ok(Answer::Value(id.into()));
    let word = |at| caller.word(at);
    let three = || [word(0), word(1), word(2)];
    let next = match call {
        Call::Getuid => return id(now.users.real),
        Call::Geteuid => return id(now.users.effective),
        Call::Getgid => return id(now.groups.real),
        Call::Getegid => return id(now.groups.effective),
        Call::Getresuid => return write_three(caller, now.users),
        Call::Getresgid => return write_three(caller, now.groups),
        Call::Getgroups => return write_groups(caller, &now.others),
        Call::Setuid => now.with_users(Change::One(word(0)))?,
        Call::Setgid => now.with_groups(Change::One(word(0)))?,
        Call::Setreuid => now.with_users(Change::Two(word(0), word(1)))?,
        Call::Setregid => now.with_groups(Change::Two(word(0), word(1)))?,
        Call::Setresuid => now.with_users(Change::Three(three()))?,
        Call::Setresgid => now.with_groups(Change::Three(three()))?,
        Call::Setfsuid => now.with_users(Change::File(word(0)))?,
        Call::Setfsgid => now.with_groups(Change::File(word(0)))?,
        Call::Setgroups => {
            if !now.is_privileged() {
                return Err(Errno::PERM);
            }
            now.with_others(read_groups(caller)?)?
        }
        // PR_SET_KEEPCAPS, which the kernel has to know, too.
        _ => {
            let next = now.with_keeps(word(1) != 0);
            if next != *now {
                identities.change(caller.pid(), next)?;
            }
            return Ok(Answer::Continue);
        }
    };
    let before = match call {
        Call::Setfsuid => now.users.file,
        Call::Setfsgid => now.groups.file,
        _ => 0,
    };
    if next != *now {
        caller.check()?;
        identities.change(caller.pid(), next)?;
    }
    Ok(Answer::Value(before.into()))
}

fn write_three(caller: &Caller<'_>, ids: Ids) -> Result<Answer, Errno> {
    for (at, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        caller.write(caller.argument(at), &id.to_ne_bytes())?;
    }
    Ok(Answer::Value(0))
}

fn write_groups(caller: &Caller<'_>, groups: &[u32]) -> Result<Answer, Errno> {
    let count = i32::try_from(groups.len()).map_err(|_| Errno::INVAL)?;
    let room = caller.int(0);
    if room < 0 || (room != 0 && room < count) {
        return Err(Errno::INVAL);
    }
    if room != 0 && count != 0 {
        let bytes: Vec<u8> = groups.iter().flat_map(|id| id.to_ne_bytes()).collect();
        caller.write(caller.argument(1), &bytes)?;
    }
    Ok(Answer::Value(count.into()))
}

fn read_groups(caller: &Caller<'_>) -> Result<Vec<u32>, Errno> {
    let count = caller.word(0);
    if count > MOST_GROUPS {
        return Err(Errno::INVAL);
    }
    let mut bytes = vec![0; count as usize * size_of::<u32>()];
    if !bytes.is_empty() {
        caller.read(caller.argument(1), &mut bytes)?;
    }
    let (ids, _) = bytes.as_chunks();
    Ok(ids.iter().map(|id| u32::from_ne_bytes(*id)).collect())
}
