//! Where owners and devices are recorded that this user can't give to files.
//!
//! In: a file, its owner. Out: the owner, again. It is kept in an extended attribute of the file
//! itself, so that a copy-up, a rename and a hard link keep it; symbolic links, devices, pipes and
//! sockets can have none: for them there is a [`Table`].

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, StatxFlags, XattrFlags};
use rustix::io::Errno;

/// The extended attribute with an owner: `uid:gid`, decimal.
pub const OWNER: &str = "user.cairn.owner";
/// The extended attribute of an empty file that stands for a device: `c:major:minor`, `b:…`.
pub const DEVICE: &str = "user.cairn.device";
/// What all of cairn's attributes begin with: no process sees them, and no layer has them.
pub const PREFIX: &str = "user.cairn.";

/// Most files of a [`Table`].
const MOST_FILES: usize = 1 << 18;

/// Who a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A device that a file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// A block device, else a character device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// A file, told from one that had its inode before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode {
    /// Number on its file system.
    pub number: u64,
    /// When it was made: seconds and nanoseconds; 0 where the file system doesn't say.
    pub birth: (i64, u32),
}

/// Owners of files that can't have the attribute. An upper directory's own inodes are those that
/// its overlay shows, so it is looked up by inode alone.
pub type Table = BTreeMap<Inode, Owner>;

impl Owner {
    /// Reads an attribute's value; anything else than two numbers is none.
    pub fn parse(value: &[u8]) -> Option<Owner> {
        let (uid, gid) = std::str::from_utf8(value).ok()?.split_once(':')?;
        Some(Owner {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }

    /// The attribute's value.
    pub fn value(self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }
}

impl Device {
    /// Reads an attribute's value.
    pub fn parse(value: &[u8]) -> Option<Device> {
        let mut parts = std::str::from_utf8(value).ok()?.split(':');
        let block = match parts.next()? {
            "b" => true,
            "c" => false,
            _ => return None,
        };
        let [major, minor] = [parts.next()?.parse().ok()?, parts.next()?.parse().ok()?];
        parts.next().is_none().then_some(Device {
            block,
            major,
            minor,
        })
    }

    /// The attribute's value.
    pub fn value(self) -> String {
        let kind = if self.block { "b" } else { "c" };
        format!("{kind}:{}:{}", self.major, self.minor)
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

/// The recorded owner of a file that is open, if only to be named; none if it is the real one.
pub fn owner(file: BorrowedFd<'_>, table: &Table) -> Result<Option<Owner>, Errno> {
    if let Some(value) = read(file, OWNER)? {
        return Ok(Owner::parse(&value));
    }
    if table.is_empty() {
        return Ok(None);
    }
    Ok(table.get(&inode(file)?).copied())
}

/// The device that a file stands for.
pub fn device(file: BorrowedFd<'_>) -> Result<Option<Device>, Errno> {
    Ok(read(file, DEVICE)?.and_then(|value| Device::parse(&value)))
}

/// Records the owner of a file.
///
/// # Errors
/// As the kernel has them: `EROFS`, `ENOSPC`, …
pub fn set_owner(file: BorrowedFd<'_>, owner: Owner, table: &mut Table) -> Result<(), Errno> {
    let kind = rustix::fs::fstat(file)?.st_mode & libc::S_IFMT;
    let can = matches!(kind, libc::S_IFREG | libc::S_IFDIR);
    if can {
        match write(file, OWNER, &owner.value()) {
            // A file system without such attributes: `/proc`, old tmpfs.
            Err(Errno::OPNOTSUPP) => {}
            other => return other,
        }
    }
    let inode = inode(file)?;
    if table.len() >= MOST_FILES && !table.contains_key(&inode) {
        return Err(Errno::NOSPC);
    }
    table.insert(inode, owner);
    Ok(())
}

/// Lets an empty file stand for a device.
pub fn set_device(file: BorrowedFd<'_>, device: Device) -> Result<(), Errno> {
    write(file, DEVICE, &device.value())
}

/// The path of an open file that any call follows, even of one open to be named only.
fn link(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn read(file: BorrowedFd<'_>, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = [0; 64];
    match rustix::fs::getxattr(link(file), name, &mut value) {
        Ok(length) => Ok(value.get(..length).map(<[u8]>::to_vec)),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::RANGE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(file: BorrowedFd<'_>, name: &str, value: &str) -> Result<(), Errno> {
    rustix::fs::setxattr(link(file), name, value.as_bytes(), XattrFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn values_are_read_as_written() {
        let owner = Owner {
            uid: 0,
            gid: u32::MAX - 1,
        };
        assert_eq!(Owner::parse(owner.value().as_bytes()), Some(owner));
        for block in [false, true] {
            let device = Device {
                block,
                major: 8,
                minor: 1_048_575,
            };
            assert_eq!(Device::parse(device.value().as_bytes()), Some(device));
        }
        for bad in ["", ":", "1", "1:", "1:2:3", "-1:0", "4294967296:0", "c:1"] {
            assert_eq!(Owner::parse(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["", "c:1", "c:1:2:3", "d:1:2", "c:1:x"] {
            assert_eq!(Device::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn files_keep_owners_and_links_are_in_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let mut table = Table::new();
        let owner = Owner { uid: 7, gid: 8 };
        for path in [&path, &link] {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW;
            let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
            assert_eq!(super::owner(file.as_fd(), &table), Ok(None));
            set_owner(file.as_fd(), owner, &mut table).unwrap();
            assert_eq!(super::owner(file.as_fd(), &table), Ok(Some(owner)));
        }
        assert_eq!(table.len(), 1);
    }
}
