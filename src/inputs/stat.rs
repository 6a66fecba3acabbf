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
    /// times: git's "racily clean", with the coarsest tick that Linux has as slack.
    pub fn is_racy(&self, instant: Time) -> bool {
        const TICK: u32 = 20_000_000;
        let last = self.mtime.max(self.ctime);
        let nanoseconds = last.nanoseconds + TICK;
        let settled = Time {
            seconds: last.seconds + i64::from(nanoseconds / 1_000_000_000),
            nanoseconds: nanoseconds % 1_000_000_000,
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
}
