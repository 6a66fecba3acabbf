//! The content-addressed store on disk: an OCI image layout that any tool can read
//! (image-spec, image-layout.md) with cairn's caches beside it.
//!
//! In: bytes and their expected digests. Out: verified blobs, records, names of images.
//!
//! ```text
//! oci-layout  index.json  blobs/sha256/HEX     the image layout
//! trees/HEX                                    tables of entries by their digest
//! steps/HEX   layers/HEX.CODEC   chunks/HEX.CODEC   contexts/HEX   sources/HEX
//! builds/HEX                                   what the last build of a recipe was made of
//! snapshots/HEX.tar   snapshots/HEX-USERS/     layers unpacked, by diff ID
//! caches/HEX-USERS/                            what commands keep from build to build
//! logs/HEX                                     what commands wrote, by step key
//! tmp/                                         unfinished writes, each locked by its writer
//! lock                                         shared by everyone at work, exclusive to remove blobs
//! ```
//! What is in `blobs` is written to a temporary file, checked against its digest, synced and
//! renamed; their folder is synced before `index.json` is replaced by one that may name them, and
//! that is written, synced and renamed likewise. Everything outside the image layout is a cache: its records are read with suspicion,
//! and a missing or damaged one is a miss, so they are not synced.

mod batch;
mod blob;
mod cache;
mod lock;
mod log;
mod record;
mod refs;
pub mod snapshot;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use batch::{Batch, BatchWriter};
pub use blob::{Blob, BlobWriter, Verified};
pub use cache::{Cache, Kept, Sharing};
pub(crate) use lock::bare;
pub use log::Logged;
pub use record::Kind as RecordKind;
pub use refs::Named;

use crate::canon::Digest;

/// The store.
#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    /// Whether large blobs are read again, too, before they are taken for whole.
    is_thorough: bool,
    /// Held as long as any clone of this value lives.
    _lock: std::sync::Arc<Option<File>>,
}

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("can't {action} `{}`: {source}{}", path.display(), way_out(source))]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Bytes that are not what their name says.
    #[error("{what} is not what its digest says\n  expected {expected}\n  got      {got}")]
    DigestMismatch {
        /// What was read.
        what: String,
        /// The digest that it was asked by.
        expected: Digest,
        /// The digest that it has.
        got: Digest,
    },
    /// A size other than the one announced.
    #[error("{what} has {got} bytes where {expected} were announced")]
    SizeMismatch {
        /// What was read.
        what: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes got, or more.
        got: u64,
    },
    /// Something that isn't there.
    #[error("the store has no {0}")]
    Missing(String),
    /// A document larger than any should be.
    #[error("{0} is larger than {1} bytes")]
    TooLarge(String, u64),
    /// `index.json` can't be understood.
    #[error(
        "`index.json` of the store can't be read: {0}\nhint: move it away: images lose their names, and building or pulling again gives them back"
    )]
    Index(serde_json::Error),
    /// A record could not be put into JSON.
    #[error(transparent)]
    Json(#[from] crate::canon::json::Error),
}

/// What can be done when the file system says no.
fn way_out(error: &io::Error) -> &'static str {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "\nhint: free some space there; `--store` or CAIRN_HOME names another place for the store"
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "\nhint: see that you may; `--store` or CAIRN_HOME names another place for the store"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "\nhint: the store is a folder: name one with `--store` or CAIRN_HOME"
        }
        _ => "",
    }
}

/// `map_err` for file-system errors, with what was done to which path.
pub(crate) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

const FOLDERS: [&str; 12] = [
    "blobs/sha256",
    "trees",
    "steps",
    "layers",
    "chunks",
    "contexts",
    "sources",
    "builds",
    "snapshots",
    "caches",
    "logs",
    "tmp",
];

/// Those of them that hold files as images have them. A set-user-ID program of an image would make
/// whoever reaches it the store's owner, whatever the umask was.
const PRIVATE: [&str; 3] = ["snapshots", "caches", "tmp"];

