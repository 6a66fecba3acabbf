//! System calls that the kernel leaves to cairn, or denies on its behalf.
//!
//! In: rules, and the calls of a step's processes as the kernel hands them over. Out: a program
//! for the kernel ([`filter`]), and an answer to each call ([`Supervisor`]). See seccomp(2),
//! seccomp_unotify(2).

mod answers;
mod attribute;
pub mod bpf;
pub mod call;
mod caller;
pub mod deny;
pub mod filter;
pub mod owner;
pub mod reading;
pub mod resolve;
mod restart;
pub mod rights;
pub mod stat;
mod supervisor;
#[cfg(test)]
mod trial;
mod turns;

pub(super) use crate::sandbox::sys_notify::install;
pub(super) use answers::{Answers, Links, filter_for};
pub use caller::Caller;
pub use supervisor::{Answer, Answering, Handler, Supervisor};

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

/// A file of such a content, open for reading, to be given to a caller.
pub fn text_file(name: &str, content: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = in_memory(name)?;
    std::io::Write::write_all(&mut file, content)?;
    seal(&file)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// An empty file that can be sealed.
pub fn in_memory(name: &str) -> std::io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(File::from(rustix::fs::memfd_create(name, flags)?))
}

/// Nobody may change it any more, whoever opens it anew.
pub fn seal(file: &File) -> std::io::Result<()> {
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    Ok(rustix::fs::fcntl_add_seals(file, all)?)
}
