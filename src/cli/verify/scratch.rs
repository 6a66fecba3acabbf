//! The store of a rebuild.
//!
//! In: the caller's store. Out: another, with its blobs and no result of any step; what was built in
//! there, given back.

use std::path::{Path, PathBuf};

use crate::canon::Digest;
use crate::cli::exit::{Code, Failure};
use crate::image::manifest::LARGEST_DOCUMENT;
use crate::image::{Descriptor, Document};
use crate::sandbox::{Session, SessionSettings};
use crate::store::{Store, io_error};

/// A folder with a store.
pub struct Scratch {
    /// Locked, so that no other cairn takes it for abandoned.
    held: (tempfile::TempDir, std::fs::File),
}

impl Scratch {
    /// Beside `store`, on its file system.
    pub fn new(store: &Store) -> Result<Scratch, Failure> {
        let held = store.temporary_folder()?;
        let scratch = Scratch { held };
        let own = Store::open(&scratch.store())?;
        let blobs = store.root().join("blobs/sha256");
        #[expect(clippy::disallowed_methods, reason = "each is put under its own name")]
        let entries = match std::fs::read_dir(&blobs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(scratch),
            Err(error) => return Err(io_error("read", &blobs)(error).into()),
        };
        let into = own.root().join("blobs/sha256");
        std::fs::create_dir_all(&into).map_err(io_error("make", &into))?;
        for entry in entries {
            let entry = entry.map_err(io_error("read", &blobs))?;
            let to = into.join(entry.file_name());
            let linked = std::fs::hard_link(entry.path(), &to);
            let copied = linked.or_else(|_| std::fs::copy(entry.path(), &to).map(drop));
            match copied {
                // Removed meanwhile, as nothing needs it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(io_error("copy to", &to))?,
            }
        }
        Ok(scratch)
    }

    /// All of it.
    pub fn folder(&self) -> &Path {
        self.held.0.path()
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.folder().join("store")
    }

    /// Puts an image that was built there into `store`, nameless.
    pub fn give_back(&self, image: &Descriptor, store: &Store) -> Result<(), Failure> {
        let own = Store::open(&self.store())?;
        let mut documents = vec![image.digest];
        let mut blobs: Vec<Digest> = Vec::new();
        while let Some(document) = documents.pop() {
            let bytes = own.read(&document, LARGEST_DOCUMENT)?;
            let parsed = Document::parse(&bytes);
            match parsed.map_err(|error| Failure::new(Code::Failed, error))? {
                Document::Index(index) => {
                    documents.extend(index.manifests.iter().map(|member| member.digest));
                }
                Document::Manifest(manifest) => {
                    blobs.push(manifest.config.digest);
                    blobs.extend(manifest.layers.iter().map(|layer| layer.digest));
                }
            }
            store.put(&bytes)?;
        }
        for digest in blobs {
            if store.blob(&digest).is_some() {
                continue;
            }
            let blob = own.require_blob(&digest)?;
            let mut writer = store.write_blob()?;
            let mut file = blob.open()?;
            std::io::copy(&mut file, &mut writer).map_err(io_error("copy", blob.path()))?;
            writer.finish_as("a layer of the rebuild", &digest)?;
        }
        Ok(store.name_image(None, image)?)
    }

    /// Removes it, with what other users own in there.
    pub fn remove(self) -> Result<(), Failure> {
        if std::fs::remove_dir_all(self.folder()).is_ok() {
            return Ok(());
        }
        let failed = |error| Failure::new(Code::Failed, error);
        let session = Session::open(&SessionSettings::default()).map_err(failed)?;
        session.remove(self.folder()).map_err(failed)
    }
}
