//! Names of images: `index.json` of the image layout.
//!
//! In: references and the documents that they name. Out: [`Named`]. Each change is read, made and
//! written under a lock of its own, so that two cairns don't lose each other's names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Store, io_error, lock, sync_folder};
use crate::canon::{Digest, Reference};
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document, Index};

/// image-spec, annotations.md: the name of a member of an image layout.
const NAME: &str = "org.opencontainers.image.ref.name";

/// An image of the store's index: named, or only kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name, where it has one that is a reference.
    pub reference: Option<Reference>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

impl Store {
    /// Every image, sorted by name, the nameless last, by digest.
    pub fn images(&self) -> Result<Vec<Named>, Error> {
        let mut images: Vec<_> = self.index()?.manifests.into_iter().map(named).collect();
        let place = |image: &Named| {
            (
                image.reference.is_none(),
                image.reference.clone(),
                image.descriptor.digest,
            )
        };
        images.sort_by_key(place);
        Ok(images)
    }

    /// The image that `reference` names; by its digest where it has one.
    pub fn image(&self, reference: &Reference) -> Result<Option<Descriptor>, Error> {
        let found =
            self.images()?
                .into_iter()
                .find(|image| match (&reference.digest, &image.reference) {
                    (Some(digest), Some(name)) => {
                        image.descriptor.digest == *digest && name.name() == reference.name()
                    }
                    (None, Some(name)) => name == reference,
                    _ => false,
                });
        Ok(found.map(|image| image.descriptor))
    }

    /// Names an image, whose document and blobs must be there; a name that was another image's
    /// moves, and that one stays, nameless. Without a reference the image is only kept.
    pub fn name_image(
        &self,
        reference: Option<&Reference>,
        descriptor: &Descriptor,
    ) -> Result<(), Error> {
        self.change_index(|index| {
            let name = reference.map(Reference::to_string);
            let digest = descriptor.digest;
            let mut lost = Vec::new();
            index.manifests.retain(|member| {
                let takes_its_name = name.is_some() && name_of(member) == name.as_deref();
                if takes_its_name && member.digest != digest {
                    lost.push(member.clone());
                }
                let is_nameless_twin = member.digest == digest && name_of(member).is_none();
                !takes_its_name && !is_nameless_twin
            });
            if name.is_some() || !index.manifests.iter().any(|member| member.digest == digest) {
                index.manifests.push(with_name(descriptor, name));
            }
            for member in lost {
                if !index
                    .manifests
                    .iter()
                    .any(|other| other.digest == member.digest)
                {
                    index.manifests.push(with_name(&member, None));
                }
            }
        })
    }

    /// Takes away a name, or every name of an image by its digest. Says which images lost all
    /// their names and are no longer in the index.
    pub fn forget_image(&self, is_meant: impl Fn(&Named) -> bool) -> Result<Vec<Digest>, Error> {
        let mut gone = BTreeSet::new();
        self.change_index(|index| {
            index.manifests.retain(|member| {
                let keep = !is_meant(&named(member.clone()));
                if !keep {
                    gone.insert(member.digest);
                }
                keep
            });
            for member in &index.manifests {
                gone.remove(&member.digest);
            }
        })?;
        Ok(gone.into_iter().collect())
    }

    /// Removes what only the images `gone` reached, and says how many bytes that were; none when
    /// another process works with the store, and then nothing is removed.
    pub fn remove_unreached(&self, gone: &[Digest]) -> Result<Option<u64>, Error> {
        let Some(file) = self._lock.as_ref() else {
            return Ok(None);
        };
        if !lock::try_upgrade(file) {
            return Ok(None);
        }
        let removed = self.remove_unreached_alone(gone);
        lock::downgrade(file);
        removed.map(Some)
    }

    fn remove_unreached_alone(&self, gone: &[Digest]) -> Result<u64, Error> {
        let kept = self.reached(self.index()?.manifests.iter().map(|image| image.digest));
        let candidates = self.reached(gone.iter().copied());
        let mut bytes = 0;
        for digest in candidates.difference(&kept) {
            bytes += self.blob(digest).map_or(0, |blob| blob.size);
            self.remove_blob(digest)?;
        }
        Ok(bytes)
    }

    /// All of the images whose documents are `roots`: them, and what they point at. Each document is
    /// read once, and however deep one lies in others costs no stack.
    fn reached(&self, roots: impl IntoIterator<Item = Digest>) -> BTreeSet<Digest> {
        let mut todo: Vec<Digest> = roots.into_iter().collect();
        let (mut reached, mut read) = (BTreeSet::new(), BTreeSet::new());
        while let Some(digest) = todo.pop() {
            reached.insert(digest);
            if !read.insert(digest) {
                continue;
            }
            let document = self.read(&digest, LARGEST_DOCUMENT).ok();
            let Some(Ok(document)) = document.map(|bytes| Document::parse(&bytes)) else {
                continue;
            };
            for descriptor in document.descriptors() {
                reached.insert(descriptor.digest);
                if descriptor.is_document() {
                    todo.push(descriptor.digest);
                }
            }
        }
        reached
    }

