//! A change to a layer in the store.
//!
//! In: a [`Change`], and what the layer was the last time. Out: a [`Layer`] whose blob is in the
//! store, made of what was read, hashed and compressed before wherever the store still has it.

use serde::{Deserialize, Serialize};

use super::{Change, Error};
use crate::canon::event::Work;
use crate::canon::{DiffId, Digest, TreeDigest};
use crate::image::Descriptor;
use crate::inputs::Layer;
use crate::layer::chunk::{ChunkPlace, Compressed, KnownChunks};
use crate::layer::pack::{self, Packed, Packing, pack};
use crate::layer::reuse::{PackedBlob, Previous};
use crate::layer::{Codec, Tree, tar};
use crate::store::{Blob, RecordKind, Store};

/// A layer's blob, by the layer's table and codec.
#[derive(Serialize, Deserialize)]
struct LayerRecord {
    diff_id: DiffId,
    digest: Digest,
    size: u64,
}

/// Where a chunk's compressed bytes are, by its key and codec.
#[derive(Serialize, Deserialize)]
struct ChunkRecord {
    blob: Digest,
    place: ChunkPlace,
}

/// All chunks of a layer's blob, by the layer's table and codec.
#[derive(Serialize, Deserialize)]
struct ChunksRecord {
    blob: Digest,
    places: Vec<ChunkPlace>,
}

/// A layer that was packed before.
struct Last {
    blob: StoredBlob,
    tree: Tree,
    chunks: Vec<ChunkPlace>,
}

/// Where and how a layer is packed.
pub struct Packer<'a> {
    /// The store.
    pub store: &'a Store,
    /// How blobs are compressed.
    pub codec: Codec,
    /// Threads that compress.
    pub threads: usize,
    /// Hears how much is done.
    pub work: &'a Work,
}

/// The layer of that table, where the store has its blob in that codec.
pub fn find(store: &Store, tree: &TreeDigest, codec: Codec) -> Option<Layer> {
    let record: LayerRecord = store.record(RecordKind::Layer, &tree.0, &suffix(codec))?;
    store
        .blob(&record.digest)
        .filter(|blob| blob.size == record.size)?;
    Some(layer(&record, *tree, codec))
}

