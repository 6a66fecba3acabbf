//! Which processors a thread may use, of those that it is told of.
//!
//! In: threads, by their numbers out here. Out: sets of processors. What a thread sets, those that it
//! begins later have, too, as the kernel has it; those that it has begun already keep nothing of
//! their own, and are told the same. The machine's own processors are left to the kernel.

use std::collections::BTreeMap;

use super::PROCESSORS;

/// A set of processors, by bits.
pub type Set = u64;

/// All of them.
pub const ALL: Set = (1 << PROCESSORS) - 1;
/// Most threads of which something is kept.
const THREADS: usize = 4096;
/// Most parents that are asked.
const PARENTS: u32 = 64;

/// What threads have set.
#[derive(Debug, Default)]
pub struct Affinity {
    /// By the thread's number, which is given out again: with when it began.
    sets: BTreeMap<u32, (u64, Set)>,
}

/// What is known of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread {
    /// When it began, in the kernel's ticks.
    pub begun: u64,
    /// Who began it: of a thread that isn't the first of its process, that one.
    pub parent: u32,
}

impl Affinity {
    /// What a thread may use; `look` finds threads.
    pub fn of(&self, thread: u32, look: impl Fn(u32) -> Option<Thread>) -> Set {
        if self.sets.is_empty() {
            return ALL;
        }
        let mut number = thread;
        for _ in 0..PARENTS {
            let Some(found) = look(number) else { break };
            match self.sets.get(&number) {
                Some((begun, set)) if *begun == found.begun => return *set,
                _ if found.parent == number => break,
                _ => number = found.parent,
            }
        }
        ALL
    }

    /// Sets it, if there is anything in it that there is.
    pub fn set(&mut self, thread: u32, set: Set, look: impl Fn(u32) -> Option<Thread>) -> bool {
        let set = set & ALL;
        let Some(found) = look(thread).filter(|_| set != 0) else {
            return false;
        };
        if self.sets.len() >= THREADS {
            self.sets
                .retain(|number, (begun, _)| look(*number).is_some_and(|it| it.begun == *begun));
        }
        if self.sets.len() < THREADS {
            self.sets.insert(thread, (found.begun, set));
        }
        true
    }
}

/// A thread as `/proc` has it.
pub fn look(number: u32) -> Option<Thread> {
    let status = std::fs::read_to_string(format!("/proc/{number}/status")).ok()?;
    let of = |key: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(key));
        value.and_then(|value| value.trim().parse::<u32>().ok())
    };
    let (process, parent) = (of("Tgid:")?, of("PPid:")?);
    let begun = crate::sandbox::processes::Stat::of(number)?.began;
    let parent = match process == number {
        true => parent,
        false => process,
    };
    Some(Thread { begun, parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_have_what_their_parents_set() {
        let world = |number: u32| {
            let parent = match number {
                1 => 0,
                2 | 5 => 1,
                3 => 2,
                _ => return None,
            };
            let begun = u64::from(number) * 10;
            Some(Thread { begun, parent })
        };
        let mut affinity = Affinity::default();
        assert_eq!(affinity.of(3, world), ALL);
        assert!(affinity.set(2, 0b110_0010, world));
        assert_eq!(
            [1, 2, 3, 5].map(|it| affinity.of(it, world)),
            [ALL, 2, 2, ALL]
        );
        assert!(affinity.set(3, 1, world));
        assert_eq!(affinity.of(3, world), 1);
        // There is no such processor; no such thread.
        assert!(!affinity.set(3, 16, world) && !affinity.set(7, 1, world));
        // Another thread of the same number.
        let later = |number| {
            world(number).map(|it| Thread {
                begun: it.begun + 1,
                ..it
            })
        };
        assert_eq!(affinity.of(2, later), ALL);
    }

    #[test]
    fn this_thread_is_found() {
        let own = std::process::id();
        let found = look(own).unwrap();
        let parent = rustix::process::getppid().unwrap().as_raw_pid();
        assert_eq!(found.parent, parent.cast_unsigned());
        assert!(found.begun > 0);
    }
}
