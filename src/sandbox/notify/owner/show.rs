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
use crate::sandbox::sys_notify;

pub(super) fn answer(call: Call, caller: &Caller<'_>, table: &Table) -> Answer {
    // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
    or_continue(show(call, caller, table))
}

fn show(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let plain = |follow| {
        resolve::file(
            caller,
            libc::AT_FDCWD,
            caller.argument(0),
            Way::plain(follow),
        )
    };
    let by_flags = |flags| {
        let way = Way::of_flags(flags);
        resolve::file(caller, caller.int(0), caller.argument(1), way)
    };
    let (file, into) = match call {
        Call::Stat => (plain(true)?, 1),
        Call::Lstat => (plain(false)?, 1),
        Call::Fstat => (caller.descriptor(caller.int(0))?, 1),
        Call::Newfstatat => (by_flags(caller.int(3))?, 2),
        _ => (by_flags(caller.int(2))?, 4),
    };
    let owner = record::owner(file.as_fd(), table)?;
    let device = record::device(file.as_fd())?;
    if owner.is_none() && device.is_none() {
        return Ok(Answer::Continue);
    }
    let into = caller.argument(into);
    if call == Call::Statx {
        let sync = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
        let flags = caller.int(2) & sync;
        let mut bytes = sys_notify::statx_bytes(file.as_fd(), flags, caller.word(3))?;
        if let Some(owner) = owner {
            put(
                &mut bytes,
                offset_of!(libc::statx, stx_uid),
                &owner.uid.to_ne_bytes(),
            );
            put(
                &mut bytes,
                offset_of!(libc::statx, stx_gid),
                &owner.gid.to_ne_bytes(),
            );
        }
        if let Some(device) = device {
            let at = offset_of!(libc::statx, stx_mode);
            let mode = u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
            let mode = as_device(mode.into(), device) as u16;
            put(&mut bytes, at, &mode.to_ne_bytes());
            let major = offset_of!(libc::statx, stx_rdev_major);
            put(&mut bytes, major, &device.major.to_ne_bytes());
            let minor = offset_of!(libc::statx, stx_rdev_minor);
            put(&mut bytes, minor, &device.minor.to_ne_bytes());
        }
        caller.write(into, &bytes)?;
    } else {
        let mut bytes = sys_notify::stat_bytes(file.as_fd())?;
        if let Some(owner) = owner {
            put(
                &mut bytes,
                offset_of!(libc::stat, st_uid),
                &owner.uid.to_ne_bytes(),
            );
            put(
                &mut bytes,
                offset_of!(libc::stat, st_gid),
                &owner.gid.to_ne_bytes(),
            );
        }
        if let Some(device) = device {
            let mode = rustix::fs::fstat(&file)?.st_mode;
            let mode = as_device(mode, device);
            put(
                &mut bytes,
                offset_of!(libc::stat, st_mode),
                &mode.to_ne_bytes(),
            );
            let number = rustix::fs::makedev(device.major, device.minor);
            put(
                &mut bytes,
                offset_of!(libc::stat, st_rdev),
                &number.to_ne_bytes(),
            );
        }
        caller.write(into, &bytes)?;
    }
    Ok(Answer::Value(0))
}

fn as_device(mode: u32, device: record::Device) -> u32 {
    let kind = if device.block {
        libc::S_IFBLK
    } else {
        libc::S_IFCHR
    };
    mode & !libc::S_IFMT | kind
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
