//! What `ar` writes: static libraries and Debian packages (deb(5)).
//!
//! In: two archives (System V and GNU form; Debian's `ar(5)`). Out: what differs in their members.

use std::borrow::Cow;

use super::members::{self, Member};
use super::{Budget, Found, Odd, Pair};

/// The header of a member.
const HEADER: usize = 60;

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    let (before, after) = (read(pair[0], budget)?, read(pair[1], budget)?);
    members::compare_plain(&before, &after, budget)
}

fn read<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Vec<Member<'a>>, Odd> {
    let mut members = Vec::new();
    let mut long_names: &[u8] = &[];
    let mut at = 8;
    while at < bytes.len() {
        // Whatever it holds.
        budget.take(members::COST)?;
        let odd = || {
            Odd::Other(format!(
                "there is no member of an `ar` archive at byte {at}"
            ))
        };
        let header = bytes
            .get(at..at + HEADER)
            .filter(|header| header.ends_with(b"`\n"));
        let header = header.ok_or_else(odd)?;
        let field = |from: usize, to: usize| {
            String::from_utf8_lossy(&header[from..to])
                .trim_end()
                .to_owned()
        };
        let size: usize = field(48, 58).parse().map_err(|_| odd())?;
        let begin = at + HEADER;
        let content = begin
            .checked_add(size)
            .and_then(|end| bytes.get(begin..end));
        let content = content.ok_or_else(odd)?;
        let name = header[..16].trim_ascii_end();
        let is_table = name == b"//";
        let long = name
            .strip_prefix(b"/")
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
        let name = match long {
            Some(from) => {
                let rest = long_names.get(from..).ok_or_else(odd)?;
                let end = rest
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .unwrap_or(rest.len());
                rest[..end].strip_suffix(b"/").unwrap_or(&rest[..end])
            }
            None if name.len() > 1 => name
                .strip_suffix(b"/")
                .filter(|_| !is_table)
                .unwrap_or(name),
            None => name,
        };
        if is_table {
            long_names = content;
        }
        members.push(Member {
            name: name.to_vec(),
            fields: vec![
                ("mtime", field(16, 28)),
                ("uid", field(28, 34)),
                ("gid", field(34, 40)),
                ("mode", field(40, 48)),
            ],
            content: Cow::Borrowed(content),
            method: 0,
        });
        // Members begin at even bytes.
        at = begin + size + size % 2;
    }
    Ok(members)
}
