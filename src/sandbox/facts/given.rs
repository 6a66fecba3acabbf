//! Files that were given in the place of others.
//!
//! In: what was given, and for what. Out: what tells the other from all files, for whoever asks that of the
//! one that it has: programs that copy look whether they opened what they saw by its path (cp(1), which
//! leaves it out if not).

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{fstat, major, minor};
use rustix::io::Errno;

use crate::sandbox::notify::stat::Place;

/// How many are kept: who looks does so as soon as it has opened the file.
const KEPT: usize = 64;

/// The last of them, of what was given and what it stands for.
#[derive(Debug, Clone, Default)]
pub struct Given(Arc<Mutex<VecDeque<(Place, Place)>>>);

impl Given {
    /// Keeps that `given` stands for `real`.
    pub fn keep(&self, given: &OwnedFd, real: &OwnedFd) -> Result<(), Errno> {
        self.put(place(given)?, place(real)?);
        Ok(())
    }

    /// What that stands for.
    pub fn real(&self, given: Place) -> Option<Place> {
        let places = self.places();
        let found = places.iter().rev().find(|(it, _)| *it == given);
        found.map(|(_, real)| *real)
    }

    fn put(&self, given: Place, real: Place) {
        let mut places = self.places();
        if places.len() == KEPT {
            places.pop_front();
        }
        places.push_back((given, real));
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<(Place, Place)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(file: &OwnedFd) -> Result<Place, Errno> {
    let stat = fstat(file)?;
    Ok((major(stat.st_dev), minor(stat.st_dev), stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_known_and_no_more_are_kept() {
        let given = Given::default();
        let last = u64::try_from(KEPT).unwrap();
        for number in 0..=last {
            given.put((0, 1, number), (0, 5, number + 1000));
        }
        assert_eq!(given.real((0, 1, 0)), None);
        assert_eq!(given.real((0, 1, 1)), Some((0, 5, 1001)));
        assert_eq!(given.real((0, 1, last)), Some((0, 5, last + 1000)));
        assert_eq!(given.real((0, 2, last)), None);
        assert_eq!(given.places().len(), KEPT);
    }
}
