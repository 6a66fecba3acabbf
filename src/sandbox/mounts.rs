//! What is mounted in a command's root beside its layers.
//!
//! In: the root, not yet entered, and a request. Out: `/proc`, `/dev`, `/sys` of the one machine that
//! all commands are on, the files of `/etc` that are the sandbox's own, and what the request mounts. Of
//! the host there are six devices that are the same everywhere, and what the request names.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::error::{Doing as _, Error};
use super::owner::{self, Kept};
use super::places::{self, Missing, Places};
use super::request::{Constants, Mount, Network, Request, Source};
use super::session::Identity;
use super::{etc, facts, network, proc, random, root, sys};
use crate::canon::EntryPath;

/// Devices that every step has.
const DEVICES: [&str; 4] = ["null", "zero", "full", "tty"];
/// Devices that give chance.
const RANDOM: [&str; 2] = ["random", "urandom"];
/// Links in `/dev`, as every system has them.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Bytes of `/dev/shm` if the request doesn't say.
pub(super) const SHM_SIZE: u64 = 64 << 20;
/// The group that terminals belong to, in all images.
const TTY_GROUP: u32 = 5;

type Empty = rustix::io::Result<()>;

/// Mounts that are no system's own run no set-id programs as somebody and open no devices.
pub(super) const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// A file system in memory for files that are mounted one by one.
pub(super) struct Stage {
    folder: PathBuf,
    files: u32,
    /// The sockets that were made, in that order: nobody serves them yet.
    pub listeners: Vec<OwnedFd>,
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
            rustix::fs::mkdirat(&mount, "none", Mode::from_raw_mode(0o555))?;
            let (kind, mode) = (FileType::RegularFile, Mode::from_raw_mode(0o444));
            rustix::fs::mknodat(&mount, "empty", kind, mode, 0)
        };
        mount().doing(|| "mount a file system in memory".to_owned())?;
        Ok(Stage {
            folder,
            files: 0,
            listeners: Vec::new(),
        })
    }

    /// A file that isn't mounted yet.
    pub(super) fn file(
        &mut self,
        content: &[u8],
        mode: u16,
        (uid, gid): (u32, u32),
        identity: Identity,
    ) -> std::io::Result<OwnedFd> {
        use std::io::Write as _;
        self.files += 1;
        let path = self.folder.join(self.files.to_string());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = std::fs::File::from(file);
        file.write_all(content)?;
        match ((uid, gid), identity) {
            ((0, 0), _) => {}
            ((uid, gid), Identity::Single) => {
                let device = None;
                let kept = Kept { uid, gid, device }.text();
                let flags = rustix::fs::XattrFlags::empty();
                match rustix::fs::fsetxattr(&file, owner::NAME, kept.as_bytes(), flags) {
                    // Before Linux 6.6, files in memory have no such attributes: it is root's then.
                    Err(rustix::io::Errno::OPNOTSUPP) => {}
                    other => other?,
                }
            }
            ((uid, gid), Identity::Whole | Identity::Range { .. }) => {
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                rustix::fs::fchown(&file, Some(uid), Some(gid))?;
            }
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode.into()))?;
        Ok(copy_of(rustix::fs::CWD, &path)?)
    }

    /// A socket that listens and isn't mounted yet.
    fn socket(
        &mut self,
        mode: u16,
        owner: (u32, u32),
        identity: Identity,
    ) -> std::io::Result<OwnedFd> {
        self.files += 1;
        let name = self.files.to_string();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&self.folder, flags, Mode::empty())?;
        // An address holds 108 bytes, and the folder's path may be longer.
        let place = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let listener = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(place)?)?;
        let name = name.as_str();
        if owner != (0, 0) && identity != Identity::Single {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::empty())?;
        }
        let mode = Mode::from_raw_mode(mode.into());
        rustix::fs::chmodat(&folder, name, mode, AtFlags::empty())?;
        rustix::net::listen(&listener, 128)?;
        self.listeners.push(listener);
        Ok(copy_of(&folder, Path::new(name))?)
    }

    /// A file that nobody can write to.
    pub(super) fn fixed(&mut self, text: &str, identity: Identity) -> std::io::Result<OwnedFd> {
        let file = self.file(text.as_bytes(), 0o444, (0, 0), identity)?;
        sys::make_read_only(file.as_fd())?;
        Ok(file)
    }

    /// A directory of files by their paths, which nobody can write to; a path without a text is one
    /// of a directory.
    pub(super) fn tree<P: AsRef<Path>>(
        &mut self,
        files: impl IntoIterator<Item = (P, Option<String>)>,
    ) -> std::io::Result<OwnedFd> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        self.files += 1;
        let top = self.folder.join(self.files.to_string());
        let mut directory = std::fs::DirBuilder::new();
        directory.recursive(true).mode(0o555);
        directory.create(&top)?;
        for (path, text) in files {
            let path = top.join(path);
            let Some(text) = text else {
                directory.create(&path)?;
                continue;
            };
            directory.create(path.parent().unwrap_or(&top))?;
            let mut options = std::fs::File::options();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o444)
                .open(&path)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
        }
        let tree = copy_of(rustix::fs::CWD, &top)?;
        sys::make_read_only(tree.as_fd())?;
        Ok(tree)
    }

    /// An empty directory that nobody can write to.
    pub(super) fn nothing(&self) -> std::io::Result<OwnedFd> {
        self.unwritable("none")
    }

    /// An empty file that nobody can write to.
    pub(super) fn empty(&self) -> std::io::Result<OwnedFd> {
        self.unwritable("empty")
    }

    fn unwritable(&self, name: &str) -> std::io::Result<OwnedFd> {
        let copy = copy_of(rustix::fs::CWD, &self.folder.join(name))?;
        sys::make_read_only(copy.as_fd())?;
        Ok(copy)
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
    proc::mount(&proc, stage, request, identity)?;
    let devices = stage.tree(facts::files::devices());
    let devices = devices.doing(|| "make `/sys`".to_owned())?;
    attach(&devices, &sys).doing(|| "mount `/sys`".to_owned())?;
    let dev = mount_dev(&dev, stage, request, identity).doing(|| "mount `/dev`".to_owned())?;
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

fn mount_dev(
    target: &OwnedFd,
    stage: &mut Stage,
    request: &Request,
    identity: Identity,
) -> std::io::Result<OwnedFd> {
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = file_system("tmpfs", &[("mode", "755"), ("size", "65536k")], flags)?;
    attach(&dev, target)?;
    for name in DEVICES {
        add_device(&dev, &Path::new("/dev").join(name))?;
    }
    for name in RANDOM {
        let Some(Constants { seed, .. }) = request.constants else {
            add_device(&dev, &Path::new("/dev").join(name))?;
            continue;
        };
        let file = stage.file(&random::static_file(seed), 0o666, (0, 0), identity)?;
        attach(&file, &empty_file(&dev, Path::new(name))?)?;
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
            Err(Errno::EXIST) => {}
            other => other?,
        }
    }
    let device = device_of_host(device)?;
    Ok(attach(&device, &empty_file(dev, name)?)?)
}

