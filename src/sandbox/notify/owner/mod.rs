//! Ownership for those who have one user id only: what a step gives away is recorded, and seen.
//!
//! In: the calls of a step's processes that ask for owners, or for who they are. Out: answers as a
//! kernel would give them that knows all users. Files keep their recorded owner ([`record`]);
//! processes are who they asked to be ([`identity`]).
//!
//! What a process may do to files is not judged anew: to the kernel all are one user. So an
//! emulated user other than root may read, write and remove more than it could (access(2), too,
//! says that it may), signal every process, and `/proc/PID/status` says root. What it may not do is what programs look at: take another identity, give files
//! away. None of this keeps anyone in: the sandbox does.

mod change;
mod copied;
mod create;
mod device;
mod exec;
mod identify;
mod identity;
mod peer;
pub mod record;
mod show;
#[cfg(test)]
mod tests;

pub use device::Devices;

use identity::{Identities, Identity};
use record::Table;

use super::call::Call;
use super::filter::{Action, Condition, Is, Rule};
use super::{Answer, Caller, Handler};
use crate::sandbox::clock::FileTimes;

/// Emulates ownership for one step.
#[derive(Debug)]
pub struct Ownership {
    identities: Identities,
    table: Table,
    /// How file times are shown, if not as they are.
    times: Option<FileTimes>,
}

/// The calls that are answered whatever their arguments are.
const ALWAYS: &[Call] = &[
    Call::Chown,
    Call::Creat,
    Call::Execve,
    Call::Execveat,
    Call::Fchown,
    Call::Fchownat,
    Call::Fstat,
    Call::Getegid,
    Call::Geteuid,
    Call::Getgid,
    Call::Getgroups,
    Call::Getresgid,
    Call::Getresuid,
    Call::Getuid,
    Call::Lchown,
    Call::Lstat,
    Call::Mkdir,
    Call::Mkdirat,
    Call::Mknod,
    Call::Mknodat,
    Call::Newfstatat,
    Call::Openat2,
    Call::Setfsgid,
    Call::Setfsuid,
    Call::Setgid,
    Call::Setgroups,
    Call::Setregid,
    Call::Setresgid,
    Call::Setresuid,
    Call::Setreuid,
    Call::Setuid,
    Call::Stat,
    Call::Statx,
    Call::Symlink,
    Call::Symlinkat,
];

impl Ownership {
    /// For a step whose command is run by such a user. `table` has the owners, below the step's
    /// upper directory, of what can't have the attribute.
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>, table: Table) -> Ownership {
        Ownership {
            identities: Identities::new(Identity::new(uid, gid, groups)),
            table,
            times: None,
        }
    }

    /// Lets file times, and numbers of files, be shown so.
    pub fn show_times(&mut self, times: FileTimes) {
        self.times = Some(times);
    }

    /// The table as the step left it.
    pub fn into_table(self) -> Table {
        self.table
    }
}

impl Handler for Ownership {
    fn rules() -> Vec<Rule> {
        let notify = Action::Notify;
        let mut rules: Vec<Rule> = ALWAYS
            .iter()
            .chain(copied::CALLS)
            .map(|call| Rule::always(*call, notify))
            .collect();
        // The kernel's own bit of O_TMPFILE alone: the rest of it is O_DIRECTORY.
        let creates = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)).cast_unsigned();
        for (call, argument) in [(Call::Open, 1), (Call::Openat, 2)] {
            rules.push(Rule::when(call, argument, creates, Is::Set, notify));
        }
        rules.push(Rule {
            when: (1..)
                .zip(peer::OPTION)
                .map(|(argument, is)| Condition {
                    argument,
                    mask: !0,
                    is: Is::OneOf(vec![is.cast_unsigned()]),
                })
                .collect(),
            ..Rule::always(Call::Getsockopt, notify)
        });
        let keep = Is::OneOf(vec![libc::PR_SET_KEEPCAPS.cast_unsigned()]);
        rules.push(Rule::when(Call::Prctl, 0, !0, keep, notify));
        for (call, argument) in [(Call::Setrlimit, 0), (Call::Prlimit64, 1)] {
            let is = Is::OneOf(vec![libc::RLIMIT_LOCKS]);
            rules.push(Rule::when(call, argument, !0, is, notify));
        }
        rules
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        match call {
            Call::Stat | Call::Lstat | Call::Fstat | Call::Newfstatat | Call::Statx => {
                show::answer(call, caller, &self.table, self.times.as_ref())
            }
            Call::Chown | Call::Lchown | Call::Fchown | Call::Fchownat => {
                change::answer(call, caller, &self.identities, &mut self.table).into()
            }
            Call::Execve | Call::Execveat => {
                exec::answer(call, caller, &mut self.identities, &self.table)
            }
            Call::Creat
            | Call::Mkdir
            | Call::Mkdirat
            | Call::Mknod
            | Call::Mknodat
            | Call::Open
            | Call::Openat
            | Call::Openat2
            | Call::Symlink
            | Call::Symlinkat => {
                create::answer(call, caller, &self.identities, &mut self.table).into()
            }
            Call::Setrlimit | Call::Prlimit64 => limit(call, caller),
            Call::Getsockopt => peer::answer(caller, &self.identities),
            call if copied::CALLS.contains(&call) => copied::answer(call, caller, &mut self.table),
            _ => identify::answer(call, caller, &mut self.identities).into(),
        }
    }
}

/// Who sets all limits, as PAM does, sets the one that says who a process is, too: that one stays.
fn limit(call: Call, caller: &Caller<'_>) -> Answer {
    let sets = call == Call::Setrlimit || caller.argument(2) != 0;
    match (sets, caller.argument(3)) {
        (false, _) => Answer::Continue,
        (true, old) if call == Call::Prlimit64 && old != 0 => {
            let none = [u8::MAX; size_of::<libc::rlimit>()];
            caller.write(old, &none).map(|()| Answer::Value(0)).into()
        }
        (true, _) => Answer::Value(0),
    }
}

/// The rest of a call's work where cairn may fail to find a file that the kernel finds, or has
/// nothing to add: the kernel does it all.
fn or_continue(result: Result<Answer, rustix::io::Errno>) -> Answer {
    result.unwrap_or(Answer::Continue)
}