    fn index(&self) -> Result<Index, Error> {
        let path = self.root.join("index.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(Error::Index),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Index {
                schema_version: 2,
                media_type: Some(media_type::INDEX.to_owned()),
                manifests: Vec::new(),
                annotations: None,
                foreign: BTreeMap::new(),
            }),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Before the index names anything, its blob's name is on the disk: one sync of their folder
    /// for all that were renamed into it.
    fn change_index(&self, change: impl FnOnce(&mut Index)) -> Result<(), Error> {
        sync_folder(&self.root.join("blobs/sha256"))?;
        let _held = lock::exclusive(&self.root.join("index.lock"))?;
        let mut index = self.index()?;
        let before = index.clone();
        change(&mut index);
        index.manifests.sort_by(|a, b| {
            let place = |member| {
                (
                    name_of(member).is_none(),
                    name_of(member).map(str::to_owned),
                )
            };
            (place(a), a.digest).cmp(&(place(b), b.digest))
        });
        let path = self.root.join("index.json");
        if index == before && path.exists() {
            return Ok(());
        }
        let bytes = crate::canon::json::to_vec(&index)?;
        self.replace(&path, &bytes)
    }
}

fn name_of(member: &Descriptor) -> Option<&str> {
    member.annotations.as_ref()?.get(NAME).map(String::as_str)
}

fn named(descriptor: Descriptor) -> Named {
    let reference = name_of(&descriptor).and_then(|name| name.parse().ok());
    Named {
        reference,
        descriptor,
    }
}

fn with_name(descriptor: &Descriptor, name: Option<String>) -> Descriptor {
    let mut annotations = descriptor.annotations.clone().unwrap_or_default();
    annotations.remove(NAME);
    annotations.extend(name.map(|name| (NAME.to_owned(), name)));
    let annotations = (!annotations.is_empty()).then_some(annotations);
    Descriptor {
        annotations,
        ..descriptor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(store: &Store, text: &str) -> Descriptor {
        let blob = store.put(text.as_bytes()).unwrap();
        Descriptor::new(media_type::MANIFEST, blob.digest, blob.size)
    }

    #[test]
    fn a_name_moves_and_its_old_image_stays_without() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name: Reference = "a:1".parse().unwrap();
        let (old, new) = (descriptor(&store, "old"), descriptor(&store, "new"));
        store.name_image(Some(&name), &old).unwrap();
        store.name_image(Some(&name), &new).unwrap();
        let images = store.images().unwrap();
        let short: Vec<_> = images
            .iter()
            .map(|image| (image.reference.is_some(), image.descriptor.digest))
            .collect();
        assert_eq!(short, [(true, new.digest), (false, old.digest)]);
        assert_eq!(store.image(&name).unwrap().unwrap().digest, new.digest);
    }

    #[test]
    fn removing_an_image_removes_what_no_other_reaches() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (shared, own) = (store.put(b"shared").unwrap(), store.put(b"own").unwrap());
        let config = store.put(b"{}").unwrap();
        let mut descriptors = Vec::new();
        for layers in [vec![&shared], vec![&shared, &own]] {
            let manifest = crate::image::Manifest {
                schema_version: 2,
                media_type: Some(media_type::MANIFEST.to_owned()),
                config: Descriptor::new(media_type::CONFIG, config.digest, config.size),
                layers: layers
                    .iter()
                    .map(|blob| Descriptor::new(media_type::LAYER, blob.digest, blob.size))
                    .collect(),
                annotations: None,
                foreign: BTreeMap::new(),
            };
            let bytes = crate::canon::json::to_vec(&manifest).unwrap();
            let blob = store.put(&bytes).unwrap();
            descriptors.push(Descriptor::new(
                media_type::MANIFEST,
                blob.digest,
                blob.size,
            ));
        }
        store
            .name_image(Some(&"a:1".parse().unwrap()), &descriptors[0])
            .unwrap();
        store
            .name_image(Some(&"a:2".parse().unwrap()), &descriptors[1])
            .unwrap();
        let is_second = |image: &Named| image.descriptor.digest == descriptors[1].digest;
        let gone = store.forget_image(is_second).unwrap();
        let bytes = store.remove_unreached(&gone).unwrap();
        assert_eq!(bytes, Some(3 + descriptors[1].size));
        assert!(store.blob(&shared.digest).is_some() && store.blob(&config.digest).is_some());
        assert!(store.blob(&own.digest).is_none());
    }

    #[test]
    fn nothing_is_removed_while_another_works_with_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let _other = Store::open(folder.path()).unwrap();
        assert_eq!(store.remove_unreached(&[]).unwrap(), None);
    }
}
