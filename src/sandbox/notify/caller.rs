//! A thread whose call waits for an answer.
//!
//! In: a call as the kernel hands it over. Out: its arguments, and what it names: memory, paths, files, the
//! caller's own state. What was found by a thread's number is used only after the call was seen to wait
//! still, as numbers are given out again.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use super::call::ARCHITECTURE;
use crate::sandbox::processes;
use crate::sandbox::sys_notify::{self, Notification};
use crate::sandbox::sys_trace;

/// Most bytes of a path with its end, as the kernel has it (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// A thread whose call waits.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub(super) listener: BorrowedFd<'a>,
    pub(super) notification: Notification,
}

impl Caller<'_> {
    /// The thread's number, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.notification.pid
    }

    /// Whether the call is one of a program of 32 bits.
    pub fn is_of_32_bits(&self) -> bool {
        self.notification.architecture != ARCHITECTURE
    }

    /// An argument as it is; 0 if there is none such.
    pub fn argument(&self, at: usize) -> u64 {
        let argument = self.notification.arguments.get(at);
        argument.copied().unwrap_or(0)
    }

    /// The low half of an argument, all that the kernel looks at of an `unsigned int`.
    pub fn word(&self, at: usize) -> u32 {
        (self.argument(at) & 0xffff_ffff) as u32
    }

    /// The low half of an argument, as an `int`.
    pub fn int(&self, at: usize) -> i32 {
        self.word(at).cast_signed()
    }

    /// Whether the call still waits; else what was found by its thread's number may be another's.
    ///
    /// # Errors
    /// `ESRCH`: it doesn't, and nobody hears the answer.
    pub fn check(&self) -> Result<(), Errno> {
        match sys_notify::is_waiting(self.listener, self.notification.id) {
            true => Ok(()),
            false => Err(Errno::SRCH),
        }
    }

    /// Fills `into` from the caller's memory.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let read = sys_notify::read_memory(self.pid(), address, into)?;
        self.check()?;
        match read == into.len() {
            true => Ok(()),
            false => Err(Errno::FAULT),
        }
    }

    /// Fills of `into` as much as there is in the caller's memory; how much that was. It is the caller's
    /// only if the call is seen to wait still ([`Caller::check`]).
    pub fn glance(&self, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
        sys_notify::read_memory(self.pid(), address, into)
    }

    /// The process of the thread.
    pub fn process(&self) -> Result<u32, Errno> {
        let process = match sys_trace::is_leader(self.pid()) {
            true => self.pid(),
            false => self.status("Tgid")?.parse().map_err(|_| Errno::SRCH)?,
        };
        self.check()?;
        Ok(process)
    }

    /// Writes to the caller's memory.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.check()?;
        sys_notify::write_memory(self.pid(), address, bytes)
    }

    /// The same, where the caller itself may only read, too, as constants are.
    pub fn write_over(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let written = self.write(address, bytes);
        written.or_else(|_| processes::write_over(self.pid(), address, bytes))
    }

    /// The path at `address`, without its end.
    ///
    /// # Errors
    /// `EFAULT`, `ENAMETOOLONG`, as the kernel has them.
    pub fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        const PAGE: u64 = 4096;
        let mut path = Vec::new();
        let mut from = address;
        while path.len() < LONGEST_PATH {
            // To the page's end: the next one may not be there. Paths are short, most of all.
            let rest = usize::try_from(PAGE - from % PAGE).unwrap_or(LONGEST_PATH);
            let mut part = [0; 256];
            let part = &mut part[..rest.min(256)];
            let read = sys_notify::read_memory(self.pid(), from, part)?;
            let part = &part[..read];
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                path.extend_from_slice(&part[..end]);
                self.check()?;
                return match path.len() < LONGEST_PATH {
                    true => Ok(path),
                    false => Err(Errno::NAMETOOLONG),
                };
            }
            path.extend_from_slice(part);
            from = from.checked_add(read as u64).ok_or(Errno::FAULT)?;
        }
        Err(Errno::NAMETOOLONG)
    }

    /// The caller's root.
    pub fn root(&self) -> Result<OwnedFd, Errno> {
        self.open("root")
    }

    /// What relative paths start from: the caller's working directory, or one of its descriptors.
    pub fn start(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        match descriptor {
            libc::AT_FDCWD => self.open("cwd"),
            _ => self.descriptor(descriptor),
        }
    }

    /// The file of one of the caller's descriptors, to name it only (`O_PATH`).
    ///
    /// # Errors
    /// `EBADF`: there is none.
    pub fn descriptor(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        match descriptor {
            0.. => self.open(&format!("fd/{descriptor}")),
            _ => Err(Errno::BADF),
        }
        .map_err(|error| match error {
            Errno::NOENT => Errno::BADF,
            other => other,
        })
    }

    /// One of the caller's descriptors itself, to do with it what the caller could.
    pub fn taken(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        let leader = Pid::from_raw(self.process()?.cast_signed()).ok_or(Errno::SRCH)?;
        let process = rustix::process::pidfd_open(leader, PidfdFlags::empty())?;
        self.check()?;
        rustix::process::pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())
    }

    fn open(&self, what: &str) -> Result<OwnedFd, Errno> {
        let path = format!("/proc/{}/{what}", self.pid());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        self.check()?;
        Ok(file)
    }

    /// A value of the caller's `/proc/PID/status`.
    pub fn status(&self, key: &str) -> Result<String, Errno> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let text = text.map_err(|_| Errno::SRCH)?;
        self.check()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let value = lines.find(|(name, _)| *name == key);
        Ok(value.ok_or(Errno::SRCH)?.1.trim().to_owned())
    }

    /// The thread that the caller names by a number of its own namespace, or by 0 itself: by its number out
    /// here.
    pub fn named(&self, number: u32) -> Result<u32, Errno> {
        if number == 0 {
            return Ok(self.pid());
        }
        let process = self.process()?;
        let is_it = |thread: &u32| processes::own_number(*thread) == Some(number);
        let own = processes::threads(process).into_iter().find(is_it);
        let space = |process: u32| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        let is_beside = |other: &u32| space(*other).is_some_and(|it| Some(it) == space(process));
        let found = own.or_else(|| {
            let beside = processes::all().into_iter().filter(is_beside);
            beside.flat_map(processes::threads).find(is_it)
        });
        self.check()?;
        found.ok_or(Errno::SRCH)
    }

    /// The caller's umask.
    pub fn umask(&self) -> Result<u32, Errno> {
        u32::from_str_radix(&self.status("Umask")?, 8).map_err(|_| Errno::SRCH)
    }
}
