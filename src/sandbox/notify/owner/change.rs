//! `chown` and its kin.
//!
//! In: the call. Out: the new owner, recorded, where the caller may give the file away. The kernel
//! is asked to change the owner to the one that it has, so that all that goes with it happens: set
//! user and group ids and capabilities are dropped, the change time is set, an overlay copies up,
//! what is read-only stays.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Gid, Uid};
use rustix::io::Errno;

use super::identity::{Identities, Identity};
use super::record::{self, Owner, Table};
use super::{Answer, Call, Caller};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::owner::Kept;

/// No change, where a call takes an id.
const SAME: u32 = u32::MAX;

pub(super) fn answer(
    call: Call,
    caller: &Caller<'_>,
    identities: &Identities,
    table: &mut Table,
) -> Result<Answer, Errno> {
    let rights = Rights::of(caller, Users::One)?;
    let plain = |follow| {
        let path = caller.argument(0);
        resolve::file(caller, &rights, libc::AT_FDCWD, path, Way::plain(follow))
    };
    let (file, ids) = match call {
        Call::Chown => (plain(true), 1),
        Call::Lchown => (plain(false), 1),
        Call::Fchown => (caller.descriptor(caller.int(0)), 1),
        _ => {
            let way = Way::of_flags(caller.int(4));
            let file = resolve::file(caller, &rights, caller.int(0), caller.argument(1), way);
            (file, 2)
        }
    };
    // The kernel has not yet looked at the ids: it finds the same path wanting first.
    let Ok(file) = file else {
        return Ok(Answer::Continue);
    };
    let recorded = record::kept(file.as_fd(), table)?;
    let old = record::owner(file.as_fd(), table)?;
    let (uid, gid) = (caller.word(ids), caller.word(ids + 1));
    if !may(identities.of(caller.pid())?, old, uid, gid) {
        return Err(Errno::PERM);
    }
    caller.check()?;
    let (real_uid, real_gid) = (
        (uid != SAME).then_some(Uid::ROOT),
        (gid != SAME).then_some(Gid::ROOT),
    );
    rights.act(|| rustix::fs::chownat(&file, "", real_uid, real_gid, AtFlags::EMPTY_PATH))?;
    let new = Kept {
        uid: if uid == SAME { old.uid } else { uid },
        gid: if gid == SAME { old.gid } else { gid },
        device: recorded.and_then(|kept| kept.device),
    };
    let as_it_is = Kept {
        uid: 0,
        gid: 0,
        device: None,
    };
    if recorded.unwrap_or(as_it_is) != new {
        record::keep(file.as_fd(), new, table)?;
    }
    Ok(Answer::Value(0))
}

/// Whether `who` may change `old` so: root anything, an owner the group to one of its own.
fn may(who: &Identity, old: Owner, uid: u32, gid: u32) -> bool {
    let owns = who.users.file == old.uid;
    who.gives_files()
        || ((uid == SAME || (owns && uid == old.uid))
            && (gid == SAME || (owns && (gid == old.gid || who.is_in(gid)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_change_groups_and_root_changes_all() {
        let who = Identity::new(5, 6, vec![7]);
        let own = Owner { uid: 5, gid: 6 };
        for (old, uid, gid, allowed) in [
            (own, SAME, 7, true),
            (own, 5, 6, true),
            (own, SAME, SAME, true),
            (own, SAME, 8, false),
            (own, 9, SAME, false),
            (Owner { uid: 0, gid: 6 }, SAME, 6, false),
        ] {
            assert_eq!(may(&who, old, uid, gid), allowed, "{old:?} {uid} {gid}");
            assert!(may(&Identity::new(0, 0, vec![]), old, uid, gid));
        }
    }
}
