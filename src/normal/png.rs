//! The time of an image's last change.
//!
//! In: a PNG. Out: the same with another time (PNG specification, 11.3.4.3, `tIME`).

use super::File;
use super::calendar::Moment;

const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A chunk's length and kind; behind its data stands a sum of four bytes.
const HEAD: usize = 8;
const SUM: usize = 4;

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// With the epoch where the command's own moment stands.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let mut at = MAGIC.len();
    if !begins(file.content) {
        return None;
    }
    loop {
        let chunk = file.content.get(at..)?;
        let length = u32::from_be_bytes(*chunk.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        let kind = chunk.get(4..HEAD)?;
        if kind == b"IEND" {
            return None;
        }
        let end = HEAD.checked_add(length)?;
        let data = chunk.get(HEAD..end)?;
        if kind == b"tIME" {
            let epoch = changed(data, file)?;
            let sum = crc32fast::hash(&[kind, &epoch[..]].concat());
            let mut content = file.content.to_vec();
            let put = content.get_mut(at + HEAD..at + end + SUM)?;
            put[..epoch.len()].copy_from_slice(&epoch);
            put[epoch.len()..].copy_from_slice(&sum.to_be_bytes());
            return Some(content);
        }
        at = at.checked_add(end)?.checked_add(SUM)?;
    }
}

/// The epoch in place of the command's own moment.
fn changed(data: &[u8], file: &File<'_>) -> Option<[u8; 7]> {
    let &[high, low, month, day, hour, minute, second] = data else {
        return None;
    };
    let was = Moment {
        year: u16::from_be_bytes([high, low]).into(),
        month,
        day,
        hour,
        minute,
        second,
    };
    let is = Moment::of(file.times.epoch).filter(|_| {
        let seconds = was.seconds();
        seconds.is_some_and(|seconds| file.times.leaked(seconds))
    })?;
    let [high, low] = u16::try_from(is.year).ok()?.to_be_bytes();
    Some([high, low, is.month, is.day, is.hour, is.minute, is.second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
        let sum = crc32fast::hash(&[kind, data].concat()).to_be_bytes();
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], kind, data, &sum].concat()
    }

    fn png(time: [u8; 7]) -> Vec<u8> {
        let chunks = [
            chunk(b"IHDR", &[0; 13]),
            chunk(b"tIME", &time),
            chunk(b"IDAT", b"pixels"),
            chunk(b"IEND", b""),
        ];
        [MAGIC, &chunks.concat()].concat()
    }

    #[test]
    fn the_moment_becomes_the_epoch_and_other_times_stay() {
        let now = png([0x07, 0xea, 9, 21, 14, 13, 23]);
        let epoch = png([0x07, 0xbc, 1, 1, 0, 0, 0]);
        assert_eq!(judged(dated, &now), Some(epoch));
        let other = png([0x07, 0xe9, 9, 21, 14, 13, 23]);
        assert_eq!(judged(dated, &other), None);
        for length in 0..now.len() {
            // All but what stands behind the time is needed.
            if let Some(changed) = judged(dated, &now[..length]) {
                assert!(length >= 52 && changed.len() == length);
            }
        }
    }
}
