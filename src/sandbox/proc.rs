//! A step's `/proc`.
//!
//! In: where it is to be, a request. Out: a procfs of the step's own, or the container's where the
//! kernel gives no other, which tells of the one machine that all commands are on ([`facts`]), with
//! what is the host's business masked.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use super::mounts::{PLAIN, Stage, attach, copy_of, file_system, find, find_if_there};
use super::request::{Request, Security};
use super::session::Identity;
use super::{facts, folder, identity, random, sys};

/// What of `/proc` is the step's own: its processes, its network, its queues. All else that has no
/// number is the host's, and masked.
const OWN: [&str; 5] = ["mounts", "net", "self", "sysvipc", "thread-self"];
/// What of `/proc` obeys the machine's root by the number of their user alone, capabilities or not.
const OF_ROOT: [&str; 2] = [SETTINGS, "sysrq-trigger"];
const SETTINGS: &str = "sys";
/// What of the settings gives out chance, another each time, as the kernel's devices do.
const CHANCE: &str = "kernel/random/uuid";

/// Mounts the step's `/proc`, and guards what of it is the host's.
pub(super) fn mount(
    target: &OwnedFd,
    stage: &mut Stage,
    request: &Request,
    identity: Identity,
) -> Result<(), Error> {
    let mount = || -> std::io::Result<OwnedFd> {
        let proc = match request.ways.shares_proc {
            false => file_system("proc", &[], PLAIN)?,
            true => shared_proc()?,
        };
        attach(&proc, target)?;
        Ok(proc)
    };
    let proc = mount().doing(|| "mount `/proc`".to_owned())?;
    let mut guard = || -> std::io::Result<()> {
        for (name, text) in facts::files::proc(request) {
            if let Some(place) = find_if_there(&proc, name)? {
                attach(&stage.fixed(&text, identity)?, &place)?;
            }
        }
        if request.security == Security::Insecure {
            return insecure(&proc, stage, request, identity);
        }
        if request.ways.shares_proc {
            hide_processes(&proc, stage)?;
        }
        settings(&proc, stage, request)?;
        mask(&proc, stage, request)
    };
    guard().doing(|| "guard `/proc`".to_owned())
}

/// For a command with every capability, which can undo all this, but has to mean to.
fn insecure(
    proc: &OwnedFd,
    stage: &mut Stage,
    request: &Request,
    identity: Identity,
) -> std::io::Result<()> {
    for (name, text) in facts::files::names(request) {
        let place = find(proc, &format!("{SETTINGS}/{name}"))?;
        attach(&stage.fixed(&text, identity)?, &place)?;
    }
    if !identity::is_machines_root() {
        return Ok(());
    }
    for name in OF_ROOT {
        if let Some(place) = find_if_there(proc, name)? {
            let copy = copy_of(proc, Path::new(name))?;
            sys::make_read_only(copy.as_fd())?;
            attach(&copy, &place)?;
        }
    }
    Ok(())
}

/// Puts the one machine's settings in the place of the kernel's; chance is the step's own, or left as it
/// is.
fn settings(proc: &OwnedFd, stage: &mut Stage, request: &Request) -> std::io::Result<()> {
    let files = facts::files::settings(request).into_iter();
    let files = files.map(|(path, text)| (path, Some(text)));
    let own = request.constants.map(|it| random::static_uuid(it.seed));
    let is_own = own.is_some();
    let tree = stage.tree(files.chain([(CHANCE, Some(own.unwrap_or_default()))]))?;
    if is_own {
        attach(&tree, &find(proc, SETTINGS)?)?;
        return Ok(());
    }
    let chance = copy_of(proc, &Path::new(SETTINGS).join(CHANCE))?;
    sys::make_read_only(chance.as_fd())?;
    attach(&tree, &find(proc, SETTINGS)?)?;
    attach(&chance, &find(&tree, CHANCE)?)?;
    Ok(())
}

/// Hides what is the host's business.
fn mask(proc: &OwnedFd, stage: &Stage, request: &Request) -> std::io::Result<()> {
    let told: Vec<_> = facts::files::proc(request)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for (name, kind) in folder::names(&folder::open_directory(proc, b".")?)? {
        let name = String::from_utf8(name).unwrap_or_default();
        let is_process = name.bytes().all(|byte| byte.is_ascii_digit());
        if is_process || name == SETTINGS || OWN.iter().chain(&told).any(|own| *own == name) {
            continue;
        }
        // A module may have gone meanwhile, and its file with it.
        let Some(place) = find_if_there(proc, &name)? else {
            continue;
        };
        match kind {
            FileType::Directory => attach(&stage.nothing()?, &place)?,
            FileType::Symlink => {}
            _ => attach(&stage.empty()?, &place)?,
        }
    }
    Ok(())
}

/// The `/proc` that there is. What it shows of processes of others the kernel keeps from commands,
/// who are in another user namespace; but that owners may change some of it (`oom_score_adj`) has
/// nothing to do with that, so nothing can be written to.
fn shared_proc() -> std::io::Result<OwnedFd> {
    let proc = copy_of(rustix::fs::CWD, Path::new("/proc"))?;
    sys::make_read_only(proc.as_fd())?;
    Ok(proc)
}

/// Hides the processes that there are, whose command lines anybody may read. The command is none of
/// them yet; what begins later is seen.
fn hide_processes(proc: &OwnedFd, stage: &Stage) -> std::io::Result<()> {
    let folder = folder::open_directory(proc, b".")?;
    for name in folder::names(&folder)?.into_keys() {
        let name = String::from_utf8(name).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let nothing = stage.nothing()?;
        match find(proc, &name).and_then(|place| attach(&nothing, &place)) {
            // It has ended.
            Err(Errno::NOENT | Errno::SRCH) => {}
            other => other?,
        }
    }
    Ok(())
}
