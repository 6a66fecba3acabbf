//! Whether the clock of a program can be set on this machine, really tried once.
//!
//! In: a child that does nothing. Out: a [`ClockWay`]; or why there is none.

use std::io;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::calls::patch;
use super::{ClockWay, exec};
use crate::sandbox::Error;
use crate::sandbox::channel::retried;
use crate::sandbox::error::Doing as _;
use crate::sandbox::processes;
use crate::sandbox::sys::{self, Alone, Forked};
use crate::sandbox::{sys_notify, sys_trace};

/// Follows a child, and writes to its vDSO what is there already.
pub(in crate::sandbox) fn attempt(alone: &Alone) -> Result<ClockWay, Error> {
    if !sys_notify::waits_for_answers() {
        return Err(Error::Unsupported {
            what: "set the clock of a command".to_owned(),
            cause: "a system call that waits for cairn is broken off when a signal comes"
                .to_owned(),
            hint: "use Linux 5.19 or newer".to_owned(),
        });
    }
    let child = match sys::fork(alone).doing(|| "fork".to_owned())? {
        Forked::Child(_) => {
            let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            while tied.is_ok() {
                let _ = rustix::event::poll(&mut [], None);
            }
            sys::exit(1);
        }
        Forked::Parent(child) => child,
    };
    let tried = follow(child);
    let _ = rustix::process::kill_process(child, Signal::KILL);
    // A child that is stopped says so before it is dead.
    while waited(child).is_ok_and(|status| status.stopped()) {}
    tried.map_err(|cause| Error::Unsupported {
        what: "set the clock of a command".to_owned(),
        cause: format!("no process may be followed ({cause})"),
        hint: "as root, run `sysctl -w kernel.yama.ptrace_scope=1`; for a container, let its filter of system calls allow `ptrace`".to_owned(),
    })
}

fn waited(child: Pid) -> io::Result<WaitStatus> {
    let all = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    let waited = retried(|| rustix::process::waitpid(Some(child), all))?;
    waited
        .map(|(_, status)| status)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn follow(child: Pid) -> io::Result<ClockWay> {
    let number = child.as_raw_pid().cast_unsigned();
    sys_trace::seize(number)?;
    sys_trace::interrupt(number)?;
    if !waited(child)?.stopped() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let (Some(_), Some((base, image))) = (patch(), exec::own_vdso()) else {
        return Ok(ClockWay::Hidden);
    };
    // The child is a copy of this process, and has the same vDSO at the same place.
    Ok(match processes::write_over(number, base, &image) {
        Ok(()) => ClockWay::Rewritten,
        Err(_) => ClockWay::Hidden,
    })
}
