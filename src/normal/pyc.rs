//! Python's compiled modules.
//!
//! In: a `.pyc`. Out: the same for a source whose time is the epoch, as that of each file is which
//! the command made: by another time Python takes it for one of an older source, and compiles that
//! again each time it runs.

use super::File;

/// Where the flags stand (PEP 552, "Specification"); before them the magic number.
const FLAGS: std::ops::Range<usize> = 4..8;
/// Where the source's time stands if no flag is set; behind it the source's size.
const TIME: std::ops::Range<usize> = 8..12;

/// The first magic number with flags behind it, Python 3.7's, and where those of today end by far
/// (CPython, `Include/internal/pycore_magic_number.h`).
const MAGIC: std::ops::Range<u16> = 3390..10_000;

/// With the epoch as the source's time, where the command made that.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let &[low, high, b'\r', b'\n', ..] = file.content else {
        return None;
    };
    let has_time = file.content.get(FLAGS)? == [0; 4];
    if !MAGIC.contains(&u16::from_le_bytes([low, high])) || !has_time {
        return None;
    }
    let time = file.content.get(TIME)?.try_into().ok()?;
    let epoch = u32::try_from(file.times.epoch).ok()?;
    let is_made = file.times.made(u32::from_le_bytes(time).into());
    is_made.then(|| {
        let mut content = file.content.to_vec();
        content[TIME].copy_from_slice(&epoch.to_le_bytes());
        content
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::times;

    fn compiled(magic: u16, flags: u32, time: u32) -> Vec<u8> {
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend(b"\r\n");
        bytes.extend(flags.to_le_bytes());
        bytes.extend(time.to_le_bytes());
        bytes.extend(b"\x05\0\0\0code");
        bytes
    }

    #[test]
    fn the_time_of_a_source_that_was_made_becomes_the_epoch() {
        const NOW: u32 = 1_790_000_003;
        for (magic, flags, time, changes) in [
            (3495, 0, NOW, true),
            (3495, 0, 1_000_000_003, true),
            (3495, 0, 1_500_000_000, false),
            // The hash of the source stands there.
            (3495, 1, NOW, false),
            (3495, 3, NOW, false),
            // Python 3.6 has the time where the flags are.
            (3379, 0, NOW, false),
        ] {
            let content = compiled(magic, flags, time);
            let times = times();
            let dated = dated(&File {
                content: &content,
                below: None,
                times: &times,
            });
            let expected = compiled(magic, flags, 315_532_800);
            assert_eq!(dated, changes.then_some(expected), "{magic} {flags} {time}");
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_stays() {
        let whole = compiled(3495, 0, 1_790_000_003);
        let times = times();
        let judged = |content: &[u8]| {
            dated(&File {
                content,
                below: None,
                times: &times,
            })
        };
        for length in 0..TIME.end {
            assert_eq!(judged(&whole[..length]), None);
        }
        assert_eq!(judged(b"print('a program of this name')\n"), None);
    }
}
