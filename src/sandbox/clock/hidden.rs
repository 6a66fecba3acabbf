//! Programs that read a clock by system calls alone, so that who traces them sees that they do.
//!
//! In: a step that has the machine's time and is traced. Out: each program that begins finds no page
//! by which the clock is read without a call. One that can't be followed keeps it.

use rustix::io::Errno;

use super::calls::monotonic;
use super::exec::Followed;
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};

/// Hides the page.
#[derive(Debug, Default)]
pub struct Hidden {
    followed: Option<Followed>,
}

impl Handler for Hidden {
    fn rules() -> Vec<Rule> {
        let execs = [Call::Execve, Call::Execveat];
        let execs = execs.map(|call| Rule::always(call, Action::Notify));
        // No two can follow one.
        let other = Rule::always(Call::Ptrace, Action::Deny(libc::EPERM));
        execs.into_iter().chain([other]).collect()
    }

    fn answer(&mut self, _: Call, caller: &Caller<'_>) -> Answer {
        match Followed::new(caller.pid(), || caller.process()) {
            Ok(followed) => {
                self.followed = Some(followed);
                Answer::Follow
            }
            Err(_) => Answer::Continue,
        }
    }

    fn follow(&mut self, _: &Caller<'_>) -> Result<(), Errno> {
        let Some(followed) = self.followed.take() else {
            return Ok(());
        };
        followed.finish(None, monotonic(), |_, _| None).map(drop)
    }
}
