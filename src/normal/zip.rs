//! The times in zips, jars among them.
//!
//! In: a zip. Out: the same with other times of its members, in the headers before them, in the
//! directory at its end, and in the extra fields of Info-ZIP and NTFS (PKWARE's APPNOTE.TXT, 4.3 to
//! 4.6; Info-ZIP's `proginfo/extrafld.txt`). What is in its members isn't looked at.
//!
//! Signed jars, apps and packages stay as they are, as do zips that are encrypted (what checks a password may be made of
//! the time), of several parts, or so large that their numbers need more than 32 bits.

use std::ops::Range;

use super::calendar::Moment;
use super::{File, Times};

const MAGIC: &[u8] = b"PK\x03\x04";
const IN_DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// Bytes of the header before a member, without its name and extra fields.
const LOCAL: usize = 30;
/// The same of one in the directory.
const CENTRAL: usize = 46;
/// The same of the end.
const LAST: usize = 22;
/// What stands before the directory of an app of Android's that is signed as a whole (APK Signature
/// Scheme v2).
const ANDROID: &[u8] = b"APK Sig Block 42";
/// Longest comment at the end.
const COMMENT: usize = 0xffff;

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// With the epoch where the command's own moment stands.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let mut zip = Zip {
        bytes: file.content.to_vec(),
        times: file.times,
        epoch: dos(file.times.epoch)?,
    };
    if !begins(&zip.bytes) {
        return None;
    }
    let end = zip.end()?;
    let (count, directory) = (zip.short(end + 10)?, zip.place(end + 16)?);
    let is_one_part = zip.short(end + 4)? == 0 && zip.short(end + 8)? == count;
    if !is_one_part || directory.checked_add(zip.place(end + 12)?)? != end {
        return None;
    }
    if zip.bytes.get(..directory)?.ends_with(ANDROID) {
        return None;
    }
    let mut at = directory;
    for _ in 0..count {
        at = zip.member(at)?;
    }
    (at == end).then_some(zip.bytes)
}

struct Zip<'a> {
    bytes: Vec<u8>,
    times: &'a Times,
    /// As the headers have it.
    epoch: [u8; 4],
}

