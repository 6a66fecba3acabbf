//! `stat` and its kin: which file a call asks about, and what it is told.
//!
//! In: a call. Out: the file; the kernel's own answer, members of which can be replaced before it is
//! written into the caller's memory.

use std::ffi::CStr;
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

/// Whether a call asks about an open file, as far as is seen at once.
pub fn is_of_open(call: Call, caller: &Caller<'_>) -> bool {
    let flags = match call {
        Call::Fstat => return true,
        Call::Newfstatat => caller.int(3),
        Call::Statx => caller.int(2),
        _ => 0,
    };
    let mut first = [1];
    let is_empty =
        flags & libc::AT_EMPTY_PATH != 0 && caller.glance(caller.argument(1), &mut first).is_ok();
    is_empty && first == [0] && caller.int(0) >= 0
}

/// What a call that asks about an open file ([`is_of_open`]) is told of it, where that is seen with one
/// call. Whether the caller is there still isn't looked at.
pub fn at_a_glance(call: Call, caller: &Caller<'_>) -> Option<Told> {
    let into = match call {
        Call::Fstat => 1,
        Call::Newfstatat => 2,
        _ => return None,
    };
    let descriptor = u32::try_from(caller.int(0)).ok()?;
    let path = format!("/proc/{}/fd/{descriptor}\0", caller.pid());
    let path = CStr::from_bytes_with_nul(path.as_bytes()).ok()?;
    Some(Told {
        is_extended: false,
        into: caller.argument(into),
        bytes: sys_notify::stat_bytes_at(path).ok()?.to_vec(),
    })
}

/// What a call is told.
#[derive(Debug)]
pub struct Told {
    is_extended: bool,
    into: u64,
    bytes: Vec<u8>,
}

/// What a file's time is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// The last reading, or the last change of what is in it: programs set both.
    Settable,
    /// The last change of what is told here: the kernel alone sets it. Of sockets it is 0, or anything.
    Changed,
    /// Its making, which the kernel alone sets, too; 0 where that isn't known, or wasn't asked.
    Made,
}

/// What tells a file from others: the two numbers of its device, its own.
pub type Place = (u32, u32, u64);

/// Where the times of a file are: of the last reading, change, change of what is told here; and of its
/// making, which `struct stat` doesn't have.
const TIMES: [(Stamp, usize); 3] = [
    (Stamp::Settable, offset_of!(libc::stat, st_atime)),
    (Stamp::Settable, offset_of!(libc::stat, st_mtime)),
    (Stamp::Changed, offset_of!(libc::stat, st_ctime)),
];
const EXTENDED_TIMES: [(Stamp, usize); 4] = [
    (Stamp::Settable, offset_of!(libc::statx, stx_atime)),
    (Stamp::Settable, offset_of!(libc::statx, stx_mtime)),
    (Stamp::Changed, offset_of!(libc::statx, stx_ctime)),
    (Stamp::Made, offset_of!(libc::statx, stx_btime)),
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

    /// What tells the file from others.
    pub fn place(&self) -> Place {
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
        self.set_place((0, 1, number));
    }

    /// What tells another file from others.
    pub fn set_place(&mut self, (major, minor, number): Place) {
        self.set_number(number);
        match self.is_extended {
            true => {
                self.put(offset_of!(libc::statx, stx_dev_major), &major.to_ne_bytes());
                self.put(offset_of!(libc::statx, stx_dev_minor), &minor.to_ne_bytes());
            }
            false => {
                let device = rustix::fs::makedev(major, minor);
                self.put(offset_of!(libc::stat, st_dev), &device.to_ne_bytes());
            }
        }
    }

    /// Another owner.
    pub fn set_owner(&mut self, uid: u32, gid: u32) {
        let (user, group) = self.places_of_owner();
        self.put(user, &uid.to_ne_bytes());
        self.put(group, &gid.to_ne_bytes());
    }

    /// Its mode.
    pub fn mode(&self) -> u32 {
        match self.is_extended {
            true => u16::from_ne_bytes(self.get(offset_of!(libc::statx, stx_mode))).into(),
            false => u32::from_ne_bytes(self.get(offset_of!(libc::stat, st_mode))),
        }
    }

    /// User and group.
    pub fn owner(&self) -> (u32, u32) {
        let (user, group) = self.places_of_owner();
        let number = |at| u32::from_ne_bytes(self.get(at));
        (number(user), number(group))
    }

    fn places_of_owner(&self) -> (usize, usize) {
        match self.is_extended {
            true => (
                offset_of!(libc::statx, stx_uid),
                offset_of!(libc::statx, stx_gid),
            ),
            false => (
                offset_of!(libc::stat, st_uid),
                offset_of!(libc::stat, st_gid),
            ),
        }
    }

    fn places_of_room(&self) -> (usize, usize) {
        match self.is_extended {
            true => (
                offset_of!(libc::statx, stx_size),
                offset_of!(libc::statx, stx_blocks),
            ),
            false => (
                offset_of!(libc::stat, st_size),
                offset_of!(libc::stat, st_blocks),
            ),
        }
    }

    /// Its length in bytes, and how much room it takes, in 512 of them.
    pub fn room(&self) -> (u64, u64) {
        let (size, blocks) = self.places_of_room();
        let number = |at| u64::from_ne_bytes(self.get(at));
        (number(size), number(blocks))
    }

    /// Another length, and another room.
    pub fn set_room(&mut self, (size, blocks): (u64, u64)) {
        let places = self.places_of_room();
        self.put(places.0, &size.to_ne_bytes());
        self.put(places.1, &blocks.to_ne_bytes());
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
    pub fn set_times(&mut self, shown: impl Fn(Stamp, Time) -> Option<Time>) -> bool {
        let places: &[(Stamp, usize)] = match self.is_extended {
            true => &EXTENDED_TIMES,
            false => &TIMES,
        };
        let mut is_changed = false;
        for (stamp, at) in places {
            let seconds = i64::from_ne_bytes(self.get(*at));
            // A long in the one, half of one in the other: small either way, on little-endian machines.
            let rest = u32::from_ne_bytes(self.get(at + 8));
            if let Some((seconds, rest)) = shown(*stamp, (seconds, rest)) {
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
