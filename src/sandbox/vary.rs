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

/// Leaves this process one processor of those that it has.
pub fn one_core() -> io::Result<()> {
    let mut all = rustix::thread::sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu));
    all.clear();
    all.set(first.unwrap_or(0));
    Ok(rustix::thread::sched_setaffinity(None, &all)?)
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
