//! System calls that the kernel leaves to cairn, or denies on its behalf.
//!
//! In: rules, and the calls of a step's processes as the kernel hands them over. Out: a program
//! for the kernel ([`filter`]), and an answer to each call ([`Supervisor`]). See seccomp(2),
//! seccomp_unotify(2).

mod answers;
mod attribute;
pub mod bpf;
pub mod call;
pub mod deny;
pub mod filter;
pub mod owner;
pub mod resolve;
pub mod rights;
pub mod stat;
mod supervisor;
#[cfg(test)]
mod trial;

pub(super) use crate::sandbox::sys_notify::install;
pub(super) use answers::{Answers, Links, filter_for};
pub use supervisor::{Answer, Answering, Caller, Handler, Supervisor};

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags};

/// A file of such a content, open for reading, to be given to a caller.
pub fn text_file(name: &str, content: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = std::fs::File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?);
    std::io::Write::write_all(&mut file, content)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
