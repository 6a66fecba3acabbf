//! The client as the other rooms see it.
//!
//! In: references, and a store. Out: documents and blobs, verified, in the store; or in the
//! registry. Synchronous: a runtime of its own does the waiting, so it must not be called from
//! within another one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::auth::Authorizations;
use super::connection::Connection;
use super::credentials::Found;
use super::error::Error;
use super::files::{Files, Paths};
use super::hosts::{self, Endpoint};
use super::link::Link;
use super::resolve::Resolved;
use super::tasks::PARALLEL;
use super::{pull, push, referrers, resolve, retry};
use crate::canon::event::Events;
use crate::canon::{Digest, Platform, Reference};
use crate::image::Descriptor;
use crate::store::Store;

/// How the client works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the files are that say how registries are reached.
    pub paths: Paths,
    /// The wait before a second try; it doubles with each.
    pub first_delay: Duration,
    /// Bytes that are sent in one request; larger blobs are uploaded in several.
    pub chunk: u64,
    /// Whether no registry is spoken to: only what the store has can be had.
    pub offline: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            paths: Paths::default(),
            first_delay: retry::FIRST_DELAY,
            chunk: 64 << 20,
            offline: false,
        }
    }
}

/// A client of registries. What it learns of a host (tokens, connections) it keeps.
pub struct Client {
    inner: Arc<Inner>,
    runtime: tokio::runtime::Runtime,
}

pub(super) struct Inner {
    pub(super) files: Files,
    pub(super) events: Events,
    pub(super) first_delay: Duration,
    pub(super) chunk: u64,
    offline: bool,
    pub(super) authorizations: Authorizations,
    /// By host and repository.
    pub(super) credentials: Mutex<BTreeMap<(String, String), Option<Found>>>,
    connections: Mutex<BTreeMap<String, Arc<Connection>>>,
}

impl Client {
    /// A client that has read the files and spoken to nobody yet.
    pub fn new(settings: Settings, events: Events) -> Result<Client, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(PARALLEL)
            .thread_name("registry")
            .enable_all()
            .build()
            .map_err(|error| Error::Start(error.to_string()))?;
        let inner = Inner {
            files: Files::read(&settings.paths, &events)?,
            events,
            first_delay: settings.first_delay,
            chunk: settings.chunk.max(1),
            offline: settings.offline,
            authorizations: Authorizations::default(),
            credentials: Mutex::default(),
            connections: Mutex::default(),
        };
        Ok(Client {
            inner: Arc::new(inner),
            runtime,
        })
    }

    /// What `reference` names now: the document, verified, and its descriptor.
    pub fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        self.runtime.block_on(async {
            let source = self.inner.source(reference)?;
            resolve::resolve(&source, reference).await
        })
    }

    /// Pulls what `reference` names into the store: with a platform only its image of an index
    /// ([`resolve::choose`]), else all images. Gives the descriptor of the top document. What
    /// the store has is not fetched again; a reference with a digest that is all there needs no
    /// registry.
    pub fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Descriptor, Error> {
        let pulled = pull::pull(&self.inner, store, reference, platform);
        self.runtime.block_on(pulled)
    }

    /// Pushes a document of the store and everything under it to where `reference` says, and
    /// gives its digest. Blobs that a repository of `mount_from` in the same registry has are
    /// mounted from there.
    pub fn push(
        &self,
        store: &Store,
        descriptor: &Descriptor,
        reference: &Reference,
        mount_from: &[Reference],
    ) -> Result<Digest, Error> {
        let pushed = push::push(&self.inner, store, descriptor, reference, mount_from);
        self.runtime.block_on(pushed)
    }
}

impl Client {
    /// Pushes `artifact` of the store, whose `subject` is an image in the repository of `place`,
    /// so that it is found there by that image.
    pub fn attach(
        &self,
        store: &Store,
        place: &Reference,
        subject: &Digest,
        artifact: &Descriptor,
    ) -> Result<(), Error> {
        let attached = referrers::attach(&self.inner, store, place, subject, artifact);
        self.runtime.block_on(attached)
    }

    /// The artifacts of that type that belong to the image `subject` in the repository of `place`.
    pub fn referrers(
        &self,
        place: &Reference,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        let found = referrers::find(&self.inner, place, subject, artifact_type);
        self.runtime.block_on(found)
    }
}

/// The hosts that a reference is pulled from, in the order in which they are asked.
pub(super) struct Source {
    links: Vec<Arc<Link>>,
    /// The one that last gave what was asked.
    preferred: AtomicUsize,
}

