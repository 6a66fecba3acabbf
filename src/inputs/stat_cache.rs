//! The stat cache: which content a file had when `stat` last said what it says now.
//!
//! In: what `stat` says of files, and their digests. Out: digests without reading, kept in a
//! record of the store as fixed rows sorted by device and inode. Only what had settled when the
//! reading began is kept (git, racy-git.txt), so that a hit is as good as reading.

use crate::canon::Digest;
use crate::canon::digest::Hasher;

use super::stat::{Stat, Time};

/// device, inode, size, mtime, ctime, mode, digest.
const ROW: usize = 8 + 8 + 8 + 12 + 12 + 4 + 32;
const MAGIC: &[u8; 16] = b"cairn stat rows\n";

/// Rows of a stat cache.
#[derive(Default)]
pub(super) struct StatCache {
    rows: Vec<u8>,
}

impl StatCache {
    /// Reads what [`StatCache::write`] gave; anything else is an empty cache.
    pub(super) fn read(mut bytes: Vec<u8>) -> StatCache {
        let rows = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_last_chunk::<32>())
            .filter(|(rows, sum)| rows.len() % ROW == 0 && Digest::of(rows).bytes() == *sum);
        let length = rows.map_or(0, |(rows, _)| rows.len());
        // In place: of a large context this is a lot.
        bytes.drain(..MAGIC.len().min(bytes.len()));
        bytes.truncate(length);
        StatCache { rows: bytes }
    }

    /// The digest of the content of a file of which `stat` says this.
    pub(super) fn get(&self, stat: &Stat) -> Option<Digest> {
        let (rows, _) = self.rows.as_chunks::<ROW>();
        let wanted = key(stat);
        let at = rows
            .binary_search_by(|row| row[..16].cmp(&wanted[..16]))
            .ok()?;
        let digest = rows[at][ROW - 32..].try_into().ok()?;
        (rows[at][..ROW - 32] == wanted).then(|| Digest::from_bytes(digest))
    }

    /// The bytes of a cache of `files`, without those that are racy at `instant`.
    pub(super) fn write<'a>(
        files: impl Iterator<Item = (&'a Stat, Digest)>,
        instant: Time,
    ) -> Vec<u8> {
        let mut rows: Vec<[u8; ROW]> = files
            .filter(|(stat, _)| !stat.is_racy(instant))
            .map(|(stat, digest)| {
                let mut row = [0; ROW];
                row[..ROW - 32].copy_from_slice(&key(stat));
                row[ROW - 32..].copy_from_slice(digest.bytes());
                row
            })
            .collect();
        rows.sort_unstable();
        rows.dedup_by(|a, b| a[..16] == b[..16]);
        let mut hasher = Hasher::new();
        hasher.update(rows.as_flattened());
        let sum = hasher.finish();
        rows.reserve_exact(1);
        let mut bytes = rows.into_flattened();
        bytes.splice(..0, *MAGIC);
        bytes.extend_from_slice(sum.bytes());
        bytes
    }
}

fn key(stat: &Stat) -> [u8; ROW - 32] {
    let mut key = [0; ROW - 32];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        key[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&stat.device.to_be_bytes());
    put(&stat.inode.to_be_bytes());
    put(&stat.size.to_be_bytes());
    for time in [stat.mtime, stat.ctime] {
        put(&time.seconds.to_be_bytes());
        put(&time.nanoseconds.to_be_bytes());
    }
    put(&stat.mode.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(inode: u64) -> Stat {
        let time = Time {
            seconds: 100,
            nanoseconds: 0,
        };
        Stat {
            device: 1,
            inode,
            size: 3,
            mode: 0o100644,
            mtime: time,
            ctime: time,
        }
    }

    const LATER: Time = Time {
        seconds: 103,
        nanoseconds: 0,
    };

    #[test]
    fn only_the_very_same_stat_is_a_hit() {
        let files: Vec<_> = (0..50)
            .map(|inode| (stat(inode), Digest::of(&[inode as u8])))
            .collect();
        let bytes = StatCache::write(
            files.iter().rev().map(|(stat, digest)| (stat, *digest)),
            LATER,
        );
        let cache = StatCache::read(bytes);
        for (stat, digest) in &files {
            assert_eq!(cache.get(stat), Some(*digest));
        }
        let time = Time {
            seconds: 100,
            nanoseconds: 1,
        };
        let base = stat(7);
        for changed in [
            stat(50),
            Stat { size: 4, ..base },
            Stat {
                mode: 0o100755,
                ..base
            },
            Stat {
                mtime: time,
                ..base
            },
            Stat {
                ctime: time,
                ..base
            },
            Stat { device: 2, ..base },
        ] {
            assert_eq!(cache.get(&changed), None);
        }
    }

    #[test]
    fn what_has_not_settled_is_not_kept() {
        let digest = Digest::of(b"");
        let at = Time {
            seconds: 100,
            nanoseconds: 5_000_000,
        };
        let bytes = StatCache::write([(&stat(1), digest)].into_iter(), at);
        assert_eq!(StatCache::read(bytes.clone()).get(&stat(1)), None);
    }

    #[test]
    fn a_damaged_cache_is_an_empty_one() {
        let bytes = StatCache::write([(&stat(1), Digest::of(b""))].into_iter(), LATER);
        assert!(StatCache::read(bytes.clone()).get(&stat(1)).is_some());
        for at in [0, 20, bytes.len() - 1, bytes.len() - 40] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(StatCache::read(damaged).get(&stat(1)), None);
        }
        assert_eq!(StatCache::read(bytes[..60].to_vec()).get(&stat(1)), None);
    }
}
