//! Python's compiled modules.
//!
//! In: two `.pyc` files. Out: what differs in their headers (PEP 552), and where the code does.

use super::number::{le32, le64};
use super::{Found, Odd, Pair, bytes};

/// Flags, and either time and size of the source or its hash, after the magic number.
const HEADER: usize = 16;

pub(super) fn compare(pair: Pair) -> Result<Found, Odd> {
    let odd = || Odd::Other("its header isn't whole".to_owned());
    let mut found = Found::default();
    let number = |at: usize| Some([le32(pair[0], at)?, le32(pair[1], at)?]);
    let [magic, flags] = [0, 4].map(number);
    let ([magic, other_magic], [flags, other_flags]) =
        (magic.ok_or_else(odd)?, flags.ok_or_else(odd)?);
    found.field(
        "Python's magic number",
        magic & 0xffff,
        other_magic & 0xffff,
    );
    found.field("flags", flags, other_flags);
    if flags & 1 == 0 && other_flags & 1 == 0 {
        let ([time, other_time], [size, other_size]) =
            (number(8).ok_or_else(odd)?, number(12).ok_or_else(odd)?);
        found.field("mtime of the source", time, other_time);
        found.field("size of the source", size, other_size);
    } else {
        let hash = |bytes| {
            le64(bytes, 8)
                .map(|hash| format!("{hash:016x}"))
                .ok_or_else(odd)
        };
        found.field("hash of the source", hash(pair[0])?, hash(pair[1])?);
    }
    let code = pair.map(|bytes| bytes.get(HEADER..).unwrap_or_default());
    if code[0] != code[1] {
        found.note("the code differs; offsets are from its begin, 16 bytes into the file");
        found.details.extend(bytes::compare(code).details);
    }
    Ok(found)
}
