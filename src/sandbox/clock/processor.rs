//! Where a thread runs that executes something, and who follows it.
//!
//! In: the thread. Out: nothing but time. Of the two only one runs at once, and each would be woken on a
//! processor that is idle, that is on another one: what they wrote has to follow, and waking a processor
//! takes longer than all that there is to do, on a virtual machine above all.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The processors that this thread and all of the step's may use.
#[derive(Debug)]
pub struct Processors {
    /// None where there is only one, or it isn't known which.
    all: Option<CpuSet>,
}

impl Processors {
    /// Those that this thread may use.
    pub fn own() -> Processors {
        let all = sched_getaffinity(None).ok();
        Processors {
            all: all.filter(|all| all.count() > 1),
        }
    }

    /// Keeps this thread and another on the processor where this one runs. That they can't be kept is no
    /// error: it takes longer.
    pub fn join(&self, thread: u32) {
        if self.all.is_some() {
            let mut one = CpuSet::new();
            one.set(sched_getcpu());
            keep(thread, &one);
        }
    }

    /// Lets both go anywhere.
    pub fn part(&self, thread: u32) {
        if let Some(all) = &self.all {
            keep(thread, all);
        }
    }
}

fn keep(thread: u32, on: &CpuSet) {
    let _ = sched_setaffinity(None, on);
    let _ = sched_setaffinity(Pid::from_raw(thread.cast_signed()), on);
}
