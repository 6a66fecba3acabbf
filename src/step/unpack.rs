//! `unpack`: what archives hold, to a directory of the image.
//!
//! In: files that are tars, plain or compressed. Out: entries of a draft; modes, owners, times,
//! xattrs and hard links as the archive has them.

use std::sync::Arc;

use super::copy::{Metadata, put_all};
use super::{Draft, Error};
use crate::canon::EntryPath;
use crate::inputs::layers::{Unpacked, spool};
use crate::inputs::{Files, Origin, Pick};
use crate::layer::codec::{Expansion, decompress};
use crate::layer::read;
use crate::layer::scan::{self, Purpose, scan};
use crate::layer::{Entry, Kind};
use crate::plan::step::Destination;
use crate::store::Store;

/// Unpacks each of `files` into `to`, dropping `strip` leading components of its paths.
pub fn unpack(
    draft: &mut Draft,
    files: &Files,
    to: &Destination,
    strip: u32,
    metadata: &Metadata,
    store: &Store,
    limit: Expansion,
) -> Result<(), Error> {
    let place = draft.place(&to.path)?;
    let meta = draft.plain_directory();
    draft.make_directory(&place, meta)?;
    for pick in &files.picks {
        let is_file = |(entry, _): &(&Entry, &Origin)| matches!(entry.kind, Kind::File { .. });
        let members = pick
            .tree
            .entries()
            .iter()
            .zip(&pick.origins)
            .filter(is_file);
        for (entry, origin) in members {
            let name = pick
                .name
                .join(&entry.path)
                .unwrap_or_else(|_| pick.name.clone());
            let archive = open(origin, entry.size(), &name, strip, store, limit)?;
            let origin = |number, entry: &Entry| match entry.kind {
                Kind::File { .. } => Origin::Archive(archive.clone(), number),
                _ => Origin::None,
            };
            put_all(draft, archive.tree(), origin, &place, metadata)?;
        }
    }
    Ok(())
}

/// Unpacks those of the sources of a copy that are archives (`ADD`, Dockerfile reference, "Adding
/// local tar archives").
pub struct Unpacker<'a> {
    /// Where the content of archives is kept meanwhile.
    pub store: &'a Store,
    /// How far they may expand.
    pub limit: Expansion,
}

impl Unpacker<'_> {
    /// Unpacks `pick` into `place`, if it is an archive: its first header tells. What is in the
    /// way of a member is replaced.
    pub(super) fn unpack(
        &self,
        draft: &mut Draft,
        pick: &Pick,
        place: &EntryPath,
        metadata: &Metadata,
    ) -> Result<bool, Error> {
        let entries = pick.tree.entries();
        let (Some(Entry { kind, .. }), Some(origin)) = (entries.first(), pick.origins.first())
        else {
            return Ok(false);
        };
        let Kind::File { size, .. } = *kind else {
            return Ok(false);
        };
        let io = |source| Error::Io {
            path: pick.name.clone(),
            source,
        };
        if !self.is_archive(origin.open().map_err(io)?, size) {
            return Ok(false);
        }
        let archive = open(origin, size, &pick.name, 0, self.store, self.limit)?;
        let origin = |number, entry: &Entry| match entry.kind {
            Kind::File { .. } => Origin::Archive(archive.clone(), number),
            _ => Origin::None,
        };
        let meta = draft.plain_directory();
        draft.make_directory(place, meta)?;
        let metadata = Metadata {
            mode: None,
            owner: metadata.owner,
        };
        draft.set_replaces(true);
        let put = put_all(draft, archive.tree(), origin, place, &metadata);
        draft.set_replaces(false);
        put.map(|()| true)
    }

    /// Whether it begins with the header of a member, once it is expanded.
    fn is_archive(&self, content: impl std::io::Read, size: u64) -> bool {
        let Ok(plain) = decompress(content, size, self.limit) else {
            return false;
        };
        matches!(read::Reader::new(plain).next_member(), Ok(Some(_)))
    }
}

fn open(
    origin: &Origin,
    size: u64,
    name: &EntryPath,
    strip: u32,
    store: &Store,
    limit: Expansion,
) -> Result<Arc<Unpacked>, Error> {
    let io = |source| Error::Io {
        path: name.clone(),
        source,
    };
    let plain = decompress(origin.open().map_err(io)?, size, limit).map_err(io)?;
    let refuse = |source| match source {
        scan::Error::Read(
            read::Error::Header(0) | read::Error::LoneZeroBlock(0) | read::Error::Truncated(_),
        ) => Error::NoArchive(name.clone()),
        source => Error::Archive {
            path: name.clone(),
            source,
        },
    };
    let (temporary, scanned) = spool(plain, store, |tar| {
        scan(tar, Purpose::Archive { strip }).map_err(refuse)
    })?;
    if scanned.size == 0 {
        return Err(Error::NoArchive(name.clone()));
    }
    // Only the open file is needed: the name goes, and with it what a crash could leave.
    let file = temporary.reopen().map_err(io)?;
    Ok(Arc::new(Unpacked::new(file, scanned)))
}