impl Store {
    /// Opens the store at `root`, and makes it where nothing is yet. Waits while another process
    /// removes blobs.
    pub fn open(root: &Path) -> Result<Store, Error> {
        for folder in FOLDERS {
            let path = root.join(folder);
            if !path.is_dir() {
                std::fs::create_dir_all(&path).map_err(io_error("make", &path))?;
                // The store's own folder is synced with the marker below.
                if folder.starts_with("blobs") {
                    sync_folder(&root.join("blobs"))?;
                }
            }
        }
        for folder in PRIVATE {
            make_private(&root.join(folder))?;
        }
        let lock = lock::shared(&root.join("lock"))?;
        let store = Store {
            is_thorough: false,
            root: root.to_owned(),
            _lock: std::sync::Arc::new(lock),
        };
        let marker = root.join("oci-layout");
        if !marker.exists() {
            store.replace(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        lock::remove_abandoned(&root.join("tmp"));
        Ok(store)
    }

    /// Opens the store at `root` to look at it: nothing is made, a missing store is an empty one.
    pub fn open_to_read(root: &Path) -> Store {
        let lock = lock::shared(&root.join("lock")).ok().flatten();
        Store {
            is_thorough: false,
            root: root.to_owned(),
            _lock: std::sync::Arc::new(lock),
        }
    }

    /// The same store without its lock, for somebody who is at work with it now and then.
    pub fn released(self) -> Store {
        Store {
            _lock: std::sync::Arc::default(),
            ..self
        }
    }

    /// The same store with a lock of its own, as [`Store::open`] gives it.
    pub fn held(&self) -> Result<Store, Error> {
        let lock = lock::shared(&self.root.join("lock"))?;
        Ok(Store {
            _lock: std::sync::Arc::new(lock),
            ..self.clone()
        })
    }

    /// Where the store is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An unfinished file in the store's file system; it is gone when the value is dropped.
    pub fn temporary(&self) -> Result<tempfile::NamedTempFile, Error> {
        lock::temporary(&self.root.join("tmp"))
    }

    /// As [`Store::temporary`], a folder; both values are to be kept as long as it is needed.
    pub fn temporary_folder(&self) -> Result<(tempfile::TempDir, File), Error> {
        lock::temporary_folder(&self.root.join("tmp"))
    }

    /// Writes a small file so that a crash leaves the old or the new one.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.temporary()?;
        io::Write::write_all(&mut file, bytes).map_err(io_error("write", file.path()))?;
        file.as_file()
            .sync_data()
            .map_err(io_error("sync", file.path()))?;
        publish(file, path)?;
        sync_folder(path.parent().unwrap_or(path))
    }
}

/// Renames a finished file to where it is looked for.
pub(crate) fn publish(file: tempfile::NamedTempFile, path: &Path) -> Result<(), Error> {
    file.persist(path)
        .map(drop)
        .map_err(|error| io_error("write", path)(error.error))
}

/// Makes a folder that becomes somebody's root, with the mode 0755: neither the caller's umask nor
/// access lists that the store's folder hands down (acl(5)) may be seen in there.
pub(crate) fn make_root(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir(folder).map_err(io_error("make", folder))?;
    for list in ["system.posix_acl_default", "system.posix_acl_access"] {
        match rustix::fs::removexattr(folder, list) {
            Ok(()) | Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(io_error("make", folder)(error.into())),
        }
    }
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, mode).map_err(io_error("make", folder))
}

/// Keeps all but the owner out of a folder.
fn make_private(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = folder.metadata().map_err(io_error("read", folder))?;
    if meta.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)) {
        // Nothing is put there then, either.
        // Nor may another owner's store be written to.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        other => other.map_err(io_error("close to others", folder)),
    }
}

/// Syncs a folder, so that what was renamed or made in it survives a crash.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("sync", folder))
}
