//! Layers to build on, and what is in them.
//!
//! In: layers by diff ID and blob, in the store. Out: [`Stack`], whose tables are read only when
//! somebody asks what is in them, and [`LayerContent`], the content of single files.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::canon::digest::{Hashed, Hasher};
use crate::canon::path::{escape, unescape};
use crate::canon::{DiffId, EntryPath, TreeDigest};
use crate::image::Descriptor;
use crate::layer::codec::{Expansion, decompress};
use crate::layer::scan::{self, Purpose, Scanned, scan};
use crate::layer::{Rootfs, Tree};
use crate::store::{RecordKind, Store};

/// A layer whose blob is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Of its tar.
    pub diff_id: DiffId,
    /// Its blob, as a manifest names it.
    pub descriptor: Descriptor,
    /// Its table, where it is known.
    pub tree: Option<TreeDigest>,
}

/// What is in a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its entries.
    pub tree: Tree,
    /// Its opaque directories; none in layers that cairn made.
    pub opaque: Vec<EntryPath>,
}

/// Layers, bottom first.
#[derive(Clone, Default)]
pub struct Stack {
    layers: Vec<Arc<Layer>>,
    /// Of all clones of this value.
    rootfs: Arc<OnceLock<Arc<Rootfs>>>,
    /// The lowest layers as one file system, where that was known when those above came.
    below: Option<Arc<Rootfs>>,
}

/// Why a layer can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The blob under it.
    #[error("layer {digest} can't be read: {source}")]
    Io {
        /// Of the blob.
        digest: crate::canon::Digest,
        /// Why.
        source: io::Error,
    },
    /// The archive in it.
    #[error("layer {digest} is refused: {source}")]
    Scan {
        /// Of the blob.
        digest: crate::canon::Digest,
        /// Why.
        source: scan::Error,
    },
    /// It is not what the config says.
    #[error(
        "layer {digest} is not what the image's config says\n  diff ID in the config {expected}\n  of the layer          {got}"
    )]
    DiffId {
        /// Of the blob.
        digest: crate::canon::Digest,
        /// As the config has it.
        expected: DiffId,
        /// As it is.
        got: DiffId,
    },
}

/// A table as a record has it.
#[derive(Serialize, Deserialize)]
struct TableRecord {
    tree: TreeDigest,
    opaque: Vec<String>,
}

impl Stack {
    /// A stack of `layers`, bottom first.
    pub fn new(layers: Vec<Layer>) -> Stack {
        Stack {
            layers: layers.into_iter().map(Arc::new).collect(),
            ..Stack::default()
        }
    }

    /// This stack with one layer more on top.
    pub fn with(&self, layer: Layer) -> Stack {
        let mut layers = self.layers.clone();
        layers.push(Arc::new(layer));
        Stack {
            layers,
            rootfs: Arc::default(),
            below: self.rootfs.get().or(self.below.as_ref()).cloned(),
        }
    }

    /// The layers, bottom first.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// The layers as one file system, read when first asked for.
    pub fn rootfs(&self, store: &Store, limit: Expansion) -> Result<Arc<Rootfs>, Error> {
        if let Some(rootfs) = self.rootfs.get() {
            return Ok(rootfs.clone());
        }
        let mut rootfs = self.below.as_deref().cloned().unwrap_or_default();
        for layer in self.layers.iter().skip(rootfs.layers()) {
            let table = layer.table(store, limit)?;
            rootfs.push(&table.tree, &table.opaque);
        }
        Ok(self.rootfs.get_or_init(|| Arc::new(rootfs)).clone())
    }
}

impl Layer {
    /// What is in it: from the store's records, else from the blob.
    pub fn table(&self, store: &Store, limit: Expansion) -> Result<Table, Error> {
        if let Some(tree) = self.tree.and_then(|digest| store.tree(&digest)) {
            return Ok(Table {
                tree,
                opaque: Vec::new(),
            });
        }
        if self.is_checked(store)
            && let Some(table) = self.recorded_table(store)
        {
            return Ok(table);
        }
        let scanned = self.plain(store, limit).and_then(|plain| self.scan(plain));
        let Scanned { tree, opaque, .. } = scanned.map_err(|error| self.traced(store, error))?;
        self.put_checked(store)?;
        let record = TableRecord {
            tree: store.put_tree(&tree)?,
            opaque: opaque.iter().map(|path| escape(path.as_bytes())).collect(),
        };
        store.put_record(RecordKind::Source, &self.diff_id.0, ".table", &record)?;
        Ok(Table { tree, opaque })
    }

    /// Checks, once for each blob, that the blob is the layer that the config says: everything
    /// else goes by the diff ID alone, and an honest image's results must not serve a false one.
    pub fn check(&self, store: &Store, limit: Expansion) -> Result<(), Error> {
        if self.tree.is_some() || self.is_checked(store) {
            return Ok(());
        }
        self.check_anew(store, limit)
            .map_err(|error| self.traced(store, error))?;
        self.put_checked(store)
    }