impl Source {
    /// What the first host gives that can give it: `what`, for people. `needs` says which hosts to ask.
    pub(super) async fn first_good<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        needs: impl Fn(&Endpoint) -> bool,
        give: impl Fn(Arc<Link>) -> F,
    ) -> Result<T, Error> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut order: Vec<_> = (0..self.links.len())
            .filter(|&index| needs(&self.links[index].endpoint))
            .collect();
        order.sort_by_key(|&index| index != preferred);
        if let Some(link) = self.links.last().filter(|link| link.inner.offline) {
            return Err(Error::Offline {
                what: what.to_owned(),
                host: link.host(),
            });
        }
        // The registry itself is always last in `links`, and has the last word.
        let mut last = None;
        for index in order {
            let link = &self.links[index];
            match give(link.clone()).await {
                Ok(given) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(given);
                }
                Err(error) if !error.is_the_hosts() => return Err(error),
                Err(error) => {
                    let events = &link.inner.events;
                    let message = format!("{} ({}): {error}", link.host(), link.endpoint.why);
                    match error.is_mismatch() && self.links.len() > 1 {
                        true => events.warn(message),
                        false => events.debug(message),
                    }
                    if last.is_none() || index + 1 == self.links.len() {
                        last = Some(error);
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::Start("no host can give that".to_owned())))
    }
}

impl Inner {
    /// The hosts to pull `reference` from.
    pub(super) fn source(self: &Arc<Inner>, reference: &Reference) -> Result<Source, Error> {
        let mut endpoints = Vec::new();
        for place in hosts::places_to_pull(reference, &self.files.registries)? {
            let toml = self.files.hosts_toml(&place.registry)?;
            let toml_path = toml.as_ref().map(|(_, path)| path.clone());
            let named = hosts::endpoints_to_pull(&place, toml.as_ref().map(|(toml, _)| toml));
            endpoints.extend(named.map_err(|reason| Error::Configuration {
                path: toml_path.unwrap_or_default(),
                reason,
            })?);
        }
        let count = endpoints.len();
        let links = endpoints.into_iter().enumerate().map(|(index, endpoint)| {
            // Nobody wants to wait for a dead mirror.
            let tries = match index + 1 == count {
                true => retry::TRIES,
                false => 2,
            };
            self.link(endpoint, tries).map(Arc::new)
        });
        Ok(Source {
            links: links.collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
        })
    }

    /// The host to push `reference` to.
    pub(super) fn target(self: &Arc<Inner>, reference: &Reference) -> Result<Link, Error> {
        let place = hosts::place_to_push(reference, &self.files.registries)?;
        let toml = self.files.hosts_toml(&place.registry)?;
        let endpoint = hosts::endpoint_to_push(&place, toml.as_ref().map(|(toml, _)| toml));
        let endpoint = endpoint.map_err(|reason| Error::Configuration {
            path: toml.map(|(_, path)| path).unwrap_or_default(),
            reason,
        })?;
        self.link(endpoint, retry::TRIES)
    }

    fn link(self: &Arc<Inner>, endpoint: Endpoint, tries: u32) -> Result<Link, Error> {
        let key = format!(
            "{} {:?} {} {:?} {:?}",
            endpoint.host, endpoint.scheme, endpoint.verify, endpoint.ca, endpoint.client
        );
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(|held| held.into_inner());
        let connection = match connections.get(&key) {
            Some(connection) => connection.clone(),
            None => {
                let (ca, ca_names) = self.files.ca(&endpoint.host, &endpoint.ca)?;
                let identity = self
                    .files
                    .identity(&endpoint.host, endpoint.client.as_ref())?;
                let (identity, identity_name) = identity.unzip();
                self.events.debug(format!(
                    "{}{}: {}; {}{}{}",
                    endpoint.host,
                    endpoint.path,
                    endpoint.why,
                    match endpoint.scheme {
                        hosts::Scheme::Https => "TLS",
                        hosts::Scheme::Http => "plain HTTP",
                        hosts::Scheme::Either => "TLS or plain HTTP",
                    },
                    match (endpoint.verify, ca_names.is_empty()) {
                        (false, _) => ", certificate not checked".to_owned(),
                        (true, true) => String::new(),
                        (true, false) => format!(", CAs also of {}", ca_names.join(", ")),
                    },
                    identity_name.map_or_else(String::new, |name| format!(", as {name} says"))
                ));
                let connection = Arc::new(Connection::new(&endpoint, ca, identity)?);
                connections.insert(key, connection.clone());
                connection
            }
        };
        Ok(Link {
            inner: self.clone(),
            endpoint,
            connection,
            tries,
        })
    }
}
