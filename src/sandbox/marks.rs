//! What a layer's folder says of the layers below it: that something is gone, or a directory's
//! whole content.
//!
//! In and out: a 0:0 device and `user.overlay.opaque`, as an overlay takes them (kernel,
//! overlayfs.rst). A file system that is an overlay itself keeps both for itself: there an empty
//! file with an attribute stands for the device, and another attribute for that. No overlay can be
//! mounted on such a folder, so that only [`super::copy`] reads these.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;

/// Of a directory of which nothing from below is seen.
const OPAQUE: &str = "user.overlay.opaque";
/// The same where the file system keeps that one for itself.
const OWN_OPAQUE: &str = "user.cairn.opaque";
/// Of a file that stands for a 0:0 device.
const OWN_WHITEOUT: &str = "user.cairn.whiteout";

/// A path of what a directory holds, for calls that know no directory.
pub(super) fn place(parent: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut place = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    place.extend_from_slice(name);
    place
}

/// Whether an attribute is a mark, or the overlay's own, and none of the file's.
pub(super) fn is_mark(xattr: &[u8]) -> bool {
    xattr.starts_with(b"user.overlay.")
        || xattr == OWN_OPAQUE.as_bytes()
        || xattr == OWN_WHITEOUT.as_bytes()
}

/// Makes `name` gone from the layers below; nothing is there.
pub(super) fn make_whiteout(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::PERM) => {}
        other => return Ok(other?),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
    set(parent, name, OWN_WHITEOUT)
}

/// Whether `name`, of which this is known, is gone from the layers below.
pub(super) fn is_whiteout(parent: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<bool> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => Ok(stat.st_rdev == 0),
        FileType::RegularFile if stat.st_size == 0 => has(parent, name, OWN_WHITEOUT),
        _ => Ok(false),
    }
}

/// Hides from the directory `name` what the layers below have in it.
pub(super) fn make_opaque(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match set(parent, name, OPAQUE) {
        Err(error) if is_refused(&error) => set(parent, name, OWN_OPAQUE),
        other => other,
    }
}

/// Whether that is hidden.
pub(super) fn is_opaque(parent: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    Ok(has(parent, name, OPAQUE)? || has(parent, name, OWN_OPAQUE)?)
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP))
}

fn set(parent: &OwnedFd, name: &[u8], xattr: &str) -> io::Result<()> {
    let place = place(parent, name);
    let flags = XattrFlags::empty();
    Ok(rustix::fs::lsetxattr(place.as_slice(), xattr, b"y", flags)?)
}

fn has(parent: &OwnedFd, name: &[u8], xattr: &str) -> io::Result<bool> {
    let mut value = [0; 1];
    match rustix::fs::lgetxattr(place(parent, name).as_slice(), xattr, &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(b"y")),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
