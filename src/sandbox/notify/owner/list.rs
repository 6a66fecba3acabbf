//! `listxattr` and its kin: without cairn's own attributes, so that nobody copies them.
//!
//! In: the call. Out: the kernel's answer without some names.

use std::os::fd::AsRawFd;

use rustix::io::Errno;

use super::record::PREFIX;
use super::{Answer, Call, Caller, or_continue};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};

/// Most bytes of a list, as the kernel has it (`XATTR_LIST_MAX`).
const LONGEST: usize = 1 << 16;

pub(super) fn answer(call: Call, caller: &Caller<'_>) -> Answer {
    or_continue(list(call, caller))
}

fn list(call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let file = match call {
        Call::Flistxattr => caller.descriptor(caller.int(0))?,
        _ => {
            let way = Way::plain(call == Call::Listxattr);
            let rights = Rights::of(caller, Users::One)?;
            resolve::file(caller, &rights, libc::AT_FDCWD, caller.argument(0), way)?
        }
    };
    let mut names = vec![0; LONGEST];
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let length = rustix::fs::listxattr(path, names.as_mut_slice())?;
    names.truncate(length);
    let kept = without_own(&names);
    if kept.len() == names.len() {
        return Ok(Answer::Continue);
    }
    let room = usize::try_from(caller.argument(2)).unwrap_or(usize::MAX);
    if room != 0 && room < kept.len() {
        return Ok(Answer::Fail(Errno::RANGE));
    }
    if room != 0 && !kept.is_empty() {
        caller.write(caller.argument(1), &kept)?;
    }
    Ok(Answer::Value(i64::try_from(kept.len()).unwrap_or(0)))
}

/// Names, each with a zero at its end.
fn without_own(names: &[u8]) -> Vec<u8> {
    let names = names.split_inclusive(|byte| *byte == 0);
    names
        .filter(|name| !name.starts_with(PREFIX.as_bytes()))
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_left_out() {
        assert_eq!(
            without_own(b"user.a\0user.cairn.owner\0user.cairned\0"),
            b"user.a\0user.cairned\0"
        );
        assert!(without_own(b"user.cairn.device\0").is_empty());
    }
}
