//! Who a process is, in a sandbox whose kernel knows one user only.
//!
//! In: a process, what it asks to be. Out: what it is now, by the rules of credentials(7), as if
//! user 0 had every capability and nobody else, but who kept them.
//!
//! A process must be the one that its parent was, whatever became of the parent, and an exec must
//! keep it. The kernel has a number that is handed on just so, and that nothing else uses any
//! more: the limit of file locks (`RLIMIT_LOCKS`). It holds which of the [`Identities`] a process
//! has. A process could set it itself; but this keeps nobody out of anything, as all are one user
//! to the kernel.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::sandbox::sys_notify;

/// The upper half of a limit that is cairn's.
const MARK: u64 = 0x6361_6972;
/// Most different identities of one step.
const MOST: usize = 1 << 14;
/// Most groups of all of them.
const MOST_GROUPS: usize = 1 << 20;
/// No change, where a call takes an id.
const SAME: u32 = u32::MAX;

/// The ids of one kind that a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ids {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved.
    pub saved: u32,
    /// Of the files that it makes.
    pub file: u32,
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// User.
    pub users: Ids,
    /// Group.
    pub groups: Ids,
    /// Further groups.
    pub others: Vec<u32>,
    /// Whether it may take every identity, as the effective user 0 may.
    capable: bool,
    /// Whether it stays so when it is root no more (`PR_SET_KEEPCAPS`).
    keeps: bool,
}

impl Ids {
    /// All the same.
    pub fn all(id: u32) -> Ids {
        Ids {
            real: id,
            effective: id,
            saved: id,
            file: id,
        }
    }

    fn has(self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }

    /// `setuid`, `setgid`.
    fn set(self, id: u32, privileged: bool) -> Result<Ids, Errno> {
        match id {
            SAME => Err(Errno::INVAL),
            _ if privileged => Ok(Ids::all(id)),
            _ if id == self.real || id == self.saved => Ok(Ids {
                effective: id,
                file: id,
                ..self
            }),
            _ => Err(Errno::PERM),
        }
    }

    /// `setreuid`, `setregid`.
    fn set_two(self, real: u32, effective: u32, privileged: bool) -> Result<Ids, Errno> {
        let may_real = real == SAME || real == self.real || real == self.effective;
        let may_effective = effective == SAME || self.has(effective);
        let may = may_real && may_effective;
        if !(privileged || may) {
            return Err(Errno::PERM);
        }
        let pick = |new, old| if new == SAME { old } else { new };
        let now = Ids {
            real: pick(real, self.real),
            effective: pick(effective, self.effective),
            ..self
        };
        let saves = real != SAME || (effective != SAME && effective != self.real);
        Ok(Ids {
            saved: if saves { now.effective } else { self.saved },
            file: now.effective,
            ..now
        })
    }

    /// `setresuid`, `setresgid`.
    fn set_three(self, ids: [u32; 3], privileged: bool) -> Result<Ids, Errno> {
        if !privileged && !ids.iter().all(|id| *id == SAME || self.has(*id)) {
            return Err(Errno::PERM);
        }
        let pick = |new, old| if new == SAME { old } else { new };
        let effective = pick(ids[1], self.effective);
        Ok(Ids {
            real: pick(ids[0], self.real),
            effective,
            saved: pick(ids[2], self.saved),
            file: effective,
        })
    }

    /// `setfsuid`, `setfsgid`, which tell nobody that they fail.
    fn set_file(self, id: u32, privileged: bool) -> Ids {
        match id != SAME && (privileged || self.has(id) || id == self.file) {
            true => Ids { file: id, ..self },
            false => self,
        }
    }
}

/// What a process asks of its ids.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// All, or the effective one.
    One(u32),
    /// Real and effective.
    Two(u32, u32),
    /// Real, effective and saved.
    Three([u32; 3]),
    /// That of files.
    File(u32),
}

impl Change {
    fn apply(self, ids: Ids, privileged: bool) -> Result<Ids, Errno> {
        match self {
            Change::One(id) => ids.set(id, privileged),
            Change::Two(real, effective) => ids.set_two(real, effective, privileged),
            Change::Three(three) => ids.set_three(three, privileged),
            Change::File(id) => Ok(ids.set_file(id, privileged)),
        }
    }
}

impl Identity {
    /// A user with its groups.
    pub fn new(uid: u32, gid: u32, others: Vec<u32>) -> Identity {
        Identity {
            users: Ids::all(uid),
            groups: Ids::all(gid),
            others,
            capable: uid == 0,
            keeps: false,
        }
    }

    /// Whether it may do anything.
    pub fn is_privileged(&self) -> bool {
        self.capable
    }

    /// Whether it may give files away.
    pub fn gives_files(&self) -> bool {
        self.capable && (self.users.file == 0 || self.users.effective != 0)
    }

    /// Whether it acts on files as a member of a group.
    pub fn is_in(&self, gid: u32) -> bool {
        self.groups.file == gid || self.others.contains(&gid)
    }

    /// After it asked for other user ids.
    pub fn with_users(&self, change: Change) -> Result<Identity, Errno> {
        let users = change.apply(self.users, self.is_privileged())?;
        let capable = match (self.users.has(0), users.has(0)) {
            (true, false) => self.keeps,
            (_, true) => users.effective == 0,
            (false, false) => self.capable,
        };
        Ok(Identity {
            users,
            capable,
            ..self.clone()
        })
    }

