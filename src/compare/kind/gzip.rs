//! Compressed streams: what they hold, and what gzip says besides.
//!
//! In: two streams. Out: the fields of their headers (RFC 1952, section 2.3), and what differs in
//! what they hold.

use std::io::Cursor;

use super::number::le32;
use super::{Budget, Found, Odd, Pair, inside, shown};
use crate::layer::codec::{Expansion, decompress};

const HOLDS_THE_SAME: &str = "what it holds is the same, compressed otherwise";

pub(super) fn compare(pair: Pair, name: &[u8], budget: &mut Budget) -> Result<Found, Odd> {
    let mut found = Found::default();
    let headers = pair.map(Header::read);
    if let [Some(before), Some(after)] = headers {
        found.field("mtime", before.mtime, after.mtime);
        found.field(
            "flags",
            format!("{:08b}", before.flags),
            format!("{:08b}", after.flags),
        );
        found.field("extra flags", before.extra_flags, after.extra_flags);
        found.field("system", before.system, after.system);
        found.field("name", before.name, after.name);
    }
    held(&mut found, pair, name, budget)?;
    Ok(found)
}

pub(super) fn compare_others(pair: Pair, name: &[u8], budget: &mut Budget) -> Result<Found, Odd> {
    let mut found = Found::default();
    held(&mut found, pair, name, budget)?;
    Ok(found)
}

fn held(found: &mut Found, pair: Pair, name: &[u8], budget: &mut Budget) -> Result<(), Odd> {
    let [before, after] = pair.map(|bytes| {
        let size = bytes.len() as u64;
        let plain = decompress(Cursor::new(bytes), size, Expansion::UNLIMITED);
        plain.map_err(|error| Odd::Other(format!("it can't be expanded: {error}")))
    });
    let (before, after) = (budget.read(before?)?, budget.read(after?)?);
    let end = name.iter().rposition(|&byte| byte == b'.');
    let stem = &name[..end.unwrap_or(name.len())];
    match inside("content".to_owned(), stem, [&before, &after], budget) {
        Some(finding) => found.inside.push(finding),
        None => found.note(HOLDS_THE_SAME),
    }
    Ok(())
}

/// What a member's header says.
struct Header {
    flags: u8,
    mtime: u32,
    extra_flags: u8,
    system: u8,
    name: String,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        const EXTRA: u8 = 4;
        const NAME: u8 = 8;
        let flags = *bytes.get(3)?;
        let mut at = 10;
        if flags & EXTRA != 0 {
            at += 2 + usize::from(super::number::le16(bytes, at)?);
        }
        let mut name = &bytes[..0];
        if flags & NAME != 0 {
            let rest = bytes.get(at..)?;
            name = &rest[..rest.iter().position(|&byte| byte == 0)?];
        }
        Some(Header {
            flags,
            mtime: le32(bytes, 4)?,
            extra_flags: *bytes.get(8)?,
            system: *bytes.get(9)?,
            name: shown(name),
        })
    }
}
