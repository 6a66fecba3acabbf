//! Handlers of the signal that says that a child has ended, which break no call off that waits for cairn.
//!
//! In: rt_sigaction(2) of `SIGCHLD`. Out: the same with `SA_RESTART`, for handlers that let no other signal in.
//! A call that cairn has not received yet is broken off by a signal, and fails with `EINTR` where the signal's
//! handler has no such flag: calls, too, that never do, as stat(2), which no program expects. With it the kernel
//! makes the call anew (signal(7)). Such handlers are those of the shells that are sh (dash, busybox), which wait
//! for children by calls that the flag doesn't touch. Others are left as they are, for who waits until its handler
//! has run may do so by a call that is to be broken off: Python's `threading.Event` does.

use rustix::io::Errno;

use super::call::Call;
use super::filter::{Action, Condition, Is, Rule};
use super::{Answer, Caller, Handler};

/// The signals that have names, as a set: C libraries leave some of the others out of full ones.
const USUAL: u64 = (1 << 31) - 1;

/// Sets the flag.
#[derive(Debug)]
pub struct Restarts;

impl Handler for Restarts {
    fn rules() -> Vec<Rule> {
        let is_of_children = Condition {
            argument: 0,
            mask: !0,
            is: Is::OneOf(vec![libc::SIGCHLD.cast_unsigned()]),
        };
        let is_set = Condition {
            argument: 1,
            mask: !0,
            is: Is::Set,
        };
        vec![Rule {
            when: vec![is_of_children, is_set],
            ..Rule::always(Call::RtSigaction, Action::Notify)
        }]
    }

    fn answer(&mut self, _: Call, caller: &Caller<'_>) -> Answer {
        // What can't be read or written the kernel refuses, or takes as it is.
        let _ = restart(caller);
        Answer::Continue
    }
}

/// The struct holds the handler, the flags and the restorer, of 64 bits each or of 32, and 64 signals.
fn restart(caller: &Caller<'_>) -> Result<(), Errno> {
    let width = match caller.is_of_32_bits() {
        true => 4,
        false => 8,
    };
    let mut room = [0; 3 * 8 + 8];
    let given = &mut room[..3 * width + 8];
    let at = caller.argument(1);
    caller.read(at, given)?;
    let number = |bytes: &[u8]| {
        let bytes = bytes.iter().rev();
        bytes.fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    };
    let (handler, flags) = (number(&given[..width]), number(&given[width..2 * width]));
    let lets_none_in = number(&given[3 * width..]) & USUAL == USUAL;
    let new = flags | u64::from(libc::SA_RESTART.cast_unsigned());
    let is_handled = ![libc::SIG_DFL, libc::SIG_IGN].contains(&(handler as usize));
    if !is_handled || !lets_none_in || new == flags {
        return Ok(());
    }
    let at = at.checked_add(width as u64).ok_or(Errno::FAULT)?;
    let bytes = &new.to_le_bytes()[..width];
    caller.write_over(at, bytes)
}
