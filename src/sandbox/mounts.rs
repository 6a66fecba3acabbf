//! What is mounted in a command's root beside its layers.
//!
//! In: the root, not yet entered, and a request. Out: `/proc`, `/dev`, an empty `/sys`, the files
//! of `/etc` that are the sandbox's own, and what the request mounts. Of the host there are six
//! devices that are the same everywhere, and what the request names.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::error::{Doing as _, Error};
use super::places::{self, Missing, Places};
use super::request::{Mount, Network, Request, Security, Source};
use super::session::Identity;
use super::{etc, network, root, sys};
use crate::canon::EntryPath;

/// Devices that every step has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links in `/dev`, as every system has them.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// What of `/proc` is the host's business: nothing of it is seen.
const MASKED: [&str; 12] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "kmsg",
    "kallsyms",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];
/// What of `/proc` would change the host: it may be read.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
/// Bytes of `/dev/shm` if the request doesn't say.
const SHM_SIZE: u64 = 64 << 20;
/// The group that terminals belong to, in all images.
const TTY_GROUP: u32 = 5;

type Empty = rustix::io::Result<()>;

/// Mounts that are no system's own run no set-id programs as somebody and open no devices.
const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// A file system in memory for files that are mounted one by one.
pub(super) struct Stage {
    folder: PathBuf,
    files: u32,
}

impl Stage {
    /// Mounted at `folder`.
    pub(super) fn new(folder: PathBuf) -> Result<Stage, Error> {
        let mount = || -> Empty {
            let mount = file_system(
                "tmpfs",
                &[("mode", "755")],
                MountAttrFlags::MOUNT_ATTR_NODEV,
            )?;
            attach(
                &mount,
                &rustix::fs::open(&folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
            )?;
            rustix::fs::mkdirat(&mount, "none", Mode::from_raw_mode(0o555))
        };
        mount().doing(|| "mount a file system in memory".to_owned())?;
        Ok(Stage { folder, files: 0 })
    }

    /// A file that isn't mounted yet.
    fn file(
        &mut self,
        content: &[u8],
        mode: u16,
        owner: (u32, u32),
        identity: Identity,
    ) -> std::io::Result<OwnedFd> {
        use std::io::Write as _;
        self.files += 1;
        let path = self.folder.join(self.files.to_string());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = std::fs::File::from(file);
        file.write_all(content)?;
        if owner != (0, 0) && identity != Identity::Single {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode.into()))?;
        Ok(copy_of(rustix::fs::CWD, &path)?)
    }

    /// An empty directory that nobody can write to.
    fn nothing(&self) -> std::io::Result<OwnedFd> {
        let nothing = copy_of(rustix::fs::CWD, &self.folder.join("none"))?;
        sys::make_read_only(nothing.as_fd())?;
        Ok(nothing)
    }
}

/// Mounts what every step has.
pub(super) fn system(
    places: &mut Places,
    stage: &mut Stage,
    request: &Request,
    identity: Identity,
) -> Result<(), Error> {
    let mut at = |path: &str, missing| places.get(&entry(path)?, missing);
    let (proc, sys, dev) = (
        at("proc", Missing::Directory)?,
        at("sys", Missing::Directory)?,
        at("dev", Missing::Directory)?,
    );
    mount_proc(&proc, stage, request)?;
    let nothing = stage.nothing().doing(|| "mount `/sys`".to_owned())?;
    attach(&nothing, &sys).doing(|| "mount `/sys`".to_owned())?;
    let dev = mount_dev(&dev, request, identity).doing(|| "mount `/dev`".to_owned())?;
    for device in &request.devices {
        add_device(&dev, device).doing(|| format!("mount the device `{}`", device.display()))?;
    }
    let hosts = etc::hosts(request);
    let hostname = format!("{}\n", etc::hostname(request));
    let resolver = match request.network {
        Network::Host => std::fs::read("/etc/resolv.conf").unwrap_or_default(),
        Network::None | Network::Forwarded => network::RESOLV_CONF.as_bytes().to_vec(),
    };
    for (path, content) in [
        ("etc/hosts", hosts.as_bytes()),
        ("etc/hostname", hostname.as_bytes()),
        ("etc/resolv.conf", &resolver),
    ] {
        let target = places.get(&entry(path)?, Missing::File)?;
        let file = stage.file(content, 0o644, (0, 0), identity);
        let file = file.doing(|| format!("make `/{path}`"))?;
        attach(&file, &target).doing(|| format!("mount `/{path}`"))?;
    }
    Ok(())
}

