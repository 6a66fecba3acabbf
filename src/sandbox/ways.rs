//! In which way a session works on this machine, where the usual one is refused.
//!
//! In: what the kernel says when it is tried, once. Out: [`Ways`], which every request carries, and
//! [`NoOverlay`], in words.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::clock::ClockWay;
use super::error::{Doing as _, Error};
use super::folder;
use super::limits;
use super::root::make_directory;
use super::sys::{self, Alone, Forked};
use super::sys_notify;

/// How things are done. What the session finds out goes into each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ways {
    /// How a command gets its layers.
    pub layers: Layers,
    /// Whether `/proc` is the one that the caller has, as no other can be mounted: a container's is
    /// masked in parts, and the kernel gives nobody in it one that isn't.
    pub shares_proc: bool,
    /// Whether directories are read in the order in which a file system has them: an answer that a
    /// signal breaks off is given again, and names would be lost.
    pub reads_as_stored: bool,
    /// Whether programs lie at other addresses each time, as nobody may keep the kernel from it.
    pub randomises_addresses: bool,
    /// Whether this process has resource limits that are lower than those of commands.
    pub has_lower_limits: bool,
    /// How a command reads a clock of its own.
    pub clock: ClockWay,
}

/// How a command gets its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Layers {
    /// As an overlay, which the upper folder is on top of.
    #[default]
    Mounted,
    /// They are copied into the upper folder.
    Copied,
    /// They are in the upper folder since an earlier command.
    There,
}

/// Which of [`Ways`] is refused when it is tried, as an exit code.
const NO_PROC: u8 = 1;
const NO_PERSONALITY: u8 = 2;

/// Tries what has nothing to do with folders.
pub(super) fn find(alone: &Alone) -> std::io::Result<Ways> {
    let child = match sys::clone(alone, UnshareFlags::NEWPID)? {
        Forked::Child(_) => sys::exit(refused()),
        Forked::Parent((child, _)) => child,
    };
    let status = rustix::process::waitpid(Some(child), WaitOptions::empty())?;
    let code = status.and_then(|(_, status)| status.exit_status());
    let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
    Ok(Ways {
        layers: Layers::default(),
        shares_proc: code & NO_PROC != 0,
        reads_as_stored: !sys_notify::waits_for_answers(),
        randomises_addresses: code & NO_PERSONALITY != 0,
        has_lower_limits: limits::are_lower(),
        clock: ClockWay::default(),
    })
}

/// What this process, the first of new namespaces, is refused. Other failures are told by the
/// step that meets them.
fn refused() -> u8 {
    let proc = || -> rustix::io::Result<()> {
        let proc = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&proc)?;
        let flags = (FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty());
        rustix::mount::fsmount(&proc, flags.0, flags.1).map(drop)
    };
    let is_refused = |result| matches!(result, Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS));
    let mut code = 0;
    if is_refused(proc()) {
        code |= NO_PROC;
    }
    if sys::fix_addresses().is_err() {
        code |= NO_PERSONALITY;
    }
    code
}

/// The way to a `/proc` that nothing is mounted on.
pub(super) const UNMASK: &str = "start the container with `--security-opt systempaths=unconfined` (Docker), `--security-opt unmask=ALL` (Podman) or `procMount: Unmasked` (Kubernetes)";

/// Who has every capability reaches the processes that it sees.
pub(super) fn insecure_beside_others() -> Error {
    Error::Unsupported {
        what: "give a command every capability".to_owned(),
        cause: "it would reach what is outside of its sandbox by the container's `/proc`, which is the only one to be had".to_owned(),
        hint: UNMASK.to_owned(),
    }
}

/// Why no overlay can be mounted somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoOverlay {
    /// What the kernel said.
    errno: i32,
    /// The file system's name, where it is one that is known.
    file_system: Option<String>,
}

