//! `stat` and its kin: which file a call asks about, and what it is told.
//!
//! In: a call. Out: the file; the kernel's own answer, members of which can be replaced before it is
//! written into the caller's memory.

use std::mem::offset_of;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use super::call::Call;
use super::resolve::{self, Way};
use super::rights::Rights;
use super::{Answer, Caller};
use crate::sandbox::owner::KeptDevice;
use crate::sandbox::sys_notify;

/// The calls.
pub const CALLS: [Call; 5] = [
    Call::Stat,
    Call::Lstat,
    Call::Fstat,
    Call::Newfstatat,
    Call::Statx,
];

/// Seconds since 1970, and nanoseconds beyond them.
pub type Time = (i64, u32);

/// The file that a call asks about, found with such rights.
///
/// # Errors
/// The kernel finds none either, or finds it where cairn can't: it says that better.
pub fn file(call: Call, caller: &Caller<'_>, rights: &Rights) -> Result<OwnedFd, Errno> {
    let plain = |follow| {
        let path = caller.argument(0);
        resolve::file(caller, rights, libc::AT_FDCWD, path, Way::plain(follow))
    };
    let by_flags = |flags| {
        let way = Way::of_flags(flags);
        resolve::file(caller, rights, caller.int(0), caller.argument(1), way)
    };
    match call {
        Call::Stat => plain(true),
        Call::Lstat => plain(false),
        Call::Fstat => caller.descriptor(caller.int(0)),
        Call::Newfstatat => by_flags(caller.int(3)),
        _ => by_flags(caller.int(2)),
    }
}

/// The descriptor whose file a call asks about, where it is an open one's and that is seen at a glance.
pub fn descriptor(call: Call, caller: &Caller<'_>) -> Option<i32> {
    let is_empty = || {
        let mut first = [1];
        let glance = caller.glance(caller.argument(1), &mut first);
        glance.is_ok() && first == [0]
    };
    let is_open = match call {
        Call::Fstat => true,
        Call::Newfstatat => caller.int(3) & libc::AT_EMPTY_PATH != 0 && is_empty(),
        _ => false,
    };
    is_open.then(|| caller.int(0)).filter(|it| *it >= 0)
}

/// What a call is told.
#[derive(Debug)]
pub struct Told {
    is_extended: bool,
    into: u64,
    bytes: Vec<u8>,
}

/// Where the times of a file are: of the last reading, change, change of what is told here; and of its
/// making, which `struct stat` doesn't have.
const TIMES: [usize; 3] = [
    offset_of!(libc::stat, st_atime),
    offset_of!(libc::stat, st_mtime),
    offset_of!(libc::stat, st_ctime),
];
const EXTENDED_TIMES: [usize; 4] = [
    offset_of!(libc::statx, stx_atime),
    offset_of!(libc::statx, stx_mtime),
    offset_of!(libc::statx, stx_ctime),
    offset_of!(libc::statx, stx_btime),
];

impl Told {
    /// As the kernel tells it of `file`.
    pub fn of(call: Call, caller: &Caller<'_>, file: &OwnedFd) -> Result<Told, Errno> {
        let is_extended = call == Call::Statx;
        let (into, bytes) = match call {
            Call::Statx => {
                let sync = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
                let flags = caller.int(2) & sync;
                let bytes = sys_notify::statx_bytes(file.as_fd(), flags, caller.word(3))?;
                (4, bytes.to_vec())
            }
            Call::Newfstatat => (2, sys_notify::stat_bytes(file.as_fd())?.to_vec()),
            _ => (1, sys_notify::stat_bytes(file.as_fd())?.to_vec()),
        };
        Ok(Told {
            is_extended,
            into: caller.argument(into),
            bytes,
        })
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    }