impl Zip<'_> {
    /// Where the end of the directory is.
    fn end(&self) -> Option<usize> {
        let last = self.bytes.len().checked_sub(LAST)?;
        let first = last.saturating_sub(COMMENT);
        let found = memchr::memmem::rfind(self.bytes.get(first..last + END.len())?, END)?;
        let at = first + found;
        let is_end = at + LAST + self.short(at + 20)? == self.bytes.len();
        is_end.then_some(at)
    }

    /// Changes the member whose header in the directory is at `at`; gives where the next one's is.
    fn member(&mut self, at: usize) -> Option<usize> {
        const ENCRYPTED: usize = 1;
        if self.bytes.get(at..at + 4)? != IN_DIRECTORY || self.short(at + 8)? & ENCRYPTED != 0 {
            return None;
        }
        let [name, extra, comment] = [28, 30, 32].map(|field| self.short(at + field));
        let (name, extra, comment) = (name?, extra?, comment?);
        let local = self.place(at + 42)?;
        let from = at + CENTRAL;
        if is_signature(self.bytes.get(from..from + name)?) {
            return None;
        }
        let from = from + name;
        self.extra(from..from + extra)?;
        self.time(at + 12)?;
        if self.bytes.get(local..local.checked_add(4)?)? != MAGIC {
            return None;
        }
        let from = local + LOCAL + self.short(local + 26)?;
        self.extra(from..from + self.short(local + 28)?)?;
        self.time(local + 10)?;
        Some(at + CENTRAL + name + extra + comment)
    }

    /// Changes a time of two seconds, as they have it that write to FAT: some programs take the next
    /// even one, some the last.
    fn time(&mut self, at: usize) -> Option<()> {
        let field = self.bytes.get_mut(at..at + 4)?;
        let (time, date) = field.split_first_chunk()?;
        let time = u16::from_le_bytes(*time);
        let date = u16::from_le_bytes(date.try_into().ok()?);
        let bits = |value: u16, shift: u16, count: u16| (value >> shift & ((1 << count) - 1)) as u8;
        let moment = Moment {
            year: 1980 + i64::from(date >> 9),
            month: bits(date, 5, 4),
            day: bits(date, 0, 5),
            hour: bits(time, 11, 5),
            minute: bits(time, 5, 6),
            second: bits(time, 0, 5) * 2,
        };
        let seconds = moment.seconds();
        let has_leaked = seconds.is_some_and(|seconds| {
            (seconds - 1..=seconds + 1).any(|seconds| self.times.leaked(seconds))
        });
        if has_leaked {
            field.copy_from_slice(&self.epoch);
        }
        Some(())
    }

    /// Changes times in the extra fields of a header.
    fn extra(&mut self, range: Range<usize>) -> Option<()> {
        const UNIX: usize = 0x5455;
        const OLD_UNIX: usize = 0x5855;
        const NTFS: usize = 0x000a;
        self.bytes.get(range.clone())?;
        let mut at = range.start;
        while at < range.end {
            let (kind, size) = (self.short(at)?, self.short(at + 2)?);
            let from = at + 4;
            let end = from + size;
            if end > range.end {
                return None;
            }
            match kind {
                // A byte of flags; in the directory the first time alone.
                UNIX => self.seconds(from + 1..end)?,
                // Two times; before members also two numbers, of the owner.
                OLD_UNIX => self.seconds(from..from + size.min(8))?,
                // Four bytes that mean nothing, the tag 1, its length, three times.
                NTFS if size == 32 => self.ticks(from + 8..end)?,
                _ => {}
            }
            at = end;
        }
        Some(())
    }

    /// Changes seconds since 1970 of four bytes each.
    fn seconds(&mut self, range: Range<usize>) -> Option<()> {
        let epoch = u32::try_from(self.times.epoch).ok()?;
        for time in self.bytes.get_mut(range)?.chunks_exact_mut(4) {
            let seconds = u32::from_le_bytes((&*time).try_into().ok()?);
            if self.times.leaked(seconds.into()) {
                time.copy_from_slice(&epoch.to_le_bytes());
            }
        }
        Some(())
    }

    /// Changes times in ten millionths of a second since 1601, of eight bytes each.
    fn ticks(&mut self, range: Range<usize>) -> Option<()> {
        const OF_A_SECOND: u64 = 10_000_000;
        const SECONDS_BEFORE_1970: u64 = 11_644_473_600;
        let epoch = u64::try_from(self.times.epoch).ok()?;
        let epoch = (epoch + SECONDS_BEFORE_1970).checked_mul(OF_A_SECOND)?;
        for time in self.bytes.get_mut(range)?.chunks_exact_mut(8) {
            let ticks = u64::from_le_bytes((&*time).try_into().ok()?);
            let seconds = (ticks / OF_A_SECOND).checked_sub(SECONDS_BEFORE_1970);
            let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
            if seconds.is_some_and(|seconds| self.times.leaked(seconds)) {
                time.copy_from_slice(&epoch.to_le_bytes());
            }
        }
        Some(())
    }

    fn short(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(u16::from_le_bytes(bytes).into())
    }

    /// A place or a size; none where it stands elsewhere, as it needs 64 bits.
    fn place(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let place = u32::from_le_bytes(bytes);
        usize::try_from(place).ok().filter(|_| place != u32::MAX)
    }
}

/// A time and a date as FAT has them, from 1980 to 2107: earlier ones are its first.
fn dos(seconds: i64) -> Option<[u8; 4]> {
    const FIRST: i64 = 315_532_800;
    let moment = Moment::of(seconds.max(FIRST))?;
    let year = u16::try_from(moment.year - 1980)
        .ok()
        .filter(|year| *year < 128)?;
    let [month, day, hour, minute, second] = [
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
    ]
    .map(u16::from);
    let [a, b] = (hour << 11 | minute << 5 | (second / 2)).to_le_bytes();
    let [c, d] = (year << 9 | month << 5 | day).to_le_bytes();
    Some([a, b, c, d])
}

