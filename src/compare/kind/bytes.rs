//! Bytes: where the first differs, and what stands there.
//!
//! In: two contents or streams. Out: their sizes, where these differ, and one window.

use std::io::{self, Read};

use super::{Found, Pair};
use crate::compare::report::Detail;

/// How many bytes are shown.
const WINDOW: usize = 16;

pub(super) fn compare(pair: Pair) -> Found {
    let [before, after] = pair;
    let mut found = Found::default();
    found.field("size", before.len(), after.len());
    let equal = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other);
    window(&mut found, equal.count() as u64, pair);
    found
}

fn window(found: &mut Found, offset: u64, [before, after]: Pair) {
    let shown = |bytes: &[u8], at: usize| {
        let end = bytes.len().min(at.saturating_add(WINDOW));
        hex(bytes.get(at..end).unwrap_or_default())
    };
    // Contents in memory: an offset is an index.
    let at = offset as usize;
    if before != after {
        found.details.push(Detail::Bytes {
            offset,
            before: shown(before, at),
            after: shown(after, at),
        });
    }
}

/// Digits of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn streams(before: &mut dyn Read, after: &mut dyn Read) -> io::Result<Found> {
    let mut found = Found::default();
    let mut offset = 0;
    let mut sizes = [0_u64; 2];
    let mut buffers = [vec![0; 256 << 10], vec![0; 256 << 10]];
    let mut is_found = false;
    loop {
        let first = fill(before, &mut buffers[0])?;
        let second = fill(after, &mut buffers[1])?;
        sizes[0] += first as u64;
        sizes[1] += second as u64;
        if first == 0 && second == 0 {
            break;
        }
        let pair: Pair = [&buffers[0][..first], &buffers[1][..second]];
        if !is_found && pair[0] != pair[1] {
            is_found = true;
            for detail in compare(pair).details {
                if let Detail::Bytes {
                    offset: at,
                    before,
                    after,
                } = detail
                {
                    let offset = offset + at;
                    found.details.push(Detail::Bytes {
                        offset,
                        before,
                        after,
                    });
                }
            }
        }
        offset += first.min(second) as u64;
    }
    found.field("size", sizes[0], sizes[1]);
    found.details.reverse();
    Ok(found)
}

/// As much as there is, and fits.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_found_wherever_it_is() {
        for (length, at) in [(3, 1), (300_000, 262_144), (600_000, 599_999)] {
            let before = vec![b'a'; length];
            let mut after = before.clone();
            after[at] = b'b';
            for found in [
                compare([&before, &after]),
                streams(&mut &before[..], &mut &after[..]).unwrap(),
            ] {
                let [
                    Detail::Bytes {
                        offset,
                        before,
                        after,
                    },
                ] = &found.details[..]
                else {
                    panic!("{found:?}");
                };
                assert_eq!(*offset, at as u64);
                assert!(before.starts_with("61") && after.starts_with("62"));
            }
        }
    }

    #[test]
    fn one_that_ends_earlier_has_nothing_there() {
        let (long, short) = (vec![7; 300_000], vec![7; 299_999]);
        for found in [
            compare([&long, &short]),
            streams(&mut &long[..], &mut &short[..]).unwrap(),
        ] {
            let Detail::Bytes {
                offset,
                before,
                after,
            } = &found.details[1]
            else {
                panic!("{found:?}");
            };
            assert_eq!((*offset, &before[..], &after[..]), (299_999, "07", ""));
        }
    }
}