/// Something to mount on. It isn't opened: a device may be mounted there already, and opening it do
/// something.
fn empty_file(dev: &OwnedFd, name: &Path) -> std::io::Result<OwnedFd> {
    let (kind, mode) = (FileType::RegularFile, Mode::from_raw_mode(0o644));
    match rustix::fs::mknodat(dev, name, kind, mode, 0) {
        Err(Errno::EXIST) => {}
        other => other?,
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dev, name, flags, Mode::empty())?)
}

/// A device of the host, to be mounted. It can be read and written; its mode, owner and times
/// can't be changed, as they are the host's. No link is followed, and what is no device is none.
pub(super) fn device_of_host(device: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let found = rustix::fs::openat2(rustix::fs::CWD, device, flags, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&found)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice | FileType::BlockDevice => {}
        _ => return Err(std::io::Error::other("it is no device")),
    }
    let copy = clone_of(&found)?;
    sys::make_device(copy.as_fd())?;
    Ok(copy)
}

/// Mounts what the request asks for. `scratch` is where a mount may keep what is lost.
pub(super) fn add(
    places: &mut Places,
    stage: &mut Stage,
    mount: &Mount,
    scratch: &Path,
    request: &Request,
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
            let layers = root::layers(lowers, scratch, request.ways)?;
            below(&layers, path, *read_only)?
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
        Source::Socket { mode, uid, gid, .. } => {
            let made = stage.socket(*mode, (*uid, *gid), identity);
            (made.doing(doing)?, Missing::File)
        }
    };
    let place = places.get(target, missing)?;
    attach(&source, &place).doing(doing)
}

/// Mounts a folder that holds a copy of the layers. As in an overlay, no device in it is one.
pub(super) fn mount_copy(folder: &Path, at: &Path) -> Result<(), Error> {
    let mount = || -> std::io::Result<()> {
        let copy = copy_of(rustix::fs::CWD, folder)?;
        sys::make_deviceless(copy.as_fd())?;
        let at = rustix::fs::open(at, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(attach(&copy, &at)?)
    };
    mount().doing(|| "mount the copy of the layers".to_owned())
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
        let missing = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Missing::Directory,
            _ => Missing::File,
        };
        Ok((copy, missing))
    };
    mount().doing(|| format!("mount `{path}`"))
}

/// None only where there is nothing of that name.
pub(super) fn find_if_there(folder: &OwnedFd, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
    match find(folder, name) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

pub(super) fn find(folder: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(
        folder,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// A new file system, not mounted yet.
pub(super) fn file_system(
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
pub(super) fn attach(mount: &OwnedFd, place: &OwnedFd) -> Empty {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", flags)
}

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE
    .union(OpenTreeFlags::OPEN_TREE_CLOEXEC)
    .union(OpenTreeFlags::AT_RECURSIVE);

/// What is mounted at a place, once more, to be mounted elsewhere.
pub(super) fn copy_of(folder: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(folder, path, CLONE)
}

pub(super) fn clone_of(place: &impl AsFd) -> rustix::io::Result<OwnedFd> {
    let place: BorrowedFd<'_> = place.as_fd();
    rustix::mount::open_tree(place, "", CLONE | OpenTreeFlags::AT_EMPTY_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let open = |path: &Path| rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap();
        let (folder, file) = (open(folder.path()), open(&folder.path().join("file")));
        assert!(find_if_there(&folder, "none").unwrap().is_none());
        assert!(find_if_there(&folder, "file").unwrap().is_some());
        assert!(find_if_there(&folder, &"x".repeat(300)).is_err());
        assert!(find_if_there(&file, "none").is_err());
    }
}