fn entry(path: &str) -> Result<EntryPath, Error> {
    EntryPath::new(path.as_bytes()).map_err(|error| Error::Refused(error.to_string()))
}

fn mount_proc(target: &OwnedFd, stage: &Stage, request: &Request) -> Result<(), Error> {
    let proc = file_system("proc", &[], PLAIN).and_then(|proc| {
        attach(&proc, target)?;
        Ok(proc)
    });
    let proc = proc.map_err(|cause| Error::Unsupported {
        what: "mount a `/proc` of the step's own".to_owned(),
        cause: cause.to_string(),
        hint: "in a container, start it with `--security-opt systempaths=unconfined` (`--security-opt unmask=ALL` of Podman)".to_owned(),
    })?;
    if request.security == Security::Insecure {
        return Ok(());
    }
    let guard = || -> std::io::Result<()> {
        for name in READ_ONLY {
            let Ok(place) = find(&proc, name) else {
                continue;
            };
            let copy = copy_of(&proc, Path::new(name))?;
            sys::make_read_only(copy.as_fd())?;
            attach(&copy, &place)?;
        }
        let null = copy_of(rustix::fs::CWD, Path::new("/dev/null"))?;
        for name in MASKED {
            let Ok(place) = find(&proc, name) else {
                continue;
            };
            let stat = rustix::fs::fstat(&place)?;
            match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
                rustix::fs::FileType::Directory => attach(&stage.nothing()?, &place)?,
                _ => attach(&clone_of(&null)?, &place)?,
            }
        }
        Ok(())
    };
    guard().doing(|| "guard `/proc`".to_owned())
}