/// Whether a member is the signature of a jar (JAR File Specification, "Signature Validation") or of a
/// package of NuGet's ("Package Signatures Technical Specification").
fn is_signature(name: &[u8]) -> bool {
    if name == b".signature.p7s" {
        return true;
    }
    let name = name.to_ascii_uppercase();
    let ends = [&b".SF"[..], b".RSA", b".DSA", b".EC"];
    name.starts_with(b"META-INF/") && ends.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    const NOW: i64 = 1_790_000_003;

    /// A zip of one member, as Info-ZIP writes one.
    fn zip(name: &str, flags: u16, seconds: i64) -> Vec<u8> {
        // An odd second is the next even one.
        let dos = dos(seconds + seconds % 2).unwrap();
        let time = u32::try_from(seconds).unwrap().to_le_bytes();
        let ticks = (u64::try_from(seconds).unwrap() + 11_644_473_600) * 10_000_000;
        let ticks = ticks.to_le_bytes();
        let ntfs = [
            &[0x0a, 0, 32, 0, 0, 0, 0, 0, 1, 0, 24, 0][..],
            &ticks,
            &ticks,
            &ticks,
        ];
        let local = [&[0x55, 0x54, 9, 0, 3][..], &time, &time, &ntfs.concat()].concat();
        let central = [&[0x55, 0x54, 5, 0, 3][..], &time].concat();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let size = |extra: &[u8]| u16::try_from(extra.len()).unwrap().to_le_bytes();
        let same = [
            &[10, 0][..],
            &flags.to_le_bytes(),
            &[0, 0],
            &dos,
            &crc32fast::hash(b"hi").to_le_bytes(),
            &[2, 0, 0, 0, 2, 0, 0, 0],
            &length,
        ]
        .concat();
        let member = [MAGIC, &same, &size(&local), name.as_bytes(), &local, b"hi"].concat();
        let entry = [
            IN_DIRECTORY,
            &[30, 3],
            &same,
            &size(&central),
            &[0; 14],
            name.as_bytes(),
            &central,
        ]
        .concat();
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let end = [
            END,
            &[0, 0, 0, 0, 1, 0, 1, 0],
            &number(entry.len()),
            &number(member.len()),
            &[0, 0],
        ];
        [member, entry, end.concat()].concat()
    }

    #[test]
    fn the_moment_becomes_the_epoch_and_other_times_stay() {
        for now in [NOW, NOW + 1] {
            let expected = zip("a", 0, 315_532_800);
            assert_eq!(judged(dated, &zip("a", 0, now)), Some(expected), "{now}");
        }
        let other = zip("a", 0, 1_000_000_003);
        assert_eq!(judged(dated, &other), None);
    }

    #[test]
    fn signed_jars_and_encrypted_zips_stay() {
        for name in ["META-INF/A.SF", "META-INF/a.rsa", "meta-inf/A.EC"] {
            assert_eq!(judged(dated, &zip(name, 0, NOW)), None, "{name}");
        }
        assert!(judged(dated, &zip("META-INF/MANIFEST.MF", 0, NOW)).is_some());
        assert_eq!(judged(dated, &zip(".signature.p7s", 0, NOW)), None);
        assert_eq!(judged(dated, &zip("a", 1, NOW)), None);
        let mut app = zip("a", 0, NOW);
        let directory = memchr::memmem::find(&app, IN_DIRECTORY).unwrap();
        app.splice(directory..directory, ANDROID.iter().copied());
        let place = app.len() - 6;
        let moved = u32::try_from(directory + ANDROID.len()).unwrap();
        app[place..place + 4].copy_from_slice(&moved.to_le_bytes());
        assert_eq!(judged(dated, &app), None);
        // It is that alone which keeps it.
        app[directory] = b'B';
        assert!(judged(dated, &app).is_some());
    }

    #[test]
    fn what_is_cut_off_or_damaged_stays_or_only_its_times_change() {
        let whole = zip("a", 0, NOW);
        for length in 0..whole.len() {
            assert_eq!(judged(dated, &whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let changed = judged(dated, &damaged);
                let is_as_long = changed.is_none_or(|changed| changed.len() == whole.len());
                assert!(is_as_long);
            }
        }
    }

    #[test]
    fn what_fat_has_no_time_for_is_its_first_or_nothing() {
        assert_eq!(dos(0), dos(315_532_800));
        assert_eq!(dos(4_354_819_200), None);
    }
}