    fn check_anew(&self, store: &Store, limit: Expansion) -> Result<(), Error> {
        let mut plain = self.plain(store, limit)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match plain.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io(error)),
            }
        }
        self.must_be(DiffId(hasher.finish()))
    }

    /// Gives its tar to `take`, and checks that what was taken is this layer.
    pub fn give<E: From<Error>>(
        &self,
        store: &Store,
        limit: Expansion,
        take: impl FnOnce(&mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tar = Hashed::new(self.plain(store, limit)?);
        let taken = take(&mut tar);
        let copied = match &taken {
            Ok(()) => io::copy(&mut tar, &mut io::sink()).map(drop),
            Err(_) => Ok(()),
        };
        let checked = copied.map_err(|source| self.io(source)).and_then(|()| {
            taken.as_ref().map_or(Ok(()), |()| {
                let (digest, _) = tar.finish();
                self.must_be(DiffId(digest))
            })
        });
        checked.map_err(|error| self.traced(store, error))?;
        taken
    }

    /// What is at the bottom of an error of reading: where the store's blob is not what its digest
    /// says, nobody else is to blame.
    fn traced(&self, store: &Store, error: Error) -> Error {
        let checked = store.blob(&self.descriptor.digest).map(|blob| blob.check());
        match checked {
            Some(Err(damaged)) => Error::Store(damaged),
            _ => error,
        }
    }

    /// Its tar. A layer that cairn made is no bomb, whatever was put into it.
    fn plain(&self, store: &Store, limit: Expansion) -> Result<Box<dyn Read>, Error> {
        let limit = match self.tree {
            Some(_) => Expansion::UNLIMITED,
            None => limit,
        };
        let blob = store.require_blob(&self.descriptor.digest)?;
        decompress(blob.open()?, blob.size, limit).map_err(|source| self.io(source))
    }

    fn is_checked(&self, store: &Store) -> bool {
        let digest = &self.descriptor.digest;
        store.record(RecordKind::Source, digest, ".diff-id") == Some(self.diff_id)
    }

    fn put_checked(&self, store: &Store) -> Result<(), Error> {
        let digest = &self.descriptor.digest;
        Ok(store.put_record(RecordKind::Source, digest, ".diff-id", &self.diff_id)?)
    }

    fn must_be(&self, got: DiffId) -> Result<(), Error> {
        if got == self.diff_id {
            return Ok(());
        }
        Err(Error::DiffId {
            digest: self.descriptor.digest,
            expected: self.diff_id,
            got,
        })
    }

    fn recorded_table(&self, store: &Store) -> Option<Table> {
        let record: TableRecord = store.record(RecordKind::Source, &self.diff_id.0, ".table")?;
        let path = |text: &String| EntryPath::new(&unescape(text)?).ok();
        let opaque = record.opaque.iter().map(path).collect::<Option<_>>()?;
        Some(Table {
            tree: store.tree(&record.tree)?,
            opaque,
        })
    }

    /// Reads a tar and checks that it is this layer's.
    fn scan(&self, tar: impl Read) -> Result<Scanned, Error> {
        let digest = self.descriptor.digest;
        let scanned = scan(tar, Purpose::Layer).map_err(|source| Error::Scan { digest, source })?;
        self.must_be(scanned.diff_id)?;
        Ok(scanned)
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io {
            digest: self.descriptor.digest,
            source,
        }
    }
}

/// Gives the content of a layer's files, unpacking the layer when the first is asked for.
pub struct LayerContent {
    layer: Arc<Layer>,
    store: Store,
    limit: Expansion,
    unpacked: OnceLock<Unpacked>,
}

impl LayerContent {
    /// The content of `layer`.
    pub fn new(layer: Arc<Layer>, store: &Store, limit: Expansion) -> LayerContent {
        LayerContent {
            layer,
            store: store.clone(),
            limit,
            unpacked: OnceLock::new(),
        }
    }

