//! `unpack`: what archives hold, to a directory of the image.
//!
//! In: files that are tars, plain or compressed. Out: entries of a draft; modes, owners, times,
//! xattrs and hard links as the archive has them.

use std::sync::Arc;

use super::copy::{Metadata, put_all};
use super::{Draft, Error};
use crate::canon::EntryPath;
use crate::inputs::layers::{Unpacked, spool};
use crate::inputs::{Files, Origin};
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
    metadata: Metadata,
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
