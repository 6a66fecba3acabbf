//! A command's root: layers as an overlay, what a system has beside its files, what the request
//! mounts.
//!
//! In: a request, in the mount namespace of its step. Out: this process's root is the command's,
//! nothing of the host's is left in the namespace, and the paths are told that had to be made.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::error::{Doing as _, Error};
use super::identity;
use super::mounts::{self, Stage};
use super::places::Places;
use super::request::Request;
use super::session::Identity;
use super::ways::{Layers, Ways};
use crate::canon::EntryPath;

/// Most layers of one overlay, as the kernel has it.
const MOST_LAYERS: usize = 500;

/// What came of a root that was made.
pub(super) struct Made {
    /// Paths that stand there only to be mounted on.
    pub stubs: Vec<EntryPath>,
    /// The step's sockets, in the order of the request's mounts.
    pub listeners: Vec<OwnedFd>,
}

/// Makes the root and moves this process there.
pub(super) fn make(request: &Request, identity: Identity) -> Result<Made, Error> {
    let place = |name: &str| -> Result<PathBuf, Error> {
        let place = request.work.join(name);
        make_directory(&place)?;
        Ok(place)
    };
    let (root, stage) = (place("root")?, place("stage")?);
    match request.ways.layers {
        Layers::Mounted => overlay(
            &request.lowers,
            &request.upper,
            &place("step")?,
            &place("none")?,
            &root,
        )?,
        Layers::Copied | Layers::There => mounts::mount_copy(&request.upper, &root)?,
    }
    let mut places = Places::new(open_place(&root)?)?;
    let mut stage = Stage::new(stage)?;
    mounts::system(&mut places, &mut stage, request, identity)?;
    for (number, mount) in request.mounts.iter().enumerate() {
        let scratch = scratch(request, number);
        mounts::add(&mut places, &mut stage, mount, &scratch, request, identity)?;
    }
    let workdir = places.get_for_good(&request.workdir)?;
    match enter(&places) {
        // To a root of its own namespace nobody else refuses it.
        Err(cause @ Errno::PERM) => {
            return Err(Error::Unsupported {
                what: "change to a command's root".to_owned(),
                cause: cause.to_string(),
                hint: identity::NO_FILTER.to_owned(),
            });
        }
        other => other.doing(|| "change to the command's root".to_owned())?,
    }
    rustix::process::fchdir(workdir).doing(|| format!("change to `{}`", request.workdir))?;
    Ok(Made {
        stubs: places.stubs,
        listeners: stage.listeners,
    })
}

/// The old root is put under the new one's feet and taken from there: pivot_root(2), notes.
fn enter(places: &Places) -> rustix::io::Result<()> {
    rustix::process::fchdir(places.root())?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// Makes a directory unless there is one.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        other => other.doing(|| format!("make the folder `{}`", path.display())),
    }
}

/// A descriptor of a folder of the host, not of its content.
pub(super) fn open_place(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    opened.doing(|| format!("open the folder `{}`", path.display()))
}

/// Where the mount of that number keeps what is lost.
pub(super) fn scratch(request: &Request, number: usize) -> PathBuf {
    request.work.join(format!("mount-{number}"))
}

/// What is written to in there, and what has the copies where no overlay can be mounted.
pub(super) const SCRATCH_UPPER: &str = "upper";

/// Layers of which what is written to them is lost, in `scratch`.
pub(super) fn layers(lowers: &[PathBuf], scratch: &Path, ways: Ways) -> Result<OwnedFd, Error> {
    if ways.layers != Layers::Mounted {
        return open_place(&scratch.join(SCRATCH_UPPER));
    }
    make_directory(scratch)?;
    let at = [SCRATCH_UPPER, "work", "none", "root"].map(|name| scratch.join(name));
    for folder in &at {
        make_directory(folder)?;
    }
    let [upper, work, none, at] = at;
    overlay(lowers, &upper, &work, &none, &at)?;
    open_place(&at)
}

/// Mounts layers at `at`. `none` is an empty folder, for a root without layers.
///
/// The kernel takes a page of options, so that paths of hundreds of layers have no room there:
/// the folders are opened, and named by their numbers in `/proc/self/fd`.
fn overlay(
    lowers: &[PathBuf],
    upper: &Path,
    work: &Path,
    none: &Path,
    at: &Path,
) -> Result<(), Error> {
    if lowers.len() > MOST_LAYERS {
        return Err(Error::Refused(format!(
            "the root has {} layers, and the kernel takes {MOST_LAYERS} at most",
            lowers.len()
        )));
    }
    let none = none.to_owned();
    let lowers = match lowers {
        [] => std::slice::from_ref(&none),
        lowers => lowers,
    };
    // The kernel's list begins with the highest.
    let lowers = lowers.iter().rev().map(|lower| open_place(lower));
    let lowers = lowers.collect::<Result<Vec<_>, _>>()?;
    let (upper, work) = (open_place(upper)?, open_place(work)?);
    let names: Vec<_> = lowers
        .iter()
        .map(|lower| lower.as_raw_fd().to_string())
        .collect();
    let options = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        names.join(":"),
        upper.as_raw_fd(),
        work.as_raw_fd()
    );
    let mount = |options: String| -> std::io::Result<()> {
        let options = std::ffi::CString::new(options)?;
        Ok(rustix::mount::mount(
            "cairn",
            at,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )?)
    };
    rustix::process::chdir("/proc/self/fd").doing(|| "reach `/proc/self/fd`".to_owned())?;
    // A crash makes the folder worthless anyway, so that nothing need be synced.
    let mounted = mount(format!("{options},volatile"));
    let mounted = mounted.or_else(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => mount(options),
        _ => Err(error),
    });
    rustix::process::chdir("/").doing(|| "reach `/`".to_owned())?;
    mounted.doing(|| "mount the layers".to_owned())?;
    drop((lowers, upper.as_fd()));
    Ok(())
}