    /// Opens the content of the entry of that number in the layer's table.
    pub fn open(&self, entry: u32) -> io::Result<impl Read + '_> {
        let unpacked = match self.unpacked.get() {
            Some(unpacked) => unpacked,
            None => {
                let unpacked = self.unpack().map_err(io::Error::other)?;
                self.unpacked.get_or_init(|| unpacked)
            }
        };
        unpacked.open(entry)
    }

    /// Takes the layer's snapshot, if it is there and right, or makes it.
    fn unpack(&self) -> Result<Unpacked, Error> {
        let path = self.store.snapshot_path(&self.layer.diff_id);
        if let Ok(file) = File::open(&path) {
            let scanned = self
                .layer
                .scan(io::BufReader::with_capacity(256 << 10, &file));
            if let Ok(scanned) = scanned {
                return Ok(Unpacked::new(file, scanned));
            }
        }
        let plain = self.layer.plain(&self.store, self.limit);
        let (temporary, scanned) = plain
            .and_then(|plain| spool(plain, &self.store, |tar| self.layer.scan(tar)))
            .map_err(|error| self.layer.traced(&self.store, error))?;
        let file = temporary.reopen().map_err(|source| self.layer.io(source))?;
        crate::store::publish(temporary, &path)?;
        Ok(Unpacked::new(file, scanned))
    }
}

/// Copies a stream into a temporary file while `scan` looks at it.
pub fn spool<T, E: From<crate::store::Error>>(
    plain: impl Read,
    store: &Store,
    scan: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<(tempfile::NamedTempFile, T), E> {
    let mut temporary = store.temporary()?;
    let (scanned, copied) = {
        let mut tee = Tee {
            source: plain,
            copy: io::BufWriter::with_capacity(256 << 10, temporary.as_file_mut()),
            failed: None,
        };
        let scanned = scan(&mut tee);
        let copied = match tee.failed.take() {
            Some(error) => Err(error),
            None => io::Write::flush(&mut tee.copy),
        };
        (scanned, copied)
    };
    // A full disk is no fault of the archive's, though the scan ends with it.
    copied.map_err(crate::store::io_error("write", temporary.path()))?;
    Ok((temporary, scanned?))
}

struct Tee<R, W: io::Write> {
    source: R,
    copy: W,
    /// Why there is no copy.
    failed: Option<io::Error>,
}

impl<R: Read, W: io::Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        if let Err(error) = self.copy.write_all(&buffer[..read]) {
            let kind = error.kind();
            self.failed = Some(error);
            return Err(kind.into());
        }
        Ok(read)
    }
}

/// A tar in a file, with the places of its content.
pub struct Unpacked {
    file: File,
    scanned: Scanned,
}

impl Unpacked {
    /// `scanned` is of what `file` holds.
    pub fn new(file: File, scanned: Scanned) -> Unpacked {
        Unpacked { file, scanned }
    }

    /// Its entries.
    pub fn tree(&self) -> &Tree {
        &self.scanned.tree
    }

    /// Opens the content of the entry of that number.
    pub fn open(&self, entry: u32) -> io::Result<FilePart<'_>> {
        let index = entry as usize;
        let found = self
            .scanned
            .tree
            .entries()
            .get(index)
            .zip(self.scanned.offsets.get(index));
        let (entry, &offset) = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(FilePart::new(&self.file, offset, entry.size()))
    }
}

/// A part of a file; several may be read at a time.
pub struct FilePart<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl FilePart<'_> {
    /// The `size` bytes of `file` from `offset` on.
    pub fn new(file: &File, offset: u64, size: u64) -> FilePart<'_> {
        let (at, left) = (offset, size);
        FilePart { file, at, left }
    }
}

impl Read for FilePart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = self.left.min(buffer.len() as u64) as usize;
        let read = std::os::unix::fs::FileExt::read_at(self.file, &mut buffer[..want], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;
    use crate::layer::{Entry, Kind, Meta};

    #[test]
    fn what_is_known_of_lower_layers_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = |number: u8, removed: &str| {
            let entry = |path: &str, kind| Entry {
                path: EntryPath::new(path.as_bytes()).unwrap(),
                kind,
                meta: Meta::plain(0o755, 0),
            };
            let mut entries = vec![entry(&format!("only{number}"), Kind::Directory)];
            entries.push(entry("all", Kind::Symlink([number].into())));
            if !removed.is_empty() {
                entries.push(Entry::whiteout(entry(removed, Kind::Fifo).path));
            }
            let digest = Digest::of(&[number]);
            Layer {
                diff_id: DiffId(digest),
                descriptor: Descriptor::new("", digest, 0),
                tree: Some(store.put_tree(&Tree::new(entries).unwrap()).unwrap()),
            }
        };
        let layers = [layer(1, ""), layer(2, "only1"), layer(3, "only2")];
        let whole = Stack::new(layers.to_vec());
        let whole = whole.rootfs(&store, Expansion::UNLIMITED).unwrap();
        let [first, second, third] = layers;
        let lowest = first.tree.unwrap();
        let stack = Stack::new(vec![first]);
        stack.rootfs(&store, Expansion::UNLIMITED).unwrap();
        std::fs::remove_file(folder.path().join("trees").join(lowest.0.hex())).unwrap();
        let stack = stack.with(second).with(third);
        assert_eq!(stack.rootfs(&store, Expansion::UNLIMITED).unwrap(), whole);
    }
}
