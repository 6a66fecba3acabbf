//! `unpack`: what archives hold, to a directory of the image.
//!
//! In: files that are tars, plain or compressed. Out: entries of a draft; modes, owners, times,
//! xattrs and hard links as the archive has them.

use std::io;
use std::sync::Arc;

use super::copy::{Metadata, put_all};
use super::{Draft, Error};
use crate::canon::EntryPath;
use crate::inputs::layers::{Unpacked, spool};
use crate::inputs::{Files, Origin, Pick};
use crate::layer::codec::{Expansion, decompress};
use crate::layer::scan::{self, Purpose, scan};
use crate::layer::{Entry, Kind, Tree};
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
            let archive = open(origin, entry.size(), &name, store, limit)?;
            put_all(draft, &stripped(&archive, &name, strip)?, &place, metadata)?;
        }
    }
    Ok(())
}

fn open(
    origin: &Origin,
    size: u64,
    name: &EntryPath,
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
            crate::layer::read::Error::Header(0) | crate::layer::read::Error::Truncated(_),
        ) => Error::NoArchive(name.clone()),
        source => Error::Archive {
            path: name.clone(),
            source,
        },
    };
    let (temporary, scanned) = spool(plain, store, |tar| {
        scan(tar, Purpose::Archive).map_err(refuse)
    })?;
    if scanned.size == 0 {
        return Err(Error::NoArchive(name.clone()));
    }
    // Only the open file is needed: the name goes, and with it what a crash could leave.
    let file = temporary.reopen().map_err(io)?;
    Ok(Arc::new(Unpacked::new(file, scanned)))
}

/// The archive's entries without the first components of their paths; what has no more than
/// these is left out.
fn stripped(archive: &Arc<Unpacked>, name: &EntryPath, strip: u32) -> Result<Pick, Error> {
    let shorten = |path: &EntryPath| {
        let rest: Vec<_> = path.components().skip(strip as usize).collect();
        let is_kept = strip == 0 || !rest.is_empty();
        is_kept
            .then(|| EntryPath::new(&rest.join(&b'/')))
            .and_then(Result::ok)
    };
    let (mut entries, mut origins) = (Vec::new(), Vec::new());
    for (number, entry) in archive.tree().entries().iter().enumerate() {
        let Some(path) = shorten(&entry.path) else {
            continue;
        };
        let kind = match &entry.kind {
            Kind::Hardlink(target) => match shorten(target) {
                Some(target) => Kind::Hardlink(target),
                None => {
                    let reason =
                        format!("it is a hard link to `{target}`, which `strip` leaves out");
                    let source = io::Error::other(reason);
                    return Err(Error::Io {
                        path: entry.path.clone(),
                        source,
                    });
                }
            },
            kind => kind.clone(),
        };
        let origin = match kind {
            Kind::File { .. } => Origin::Archive(archive.clone(), number as u32),
            _ => Origin::None,
        };
        entries.push((
            Entry {
                path,
                kind,
                meta: entry.meta.clone(),
            },
            origin,
        ));
    }
    entries.sort_by(|(a, _), (b, _)| a.order(b));
    let (entries, all): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    origins.extend(all);
    Ok(Pick {
        name: name.clone(),
        tree: Tree::new(entries)?,
        origins,
    })
}
