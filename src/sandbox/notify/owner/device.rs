//! Devices, which no user namespace makes: files that stand for them.
//!
//! In: a `mknod`. Out: an empty file where the caller may make one, and the record of what it
//! stands for. Who may make devices at all is asked before: the kernel's capability where the kernel
//! knows all users ([`Devices`]), an emulated root where it knows one (`create`).

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use super::record::{self, Owner, Table};
use super::{Action, Answer, Call, Caller, Handler, Is, Rule};
use crate::layer::entry::Device;
use crate::sandbox::notify::resolve;
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::owner::{Kept, KeptDevice};

/// Lets steps make devices where cairn is root, or has a range of ids.
#[derive(Debug, Default)]
pub struct Devices;

impl Handler for Devices {
    fn rules() -> Vec<Rule> {
        let kinds = [libc::S_IFCHR, libc::S_IFBLK].to_vec();
        [(Call::Mknod, 1), (Call::Mknodat, 2)]
            .map(|(call, mode)| {
                let is = Is::OneOf(kinds.clone());
                Rule::when(call, mode, libc::S_IFMT, is, Action::Notify)
            })
            .to_vec()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        make(call, caller).into()
    }
}

fn make(call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let (start, address, mode, numbers) = match call {
        Call::Mknod => (
            libc::AT_FDCWD,
            caller.argument(0),
            caller.word(1),
            caller.argument(2),
        ),
        _ => (
            caller.int(0),
            caller.argument(1),
            caller.word(2),
            caller.argument(3),
        ),
    };
    let rights = Rights::of(caller, Users::Many)?;
    if !rights.has(CapabilitySet::MKNOD) {
        return Err(Errno::PERM);
    }
    let path = caller.path(address)?;
    if path.ends_with(b"/") {
        return Err(Errno::NOENT);
    }
    let (folder, name) = resolve::parent(caller, &rights, start, &path)?;
    let permissions = Mode::from_raw_mode(mode & 0o7777 & !caller.umask()?);
    // The file's own owner says whose it is.
    let (owner, mut table) = (Owner { uid: 0, gid: 0 }, Table::new());
    let node = Node::new(mode, numbers);
    caller.check()?;
    node.make(
        &rights,
        folder.as_fd(),
        &name,
        permissions,
        owner,
        &mut table,
    )?;
    Ok(Answer::Value(0))
}

/// Whether a `mknod` with this mode is for a device.
pub(super) fn is_wanted(mode: u32) -> bool {
    [libc::S_IFCHR, libc::S_IFBLK].contains(&(mode & libc::S_IFMT))
}

/// A device that a `mknod` asks for.
pub(super) struct Node(KeptDevice);

impl Node {
    pub(super) fn new(mode: u32, numbers: u64) -> Node {
        Node(KeptDevice {
            is_block: mode & libc::S_IFMT == libc::S_IFBLK,
            // The kernel takes 32 bits here: 12 of the major, 20 of the minor number.
            device: Device {
                major: rustix::fs::major(numbers & 0xffff_ffff),
                minor: rustix::fs::minor(numbers & 0xffff_ffff),
            },
        })
    }

    /// Makes the file that stands for it.
    pub(super) fn make(
        self,
        rights: &Rights,
        folder: BorrowedFd<'_>,
        name: &[u8],
        permissions: Mode,
        Owner { uid, gid }: Owner,
        table: &mut Table,
    ) -> Result<(), Errno> {
        let none = Device { major: 0, minor: 0 };
        if !self.0.is_block && self.0.device == none {
            // Overlays take it for a removed file, so that they let nobody make one.
            return Err(Errno::PERM);
        }
        // Opened as it is made: by its name it could be another's file by then.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rights.act(|| {
            let file = rustix::fs::openat(folder, name, flags, permissions)?;
            rustix::fs::fchmod(&file, permissions)?;
            Ok(file)
        })?;
        let device = Some(self.0);
        let kept = record::keep(file.as_fd(), Kept { uid, gid, device }, table);
        if kept.is_err() {
            // A file that stands for nothing is not what was asked for.
            rights.act(|| rustix::fs::unlinkat(folder, name, AtFlags::empty()))?;
        }
        kept
    }
}
