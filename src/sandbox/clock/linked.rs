//! Numbers of files that get a second name.
//!
//! In: the calls that give a file another name. Out: the link, and for the file the number that it had
//! before. A layer's file is copied up when it is linked, and an overlay that a user may mount doesn't
//! keep which file the copy was made of: by its new name it has the copy's number, by its old one the
//! layer's. Programs that look whether they linked what they meant (`git clone` of a local repository)
//! would find another file.
//!
//! Not covered: a file of a layer that has several names there. Linking parts the one name from the
//! others, so that two files would have one number.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Rule};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::notify::stat::Place;
use crate::sandbox::notify::{Answer, Caller, Handler};

/// A copy's number is given again when it is gone: when it was made tells it from what comes after.
type Made = (i64, u32);

/// Which numbers are shown for copies.
#[derive(Debug, Clone, Default)]
pub struct Linked(Arc<Mutex<BTreeMap<Place, (Made, u64)>>>);

/// What tells a file from others, how many names it has, and whether it is a plain one.
struct Found {
    place: Place,
    made: Made,
    names: u32,
    is_file: bool,
}

impl Found {
    fn of(file: BorrowedFd<'_>) -> Result<Found, Errno> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let told = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted)?;
        Ok(Found {
            place: (told.stx_dev_major, told.stx_dev_minor, told.stx_ino),
            made: (told.stx_btime.tv_sec, told.stx_btime.tv_nsec),
            names: told.stx_nlink,
            is_file: u32::from(told.stx_mode) & libc::S_IFMT == libc::S_IFREG,
        })
    }
}

impl Linked {
    fn by_place(&self) -> MutexGuard<'_, BTreeMap<Place, (Made, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a file of this place may be shown to have another number than its own.
    pub fn has(&self, place: Place) -> bool {
        self.by_place().contains_key(&place)
    }

    /// The number that a file of this place is shown to have, if not its own.
    pub fn shown(&self, place: Place, file: BorrowedFd<'_>) -> Option<u64> {
        let (made, number) = self.by_place().get(&place).copied()?;
        let is_it = Found::of(file).is_ok_and(|found| found.made == made);
        is_it.then_some(number)
    }
}

/// Links files in the stead of who asks for it.
#[derive(Debug)]
pub struct Links {
    linked: Linked,
    users: Users,
}

impl Links {
    /// What it finds is kept in `linked`.
    pub fn new(linked: Linked, users: Users) -> Links {
        Links { linked, users }
    }

    fn link(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let (from, to, flags) = match call {
            Call::Link => ((libc::AT_FDCWD, 0), (libc::AT_FDCWD, 1), 0),
            _ => ((caller.int(0), 1), (caller.int(2), 3), caller.int(4)),
        };
        if flags & !libc::AT_SYMLINK_FOLLOW != 0 {
            return Ok(Answer::Continue);
        }
        let way = Way::plain(flags & libc::AT_SYMLINK_FOLLOW != 0);
        let rights = Rights::of(caller, self.users)?;
        let file = resolve::file(caller, &rights, from.0, caller.argument(from.1), way)?;
        let before = Found::of(file.as_fd())?;
        let path = caller.path(caller.argument(to.1))?;
        if !before.is_file || before.names != 1 || path.ends_with(b"/") {
            return Ok(Answer::Continue);
        }
        let (folder, name) = resolve::parent(caller, &rights, to.0, &path)?;
        let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
        caller.check()?;
        rights.act(|| rustix::fs::linkat(CWD, opened, &folder, &*name, AtFlags::SYMLINK_FOLLOW))?;
        // The link is there: whatever else fails is none of the caller's business.
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let made = rustix::fs::openat(&folder, &*name, flags, Mode::empty());
        if let Ok(after) = made.and_then(|made| Found::of(made.as_fd()))
            && after.place != before.place
        {
            let shown = (after.made, before.place.2);
            self.linked.by_place().insert(after.place, shown);
        }
        Ok(Answer::Value(0))
    }
}

impl Handler for Links {
    fn rules() -> Vec<Rule> {
        let always = |call| Rule::always(call, Action::Notify);
        [Call::Link, Call::Linkat].map(always).to_vec()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
        self.link(call, caller).unwrap_or(Answer::Continue)
    }
}
