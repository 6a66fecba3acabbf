//! An image as an OCI image layout in a folder.
//!
//! In: an image of the store, its names, a folder. Out: the layout; what is there already by its
//! digest stays, and `index.json` is replaced last.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Error, OCI_LAYOUT, blobs, copy_checked, layout_index};
use crate::canon::digest::Hashed;
use crate::canon::{Reference, json};
use crate::image::Descriptor;
use crate::store::{Blob, Store};

/// Writes the image.
pub fn write(
    store: &Store,
    descriptor: &Descriptor,
    names: &[Reference],
    folder: &Path,
) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    let target = folder.join("blobs/sha256");
    std::fs::create_dir_all(&target).map_err(failed(&target))?;
    for (digest, blob) in blobs(store, descriptor)? {
        let path = target.join(digest.hex());
        if is_there(&path, &blob) {
            continue;
        }
        let mut damaged = None;
        put(&path, |file| {
            match copy_checked(&blob, |from| io::copy(from, file).map(drop)) {
                Ok(copied) => copied,
                Err(error) => {
                    damaged = Some(error);
                    Err(io::ErrorKind::Other.into())
                }
            }
        })
        .map_err(|error| damaged.unwrap_or_else(|| failed(&path)(error)))?;
    }
    let index = json::to_vec(&layout_index(descriptor, names))?;
    for (name, bytes) in [("oci-layout", OCI_LAYOUT), ("index.json", &index)] {
        let path = folder.join(name);
        put(&path, |file| io::Write::write_all(file, bytes)).map_err(failed(&path))?;
    }
    Ok(())
}

/// Whether a file holds that blob.
fn is_there(path: &Path, blob: &Blob) -> bool {
    let metadata = std::fs::symlink_metadata(path);
    metadata.is_ok_and(|there| there.is_file() && there.len() == blob.size)
        && std::fs::File::open(path).is_ok_and(|file| {
            let mut file = Hashed::new(file);
            io::copy(&mut file, &mut io::sink()).is_ok() && file.finish().0 == blob.digest
        })
}

/// Files that [`put`] has begun and not ended.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes what [`put`] has begun and not ended, and lets nothing begin: for a process that is told
/// to end.
pub fn remove_unfinished() {
    let mut unfinished = unfinished();
    for path in std::mem::take(&mut *unfinished) {
        // It may just have been finished.
        let _ = std::fs::remove_file(path);
    }
    std::mem::forget(unfinished);
}

fn unfinished() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a file whole or not at all. Of a link the file that it names is replaced; a device, a
/// pipe or a socket is written to as it is.
pub fn put(path: &Path, fill: impl FnOnce(&mut std::fs::File) -> io::Result<()>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fill(&mut std::fs::File::options().write(true).open(path)?);
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // As for any new file, the umask takes from this what it takes.
    builder.permissions(std::fs::Permissions::from_mode(0o666));
    let (mut file, temporary) = {
        // Held while it is made, so that no file is there that isn't known to be.
        let mut unfinished = unfinished();
        let file = builder
            .tempfile_in(parent.unwrap_or(Path::new(".")))
            .map_err(crate::store::bare)?;
        let temporary = file.path().to_owned();
        unfinished.insert(temporary.clone());
        (file, temporary)
    };
    let filled = fill(file.as_file_mut());
    let finished = filled.and_then(|()| file.persist(path).map(drop).map_err(|error| error.error));
    unfinished().remove(&temporary);
    finished
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn links_and_pipes_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        put(&at("link"), |file| file.write_all(b"new")).unwrap();
        assert!(std::fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo, mode, 0).unwrap();
        let pipe = at("pipe");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            std::fs::File::open(pipe)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        put(&at("pipe"), |file| file.write_all(b"through")).unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(put(folder.path(), |_| Ok(())).is_err());
    }
}
