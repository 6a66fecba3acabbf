//! What `stat` and its kin say: the recorded owner, and the device that a file stands for.
//!
//! In: the call. Out: the kernel's own answer with some members replaced; where nothing is
//! recorded, and no time is to be shown as another, the kernel answers by itself.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::record::{self, Table};
use super::{Answer, Call, Caller, or_continue};
use crate::sandbox::clock::{Difference, FileTimes};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::notify::stat::{self, Told};

pub(super) fn answer(
    call: Call,
    caller: &Caller<'_>,
    table: &Table,
    times: Option<&FileTimes>,
) -> Answer {
    // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
    or_continue(show(call, caller, table, times))
}

fn show(
    call: Call,
    caller: &Caller<'_>,
    table: &Table,
    times: Option<&FileTimes>,
) -> Result<Answer, Errno> {
    let rights = Rights::of(caller, Users::One)?;
    let file = stat::file(call, caller, &rights)?;
    // What the kernel keeps itself may have no attributes at all.
    let kept = record::kept(file.as_fd(), table).unwrap_or(None);
    if kept.is_none() && times.is_none() {
        return Ok(Answer::Continue);
    }
    let mut told = Told::of(call, caller, &file)?;
    let has_other_times =
        times.is_some_and(|times| times.show(caller, &mut told, &file) != Difference::None);
    let Some(kept) = kept else {
        return match has_other_times {
            true => told.tell(caller),
            false => Ok(Answer::Continue),
        };
    };
    told.set_owner(kept.uid, kept.gid);
    if let Some(device) = kept.device {
        told.set_device(rustix::fs::fstat(&file)?.st_mode, device);
    }
    told.tell(caller)
}
