//! Extended attributes: cairn's own are nobody else's.
//!
//! In: `setxattr`, `getxattr`, `listxattr`, `removexattr` and their kin. Out: of attributes that
//! begin as cairn's own do no step sees, sets or removes any, as they say what a file is; and as
//! they are in no list, nobody who copies all attributes stumbles over them. The kernel reads a
//! name anew, and another thread may have changed it: so what is set or removed cairn sets and
//! removes itself, with the caller's rights. What is read may be read by such a thread: it is no
//! secret.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::call::Call;
use super::filter::{Action, Rule};
use super::owner::record::PREFIX;
use super::resolve::{self, Way};
use super::rights::{Rights, Users};
use super::{Answer, Caller, Handler};

/// Most bytes of a name, of a value and of a list, as the kernel has it (`XATTR_NAME_MAX`,
/// `XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LONGEST_NAME: usize = 255;
const LONGEST: usize = 1 << 16;

/// Keeps cairn's own attributes to itself.
#[derive(Debug)]
pub struct Attributes {
    users: Users,
}

impl Attributes {
    /// For a step in whose namespace there are such users.
    pub fn new(users: Users) -> Attributes {
        Attributes { users }
    }

    /// The file that a call is for, and the rights of who calls.
    fn file(&self, call: Call, caller: &Caller<'_>) -> Result<(OwnedFd, Rights), Errno> {
        let rights = Rights::of(caller, self.users)?;
        let file = match call {
            Call::Fsetxattr | Call::Flistxattr | Call::Fremovexattr => {
                caller.descriptor(caller.int(0))?
            }
            _ => {
                let follow = [Call::Setxattr, Call::Listxattr, Call::Removexattr].contains(&call);
                let (path, way) = (caller.argument(0), Way::plain(follow));
                resolve::file(caller, &rights, libc::AT_FDCWD, path, way)?
            }
        };
        caller.check()?;
        Ok((file, rights))
    }

    fn set(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let name = name(caller)?;
        if is_own(&name) {
            return Err(Errno::PERM);
        }
        let length = usize::try_from(caller.argument(3)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(Errno::TOOBIG);
        }
        let mut value = vec![0; length];
        if length != 0 {
            caller.read(caller.argument(2), &mut value)?;
        }
        let flags = XattrFlags::from_bits_retain(caller.word(4));
        let (file, rights) = self.file(call, caller)?;
        let set = || rustix::fs::setxattr(place(&file), name.as_slice(), &value, flags);
        rights.act(set).map(|()| Answer::Value(0))
    }

    fn remove(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let name = name(caller)?;
        if is_own(&name) {
            return Err(Errno::NODATA);
        }
        let (file, rights) = self.file(call, caller)?;
        let remove = || rustix::fs::removexattr(place(&file), name.as_slice());
        rights.act(remove).map(|()| Answer::Value(0))
    }

    fn list(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let (file, rights) = self.file(call, caller)?;
        let mut names = vec![0; LONGEST];
        let list = || rustix::fs::listxattr(place(&file), names.as_mut_slice());
        let length = rights.act(list)?;
        names.truncate(length);
        let kept = without_own(&names);
        if kept.len() == names.len() {
            return Ok(Answer::Continue);
        }
        let room = usize::try_from(caller.argument(2)).unwrap_or(usize::MAX);
        if room != 0 && room < kept.len() {
            return Err(Errno::RANGE);
        }
        if room != 0 && !kept.is_empty() {
            caller.write(caller.argument(1), &kept)?;
        }
        Ok(Answer::Value(i64::try_from(kept.len()).unwrap_or(0)))
    }
}

impl Handler for Attributes {
    fn rules() -> Vec<Rule> {
        let calls = [
            Call::Setxattr,
            Call::Lsetxattr,
            Call::Fsetxattr,
            Call::Getxattr,
            Call::Lgetxattr,
            Call::Fgetxattr,
            Call::Listxattr,
            Call::Llistxattr,
            Call::Flistxattr,
            Call::Removexattr,
            Call::Lremovexattr,
            Call::Fremovexattr,
        ];
        calls
            .map(|call| Rule::always(call, Action::Notify))
            .to_vec()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        match call {
            Call::Setxattr | Call::Lsetxattr | Call::Fsetxattr => self.set(call, caller).into(),
            Call::Removexattr | Call::Lremovexattr | Call::Fremovexattr => {
                self.remove(call, caller).into()
            }
            Call::Listxattr | Call::Llistxattr | Call::Flistxattr => self.list(call, caller).into(),
            _ => match name(caller) {
                Ok(name) if is_own(&name) => Answer::Fail(Errno::NODATA),
                _ => Answer::Continue,
            },
        }
    }
}

/// The name that a call is about, which all but lists have as their second argument.
fn name(caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
    match caller.path(caller.argument(1)) {
        Ok(name) if (1..=LONGEST_NAME).contains(&name.len()) => Ok(name),
        Ok(_) | Err(Errno::NAMETOOLONG) => Err(Errno::RANGE),
        Err(error) => Err(error),
    }
}

fn is_own(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// The path of an open file that any call follows, even of one open to be named only.
fn place(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Names, each with a zero at its end.
fn without_own(names: &[u8]) -> Vec<u8> {
    let names = names.split_inclusive(|byte| *byte == 0);
    names
        .filter(|name| !is_own(name))
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
