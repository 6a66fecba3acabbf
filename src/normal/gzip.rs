//! The time in a gzip's header.
//!
//! In: a gzip file. Out: the same with another time of what it holds (RFC 1952, 2.3).

use super::File;

/// Of the method "deflate", which is the only one.
const MAGIC: &[u8] = &[0x1f, 0x8b, 8];
/// The header has a sum of itself.
const HAS_SUM: u8 = 1 << 1;
const TIME: std::ops::Range<usize> = 4..8;

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// With the epoch where the command's own moment stands.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let flags = file.content.get(3)?;
    let time = file.content.get(TIME)?.try_into().ok()?;
    let has_leaked = file.times.leaked(u32::from_le_bytes(time).into());
    if !begins(file.content) || flags & HAS_SUM != 0 || !has_leaked {
        return None;
    }
    let epoch = u32::try_from(file.times.epoch).ok()?;
    let mut content = file.content.to_vec();
    content[TIME].copy_from_slice(&epoch.to_le_bytes());
    Some(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::normal::times::tests::judged;

    fn gzip(time: u32) -> Vec<u8> {
        let header = flate2::GzBuilder::new().mtime(time).filename("name");
        let mut writer = header.write(Vec::new(), flate2::Compression::default());
        writer.write_all(b"content").unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn the_moment_becomes_the_epoch_and_other_times_stay() {
        assert_eq!(judged(dated, &gzip(1_790_000_003)), Some(gzip(315_532_800)));
        for time in [0, 1_000_000_003, 1_700_000_000] {
            assert_eq!(judged(dated, &gzip(time)), None, "{time}");
        }
    }

    #[test]
    fn what_has_a_sum_or_is_cut_off_stays() {
        let mut summed = gzip(1_790_000_003);
        summed[3] |= HAS_SUM;
        assert_eq!(judged(dated, &summed), None);
        for length in 0..TIME.end {
            assert_eq!(judged(dated, &gzip(1_790_000_003)[..length]), None);
        }
    }
}
