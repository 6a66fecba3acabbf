//! Where owners and devices are recorded that this user can't give to files.
//!
//! In: a file, its owner. Out: the owner, again. It is kept in an extended attribute of the file
//! itself (`sandbox::owner` has its form), so that a copy-up, a rename and a hard link keep it; symbolic links, devices, pipes and
//! sockets can have none: for them there is a [`Table`].

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::sandbox::owner::{Kept, NAME};

/// What all of cairn's attributes begin with: no process sees them, and no layer has them.
pub const PREFIX: &str = "user.cairn.";

/// Most files of a [`Table`].
const MOST_FILES: usize = 1 << 18;

/// Who a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A file, told from one that had its inode before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Inode {
    /// Number on its file system.
    pub number: u64,
    /// When it was made: seconds and nanoseconds; 0 where the file system doesn't say.
    pub birth: (i64, u32),
}

/// Owners of files that can't have the attribute, by the inodes that an overlay shows: of what it
/// copied up those are the layer's or the upper directory's, so that both are kept.
#[derive(Debug, Default)]
pub struct Table {
    by_inode: BTreeMap<Inode, Owner>,
    upper: Option<OwnedFd>,
}

impl Table {
    /// An empty one.
    pub fn new() -> Table {
        Table::default()
    }

    /// For an overlay on this upper directory.
    pub fn with_upper(self, upper: OwnedFd) -> Table {
        Table {
            upper: Some(upper),
            ..self
        }
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.by_inode.is_empty()
    }

    /// What is recorded of an inode.
    pub fn get(&self, inode: &Inode) -> Option<Owner> {
        self.by_inode.get(inode).copied()
    }

    /// Records an owner.
    ///
    /// # Errors
    /// `ENOSPC`: there are too many.
    pub fn insert(&mut self, inode: Inode, owner: Owner) -> Result<(), Errno> {
        if self.by_inode.len() >= MOST_FILES && !self.by_inode.contains_key(&inode) {
            return Err(Errno::NOSPC);
        }
        self.by_inode.insert(inode, owner);
        Ok(())
    }

    /// Whether a file that has a record is in the upper directory already, and recorded there.
    pub fn has_copy(&self, file: BorrowedFd<'_>) -> Result<bool, Errno> {
        let there = self.in_upper(file, inode(file)?);
        Ok(there.is_some_and(|there| self.by_inode.contains_key(&there)))
    }

    /// The inode that the upper directory itself has of a file of the overlay; none if it is not
    /// there.
    fn in_upper(&self, file: BorrowedFd<'_>, shown: Inode) -> Option<Inode> {
        let upper = self.upper.as_ref()?;
        let path = rustix::fs::readlink(link(file), Vec::new()).ok()?;
        let path = path.to_bytes().strip_prefix(b"/")?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let there = rustix::fs::openat2(upper, path, flags, Mode::empty(), resolve).ok()?;
        let there = inode(there.as_fd()).ok()?;
        // What is mounted over the upper directory has paths there, too.
        (there.birth == shown.birth).then_some(there)
    }
}

impl FromIterator<(Inode, Owner)> for Table {
    fn from_iter<I: IntoIterator<Item = (Inode, Owner)>>(owners: I) -> Table {
        Table {
            by_inode: owners.into_iter().collect(),
            upper: None,
        }
    }
}

impl IntoIterator for Table {
    type Item = (Inode, Owner);
    type IntoIter = std::collections::btree_map::IntoIter<Inode, Owner>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_inode.into_iter()
    }
}

impl Owner {
    fn as_kept(self) -> Kept {
        Kept {
            uid: self.uid,
            gid: self.gid,
            device: None,
        }
    }
}

/// Which file it is.
pub fn inode(file: BorrowedFd<'_>) -> Result<Inode, Errno> {
    let wanted = StatxFlags::INO | StatxFlags::BTIME;
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted)?;
    Ok(Inode {
        number: stat.stx_ino,
        birth: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
    })
}

/// As [`inode`], of `name` in a directory.
pub fn inode_in(directory: impl AsFd, name: &[u8]) -> std::io::Result<Inode> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    Ok(inode(file.as_fd())?)
}

/// What a table has of `name` in a directory.
pub fn linked(directory: impl AsFd, name: &[u8], table: &Table) -> std::io::Result<Option<Kept>> {
    let owner = table.get(&inode_in(directory, name)?);
    Ok(owner.map(Owner::as_kept))
}

/// What a table has of a file.
pub fn linked_file(file: BorrowedFd<'_>, table: &Table) -> Result<Option<Kept>, Errno> {
    match table.is_empty() {
        true => Ok(None),
        false => Ok(table.get(&inode(file)?).map(Owner::as_kept)),
    }
}

/// What is recorded of a file that is open, if only to be named; none if all is as the kernel says.
pub fn kept(file: BorrowedFd<'_>, table: &Table) -> Result<Option<Kept>, Errno> {
    let mut value = [0; 64];
    match rustix::fs::getxattr(link(file), NAME, &mut value) {
        Ok(length) => return Ok(value.get(..length).and_then(Kept::read)),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    linked_file(file, table)
}

/// Who a file belongs to, recorded or not.
pub fn owner(file: BorrowedFd<'_>, table: &Table) -> Result<Owner, Errno> {
    if let Some(Kept { uid, gid, .. }) = kept(file, table)? {
        return Ok(Owner { uid, gid });
    }
    let stat = rustix::fs::fstat(file)?;
    Ok(Owner {
        uid: stat.st_uid,
        gid: stat.st_gid,
    })
}

/// Records what a file is.
///
/// # Errors
/// As the kernel has them: `EROFS`, `ENOSPC`, …
pub fn keep(file: BorrowedFd<'_>, kept: Kept, table: &mut Table) -> Result<(), Errno> {
    let kind = rustix::fs::fstat(file)?.st_mode & libc::S_IFMT;
    if matches!(kind, libc::S_IFREG | libc::S_IFDIR) {
        let value = kept.text();
        match rustix::fs::setxattr(link(file), NAME, value.as_bytes(), XattrFlags::empty()) {
            // A file system without such attributes: `/proc`, old tmpfs.
            Err(Errno::OPNOTSUPP) if kept.device.is_none() => {}
            other => return other,
        }
    }
    let inode = inode(file)?;
    let Kept { uid, gid, .. } = kept;
    let owner = Owner { uid, gid };
    if let Some(there) = table.in_upper(file, inode) {
        table.insert(there, owner)?;
    }
    table.insert(inode, owner)
}

/// The path of an open file that any call follows, even of one open to be named only.
fn link(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_owners_and_links_are_in_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let mut table = Table::new();
        let owner = Kept {
            uid: 7,
            gid: 8,
            device: None,
        };
        for path in [&path, &link] {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW;
            let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
            assert_eq!(kept(file.as_fd(), &table), Ok(None));
            keep(file.as_fd(), owner, &mut table).unwrap();
            assert_eq!(kept(file.as_fd(), &table), Ok(Some(owner)));
        }
        assert_eq!(table.into_iter().count(), 1);
    }
}
