//! Owners: names and numbers.
//!
//! In: `user[:group]` and the image's `/etc/passwd` and `/etc/group`. Out: numbers.

use std::io::Read;

use super::Error;
use crate::canon::EntryPath;
use crate::layer::Kind;
use crate::layer::rootfs::{Inode, Rootfs};
use crate::layer::view::resolve;

/// Largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Gives the content of a file of the image.
pub type ReadInode<'a> = dyn Fn(Inode) -> std::io::Result<Vec<u8>> + 'a;

/// The numbers of `owner`; without a group the user's own, and of a bare number that number, as
/// Docker has it (Dockerfile reference, "COPY --chown").
pub fn numbers(owner: &str, rootfs: &Rootfs, read: &ReadInode) -> Result<(u32, u32), Error> {
    let (user, group) = match owner.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (owner, None),
    };
    let (uid, own_gid) = match user.parse::<u32>() {
        Ok(uid) => (uid, uid),
        Err(_) => {
            let fields = find("etc/passwd", user, rootfs, read)?;
            let number = |at: usize| fields.as_ref()?.get(at)?.parse().ok();
            let unknown = || Error::Owner {
                kind: "user",
                name: user.to_owned(),
            };
            (
                number(2).ok_or_else(unknown)?,
                number(3).ok_or_else(unknown)?,
            )
        }
    };
    let gid = match group {
        None => own_gid,
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => {
                let fields = find("etc/group", group, rootfs, read)?;
                let gid = fields
                    .as_ref()
                    .and_then(|fields| fields.get(2)?.parse().ok());
                gid.ok_or_else(|| Error::Owner {
                    kind: "group",
                    name: group.to_owned(),
                })?
            }
        },
    };
    Ok((uid, gid))
}

/// The fields of the line that begins with `name:`.
fn find(
    file: &str,
    name: &str,
    rootfs: &Rootfs,
    read: &ReadInode,
) -> Result<Option<Vec<String>>, Error> {
    let path = EntryPath::new(file.as_bytes()).unwrap_or_default();
    let place = resolve(rootfs, &path, true)?;
    let Some(node) = rootfs.get(&place) else {
        return Ok(None);
    };
    let (Kind::File { size, .. }, Some(inode)) = (&node.kind, node.inode) else {
        return Ok(None);
    };
    if *size > LARGEST {
        return Ok(None);
    }
    let bytes = read(inode).map_err(|source| Error::Io { path, source })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text
        .lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.find(|fields| fields.first().is_some_and(|first| first == name)))
}

/// Reads all of a stream that should be small.
pub fn read_small(stream: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;
    use crate::layer::{Entry, Meta, Tree};

    #[test]
    fn names_come_from_the_image() {
        let file = |text: &str| Entry {
            path: EntryPath::new(text.as_bytes()).unwrap(),
            kind: Kind::File {
                size: 10,
                digest: Digest::of(b""),
            },
            meta: Meta::plain(0o644, 0),
        };
        let mut rootfs = Rootfs::default();
        rootfs.push(
            &Tree::new(vec![file("etc/group"), file("etc/passwd")]).unwrap(),
            &[],
        );
        let read = |inode: Inode| {
            let text: &[u8] = if inode.entry == 0 {
                b"adm:x:4:\nweb:x:33:"
            } else {
                b"root:x:0:0::/:\nweb:x:33:34::/:\n"
            };
            Ok(text.to_vec())
        };
        for (owner, expected) in [
            ("5", Some((5, 5))),
            ("5:6", Some((5, 6))),
            ("web", Some((33, 34))),
            ("web:adm", Some((33, 4))),
            ("root:7", Some((0, 7))),
            ("nobody", None),
            ("0:nobody", None),
        ] {
            assert_eq!(numbers(owner, &rootfs, &read).ok(), expected, "{owner}");
        }
    }
}
