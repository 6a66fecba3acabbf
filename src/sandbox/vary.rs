//! What of this machine a rebuild finds otherwise.
//!
//! In: names. Out: this process, and what it starts, finds another machine than it is on. For a
//! process of one thread, before it does anything else.

use std::io;

use rustix::thread::{CpuSet, UnshareFlags};

use super::sys::{self, Alone};

/// Gives this process a host name of its own.
///
/// # Errors
/// The kernel lets root alone do it.
pub fn host_name(name: &str) -> io::Result<()> {
    let alone = Alone::check().ok_or_else(|| io::Error::other("there are threads already"))?;
    sys::unshare(&alone, UnshareFlags::NEWUTS)?;
    Ok(rustix::system::sethostname(name.as_bytes())?)
}

/// Has the kernel call itself a version 2.6 (personality(2), `UNAME26`).
pub fn kernel_name() -> io::Result<()> {
    sys::take_old_name()
}

/// Processors.
#[derive(Debug, Clone, Copy)]
pub struct Cores(CpuSet);

impl Cores {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.count() as usize
    }

    /// The first of them alone.
    pub fn first(&self) -> Cores {
        let first = (0..CpuSet::MAX_CPU).find(|cpu| self.0.is_set(*cpu));
        let mut one = CpuSet::new();
        one.set(first.unwrap_or(0));
        Cores(one)
    }
}

/// The processors that this thread may use.
pub fn cores() -> io::Result<Cores> {
    Ok(Cores(rustix::thread::sched_getaffinity(None)?))
}

/// Lets this thread, and what it starts, use these processors.
pub fn take_cores(cores: &Cores) -> io::Result<()> {
    Ok(rustix::thread::sched_setaffinity(None, &cores.0)?)
}

/// Bytes of memory that the machine has.
pub fn memory() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|total| total.trim().strip_suffix(" kB"));
    let kilobytes: Option<u64> = kilobytes.and_then(|text| text.parse().ok());
    let bytes = kilobytes.and_then(|kilobytes| kilobytes.checked_mul(1024));
    bytes.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