fn mount_dev(target: &OwnedFd, request: &Request, identity: Identity) -> std::io::Result<OwnedFd> {
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = file_system("tmpfs", &[("mode", "755"), ("size", "65536k")], flags)?;
    attach(&dev, target)?;
    for name in DEVICES {
        add_device(&dev, &Path::new("/dev").join(name))?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    let mut terminals = vec![("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
    let group = TTY_GROUP.to_string();
    let has_group = match identity {
        Identity::Whole => true,
        Identity::Range { groups, .. } => groups > TTY_GROUP,
        Identity::Single => false,
    };
    if has_group {
        terminals.push(("gid", &group));
    }
    let shm = request.shm_size.unwrap_or(SHM_SIZE).to_string();
    let noexec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    for (name, kind, options, flags) in [
        ("pts", "devpts", terminals.as_slice(), noexec),
        ("shm", "tmpfs", &[("mode", "1777"), ("size", &shm)], PLAIN),
        ("mqueue", "mqueue", &[], PLAIN),
    ] {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
        let mount = file_system(kind, options, flags)?;
        attach(&mount, &find(&dev, name)?)?;
    }
    Ok(dev)
}

/// A device of the host, under its path in `/dev`.
fn add_device(dev: &OwnedFd, device: &Path) -> std::io::Result<()> {
    let name = device
        .strip_prefix("/dev")
        .map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let parts: Vec<_> = name.components().collect();
    if !parts
        .iter()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
    {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    for depth in 1..parts.len() {
        let folder: PathBuf = parts.iter().take(depth).collect();
        match rustix::fs::mkdirat(dev, folder, Mode::from_raw_mode(0o755)) {
            Err(rustix::io::Errno::EXIST) => {}
            other => other?,
        }
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(dev, name, flags, Mode::from_raw_mode(0o644))?;
    let copy = copy_of(rustix::fs::CWD, device)?;
    let place = rustix::fs::openat(dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(attach(&copy, &place)?)
}

/// Mounts what the request asks for. `scratch` is where a mount may keep what is lost.
pub(super) fn add(
    places: &mut Places,
    stage: &mut Stage,
    mount: &Mount,
    scratch: &Path,
    identity: Identity,
) -> Result<(), Error> {
    let target = &mount.target;
    let doing = || format!("mount something at `{target}`");
    let (source, missing) = match &mount.source {
        Source::Bind {
            folder,
            path,
            read_only,
        } => below(&root::open_place(folder)?, path, *read_only)?,
        Source::Overlay {
            lowers,
            path,
            read_only,
        } => {
            root::make_directory(scratch)?;
            let at = ["upper", "work", "none", "root"].map(|name| scratch.join(name));
            for folder in &at {
                root::make_directory(folder)?;
            }
            let [upper, work, none, at] = at;
            root::overlay(lowers, &upper, &work, &none, &at)?;
            below(&root::open_place(&at)?, path, *read_only)?
        }
        Source::Tmpfs { size, read_only } => {
            let size = size.map(|size| size.to_string());
            let mut options = vec![("mode", "1777")];
            options.extend(size.as_ref().map(|size| ("size", size.as_str())));
            let mut flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
            flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, *read_only);
            let made = file_system("tmpfs", &options, flags).doing(doing)?;
            (made, Missing::Directory)
        }
        Source::File {
            content,
            mode,
            uid,
            gid,
        } => {
            let made = stage
                .file(content, *mode, (*uid, *gid), identity)
                .doing(doing)?;
            (made, Missing::File)
        }
        Source::Socket { host, .. } => {
            let made = copy_of(rustix::fs::CWD, host);
            (
                made.doing(|| format!("reach the socket `{}`", host.display()))?,
                Missing::File,
            )
        }
    };
    let place = places.get(target, missing)?;
    attach(&source, &place).doing(doing)
}

/// What is at `path` in a folder, to be mounted, and what it can be mounted on.
fn below(folder: &OwnedFd, path: &EntryPath, read_only: bool) -> Result<(OwnedFd, Missing), Error> {
    let found =
        places::find(folder, path).doing(|| format!("find `{path}`, which is to be mounted"))?;
    let mount = || -> std::io::Result<(OwnedFd, Missing)> {
        let stat = rustix::fs::fstat(&found)?;
        let copy = clone_of(&found)?;
        if read_only {
            sys::make_read_only(copy.as_fd())?;
        }
        sys::make_plain(copy.as_fd())?;
        let missing = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::Directory => Missing::Directory,
            _ => Missing::File,
        };
        Ok((copy, missing))
    };
    mount().doing(|| format!("mount `{path}`"))
}

fn find(folder: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(
        folder,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// A new file system, not mounted yet.
fn file_system(
    kind: &str,
    options: &[(&str, &str)],
    flags: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let made = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        match *value {
            "" => rustix::mount::fsconfig_set_flag(&made, *name)?,
            value => rustix::mount::fsconfig_set_string(&made, *name, value)?,
        }
    }
    rustix::mount::fsconfig_create(&made)?;
    rustix::mount::fsmount(&made, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

/// Mounts what isn't mounted yet.
fn attach(mount: &OwnedFd, place: &OwnedFd) -> Empty {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", flags)
}

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE
    .union(OpenTreeFlags::OPEN_TREE_CLOEXEC)
    .union(OpenTreeFlags::AT_RECURSIVE);

/// What is mounted at a place, once more, to be mounted elsewhere.
fn copy_of(folder: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(folder, path, CLONE)
}

fn clone_of(place: &impl AsFd) -> rustix::io::Result<OwnedFd> {
    let place: BorrowedFd<'_> = place.as_fd();
    rustix::mount::open_tree(place, "", CLONE | OpenTreeFlags::AT_EMPTY_PATH)
}
