//! Zips: jars, wheels, documents of offices.
//!
//! In: two archives. Out: what differs in their members, as their central directories tell of them
//! (APPNOTE.TXT 6.3.10, sections 4.3 and 4.4), and in what they hold. cairn's own reader, as what
//! keeps two zips from being the same bytes is often only there: times, extra fields, attributes,
//! order. Members that are neither stored nor deflated aren't expanded.

use std::borrow::Cow;

use super::bytes::hex;
use super::members::{self, Member};
use super::number::{le16, le32, le64};
use super::{Budget, Found, Odd, Pair, shown};

const END: &[u8] = b"PK\x05\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    let (before, after) = (read(pair[0], budget)?, read(pair[1], budget)?);
    let mut found = members::compare(&before.members, &after.members, expand, budget)?;
    let mut own = Found::default();
    own.field("comment", shown(before.comment), shown(after.comment));
    found.details.splice(0..0, own.details);
    Ok(found)
}

struct Archive<'a> {
    members: Vec<Member<'a>>,
    comment: &'a [u8],
}

fn expand(member: &Member, budget: &mut Budget) -> Result<Vec<u8>, Odd> {
    match member.method {
        STORED => budget.read(&member.content[..]),
        DEFLATED => budget.read(flate2::read::DeflateDecoder::new(&member.content[..])),
        other => Err(Odd::Other(format!(
            "its compression, method {other}, isn't read"
        ))),
    }
}

fn read<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Archive<'a>, Odd> {
    let odd = |what: &str| Odd::Other(format!("the archive has no valid {what}"));
    let end = end_of(bytes).ok_or_else(|| odd("end"))?;
    let mut at = usize::try_from(end.directory).map_err(|_| odd("directory"))?;
    let mut members = Vec::new();
    for _ in 0..end.count {
        // Whatever it holds.
        budget.take(members::COST)?;
        let header = Central::read(bytes, at).ok_or_else(|| odd("directory"))?;
        at = header.next;
        members.push(header.member(bytes).ok_or_else(|| odd("member"))?);
    }
    Ok(Archive {
        members,
        comment: end.comment,
    })
}

/// What stands at the archive's end.
struct End<'a> {
    count: u64,
    directory: u64,
    comment: &'a [u8],
}

/// The last end record whose comment goes as far as the bytes do.
fn end_of(bytes: &[u8]) -> Option<End<'_>> {
    const SIZE: usize = 22;
    let last = bytes.len().checked_sub(SIZE)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let is_end = |at: &usize| {
        let comment = le16(bytes, at + 20).map(usize::from);
        bytes[*at..].starts_with(END) && comment == Some(bytes.len() - at - SIZE)
    };
    let at = (first..=last).rev().find(is_end)?;
    let mut end = End {
        count: le16(bytes, at + 10)?.into(),
        directory: le32(bytes, at + 16)?.into(),
        comment: &bytes[at + SIZE..],
    };
    let locator = at
        .checked_sub(20)
        .filter(|at| bytes[*at..].starts_with(END_64_LOCATOR));
    if let Some(locator) = locator {
        let record = usize::try_from(le64(bytes, locator + 8)?).ok()?;
        end.count = le64(bytes, record.checked_add(32)?)?;
        end.directory = le64(bytes, record.checked_add(48)?)?;
    }
    Some(end)
}

/// A header of the central directory.
struct Central<'a> {
    fixed: &'a [u8],
    name: &'a [u8],
    extra: &'a [u8],
    comment: &'a [u8],
    next: usize,
}

impl<'a> Central<'a> {
    const SIZE: usize = 46;

    fn read(bytes: &'a [u8], at: usize) -> Option<Central<'a>> {
        let begin = at.checked_add(Central::SIZE)?;
        let fixed = bytes
            .get(at..begin)
            .filter(|fixed| fixed.starts_with(CENTRAL))?;
        let mut next = begin;
        let mut part = |length_at: usize| {
            let end = next + usize::from(le16(fixed, length_at)?);
            let part = bytes.get(next..end)?;
            next = end;
            Some(part)
        };
        let (name, extra, comment) = (part(28)?, part(30)?, part(32)?);
        Some(Central {
            fixed,
            name,
            extra,
            comment,
            next,
        })
    }

    /// Sizes and place, of which those that don't fit stand in the extra field of zip64.
    fn places(&self) -> Option<[u64; 3]> {
        let mut large = self.zip64();
        let mut number = |at: usize| {
            let number = le32(self.fixed, at)?;
            if number != u32::MAX {
                return Some(u64::from(number));
            }
            let (first, rest) = large.split_at_checked(8)?;
            large = rest;
            le64(first, 0)
        };
        let (size, packed) = (number(24)?, number(20)?);
        Some([size, packed, number(42)?])
    }

    fn zip64(&self) -> &'a [u8] {
        let mut rest = self.extra;
        while let (Some(id), Some(length)) = (le16(rest, 0), le16(rest, 2)) {
            let Some(data) = rest.get(4..4 + usize::from(length)) else {
                break;
            };
            if id == 1 {
                return data;
            }
            rest = &rest[4 + data.len()..];
        }
        &[]
    }

    fn member(&self, bytes: &'a [u8]) -> Option<Member<'a>> {
        let [size, packed, place] = self.places()?;
        let at = usize::try_from(place).ok()?;
        let local = bytes.get(at..).filter(|local| local.starts_with(LOCAL))?;
        let extra_at = 30 + usize::from(le16(local, 26)?);
        let begin = extra_at + usize::from(le16(local, 28)?);
        let local_extra = local.get(extra_at..begin)?;
        let end = begin.checked_add(usize::try_from(packed).ok()?)?;
        let content = local.get(begin..end)?;
        let short = |at| le16(self.fixed, at);
        let method = short(10)?;
        let system = short(4)? >> 8;
        let attributes = le32(self.fixed, 38)?;
        Some(Member {
            name: self.name.to_vec(),
            fields: vec![
                ("mtime", time(short(14)?, short(12)?)),
                ("mode", format!("{:06o}", attributes >> 16)),
                ("attributes", format!("{:04x}", attributes & 0xffff)),
                ("size", size.to_string()),
                ("method", method.to_string()),
                ("flags", format!("{:04x}", short(8)?)),
                (
                    "made by",
                    format!("system {system}, version {}", short(4)? & 0xff),
                ),
                ("needs version", short(6)?.to_string()),
                ("extra field", hex(self.extra)),
                ("extra field of its header", hex(local_extra)),
                ("comment", shown(self.comment)),
            ],
            content: Cow::Borrowed(content),
            method,
        })
    }
}

/// MS-DOS's date and time.
fn time(date: u16, time: u16) -> String {
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}",
        1980 + (date >> 9),
        date >> 5 & 15,
        date & 31,
        time >> 11,
        time >> 5 & 63,
        (time & 31) * 2
    )
}
