//! Processes, as `/proc` tells of them (proc(5)).
//!
//! In: numbers of processes and threads. Out: what they do and have spent, nothing where they are gone; and their
//! memory, written.

use std::fs::read_to_string;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What the kernel tells in `/proc/PID/stat` of a process or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it does, as a letter.
    pub state: char,
    /// How many threads the process has.
    pub threads: u32,
    /// When it began, in ticks since boot.
    pub began: u64,
    /// What it and the children that it has waited for have spent of processors, in ticks.
    pub spent: u64,
}

impl Stat {
    /// Of a process.
    pub fn of(process: u32) -> Option<Stat> {
        Stat::parse(&read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// Of one of its threads.
    pub fn of_thread(process: u32, thread: u32) -> Option<Stat> {
        Stat::parse(&read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Stat> {
        // The name may be anything, but nothing behind it has a bracket. What follows is the third.
        let (_, members) = text.rsplit_once(')')?;
        let members: Vec<&str> = members.split_ascii_whitespace().collect();
        let number = |at: usize| members.get(at - 3)?.parse::<u64>().ok();
        // `utime`, `stime`, `cutime`, `cstime`.
        let spent: Option<u64> = (14..18).map(number).sum();
        Some(Stat {
            state: members.first()?.chars().next()?,
            threads: number(20)?.try_into().ok()?,
            began: number(22)?,
            spent: spent?,
        })
    }
}

/// The number that a process, or thread, has in its own namespace (`NSpid`).
pub fn own_number(process: u32) -> Option<u32> {
    let status = read_to_string(format!("/proc/{process}/status")).ok()?;
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_ascii_whitespace().last()?.parse().ok()
}

/// The numbers of all processes that this one sees, in order.
pub fn all() -> Vec<u32> {
    numbers("/proc")
}

/// The threads of a process, in order.
pub fn threads(process: u32) -> Vec<u32> {
    numbers(&format!("/proc/{process}/task"))
}

/// The children of a process that are there, by the threads that made them, in the order of their births.
pub fn children(process: u32) -> Vec<u32> {
    let list = |thread| {
        let path = format!("/proc/{process}/task/{thread}/children");
        read_to_string(path).unwrap_or_default()
    };
    let lists: Vec<String> = threads(process).into_iter().map(list).collect();
    let words = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[expect(clippy::disallowed_methods, reason = "sorted")]
fn numbers(folder: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Writes to memory that the process itself may only read: it gets a copy of its own.
pub fn write_over(process: u32, at: u64, bytes: &[u8]) -> Result<(), Errno> {
    let path = format!("/proc/{process}/mem");
    let memory = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let memory = memory.map_err(gone)?;
    match rustix::io::pwrite(&memory, bytes, at) {
        Ok(written) if written == bytes.len() => Ok(()),
        // Its memory is gone.
        Ok(0) => Err(Errno::SRCH),
        Ok(_) => Err(Errno::IO),
        Err(error) => Err(gone(error)),
    }
}

/// A process without a folder in `/proc` has ended.
fn gone(error: Errno) -> Errno {
    match error {
        Errno::NOENT => Errno::SRCH,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_behind_whatever_the_name_is() {
        let text = "7 (a) b) R 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23";
        let expected = Stat {
            state: 'R',
            threads: 20,
            began: 22,
            spent: 14 + 15 + 16 + 17,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a) R 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_one_is_seen_with_its_threads() {
        let own = std::process::id();
        assert!(all().contains(&own) && threads(own).contains(&own));
        let stat = Stat::of(own).unwrap();
        assert!(stat.threads > 1, "{stat:?}");
        assert_eq!(Stat::of_thread(own, own).unwrap().began, stat.began);
        assert_eq!(Stat::of(u32::MAX), None);
        assert_eq!((own_number(own), own_number(u32::MAX)), (Some(own), None));
        assert_eq!((threads(u32::MAX), children(u32::MAX)), (vec![], vec![]));
    }
}
