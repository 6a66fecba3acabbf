//! Which calls are handed over where processes take turns.
//!
//! In: a call. Out: whether it is for cairn; whether it makes a process.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::Birth;
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};

/// What a process does with itself alone: nothing of it is seen by another. The last ones end a signal's
/// handler, or go on with a call.
const ALONE: [Call; 14] = [
    Call::Brk,
    Call::Futex,
    Call::Futex64,
    Call::Madvise,
    Call::Mmap,
    Call::Mmap2,
    Call::Mprotect,
    Call::Mremap,
    Call::Munmap,
    Call::RtSigaction,
    Call::RtSigprocmask,
    Call::RestartSyscall,
    Call::RtSigreturn,
    Call::Sigreturn,
];

/// What is allowed although all else is handed over; behind all other rules. By the descriptor `report` who
/// installs the filter sends what answers it.
pub fn rules(report: BorrowedFd<'_>) -> Vec<Rule> {
    let mut rules = ALONE.map(|call| Rule::always(call, Action::Allow)).to_vec();
    let report = Is::OneOf(vec![report.as_raw_fd().cast_unsigned()]);
    rules.push(Rule::when(Call::Sendmsg, 0, !0, report, Action::Allow));
    rules
}

/// What a call makes; `flags` reads those that clone3(2) has in memory.
pub fn birth(call: Call, arguments: &[u64; 6], flags: impl FnOnce(u64) -> u64) -> Birth {
    let is_set = |flags: u64, flag: i32| flags & u64::from(flag.cast_unsigned()) != 0;
    let flags = match call {
        Call::Fork => 0,
        Call::Vfork => return Birth::Waited,
        Call::Clone => arguments[0],
        Call::Clone3 => flags(arguments[0]),
        _ => return Birth::None,
    };
    match (
        is_set(flags, libc::CLONE_THREAD),
        is_set(flags, libc::CLONE_VFORK),
    ) {
        (true, _) => Birth::None,
        (false, true) => Birth::Waited,
        (false, false) => Birth::Child,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_no_births() {
        let flags = |flags: i32| u64::from(flags.cast_unsigned());
        let vfork = flags(libc::CLONE_VFORK | libc::CLONE_VM | libc::SIGCHLD);
        for (call, argument, expected) in [
            (Call::Fork, 0, Birth::Child),
            (Call::Vfork, 0, Birth::Waited),
            (Call::Clone, flags(libc::SIGCHLD), Birth::Child),
            (Call::Clone, vfork, Birth::Waited),
            (Call::Clone, flags(libc::CLONE_THREAD), Birth::None),
            (Call::Clone3, vfork, Birth::Waited),
            (Call::Clone3, 0, Birth::Child),
            (Call::Execve, vfork, Birth::None),
        ] {
            let got = birth(call, &[argument, 0, 0, 0, 0, 0], |at| at);
            assert_eq!(got, expected, "{call:?} {argument:x}");
        }
    }
}
