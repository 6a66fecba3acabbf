//! Calls that open a file for reading alone.
//!
//! In: a call of open(2) or openat(2). Out: the path that it names, for who gives another file in its
//! place. With `O_CLOEXEC` each program opens its libraries, some for each thing that begins: who opens a
//! file so isn't asked about, and finds what stands there for all.

use rustix::io::Errno;

use super::Caller;
use super::call::Call;
use super::filter::{Action, Is, Rule};

/// Flags without which a file itself is opened, for reading alone.
const OTHERWISE: i32 = libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_DIRECTORY
    | libc::O_PATH
    | libc::O_TMPFILE
    | libc::O_CLOEXEC;

/// What a filter needs so that such calls are asked about.
pub fn rules() -> [Rule; 2] {
    [Call::Open, Call::Openat].map(|call| {
        let (bits, is) = (OTHERWISE.cast_unsigned(), Is::OneOf(vec![0]));
        Rule::when(call, flags_at(call), bits, is, Action::Notify)
    })
}

/// Which argument the flags of an opening call are; the path is the one before.
pub fn flags_at(call: Call) -> u8 {
    match call {
        Call::Open => 1,
        _ => 2,
    }
}

/// The path that a call names, read into `buffer`; none where the call opens in another way, as others
/// ask for such calls, too, or where the path with its end doesn't fit.
pub fn path<'a>(
    call: Call,
    caller: &Caller<'_>,
    buffer: &'a mut [u8],
) -> Result<Option<&'a [u8]>, Errno> {
    let at = usize::from(flags_at(call));
    if caller.int(at) & OTHERWISE != 0 {
        return Ok(None);
    }
    let read = caller.glance(caller.argument(at - 1), buffer)?;
    let end = buffer[..read].iter().position(|byte| *byte == 0);
    Ok(end.map(|end| &buffer[..end]))
}
