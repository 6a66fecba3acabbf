//! Numbers of files for who writes them down.
//!
//! In: the programs that begin, the files that they ask about. Out: numbers that follow from the order
//! in which a process asks: where its file system has a file is chance. Two names of one file have one
//! number, as it should be.
//!
//! An archive of cpio(5) holds them, and so do the images that a system begins with (initramfs).
//! Other programs see the real ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sandbox::notify::stat::Place;
use crate::sandbox::random::is_there;

/// Programs that write numbers of files down.
const WRITING: [&[u8]; 2] = [b"cpio", b"bsdcpio"];
/// Most files of one process that have such a number; those beyond have their own.
const FILES: usize = 1 << 20;
/// Most processes that are kept before the ended ones are forgotten.
const PROCESSES: usize = 4;

/// The numbers of a step's processes.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Arc<Mutex<BTreeMap<u32, BTreeMap<Place, u64>>>>);

impl Numbers {
    fn by_process(&self) -> MutexGuard<'_, BTreeMap<u32, BTreeMap<Place, u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process begins to run a program, by its arguments as `/proc` has them.
    pub fn begin(&self, process: u32, arguments: &[u8]) {
        let program = arguments
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let name = program
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        let mut all = self.by_process();
        if all.len() >= PROCESSES {
            all.retain(|process, _| is_there(*process));
        }
        match WRITING.contains(&name) {
            true => drop(all.insert(process, BTreeMap::new())),
            false => drop(all.remove(&process)),
        }
    }

    /// What a process is told for a file, if that isn't the file's own number.
    pub fn shown(&self, process: u32, place: impl FnOnce() -> Place) -> Option<u64> {
        let mut all = self.by_process();
        let files = all.get_mut(&process)?;
        let place = place();
        let next = files.len() as u64 + 1;
        match files.len() < FILES || files.contains_key(&place) {
            true => Some(*files.entry(place).or_insert(next)),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_numbers_down_sees_them_in_the_order_in_which_it_asks() {
        let numbers = Numbers::default();
        numbers.begin(1, b"/usr/bin/cpio\0-o\0");
        numbers.begin(2, b"tar\0c\0");
        let shown = |process, number| numbers.shown(process, || (0, 1, number));
        assert_eq!(shown(1, 900), Some(1));
        assert_eq!(shown(1, 17), Some(2));
        assert_eq!(shown(1, 900), Some(1));
        assert_eq!(shown(2, 900), None);
        numbers.begin(1, b"ls\0");
        assert_eq!(shown(1, 900), None);
    }
}
