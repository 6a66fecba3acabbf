//! What `stat` and its kin say: the recorded owner, and the device that a file stands for.
//!
//! In: the call. Out: the kernel's own answer with some members replaced; where nothing is
//! recorded the kernel answers by itself.

use std::mem::offset_of;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::record::{self, Table};
use super::{Answer, Call, Caller, or_continue};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::owner::KeptDevice;
use crate::sandbox::sys_notify;

pub(super) fn answer(call: Call, caller: &Caller<'_>, table: &Table) -> Answer {
    // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
    or_continue(show(call, caller, table))
}

fn show(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let rights = Rights::of(caller, Users::One)?;
    let plain = |follow| {
        let path = caller.argument(0);
        resolve::file(caller, &rights, libc::AT_FDCWD, path, Way::plain(follow))
    };
    let by_flags = |flags| {
        let way = Way::of_flags(flags);
        resolve::file(caller, &rights, caller.int(0), caller.argument(1), way)
    };
    let (file, into) = match call {
        Call::Stat => (plain(true)?, 1),
        Call::Lstat => (plain(false)?, 1),
        Call::Fstat => (caller.descriptor(caller.int(0))?, 1),
        Call::Newfstatat => (by_flags(caller.int(3))?, 2),
        _ => (by_flags(caller.int(2))?, 4),
    };
    let Some(kept) = record::kept(file.as_fd(), table)? else {
        return Ok(Answer::Continue);
    };
    let into = caller.argument(into);
    let number = |number: u32| number.to_ne_bytes();
    if call == Call::Statx {
        let sync = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
        let flags = caller.int(2) & sync;
        let mut bytes = sys_notify::statx_bytes(file.as_fd(), flags, caller.word(3))?;
        let mut set = |at, value: &[u8]| put(&mut bytes, at, value);
        set(offset_of!(libc::statx, stx_uid), &number(kept.uid));
        set(offset_of!(libc::statx, stx_gid), &number(kept.gid));
        if let Some(kept) = kept.device {
            let mode = as_device(rustix::fs::fstat(&file)?.st_mode, kept);
            let mode = u16::try_from(mode).unwrap_or(0);
            set(offset_of!(libc::statx, stx_mode), &mode.to_ne_bytes());
            let (major, minor) = (kept.device.major, kept.device.minor);
            set(offset_of!(libc::statx, stx_rdev_major), &number(major));
            set(offset_of!(libc::statx, stx_rdev_minor), &number(minor));
        }
        caller.write(into, &bytes)?;
    } else {
        let mut bytes = sys_notify::stat_bytes(file.as_fd())?;
        let mut set = |at, value: &[u8]| put(&mut bytes, at, value);
        set(offset_of!(libc::stat, st_uid), &number(kept.uid));
        set(offset_of!(libc::stat, st_gid), &number(kept.gid));
        if let Some(kept) = kept.device {
            let mode = as_device(rustix::fs::fstat(&file)?.st_mode, kept);
            set(offset_of!(libc::stat, st_mode), &number(mode));
            let device = rustix::fs::makedev(kept.device.major, kept.device.minor);
            set(offset_of!(libc::stat, st_rdev), &device.to_ne_bytes());
        }
        caller.write(into, &bytes)?;
    }
    Ok(Answer::Value(0))
}

fn as_device(mode: u32, kept: KeptDevice) -> u32 {
    let kind = match kept.is_block {
        true => libc::S_IFBLK,
        false => libc::S_IFCHR,
    };
    mode & !libc::S_IFMT | kind
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
