//! Where a path of a traced program leads.
//!
//! In: a call's descriptor and path. Out: the path from the step's root, without links, whether there is
//! something already or not.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::sandbox::notify::Caller;
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::Rights;

/// What the kernel writes behind the path of what has no name any more.
const GONE: &[u8] = b" (deleted)";

/// The path that a call names, of what is there.
pub fn there(caller: &Caller<'_>, start: i32, address: u64, follow: bool) -> Option<Vec<u8>> {
    let way = Way {
        follow,
        empty: true,
    };
    let file = resolve::file(caller, &Rights::own(), start, address, way).ok()?;
    of_file(&file)
}

/// The path that a call names, of what may be there or is to be made.
pub fn made(caller: &Caller<'_>, start: i32, address: u64, follow: bool) -> Option<Vec<u8>> {
    if let Some(path) = there(caller, start, address, follow) {
        return Some(path);
    }
    let path = caller.path(address).ok()?;
    let (folder, name) = resolve::parent(caller, &Rights::own(), start, &path).ok()?;
    let mut path = of_file(&folder)?;
    if path != b"/" {
        path.push(b'/');
    }
    path.extend(name);
    Some(path)
}

/// The path of one of the caller's descriptors.
pub fn of_descriptor(caller: &Caller<'_>, descriptor: i32) -> Option<Vec<u8>> {
    of_file(&caller.descriptor(descriptor).ok()?)
}

fn of_file(file: &OwnedFd) -> Option<Vec<u8>> {
    let link = link(&format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    is_path(&link).then_some(link)
}

fn link(path: &str) -> Result<Vec<u8>, Errno> {
    Ok(rustix::fs::readlinkat(CWD, path, Vec::new())?.into_bytes())
}

fn is_path(link: &[u8]) -> bool {
    link.starts_with(b"/") && !link.ends_with(GONE)
}

/// Something that a program finds open when it begins.
pub enum Inherited {
    /// A pipe.
    Pipe(u64),
    /// A file, and whether it may be written to.
    File(Vec<u8>, bool),
}

/// What a process has open; without `all` what of that an exec leaves open.
pub fn inherited(process: u32, all: bool) -> Vec<Inherited> {
    let folder = format!("/proc/{process}/fd");
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(opened) = rustix::fs::open(&folder, flags, Mode::empty()) else {
        return Vec::new();
    };
    let names = rustix::fs::Dir::read_from(&opened).into_iter().flatten();
    let names = names.flatten().filter_map(|entry| {
        let name = entry.file_name().to_str().ok()?;
        name.parse::<u32>().ok()
    });
    let mut numbers: Vec<u32> = names.collect();
    numbers.sort_unstable();
    let found = numbers.into_iter().filter_map(|number| {
        let link = link(&format!("{folder}/{number}")).ok()?;
        let text = std::str::from_utf8(&link).unwrap_or_default();
        if let Some(pipe) = text.strip_prefix("pipe:[") {
            let pipe = pipe.strip_suffix(']')?.parse().ok()?;
            return (all || !closes(process, number)?.0).then_some(Inherited::Pipe(pipe));
        }
        let (closes, writes) = match is_path(&link) {
            true => closes(process, number)?,
            false => return None,
        };
        (all || !closes).then_some(Inherited::File(link, writes))
    });
    found.collect()
}

/// Whether an exec closes a descriptor, and whether it may be written to.
fn closes(process: u32, number: u32) -> Option<(bool, bool)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).ok()?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
    Some((flags & libc::O_CLOEXEC != 0, writes))
}
