//! Files of single processes in `/proc` that say something of the machine.
//!
//! In: calls of open(2) that are answered for a step's chance anyway. Out: files that say what [`Text`] has
//! in the place of the kernel's, as they are at that moment. Whoever opens one by a path that doesn't
//! begin with `/proc`, or to be closed by an exec, as the runtimes of some languages do, finds the
//! kernel's.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::texts::Text;
use super::{Given, disk};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::Rule;
use crate::sandbox::notify::{self, Answer, Caller, Handler, reading};
use crate::sandbox::processes;

/// Bytes of the longest path that is looked for, its end included.
const LONGEST: usize = 48;
/// Most bytes that a text may have.
const MOST: u64 = 4 << 20;

/// Shows the files.
#[derive(Debug)]
pub struct Processes {
    given: Given,
}

impl Processes {
    /// What stands for which file it keeps in `given`.
    pub fn new(given: Given) -> Processes {
        Processes { given }
    }

    fn open(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let mut buffer = [0; LONGEST];
        let path = reading::path(call, caller, &mut buffer)?;
        let path = path.and_then(|path| std::str::from_utf8(path).ok());
        let Some((path, (whose, text))) = path.and_then(|path| Some((path, named(path)?))) else {
            return Ok(Answer::Continue);
        };
        let Some(source) = file(caller, whose, text.source())? else {
            return Ok(Answer::Continue);
        };
        let told = text.told(&read_all(&source)?);
        let made = notify::text_file("proc", told.as_bytes());
        let made = made.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOMEM))?;
        let (_, name) = path.rsplit_once('/').ok_or(Errno::NOENT)?;
        if let Some(real) = file(caller, whose, name)? {
            self.given.keep(&made, &real)?;
        }
        Ok(Answer::Descriptor {
            file: made,
            close_on_exec: false,
        })
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose<'a> {
    /// The caller's process's.
    Own,
    /// The caller's thread's.
    Thread,
    /// Of who has this folder below `/proc`.
    Of(&'a str),
}

/// What a path names.
fn named(path: &str) -> Option<(Whose<'_>, Text)> {
    let below = path.strip_prefix("/proc/")?;
    let Some((folder, name)) = below.rsplit_once('/') else {
        return (below == "mounts").then_some((Whose::Own, Text::Mounts));
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let whose = match folder.split_once("/task/") {
        None if folder == "self" => Whose::Own,
        None if folder == "thread-self" => Whose::Thread,
        None if is_number(folder) => Whose::Of(folder),
        Some((process, thread)) if is_number(process) && is_number(thread) => Whose::Of(folder),
        _ => return None,
    };
    let text = Text::of_name(name)?;
    let is_of_thread = whose == Whose::Thread || folder.contains("/task/");
    // Those have none.
    let has_none =
        is_of_thread && matches!(text, Text::Autogroup | Text::MountStats | Text::TimeOffsets);
    // The kernel says better who may look into another process.
    let is_refused = text.is_private() && matches!(whose, Whose::Of(_));
    (!has_none && !is_refused).then_some((whose, text))
}

/// The kernel's file; none where the caller has no `/proc`.
fn file(caller: &Caller<'_>, whose: Whose<'_>, name: &str) -> Result<Option<OwnedFd>, Errno> {
    let open = |from: &OwnedFd, path: &str, flags| {
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(from, path, flags, Mode::empty(), resolve)
    };
    let proc = open(&caller.root()?, "proc", OFlags::PATH | OFlags::DIRECTORY)?;
    if !disk::is_proc(&rustix::fs::fstatfs(&proc)?) {
        return Ok(None);
    }
    let own = match whose {
        Whose::Of(folder) => {
            return open(&proc, &format!("{folder}/{name}"), OFlags::RDONLY).map(Some);
        }
        Whose::Own => caller.process()?,
        Whose::Thread => caller.pid(),
    };
    // A container's is seen from inside and from out here.
    let file = match rustix::fs::readlinkat(&proc, "self", Vec::new()) {
        Ok(_) => open(&proc, &format!("{own}/{name}"), OFlags::RDONLY)?,
        // Numbers in the text are those that are counted where the file is: so it must be the step's own.
        Err(_) => open(&proc, &format!("{}/{name}", inside(own)?), OFlags::RDONLY)?,
    };
    caller.check()?;
    Ok(Some(file))
}

/// The number that a process, or thread, has inside.
fn inside(number: u32) -> Result<u32, Errno> {
    processes::own_number(number).ok_or(Errno::SRCH)
}

fn read_all(file: &OwnedFd) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    let file = File::from(file.try_clone().map_err(|_| Errno::MFILE)?);
    let read = file.take(MOST).read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

impl Handler for Processes {
    fn rules() -> Vec<Rule> {
        reading::rules().to_vec()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
        self.open(call, caller).unwrap_or(Answer::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_processes_are_known_by_their_paths() {
        for (path, expected) in [
            ("/proc/mounts", Some((Whose::Own, Text::Mounts))),
            ("/proc/self/cgroup", Some((Whose::Own, Text::Groups))),
            (
                "/proc/thread-self/status",
                Some((Whose::Thread, Text::Status)),
            ),
            (
                "/proc/17/mountinfo",
                Some((Whose::Of("17"), Text::MountInfo)),
            ),
            (
                "/proc/17/task/18/mounts",
                Some((Whose::Of("17/task/18"), Text::Mounts)),
            ),
            (
                "/proc/17/mountstats",
                Some((Whose::Of("17"), Text::MountStats)),
            ),
            ("/proc/17/task/18/mountstats", None),
            ("/proc/thread-self/mountstats", None),
            ("/proc/self/maps", Some((Whose::Own, Text::Maps))),
            ("/proc/17/maps", None),
            ("/proc/17/stat", Some((Whose::Of("17"), Text::Statistics))),
            ("/proc/thread-self/timens_offsets", None),
            ("/proc/self/mem", None),
            ("/proc/cgroup", None),
            ("/proc//cgroup", None),
            ("/proc/1/../cgroup", None),
            ("/proc/a/task/1/status", None),
            ("/etc/mounts", None),
        ] {
            assert_eq!(named(path), expected, "{path}");
        }
    }
}
