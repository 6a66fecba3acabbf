//! Tars inside of other files.
//!
//! In: two tars. Out: what differs in their members.

use std::borrow::Cow;

use super::members::{self, Member};
use super::{Budget, Found, Odd, Pair, shown};
use crate::layer::read::{MemberKind, Reader};

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    let (before, after) = (read(pair[0], budget)?, read(pair[1], budget)?);
    members::compare_plain(&before, &after, budget)
}

fn read<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Vec<Member<'a>>, Odd> {
    let mut reader = Reader::new(bytes);
    let mut members = Vec::new();
    while let Some(member) = reader
        .next_member()
        .map_err(|error| Odd::Other(error.to_string()))?
    {
        // Whatever it holds.
        budget.take(members::COST)?;
        let mut fields = Vec::new();
        let mut target = None;
        let kind = match &member.kind {
            MemberKind::File => "file",
            MemberKind::Directory => "directory",
            MemberKind::Symlink(text) => {
                target = Some(text);
                "symlink"
            }
            MemberKind::Hardlink(text) => {
                target = Some(text);
                "hard link"
            }
            MemberKind::CharacterDevice(_) => "character device",
            MemberKind::BlockDevice(_) => "block device",
            MemberKind::Fifo => "fifo",
        };
        fields.push(("type", kind.to_owned()));
        fields.push(("mode", format!("{:04o}", member.meta.mode)));
        fields.push(("uid", member.meta.uid.to_string()));
        fields.push(("gid", member.meta.gid.to_string()));
        fields.push(("mtime", member.meta.mtime.to_string()));
        if let MemberKind::CharacterDevice(device) | MemberKind::BlockDevice(device) = &member.kind
        {
            fields.push(("device", format!("{}:{}", device.major, device.minor)));
        }
        if let Some(target) = target {
            fields.push(("target", shown(target)));
        }
        if let Some(xattrs) = &member.meta.xattrs {
            let each = xattrs
                .iter()
                .map(|(name, value)| format!("{}={}", shown(name), shown(value)));
            fields.push(("xattrs", each.collect::<Vec<_>>().join(" ")));
        }
        let begin = member.offset as usize;
        let content = begin
            .checked_add(member.size as usize)
            .and_then(|end| bytes.get(begin..end));
        let content = content.ok_or_else(|| Odd::Other("it ends in the middle".to_owned()))?;
        members.push(Member {
            name: member.path,
            fields,
            content: Cow::Borrowed(content),
            method: 0,
        });
    }
    Ok(members)
}
