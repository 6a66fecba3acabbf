//! Owners that a layer's files can't have, beside the layer's folder.
//!
//! In: a session of one user gives owners to files in an attribute; symbolic links, pipes and
//! sockets can have none. Out: they are in a file beside the folder (`FOLDER.links`), JSON, by
//! inode; no file is there where there are none. The inodes that an overlay shows are those of its
//! layers, as all are on one file system.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::error::{Doing as _, Error};
use super::notify::Links;
use super::notify::owner::record::Table;

/// Largest file, in bytes.
const LARGEST: u64 = 64 << 20;

fn beside(folder: &Path) -> PathBuf {
    let mut name = OsString::from(folder);
    name.push(".links");
    PathBuf::from(name)
}

/// Keeps what `folder` can't say.
pub(super) fn write(folder: &Path, links: Table) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    let place = beside(folder);
    let doing = || format!("write `{}`", place.display());
    let links: Links = links.into_iter().collect();
    let text = serde_json::to_vec(&links).map_err(std::io::Error::other);
    std::fs::write(&place, text.doing(doing)?).doing(doing)
}

/// What `folders` can't say.
pub(super) fn read(folders: &[PathBuf]) -> Result<Table, Error> {
    let mut all = Links::new();
    for place in folders.iter().map(|folder| beside(folder)) {
        let doing = || format!("read `{}`", place.display());
        let file = match std::fs::File::open(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.doing(doing)?,
        };
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).doing(doing)?;
        let links: Links = serde_json::from_slice(&text)
            .map_err(std::io::Error::from)
            .doing(doing)?;
        all.extend(links);
    }
    Ok(all.into_iter().collect())
}

/// Forgets what `folder` couldn't say.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    let place = beside(folder);
    match std::fs::remove_file(&place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.doing(|| format!("remove `{}`", place.display())),
    }
}
