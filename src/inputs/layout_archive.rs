//! Archives of image layouts: names to the places where their bytes stand.
//!
//! In: an open file. Out: [`Archive`], whose members are read from where they are: from the file
//! itself where it is a plain tar, else from a temporary copy without compression.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;

use super::layers::{FilePart, spool};
use super::layout::Error;
use crate::canon::EntryPath;
use crate::layer::codec::{Expansion, decompress, is_compressed};
use crate::layer::read::{self, MemberKind, Reader};
use crate::store::Store;

/// Most members of an archive.
const MOST_MEMBERS: usize = 100_000;
/// Most bytes of their names and of what links name.
const MOST_TEXT: usize = 64 << 20;

/// A tar, and where each of its files is.
pub(super) struct Archive {
    file: File,
    /// Offset and size, by the member's name.
    members: BTreeMap<String, (u64, u64)>,
}

impl Archive {
    /// Looks through the archive in `file`.
    pub(super) fn read(
        file: File,
        store: &Store,
        limit: Expansion,
        failed: &dyn Fn(std::io::Error) -> Error,
    ) -> Result<Archive, Error> {
        let metadata = file.metadata().map_err(failed)?;
        let mut first = [0; 16];
        let read = file.read_at(&mut first, 0).unwrap_or(0);
        // Of what is no file, as a pipe, nothing can be read twice.
        let is_plain = metadata.is_file() && !is_compressed(&first[..read]);
        if is_plain {
            let members = index(BufReader::with_capacity(256 << 10, &file))?;
            return Ok(Archive { file, members });
        }
        let plain = decompress(file, metadata.len(), limit).map_err(failed)?;
        let (temporary, members) = spool(plain, store, |tar| index(tar))?;
        // Only the open file is needed: the name goes, and with it what a crash could leave.
        let file = temporary.reopen().map_err(failed)?;
        Ok(Archive { file, members })
    }

    /// The content of the file of that clean name.
    pub(super) fn get(&self, name: &str) -> Option<FilePart<'_>> {
        let &(offset, size) = self.members.get(name)?;
        Some(FilePart::new(&self.file, offset, size))
    }
}

/// A name without `.` and with `..` resolved: only a key of the map, never a path of the host.
pub(super) fn clean(name: &[u8]) -> String {
    let path = EntryPath::resolved_in_root(name).unwrap_or_default();
    path.lossy().into_owned()
}

fn index(tar: impl Read) -> Result<BTreeMap<String, (u64, u64)>, Error> {
    let mut reader = Reader::new(tar);
    let mut members = BTreeMap::new();
    let mut links = Vec::new();
    let (mut seen, mut text) = (0, 0);
    while let Some(member) = reader.next_member()? {
        let name = clean(&member.path);
        seen += 1;
        text += name.len();
        match member.kind {
            MemberKind::File => drop(members.insert(name, (member.offset, member.size))),
            // `docker save` writes a layer that two images share once, and links to it.
            MemberKind::Symlink(target) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let target = [folder.as_bytes(), b"/", &target].concat();
                text += target.len();
                links.push((name, clean(&target)));
            }
            MemberKind::Hardlink(target) => {
                text += target.len();
                links.push((name, clean(&target)));
            }
            _ => {}
        }
        if seen > MOST_MEMBERS || text > MOST_TEXT {
            return Err(Error::Archive(read::Error::Unsupported {
                name: "the whole".to_owned(),
                what: format!("of more than {MOST_MEMBERS} members, or {MOST_TEXT} bytes of names"),
            }));
        }
    }
    for (name, target) in links {
        if let Some(place) = members.get(&target).copied() {
            members.insert(name, place);
        }
    }
    Ok(members)
}
