//! A change to a layer in the store.
//!
//! In: a [`Change`]. Out: a [`Layer`] whose blob is in the store, made of chunks that were
//! compressed before wherever the store still has them.

use serde::{Deserialize, Serialize};

use super::{Change, Error};
use crate::canon::event::Work;
use crate::canon::{DiffId, Digest, TreeDigest};
use crate::image::Descriptor;
use crate::inputs::Layer;
use crate::layer::Codec;
use crate::layer::chunk::Compressed;
use crate::layer::pack::{ChunkPlace, KnownChunks, Packed, pack};
use crate::store::{RecordKind, Store};

/// A layer's blob, by the layer's table and codec.
#[derive(Serialize, Deserialize)]
struct LayerRecord {
    diff_id: DiffId,
    digest: Digest,
    size: u64,
}

/// Where a chunk's compressed bytes are, by its digest and codec.
#[derive(Serialize, Deserialize)]
struct ChunkRecord {
    blob: Digest,
    offset: u64,
    size: u64,
    digest: Digest,
    raw_size: u64,
    crc: u32,
}

/// The layer of that table, where the store has its blob in that codec.
pub fn find(store: &Store, tree: &TreeDigest, codec: Codec) -> Option<Layer> {
    let record: LayerRecord = store.record(RecordKind::Layer, &tree.0, &suffix(codec))?;
    store
        .blob(&record.digest)
        .filter(|blob| blob.size == record.size)?;
    Some(layer(&record, *tree, codec))
}

/// Packs `change`; `threads` compress.
pub fn store_layer(
    change: &Change,
    codec: Codec,
    store: &Store,
    threads: usize,
    work: &Work,
) -> Result<Layer, Error> {
    let tree = store.put_tree(&change.tree)?;
    if let Some(layer) = find(store, &tree, codec) {
        return Ok(layer);
    }
    let total = change.tree.entries().iter().map(|entry| entry.size()).sum();
    let mut writer = store.write_blob()?;
    let known = StoredChunks { store, codec };
    let moved = |bytes| work.progress(bytes, Some(total));
    let packed = pack(
        &change.tree,
        &change.origins,
        codec,
        &known,
        threads,
        &mut writer,
        &moved,
    )?;
    let blob = writer.finish()?;
    write_chunk_records(store, &packed, blob.digest, codec)?;
    let record = LayerRecord {
        diff_id: packed.diff_id,
        digest: blob.digest,
        size: blob.size,
    };
    store.put_record(RecordKind::Layer, &tree.0, &suffix(codec), &record)?;
    Ok(layer(&record, tree, codec))
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

fn write_chunk_records(
    store: &Store,
    packed: &Packed,
    blob: Digest,
    codec: Codec,
) -> Result<(), Error> {
    // Without compression there is nothing to save.
    if codec == Codec::None {
        return Ok(());
    }
    for ChunkPlace {
        key,
        raw_size,
        crc,
        offset,
        size,
        digest,
    } in packed.chunks.iter().cloned()
    {
        let record = ChunkRecord {
            blob,
            offset,
            size,
            digest,
            raw_size,
            crc,
        };
        store.put_record(RecordKind::Chunk, &key, &suffix(codec), &record)?;
    }
    Ok(())
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
        let blob = self.store.blob(&record.blob)?;
        let end = record.offset.checked_add(record.size)?;
        if end > blob.size {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(record.size).ok()?];
        std::os::unix::fs::FileExt::read_exact_at(&blob.open().ok()?, &mut bytes, record.offset)
            .ok()?;
        let is_whole = Digest::of(&bytes) == record.digest;
        is_whole.then_some(Compressed {
            key: *key,
            raw_size: record.raw_size,
            crc: record.crc,
            bytes,
        })
    }
}