    /// After it asked for other group ids.
    pub fn with_groups(&self, change: Change) -> Result<Identity, Errno> {
        let groups = change.apply(self.groups, self.is_privileged())?;
        Ok(Identity {
            groups,
            ..self.clone()
        })
    }

    /// After it asked for other further groups.
    pub fn with_others(&self, mut others: Vec<u32>) -> Result<Identity, Errno> {
        if !self.is_privileged() {
            return Err(Errno::PERM);
        }
        others.sort_unstable();
        Ok(Identity {
            others,
            ..self.clone()
        })
    }

    /// After it asked to stay capable, or not to.
    pub fn with_keeps(&self, keeps: bool) -> Identity {
        Identity {
            keeps,
            ..self.clone()
        }
    }

    /// After it runs a program that sets its user or group.
    pub fn with_program(&self, uid: Option<u32>, gid: Option<u32>) -> Identity {
        let run = |ids: Ids, id: Option<u32>| {
            let effective = id.unwrap_or(ids.effective);
            Ids {
                effective,
                saved: effective,
                file: effective,
                ..ids
            }
        };
        let users = run(self.users, uid);
        Identity {
            users,
            groups: run(self.groups, gid),
            others: self.others.clone(),
            capable: users.effective == 0,
            keeps: false,
        }
    }
}

/// All identities that processes of one step have had.
#[derive(Debug)]
pub struct Identities {
    all: Vec<Identity>,
    index: BTreeMap<Identity, usize>,
    groups: usize,
}

impl Identities {
    /// The first is that of processes which never asked for another.
    pub fn new(first: Identity) -> Identities {
        Identities {
            groups: first.others.len(),
            index: BTreeMap::from([(first.clone(), 0)]),
            all: vec![first],
        }
    }

    /// Who a process is.
    pub fn of(&self, pid: u32) -> Result<&Identity, Errno> {
        let limit = sys_notify::locks_limit(pid, None)?;
        let at = match limit >> 32 == MARK {
            true => usize::try_from(limit & 0xffff_ffff).unwrap_or(0),
            false => 0,
        };
        // A number that cairn never gave: the process made it up.
        self.all.get(at).or(self.all.first()).ok_or(Errno::SRCH)
    }

    /// Makes a process somebody else.
    ///
    /// # Errors
    /// `EAGAIN`: it is the millionth one.
    pub fn change(&mut self, pid: u32, to: Identity) -> Result<(), Errno> {
        let at = match self.index.get(&to) {
            Some(at) => *at,
            None if self.all.len() >= MOST || self.groups + to.others.len() > MOST_GROUPS => {
                return Err(Errno::AGAIN);
            }
            None => {
                self.groups += to.others.len();
                self.index.insert(to.clone(), self.all.len());
                self.all.push(to);
                self.all.len() - 1
            }
        };
        sys_notify::locks_limit(pid, Some(MARK << 32 | at as u64))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids {
            real,
            effective,
            saved,
            file: effective,
        }
    }

    #[test]
    fn root_becomes_anyone_and_nobody_goes_back() {
        let root = Identity::new(0, 0, vec![]);
        let user = root.with_users(Change::One(5)).unwrap();
        assert_eq!(user.users, Ids::all(5));
        assert_eq!(user.with_users(Change::One(0)), Err(Errno::PERM));
        assert_eq!(
            user.with_users(Change::Three([SAME, 0, SAME])),
            Err(Errno::PERM)
        );
        assert_eq!(user.with_others(vec![]), Err(Errno::PERM));
        assert_eq!(user.with_groups(Change::One(1)), Err(Errno::PERM));
        assert_eq!(root.with_users(Change::One(SAME)), Err(Errno::INVAL));
        let kept = root.with_keeps(true).with_users(Change::One(5)).unwrap();
        assert_eq!(
            kept.with_groups(Change::One(1)).unwrap().groups,
            Ids::all(1)
        );
        assert!(!kept.with_program(None, None).is_privileged());
    }

    #[test]
    fn saved_ids_let_it_go_back() {
        let away = ids(0, 0, 0).set_three([SAME, 5, SAME], true).unwrap();
        assert_eq!(away, ids(0, 5, 0));
        assert_eq!(away.set(0, false), Ok(ids(0, 0, 0)));
        assert_eq!(away.set_two(SAME, 0, false), Ok(ids(0, 0, 0)));
        // Swapped; and the saved one follows the effective one.
        assert_eq!(ids(1, 2, 2).set_two(2, 1, false), Ok(ids(2, 1, 1)));
        assert_eq!(ids(1, 2, 3).set_two(3, SAME, false), Err(Errno::PERM));
        assert_eq!(ids(1, 2, 3).set_two(SAME, 3, false), Ok(ids(1, 3, 3)));
        assert_eq!(ids(1, 2, 3).set_two(SAME, 1, false), Ok(ids(1, 1, 3)));
        assert_eq!(ids(1, 2, 3).set_file(3, false).file, 3);
        assert_eq!(ids(1, 2, 3).set_file(4, false).file, 2);
    }

    #[test]
    fn a_program_sets_who_runs_it() {
        let user = Identity::new(5, 6, vec![7]);
        let root = user.with_program(Some(0), None);
        assert_eq!(root.users, ids(5, 0, 0));
        assert!(root.is_privileged());
        assert!(root.is_in(6) && root.is_in(7) && !root.is_in(8));
    }
}
