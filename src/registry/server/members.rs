//! Which images a repository holds.
//!
//! In: the store's index and a [`Repository`]. Out: its members, and what they reach.
//!
//! An image of the index belongs to the repositories that its name means; one without a name
//! belongs to all, so that who holds the digest of an image whose tag has moved can still pull
//! it. An index's members belong wherever the index does.

use std::collections::BTreeSet;

use super::error::Failure;
use super::names::Repository;
use super::routes::TagOrDigest;
use crate::canon::Digest;
use crate::image::manifest::{LARGEST_DOCUMENT, media_type};
use crate::image::{Descriptor, Document};
use crate::store::{Named, Store};

/// Documents looked at in one request.
const MOST_DOCUMENTS: usize = 100_000;

/// The images of one repository, as they were when it was asked.
pub(super) struct Members {
    /// Those that its name means, the nearest first.
    pub(super) named: Vec<Named>,
    /// Those without a name.
    nameless: Vec<Named>,
}

impl Members {
    /// Reads the store's index.
    pub(super) fn read(store: &Store, repository: &Repository) -> Result<Members, Failure> {
        let (mut named, nameless): (Vec<_>, Vec<_>) = store
            .images()?
            .into_iter()
            .partition(|image| image.reference.is_some());
        let rank = |image: &Named| repository.rank(image.reference.as_ref()?);
        named.retain(|image| rank(image).is_some());
        named.sort_by_key(rank);
        Ok(Members { named, nameless })
    }

    /// The digest that a manifest's URL means.
    pub(super) fn find(&self, store: &Store, reference: &TagOrDigest) -> Option<Digest> {
        match reference {
            TagOrDigest::Tag(tag) => {
                let image = self.named.iter().find(|image| has_tag(image, tag))?;
                Some(image.descriptor.digest)
            }
            TagOrDigest::Digest(wanted) => {
                let mut found = false;
                self.visit(store, |descriptor| {
                    found |= descriptor.digest == *wanted;
                    !found
                });
                found.then_some(*wanted)
            }
        }
    }

    /// Calls `see` with every manifest and index of the repository, once each, until it says
    /// false. Those that the store's index names come first.
    pub(super) fn visit(&self, store: &Store, see: impl FnMut(&Descriptor) -> bool) {
        let roots = self.named.iter().chain(&self.nameless);
        visit(store, roots.map(|image| image.descriptor.clone()), see);
    }

    /// Whether a name of this repository leads to `digest`.
    pub(super) fn names_lead_to(&self, store: &Store, digest: &Digest) -> bool {
        let roots = self.named.iter().map(|image| image.descriptor.clone());
        let mut found = false;
        visit(store, roots, |descriptor| {
            found |= descriptor.digest == *digest;
            !found
        });
        found
    }

    /// Those of the store's index, named and nameless.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Named> {
        self.named.iter().chain(&self.nameless)
    }
}

fn visit(
    store: &Store,
    roots: impl Iterator<Item = Descriptor>,
    mut see: impl FnMut(&Descriptor) -> bool,
) {
    let mut waiting: std::collections::VecDeque<_> = roots.collect();
    let mut seen = BTreeSet::new();
    while let Some(descriptor) = waiting.pop_front() {
        if seen.len() >= MOST_DOCUMENTS || !seen.insert(descriptor.digest) {
            continue;
        }
        if !see(&descriptor) {
            return;
        }
        let is_index = matches!(
            descriptor.media_type.as_str(),
            media_type::INDEX | media_type::DOCKER_INDEX
        );
        let document = is_index
            .then(|| document(store, &descriptor.digest))
            .flatten();
        if let Some(Document::Index(index)) = document {
            waiting.extend(index.manifests.into_iter().filter(Descriptor::is_document));
        }
    }
}

/// Whether `image` is named by `tag`.
pub(super) fn has_tag(image: &Named, tag: &str) -> bool {
    let reference = image.reference.as_ref();
    reference.and_then(|reference| reference.tag.as_deref()) == Some(tag)
}

/// A manifest or index of the store; none where it is missing or damaged.
pub(super) fn document(store: &Store, digest: &Digest) -> Option<Document> {
    let bytes = store.read(digest, LARGEST_DOCUMENT).ok()?;
    Document::parse(&bytes).ok()
}
