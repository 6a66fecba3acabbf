//! A step's `/proc`.
//!
//! In: where it is to be, a request. Out: a procfs of the step's own, or the container's where the
//! kernel gives no other, with what is the host's business masked and what would change the host
//! for reading only.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::{Doing as _, Error};
use super::mounts::{
    PLAIN, Stage, attach, clone_of, copy_of, device_of_host, file_system, find, find_if_there,
};
use super::request::{Request, Security};
use super::session::Identity;
use super::{etc, folder, identity, sys};

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
/// What of that obeys the machine's root by the number of their user alone, capabilities or not.
const OF_ROOT: [&str; 2] = ["sys", "sysrq-trigger"];
/// What of `/proc` says the host name.
const NAME: &str = "sys/kernel/hostname";

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
    if request.ways.answers_host_name {
        let name = format!("{}\n", etc::hostname(request));
        let file = stage.file(name.as_bytes(), 0o444, (0, 0), identity);
        let mount = |file| Ok::<_, std::io::Error>(attach(&file, &find(&proc, NAME)?)?);
        let mounted = file.and_then(mount);
        mounted.doing(|| format!("mount `/proc/{NAME}`"))?;
    }
    let (read_only, masked): (&[_], &[_]) = match request.security {
        Security::Sandbox => (&READ_ONLY, &MASKED),
        // With every capability a command can undo this, but it has to mean to.
        Security::Insecure if identity::is_machines_root() => (&OF_ROOT, &[]),
        Security::Insecure => return Ok(()),
    };
    let guard = || -> std::io::Result<()> {
        if request.ways.shares_proc {
            hide_processes(&proc, stage)?;
        }
        for name in read_only {
            let Some(place) = find_if_there(&proc, name)? else {
                continue;
            };
            let copy = copy_of(&proc, Path::new(name))?;
            sys::make_read_only(copy.as_fd())?;
            attach(&copy, &place)?;
        }
        let null = device_of_host(Path::new("/dev/null"))?;
        for name in masked {
            let Some(place) = find_if_there(&proc, name)? else {
                continue;
            };
            let stat = rustix::fs::fstat(&place)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => attach(&stage.nothing()?, &place)?,
                _ => attach(&clone_of(&null)?, &place)?,
            }
        }
        Ok(())
    };
    guard().doing(|| "guard `/proc`".to_owned())
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