impl Packer<'_> {
    /// Packs `change`. `slot` names what stays the same when the step's
    /// inputs change, and so finds the layer that it made the last time.
    pub fn pack(&self, change: &Change, slot: &Digest) -> Result<Layer, Error> {
        let (tree, last) = rayon::join(|| self.store.put_tree(&change.tree), || self.last(slot));
        let tree = tree?;
        let layer = match find(self.store, &tree, self.codec) {
            Some(layer) => layer,
            None => self.pack_anew(change, tree, last)?,
        };
        self.store
            .put_record(RecordKind::Step, slot, ".last", &tree)?;
        Ok(layer)
    }

    /// Packs `change` although the store may have its layer, which may be damaged.
    pub fn pack_again(&self, change: &Change) -> Result<Layer, Error> {
        let tree = self.store.put_tree(&change.tree)?;
        self.pack_anew(change, tree, None)
    }

    /// Packs a change whose table can't say yet what its contents are: it learns that while it
    /// reads them.
    pub fn pack_unread(&self, change: Change, slot: &Digest) -> Result<Layer, Error> {
        let (packed, blob) = self.write(&change, None)?;
        let tree = self.store.put_tree(&learnt(change))?;
        let layer = self.record(packed, &blob, tree)?;
        self.store
            .put_record(RecordKind::Step, slot, ".last", &tree)?;
        Ok(layer)
    }

    fn pack_anew(
        &self,
        change: &Change,
        tree: TreeDigest,
        last: Option<Last>,
    ) -> Result<Layer, Error> {
        let previous = last.as_ref().map(|last| Previous {
            tree: &last.tree,
            chunks: &last.chunks,
            blob: &last.blob,
        });
        let (packed, blob) = match self.write(change, previous.as_ref()) {
            // What it was made of went away in the meantime.
            Err(Error::Pack(pack::Error::Previous)) => self.write(change, None)?,
            other => other?,
        };
        self.record(packed, &blob, tree)
    }

    fn record(&self, packed: Packed, blob: &Blob, tree: TreeDigest) -> Result<Layer, Error> {
        let record = LayerRecord {
            diff_id: packed.diff_id,
            digest: blob.digest,
            size: blob.size,
        };
        self.write_chunk_records(packed, blob.digest, &tree)?;
        self.store
            .put_record(RecordKind::Layer, &tree.0, &suffix(self.codec), &record)?;
        Ok(layer(&record, tree, self.codec))
    }

    /// Whether a layer was packed in that slot before.
    pub fn has_last(&self, slot: &Digest) -> bool {
        let last: Option<TreeDigest> = self.store.record(RecordKind::Step, slot, ".last");
        last.is_some()
    }

    fn write(&self, change: &Change, previous: Option<&Previous>) -> Result<(Packed, Blob), Error> {
        let total = change.tree.entries().iter().map(tar::size_of).sum();
        let known = StoredChunks {
            store: self.store,
            codec: self.codec,
        };
        let packing = Packing {
            codec: self.codec,
            known: &known,
            previous,
            threads: self.threads,
            moved: &|bytes| self.work.progress(bytes, Some(total)),
        };
        let mut writer = self.store.write_blob()?;
        let packed = pack(&change.tree, &change.origins, &packing, &mut writer)?;
        Ok((packed, writer.finish()?))
    }

    /// The layer that was in the slot.
    fn last(&self, slot: &Digest) -> Option<Last> {
        let tree: TreeDigest = self.store.record(RecordKind::Step, slot, ".last")?;
        let chunks: ChunksRecord =
            self.store
                .record(RecordKind::Layer, &tree.0, &chunks_suffix(self.codec))?;
        let blob = StoredBlob(self.store.blob(&chunks.blob)?);
        let tree = self.store.tree(&tree)?;
        Some(Last {
            blob,
            tree,
            chunks: chunks.places,
        })
    }

    fn write_chunk_records(
        &self,
        packed: Packed,
        blob: Digest,
        tree: &TreeDigest,
    ) -> Result<(), Error> {
        // Without compression there is nothing to look up.
        if self.codec != Codec::None {
            for place in packed.chunks.iter().filter(|place| place.is_new) {
                let record = ChunkRecord {
                    blob,
                    place: place.clone(),
                };
                self.store.put_record(
                    RecordKind::Chunk,
                    &place.key,
                    &suffix(self.codec),
                    &record,
                )?;
            }
        }
        let record = ChunksRecord {
            blob,
            places: packed.chunks,
        };
        Ok(self.store.put_record(
            RecordKind::Layer,
            &tree.0,
            &chunks_suffix(self.codec),
            &record,
        )?)
    }
}

/// The table of a change with what was learnt of its contents.
fn learnt(change: Change) -> Tree {
    let mut tree = change.tree;
    for (digest, origin) in tree.digests_mut().zip(&change.origins) {
        if let (Some(digest), Some(learnt)) = (digest, origin.learnt()) {
            *digest = learnt;
        }
    }
    tree
}

fn layer(record: &LayerRecord, tree: TreeDigest, codec: Codec) -> Layer {
    Layer {
        diff_id: record.diff_id,
        descriptor: Descriptor::new(codec.media_type(), record.digest, record.size),
        tree: Some(tree),
    }
}

fn suffix(codec: Codec) -> String {
    format!(".{}", codec.name())
}

fn chunks_suffix(codec: Codec) -> String {
    format!(".{}.chunks", codec.name())
}

struct StoredChunks<'a> {
    store: &'a Store,
    codec: Codec,
}

impl KnownChunks for StoredChunks<'_> {
    fn get(&self, key: &Digest) -> Option<Compressed> {
        if self.codec == Codec::None {
            return None;
        }
        let record: ChunkRecord = self
            .store
            .record(RecordKind::Chunk, key, &suffix(self.codec))?;
        let bytes = StoredBlob(self.store.blob(&record.blob)?).chunk(&record.place)?;
        let ChunkPlace { raw_size, crc, .. } = record.place;
        Some(Compressed {
            key: *key,
            raw_size,
            crc,
            bytes,
            is_new: false,
        })
    }
}

struct StoredBlob(Blob);

impl PackedBlob for StoredBlob {
    fn chunk(&self, place: &ChunkPlace) -> Option<Vec<u8>> {
        if place.offset.checked_add(place.size)? > self.0.size {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(place.size).ok()?];
        let file = self.0.open().ok()?;
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, place.offset).ok()?;
        (crc32fast::hash(&bytes) == place.check).then_some(bytes)
    }
}
