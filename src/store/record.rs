//! Records: small files beside the image layout, each a cache of something that can be had again.
//!
//! In: a kind, a name that is a digest, bytes. Out: the bytes, or none. Whoever reads a record
//! checks that it makes sense and treats one that doesn't as missing.
//!
//! Values are kept as two lines: the sha256 of the record's place and of the second line, and
//! canonical JSON. A damaged record must not come back as another one that makes sense: a flipped
//! digit of a diff ID would be another image.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, Store, io_error, publish};
use crate::canon::digest::Hasher;
use crate::canon::{Digest, TreeDigest};
use crate::layer::Tree;

/// What a record is about: the folder that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What a step made, by its key.
    Step,
    /// A layer's blob in some compression, by the layer's table.
    Layer,
    /// Where a chunk's compressed bytes are, by what it is made of: `layer::chunk::key`.
    Chunk,
    /// What `stat` said of a context's files and which content they had, by the context's place.
    Context,
    /// What a name outside meant, by what was asked.
    Source,
    /// The steps of a recipe's last build, by the recipe's place.
    Build,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Kind::Step => "steps",
            Kind::Layer => "layers",
            Kind::Chunk => "chunks",
            Kind::Context => "contexts",
            Kind::Source => "sources",
            Kind::Build => "builds",
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

    /// A record as the value that was put, none where it was damaged or is another's.
    pub fn record<T: DeserializeOwned>(
        &self,
        kind: Kind,
        name: &Digest,
        suffix: &str,
    ) -> Option<T> {
        let bytes = self.record_bytes(kind, name, suffix)?;
        let (sum, json) = bytes.split_at_checked(64)?;
        let json = json.strip_prefix(b"\n")?;
        let is_whole = sum == record_sum(kind, name, suffix, json).as_bytes();
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
        let json = crate::canon::json::to_vec(value)?;
        let sum = record_sum(kind, name, suffix, &json);
        let bytes = [sum.as_bytes(), b"\n", &json].concat();
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

/// The first line of a value's record, in hexadecimal.
fn record_sum(kind: Kind, name: &Digest, suffix: &str, json: &[u8]) -> String {
    let mut hasher = Hasher::new();
    let format = crate::canon::format::CURRENT.number();
    let place = format!("{format} {}/{}{suffix}\n", kind.folder(), name.hex());
    hasher.update(place.as_bytes());
    hasher.update(json);
    hasher.finish().hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_is_a_missing_one_and_so_is_a_misplaced_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (name, other) = (Digest::of(b"name"), Digest::of(b"other"));
        let get = |name| store.record::<Digest>(Kind::Step, name, ".x");
        store
            .put_record(Kind::Step, &name, ".x", &Digest::of(b"value"))
            .unwrap();
        assert_eq!(get(&name), Some(Digest::of(b"value")));
        let path = store.record_path(Kind::Step, &name, ".x");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(store.record_path(Kind::Step, &other, ".x"), &whole).unwrap();
        assert_eq!(get(&other), None);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            // Another hexadecimal digit of most of them.
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(get(&name), None, "{at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(get(&name), None, "{at}");
        }
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
