//! Records: small files beside the image layout, each a cache of something that can be had again.
//!
//! In: a kind, a name that is a digest, bytes. Out: the bytes, or none. Whoever reads a record
//! checks that it makes sense and treats one that doesn't as missing.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, Store, io_error, publish};
use crate::canon::{Digest, TreeDigest};
use crate::layer::Tree;

/// What a record is about: the folder that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What a step made, by its key.
    Step,
    /// A layer's blob in some compression, by the layer's table.
    Layer,
    /// Where a chunk's compressed bytes are, by the digest of the chunk.
    Chunk,
    /// What `stat` said of a context's files and which content they had, by the context's place.
    Context,
    /// What a name outside meant, by what was asked.
    Source,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Kind::Step => "steps",
            Kind::Layer => "layers",
            Kind::Chunk => "chunks",
            Kind::Context => "contexts",
            Kind::Source => "sources",
        }
    }
}

impl Store {
    fn record_path(&self, kind: Kind, name: &Digest, suffix: &str) -> PathBuf {
        let name = name.hex() + suffix;
        self.root.join(kind.folder()).join(name)
    }

    /// A record's bytes. `suffix` parts records of one name, `.gzip` from `.zstd`.
    pub fn record_bytes(&self, kind: Kind, name: &Digest, suffix: &str) -> Option<Vec<u8>> {
        std::fs::read(self.record_path(kind, name, suffix)).ok()
    }

    /// Writes a record, in place of an older one.
    pub fn put_record_bytes(
        &self,
        kind: Kind,
        name: &Digest,
        suffix: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let mut file = self.temporary()?;
        file.write_all(bytes)
            .map_err(io_error("write", file.path()))?;
        publish(file, &self.record_path(kind, name, suffix))
    }

    /// A record as the value that was put; none where a byte of it is another than was written.
    pub fn record<T: DeserializeOwned>(
        &self,
        kind: Kind,
        name: &Digest,
        suffix: &str,
    ) -> Option<T> {
        let bytes = self.record_bytes(kind, name, suffix)?;
        let (json, sum) = bytes.split_last_chunk::<65>()?;
        let is_whole = sum[0] == b'\n' && Digest::of(json).hex().as_bytes() == &sum[1..];
        is_whole.then(|| serde_json::from_slice(json).ok())?
    }

    /// Writes a value as a record: canonical JSON, and on a line of its own its sha256 in hex.
    pub fn put_record<T: Serialize>(
        &self,
        kind: Kind,
        name: &Digest,
        suffix: &str,
        value: &T,
    ) -> Result<(), Error> {
        let mut bytes = crate::canon::json::to_vec(value)?;
        let sum = Digest::of(&bytes).hex();
        bytes.push(b'\n');
        bytes.extend_from_slice(sum.as_bytes());
        self.put_record_bytes(kind, name, suffix, &bytes)
    }

    /// A table of entries, checked against its digest.
    pub fn tree(&self, digest: &TreeDigest) -> Option<Tree> {
        let bytes = std::fs::read(self.root.join("trees").join(digest.0.hex())).ok()?;
        if Digest::of(&bytes) != digest.0 {
            return None;
        }
        Tree::from_text(std::str::from_utf8(&bytes).ok()?).ok()
    }

    /// Writes a table of entries.
    pub fn put_tree(&self, tree: &Tree) -> Result<TreeDigest, Error> {
        let text = tree.to_text();
        let digest = TreeDigest(Digest::of(text.as_bytes()));
        let path = self.root.join("trees").join(digest.0.hex());
        let mut file = self.temporary()?;
        file.write_all(text.as_bytes())
            .map_err(io_error("write", file.path()))?;
        publish(file, &path)?;
        Ok(digest)
    }

    /// Where the unpacked tar of a layer is, or would be.
    pub fn snapshot_path(&self, diff_id: &crate::canon::DiffId) -> PathBuf {
        self.root.join("snapshots").join(diff_id.0.hex() + ".tar")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_is_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name = Digest::of(b"");
        store
            .put_record(Kind::Chunk, &name, ".x", &[1, 23])
            .unwrap();
        let read = || store.record::<Vec<u64>>(Kind::Chunk, &name, ".x");
        assert_eq!(read(), Some(vec![1, 23]));
        let whole = store.record_bytes(Kind::Chunk, &name, ".x").unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            store
                .put_record_bytes(Kind::Chunk, &name, ".x", &damaged)
                .unwrap();
            assert_eq!(read(), None, "{at}");
        }
        store
            .put_record_bytes(Kind::Chunk, &name, ".x", b"")
            .unwrap();
        assert_eq!(read(), None);
    }

    #[test]
    fn a_damaged_tree_is_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = store.put_tree(&Tree::default()).unwrap();
        assert_eq!(store.tree(&digest), Some(Tree::default()));
        std::fs::write(folder.path().join("trees").join(digest.0.hex()), b"x").unwrap();
        assert_eq!(store.tree(&digest), None);
    }
}
