//! What `stat` says of a file of the host, as far as it tells one content from another.
//!
//! In: rustix's `Stat`. Out: [`Stat`], compared to notice a change, and the instant to judge by
//! whether one could go unnoticed.

use rustix::fs::FileType;

use crate::store::{self, Store};

/// What `stat` says: equal before and after reading, the content is what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of content or metadata.
    pub ctime: Time,
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest.
    pub nanoseconds: u32,
}

impl Stat {
    /// Its type.
    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// Whether it changed so shortly before `instant` that a later change might show the same
    /// times: git's "racily clean", with the coarsest tick that Linux has as slack. Where both
    /// times are whole seconds, the file system may know no others, and some keep every second one
    /// alone.
    pub fn is_racy(&self, instant: Time) -> bool {
        const TICK: u32 = 20_000_000;
        let last = self.mtime.max(self.ctime);
        let settled = if self.mtime.nanoseconds == 0 && self.ctime.nanoseconds == 0 {
            Time {
                seconds: last.seconds.saturating_add(2),
                nanoseconds: 0,
            }
        } else {
            let nanoseconds = last.nanoseconds.saturating_add(TICK);
            let carried = i64::from(nanoseconds / 1_000_000_000);
            Time {
                seconds: last.seconds.saturating_add(carried),
                nanoseconds: nanoseconds % 1_000_000_000,
            }
        };
        settled >= instant
    }
}

/// The instant that a file made now would get: no clock of ours, but that of file times.
pub fn now(store: &Store) -> Result<Time, store::Error> {
    let file = store.temporary()?;
    let stat = rustix::fs::fstat(file.as_file())
        .map_err(|error| store::io_error("look at", file.path())(error.into()))?;
    Ok(Stat::from(stat).mtime)
}

impl From<rustix::fs::Stat> for Stat {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the fields' types differ between architectures"
    )]
    fn from(stat: rustix::fs::Stat) -> Stat {
        let time = |seconds, nanoseconds| Time {
            seconds,
            nanoseconds,
        };
        Stat {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            mode: stat.st_mode as u32,
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_within_the_last_tick_is_racy() {
        let at = |seconds, nanoseconds| Time {
            seconds,
            nanoseconds,
        };
        let stat = Stat {
            device: 1,
            inode: 1,
            size: 0,
            mode: 0,
            mtime: at(5, 990_000_000),
            ctime: at(1, 0),
        };
        assert!(stat.is_racy(at(6, 10_000_000)));
        assert!(!stat.is_racy(at(6, 10_000_001)));
        assert!(
            Stat {
                ctime: at(9, 0),
                ..stat
            }
            .is_racy(at(8, 0))
        );
    }
    #[test]
    fn whole_seconds_settle_after_two() {
        let at = |seconds, nanoseconds| Time {
            seconds,
            nanoseconds,
        };
        let of = |mtime, ctime| Stat {
            device: 1,
            inode: 1,
            size: 0,
            mode: 0,
            mtime,
            ctime,
        };
        let coarse = of(at(3, 0), at(5, 0));
        assert!(coarse.is_racy(at(5, 900_000_000)));
        assert!(coarse.is_racy(at(7, 0)));
        assert!(!coarse.is_racy(at(7, 1)));
        // What unpacks an archive sets whole seconds too, but nobody sets a ctime.
        let unpacked = of(at(5, 0), at(5, 300_000_000));
        assert!(!unpacked.is_racy(at(5, 900_000_000)));
        // A time of the far future is not one that has come.
        assert!(of(at(i64::MAX, 0), at(5, 0)).is_racy(at(9, 0)));
        assert!(of(at(i64::MAX, 999_999_999), at(5, 0)).is_racy(at(9, 0)));
    }
}
