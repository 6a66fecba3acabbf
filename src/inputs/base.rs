//! The image that a stage begins with: from a registry, the store, or a layout.
//!
//! In: a [`Source`]. Out: a [`BaseImage`] whose blobs are in the store.

use std::path::Path;
use std::sync::OnceLock;

use super::image::{self, BaseImage};
use super::layout;
use super::pins::{NotHeld, Pins};
use crate::canon::event::Events;
use crate::canon::{Digest, Platform, Reference};
use crate::layer::codec::Expansion;
use crate::lock;
use crate::plan::Source;
use crate::policy::{Input, Policy, Refusal};
use crate::registry::{self, Client};
use crate::store::Store;

/// A client of registries that is made when the first is needed.
pub struct Registries {
    make: Box<dyn Fn() -> Result<Client, registry::Error> + Send + Sync>,
    client: OnceLock<Client>,
}

/// Why a base can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A layout.
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// What the image is made of.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The lock.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// The source policy.
    #[error(transparent)]
    Policy(#[from] Refusal),
    /// Another image than the lock says.
    #[error(
        "`{name}` is not what the lock says\n  expected {expected}\n  got      {got}\nhint: `cairn lock --update {name}` takes what it is today"
    )]
    Other {
        /// The image's name.
        name: String,
        /// As the lock has it.
        expected: Digest,
        /// As it is.
        got: Digest,
    },
}

impl Registries {
    /// A client made by `make`.
    pub fn new(
        make: impl Fn() -> Result<Client, registry::Error> + Send + Sync + 'static,
    ) -> Registries {
        Registries {
            make: Box::new(make),
            client: OnceLock::new(),
        }
    }

    /// The client.
    pub fn client(&self) -> Result<&Client, registry::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = (self.make)()?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// What is needed to get bases.
pub struct Bases<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// Where they come from.
    pub registries: &'a Registries,
    /// The recipe's folder, which layouts are relative to.
    pub folder: &'a Path,
    /// Whether a registry is asked even for a name that the store has.
    pub pull: bool,
    /// How far a layout's archive may expand.
    pub limit: Expansion,
    /// What names are held to.
    pub pins: &'a Pins,
    /// Which of them may be had.
    pub policy: &'a Policy,
    /// Whoever watches.
    pub events: &'a Events,
}

impl Bases<'_> {
    /// The image of `source` for `platform`, or the one that the policy puts in its place.
    ///
    /// A name that the store has, because it was built or pulled by that name, is taken from
    /// there; any other is asked for at its registry each time, as a tag may have moved. What has
    /// a digest, its own or the lock's, is only fetched when the store lacks something of it.
    pub fn get(&self, source: &Source, platform: &Platform) -> Result<BaseImage, Error> {
        match source {
            Source::Registry(reference) => {
                let reference = &self.policy.image(reference)?;
                let held = self.pins.image(reference, platform)?;
                if let Some(held) = &held {
                    self.policy.resolved_image(reference, held.named())?;
                }
                let (descriptor, image) = match held {
                    Some(held) => self.held(reference, platform, &held)?,
                    None => {
                        let proposed = self.pins.proposed().image(reference, platform);
                        let digest = proposed.or(reference.digest);
                        let meant = Reference {
                            digest,
                            ..reference.clone()
                        };
                        self.named(&meant, platform)?
                    }
                };
                self.policy.resolved_image(reference, descriptor)?;
                let manifest = image.descriptor.digest;
                let index = (descriptor != manifest).then_some(descriptor);
                let found = lock::Image { index, manifest };
                self.pins.put_image(reference, platform, found);
                Ok(image)
            }
            Source::Layout { path, name } => {
                let asked = Input::layout(path, name.as_deref());
                self.policy.permits(&asked)?;
                let descriptor = layout::import(
                    &self.folder.join(path),
                    name.as_deref(),
                    self.store,
                    self.limit,
                )?;
                Ok(BaseImage::read(self.store, &descriptor, platform)?)
            }
        }
    }

    /// The image that the lock says.
    fn held(
        &self,
        reference: &Reference,
        platform: &Platform,
        held: &lock::Image,
    ) -> Result<(Digest, BaseImage), Error> {
        let pinned = Reference {
            digest: Some(held.named()),
            ..reference.clone()
        };
        let client = self.registries.client()?;
        let descriptor = client.pull(self.store, &pinned, Some(platform))?;
        let image = BaseImage::read(self.store, &descriptor, platform)?;
        match image.descriptor.digest == held.manifest {
            true => Ok((descriptor.digest, image)),
            false => Err(Error::Other {
                name: reference.to_string(),
                expected: held.manifest,
                got: image.descriptor.digest,
            }),
        }
    }

    /// What a name means today, or its own digest; and the image.
    fn named(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<(Digest, BaseImage), Error> {
        if !self.pull
            && reference.digest.is_none()
            && let Some(descriptor) = self.store.image(reference)?
        {
            match BaseImage::read(self.store, &descriptor, platform) {
                // It was pulled for another platform.
                Err(image::Error::Store(crate::store::Error::Missing(_))) => {}
                other => {
                    let digest = descriptor.digest;
                    self.events.warn(format!(
                        "{reference} is a name that can move; the store has it as @{digest}"
                    ));
                    return Ok((digest, other?));
                }
            }
        }
        let descriptor = self
            .registries
            .client()?
            .pull(self.store, reference, Some(platform))?;
        if reference.digest.is_none() {
            self.events.warn(format!(
                "{reference} is a name that can move; today it is @{}",
                descriptor.digest
            ));
        }
        let image = BaseImage::read(self.store, &descriptor, platform)?;
        Ok((descriptor.digest, image))
    }
}