impl NoOverlay {
    /// For people, to follow "as".
    pub fn cause(&self) -> String {
        let said = std::io::Error::from_raw_os_error(self.errno);
        match (self.errno, &self.file_system) {
            (libc::ENODEV, _) => format!("the kernel has no overlays ({said})"),
            (libc::EPERM, _) => format!("users may mount no overlays here ({said})"),
            (_, Some(name)) => {
                format!("no overlay can be written to on the store's file system, {name} ({said})")
            }
            (_, None) => format!("no overlay can be written to in the store's folder ({said})"),
        }
    }

    /// The way out.
    pub fn remedy(&self) -> &'static str {
        match self.errno {
            libc::ENODEV => "as root of the machine, run `modprobe overlay`",
            libc::EPERM => "use Linux 5.11 or newer; on one, see in `dmesg` what refuses the mount",
            _ => {
                "put the store (`--store`, `$CAIRN_HOME`) on ext4, xfs, btrfs or tmpfs: in a container that is a volume, as its root is an overlay"
            }
        }
    }
}

/// File systems that stores are found on and no overlay is written to (statfs(2)).
const FILE_SYSTEMS: [(u64, &str); 6] = [
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x6969, "nfs"),
    (0x794c_7630, "overlay"),
    (0xfe53_4d42, "smb"),
    (0xff53_4d42, "cifs"),
];

/// Tries to mount an overlay in `folder`, which must be empty; none where that goes well.
pub(super) fn try_overlay(folder: &Path) -> Result<Option<NoOverlay>, Error> {
    let folder = folder.join("try");
    for name in ["", "lower", "upper", "work"] {
        make_directory(&folder.join(name))?;
    }
    let mounted = mount_overlay(&folder);
    folder::remove(&folder)?;
    let errno = match mounted {
        Ok(()) => return Ok(None),
        Err(errno @ (Errno::INVAL | Errno::PERM | Errno::NODEV | Errno::OPNOTSUPP)) => errno,
        Err(error) => return Err(error).doing(|| "try an overlay".to_owned()),
    };
    let kind = rustix::fs::statfs(folder.parent().unwrap_or(&folder));
    let kind = kind.map_or(0, |stat| stat.f_type.cast_unsigned() & 0xffff_ffff);
    let known = FILE_SYSTEMS.iter().find(|(number, _)| *number == kind);
    Ok(Some(NoOverlay {
        errno: errno.raw_os_error(),
        file_system: known.map(|(_, name)| (*name).to_owned()),
    }))
}

/// The mount is nowhere, and gone at once.
fn mount_overlay(folder: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Old kernels join the options by commas, so that a folder's own path may say too much.
    rustix::process::fchdir(rustix::fs::open(folder, flags, Mode::empty())?)?;
    let overlay = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_flag(&overlay, "userxattr")?;
    for (option, name) in [
        ("lowerdir", "lower"),
        ("upperdir", "upper"),
        ("workdir", "work"),
    ] {
        rustix::mount::fsconfig_set_string(&overlay, option, name)?;
    }
    rustix::mount::fsconfig_create(&overlay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_way_out() {
        let told = |errno, file_system: Option<&str>| {
            let file_system = file_system.map(str::to_owned);
            let why = NoOverlay { errno, file_system };
            (why.cause(), why.remedy())
        };
        let (cause, remedy) = told(libc::EINVAL, Some("nfs"));
        assert!(
            cause.contains("file system, nfs (Invalid argument"),
            "{cause}"
        );
        assert!(remedy.starts_with("put the store"), "{remedy}");
        let (cause, remedy) = told(libc::ENODEV, Some("overlay"));
        assert!(cause.contains("has no overlays"), "{cause}");
        assert!(remedy.contains("modprobe overlay"), "{remedy}");
        let (cause, remedy) = told(libc::EPERM, None);
        assert!(cause.contains("users may mount no overlays"), "{cause}");
        assert!(remedy.contains("5.11"), "{remedy}");
        let (cause, _) = told(libc::EOPNOTSUPP, None);
        assert!(
            cause.contains("the store's folder (Operation not supported"),
            "{cause}"
        );
    }
}