    fn get<const LENGTH: usize>(&self, at: usize) -> [u8; LENGTH] {
        let bytes = self.bytes.get(at..at + LENGTH);
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; LENGTH])
    }

    /// What tells the file from others: the two numbers of its device, its own.
    pub fn place(&self) -> (u32, u32, u64) {
        match self.is_extended {
            true => (
                u32::from_ne_bytes(self.get(offset_of!(libc::statx, stx_dev_major))),
                u32::from_ne_bytes(self.get(offset_of!(libc::statx, stx_dev_minor))),
                u64::from_ne_bytes(self.get(offset_of!(libc::statx, stx_ino))),
            ),
            false => {
                let device = u64::from_ne_bytes(self.get(offset_of!(libc::stat, st_dev)));
                let number = u64::from_ne_bytes(self.get(offset_of!(libc::stat, st_ino)));
                (rustix::fs::major(device), rustix::fs::minor(device), number)
            }
        }
    }

    /// Another number.
    pub fn set_number(&mut self, number: u64) {
        let at = match self.is_extended {
            true => offset_of!(libc::statx, stx_ino),
            false => offset_of!(libc::stat, st_ino),
        };
        self.put(at, &number.to_ne_bytes());
    }

    /// Another number, on a device that is always the same.
    pub fn set_number_alone(&mut self, number: u64) {
        self.set_number(number);
        match self.is_extended {
            true => {
                self.put(offset_of!(libc::statx, stx_dev_major), &0_u32.to_ne_bytes());
                self.put(offset_of!(libc::statx, stx_dev_minor), &1_u32.to_ne_bytes());
            }
            false => self.put(offset_of!(libc::stat, st_dev), &1_u64.to_ne_bytes()),
        }
    }

    /// Another owner.
    pub fn set_owner(&mut self, uid: u32, gid: u32) {
        let (user, group) = match self.is_extended {
            true => (
                offset_of!(libc::statx, stx_uid),
                offset_of!(libc::statx, stx_gid),
            ),
            false => (
                offset_of!(libc::stat, st_uid),
                offset_of!(libc::stat, st_gid),
            ),
        };
        self.put(user, &uid.to_ne_bytes());
        self.put(group, &gid.to_ne_bytes());
    }

    /// The device that the file, whose mode is such, stands for.
    pub fn set_device(&mut self, mode: u32, kept: KeptDevice) {
        let kind = match kept.is_block {
            true => libc::S_IFBLK,
            false => libc::S_IFCHR,
        };
        let mode = mode & !libc::S_IFMT | kind;
        let (major, minor) = (kept.device.major, kept.device.minor);
        match self.is_extended {
            true => {
                let mode = u16::try_from(mode).unwrap_or(0);
                self.put(offset_of!(libc::statx, stx_mode), &mode.to_ne_bytes());
                let places = [
                    (offset_of!(libc::statx, stx_rdev_major), major),
                    (offset_of!(libc::statx, stx_rdev_minor), minor),
                ];
                for (at, number) in places {
                    self.put(at, &number.to_ne_bytes());
                }
            }
            false => {
                self.put(offset_of!(libc::stat, st_mode), &mode.to_ne_bytes());
                let device = rustix::fs::makedev(major, minor);
                self.put(offset_of!(libc::stat, st_rdev), &device.to_ne_bytes());
            }
        }
    }

    /// Has each time as `shown` says, which gives nothing for one that stays; whether any changed.
    pub fn set_times(&mut self, shown: impl Fn(Time) -> Option<Time>) -> bool {
        let places: &[usize] = match self.is_extended {
            true => &EXTENDED_TIMES,
            false => &TIMES,
        };
        let mut is_changed = false;
        for at in places {
            let seconds = i64::from_ne_bytes(self.get(*at));
            // A long in the one, half of one in the other: small either way, on little-endian machines.
            let rest = u32::from_ne_bytes(self.get(at + 8));
            if let Some((seconds, rest)) = shown((seconds, rest)) {
                self.put(*at, &seconds.to_ne_bytes());
                self.put(at + 8, &rest.to_ne_bytes());
                is_changed = true;
            }
        }
        is_changed
    }

    /// Whether it says when the file was made.
    pub fn tells_making(&self) -> bool {
        let mask = u32::from_ne_bytes(self.get(offset_of!(libc::statx, stx_mask)));
        self.is_extended && mask & libc::STATX_BTIME != 0
    }

    /// Has the file made when it was last changed.
    pub fn set_made_when_changed(&mut self) {
        if self.tells_making() {
            let changed: [u8; 12] = self.get(offset_of!(libc::statx, stx_mtime));
            self.put(offset_of!(libc::statx, stx_btime), &changed);
        }
    }

    /// Tells the caller.
    pub fn tell(self, caller: &Caller<'_>) -> Result<Answer, Errno> {
        caller.write(self.into, &self.bytes)?;
        Ok(Answer::Value(0))
    }
}
