//! What a caller may do to files, for what cairn does in its stead.
//!
//! In: a [`Caller`]. Out: [`Rights`], under which this thread may act for a while: the kernel then
//! refuses it what it would have refused the caller. What the caller's number leads to in `/proc`
//! is opened before, and records are kept after that, as the caller may do neither.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid};

use super::Caller;
use crate::sandbox::sys_notify;

/// Which users the kernel knows in the step's user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// One, who this process is, too: nobody can be anybody else.
    One,
    /// Several.
    Many,
}

/// What a thread may do to files.
#[derive(Debug)]
pub struct Rights {
    /// None if they are this process's.
    effective: Option<CapabilitySet>,
    /// None if they are this process's.
    ids: Option<Ids>,
}

/// Whom the kernel takes a thread for when it reaches for files.
#[derive(Debug)]
struct Ids {
    uid: u32,
    gid: u32,
    groups: Vec<Gid>,
}

impl Rights {
    /// Those of this process, which may find every file.
    pub fn own() -> Rights {
        Rights {
            effective: None,
            ids: None,
        }
    }

    /// Those that a caller has.
    ///
    /// # Errors
    /// `ESRCH`: the call waits no more.
    pub fn of(caller: &Caller<'_>, users: Users) -> Result<Rights, Errno> {
        let pid = Pid::from_raw(caller.pid().cast_signed()).ok_or(Errno::SRCH)?;
        // In a user namespace of its own it may do everything, but nothing here.
        let effective = match is_elsewhere(pid)? {
            true => CapabilitySet::empty(),
            false => rustix::thread::capabilities(Some(pid))?.effective,
        };
        let ids = match users {
            Users::One => None,
            Users::Many => Some(Ids::of(caller)?),
        };
        caller.check()?;
        Ok(Rights {
            effective: Some(effective),
            ids,
        })
    }

    /// Whether a caller, who is in this user namespace, is let to every file: what this process finds, the
    /// caller finds.
    ///
    /// # Errors
    /// As [`Rights::of`].
    pub fn reach_all(caller: &Caller<'_>) -> Result<bool, Errno> {
        let pid = Pid::from_raw(caller.pid().cast_signed()).ok_or(Errno::SRCH)?;
        let effective = rustix::thread::capabilities(Some(pid))?.effective;
        caller.check()?;
        Ok(effective.contains(CapabilitySet::DAC_OVERRIDE))
    }

    /// Whether they hold `capability`.
    pub fn has(&self, capability: CapabilitySet) -> bool {
        self.effective.is_none_or(|it| it.contains(capability))
    }

    /// Does what `act` does with these rights and no more.
    ///
    /// # Errors
    /// Those of `act`; or this thread could not take the rights on, and did nothing.
    pub fn act<T>(&self, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let Some(effective) = self.effective else {
            return act();
        };
        let own = rustix::thread::capabilities(None)?;
        let ties = self.ids.as_ref().map(|_| Ties::note()).transpose()?;
        let result = self.take_on(own, effective).and_then(|()| act());
        self.put_off(own)?;
        ties.map_or(Ok(()), Ties::renew)?;
        result
    }

    fn take_on(&self, own: CapabilitySets, effective: CapabilitySet) -> Result<(), Errno> {
        if let Some(Ids { uid, gid, groups }) = &self.ids {
            rustix::thread::set_thread_groups(groups)?;
            sys_notify::set_file_ids(*uid, *gid)?;
        }
        rustix::thread::set_capabilities(
            None,
            CapabilitySets {
                effective: own.permitted.intersection(effective),
                ..own
            },
        )
    }

    /// What fails here leaves this thread with fewer rights than it had: nobody gains any.
    fn put_off(&self, own: CapabilitySets) -> Result<(), Errno> {
        rustix::thread::set_capabilities(None, own)?;
        if self.ids.is_some() {
            sys_notify::set_file_ids(0, 0)?;
            rustix::thread::set_thread_groups(&[])?;
            // With another user went what only root may do to files.
            rustix::thread::set_capabilities(None, own)?;
        }
        Ok(())
    }
}

impl Ids {
    fn of(caller: &Caller<'_>) -> Result<Ids, Errno> {
        let last = |key| -> Result<u32, Errno> {
            let ids = caller.status(key)?;
            // Real, effective, saved, and that of files.
            let id = ids.split_whitespace().next_back();
            id.and_then(|id| id.parse().ok()).ok_or(Errno::SRCH)
        };
        let groups = caller.status("Groups")?;
        let groups = groups.split_whitespace().map(str::parse);
        let groups: Result<Vec<u32>, _> = groups.collect();
        Ok(Ids {
            uid: last("Uid")?,
            gid: last("Gid")?,
            groups: groups
                .map_err(|_| Errno::SRCH)?
                .into_iter()
                .map(Gid::from_raw)
                .collect(),
        })
    }
}

/// What the kernel takes from a process that acts as another user, and doesn't give back.
struct Ties {
    parent: Option<Pid>,
    at_its_death: Option<Signal>,
    dumpable: DumpableBehavior,
}

impl Ties {
    fn note() -> Result<Ties, Errno> {
        Ok(Ties {
            parent: rustix::process::getppid(),
            at_its_death: rustix::process::parent_process_death_signal()?,
            dumpable: rustix::process::dumpable_behavior()?,
        })
    }

    fn renew(self) -> Result<(), Errno> {
        rustix::process::set_dumpable_behavior(self.dumpable)?;
        rustix::process::set_parent_process_death_signal(self.at_its_death)?;
        if let Some(signal) = self.at_its_death
            && rustix::process::getppid() != self.parent
        {
            // It died while nobody would have been told.
            rustix::process::kill_process(rustix::process::getpid(), signal)?;
        }
        Ok(())
    }
}

/// Whether a process is in another user namespace than this one.
fn is_elsewhere(pid: Pid) -> Result<bool, Errno> {
    let namespace = |of: String| {
        let stat = rustix::fs::stat(format!("/proc/{of}/ns/user"))?;
        Ok::<_, Errno>((stat.st_dev, stat.st_ino))
    };
    let theirs = namespace(pid.as_raw_pid().to_string())?;
    Ok(theirs != namespace("thread-self".to_owned())?)
}
