//! Ends a step at its deadline whatever its worker is busy with: a call that the worker carries out
//! in a command's stead may wait for that command, as on a file system that it serves itself.
//!
//! In: the step's first process, a time. Out: its end, unless the watchdog is dropped before.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::Timespec;
use rustix::process::{Pid, Signal, WaitOptions};

use super::channel::retried;
use super::sys::{self, Alone, Forked};

/// The process that waits.
pub(super) struct Watchdog(Pid);

impl Watchdog {
    /// Has `step` killed at `deadline`. It ends with the worker, too.
    pub(super) fn start(alone: &Alone, step: &OwnedFd, deadline: Instant) -> io::Result<Watchdog> {
        match sys::fork(alone)? {
            Forked::Parent(pid) => Ok(Watchdog(pid)),
            Forked::Child(_) => {
                let with_worker = Some(Signal::KILL);
                if rustix::process::set_parent_process_death_signal(with_worker).is_err() {
                    sys::exit(1);
                }
                loop {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    // Whatever ends the wait, the clock decides.
                    let left = Timespec::try_from(left).ok();
                    let _ = rustix::event::poll(&mut [], left.as_ref());
                }
                let _ = rustix::process::pidfd_send_signal(step, Signal::KILL);
                sys::exit(0)
            }
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        let _ = retried(|| rustix::process::waitpid(Some(self.0), WaitOptions::empty()));
    }
}
