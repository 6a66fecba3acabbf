//! The sandbox: a command on layers of folders, kept in.
//!
//! In: a command, what it may reach. Out: how it ended, and what it changed. `notify` answers the
//! system calls that the kernel leaves to cairn.

pub mod notify;
mod sys_notify;
