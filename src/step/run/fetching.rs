//! Where the network of a command leads.
//!
//! In: what the caller knows of what the command fetched before. Out: the proxy that it talks to, if
//! it doesn't talk to the world.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::authority::{self, Authority, Placed};
use super::mask::Mask;
use super::sources::{Kept, unpack_pick};
use super::{Error, Runner};
use crate::canon::EntryPath;
use crate::layer::Rootfs;
use crate::lock::Record;
use crate::plan::Command;
use crate::plan::command::Network;
use crate::proxy::{self, Proxy};
use crate::sandbox::{Mount, Request, Source};

/// Where the network of a command leads; nothing changes for one that has none, or the host's.
#[derive(Debug, Clone, Copy)]
pub enum Fetching<'a> {
    /// To the world, as it is today.
    Forwarded,
    /// To the world, and what comes from there is recorded.
    Recorded {
        /// The record's instant, in seconds since 1970.
        instant: i64,
    },
    /// To the world, as far as the source policy lets it; nothing is recorded.
    Judged {
        /// The present, in seconds since 1970.
        now: i64,
    },
    /// To a record, and nowhere else.
    Replayed(&'a Record),
}

/// Bytes of a secret that is kept out of records: a shorter one may be an everyday word.
const SHORTEST_SECRET: usize = 8;

impl Fetching<'_> {
    /// What the command's clock begins at, in seconds since 1970: the time of its record, so that
    /// certificates and lists that hold for a while hold whenever it is replayed.
    pub(super) fn instant(&self) -> Option<i64> {
        match self {
            Fetching::Forwarded | Fetching::Judged { .. } => None,
            Fetching::Recorded { instant } => Some(*instant),
            Fetching::Replayed(record) => Some(record.instant),
        }
    }
}

impl Runner<'_> {
    /// The proxy that `command` talks to.
    pub(super) fn proxy(
        &self,
        command: &Command,
        fetching: Fetching<'_>,
    ) -> Result<Option<Proxy>, Error> {
        if command.network != Network::Default {
            return Ok(None);
        }
        let source = match fetching {
            Fetching::Forwarded => return Ok(None),
            Fetching::Recorded { instant } | Fetching::Judged { now: instant } => {
                // The caller's alone: a recipe might name a service of the host's.
                let proxies = self.settings.proxies.clone();
                proxy::Source::World { instant, proxies }
            }
            Fetching::Replayed(record) => proxy::Source::Record(record.clone()),
        };
        let secrets = self.settings.secrets.values();
        let long = secrets.filter(|secret| secret.trim_ascii().len() >= SHORTEST_SECRET);
        let secrets = Mask::new(long.map(Vec::as_slice));
        let mask: proxy::Mask = Arc::new(move |text| {
            let masked = secrets.apply(text.as_bytes());
            String::from_utf8_lossy(&masked).into_owned()
        });
        Ok(Some(Proxy::start(
            source,
            &command.hosts,
            mask,
            Arc::clone(&self.settings.policy),
            self.store,
        )?))
    }

    /// What becomes of the caches of `command`: what is in one must neither keep a record from being
    /// whole, nor get from builds by one lock into those by another. `folder` is the command's own.
    pub(super) fn kept<'f>(
        &self,
        command: &Command,
        fetching: Fetching<'_>,
        folder: &'f Path,
    ) -> Result<Kept<'f>, Error> {
        Ok(match fetching {
            _ if command.network != Network::Default => Kept::By(None),
            Fetching::Forwarded | Fetching::Judged { .. } => Kept::By(None),
            Fetching::Recorded { .. } => Kept::No(folder),
            Fetching::Replayed(record) => {
                let digest = record.digest().map_err(crate::store::Error::from)?;
                Kept::By(Some(digest))
            }
        })
    }

    /// The authority that `command` is to trust.
    pub(super) fn authority(&self, command: &Command, proxy: Option<&Proxy>) -> Option<Authority> {
        let own = proxy.and_then(|proxy| Authority::new(proxy.certificate().to_vec()));
        let given = || self.settings.authority.clone();
        own.or_else(|| given().filter(|_| command.network == Network::Default))
    }

    /// Has the command trust `authority`: by a layer in `folder`, files and variables.
    pub(super) fn place(
        &self,
        authority: &Authority,
        rootfs: &Rootfs,
        folder: &Path,
        request: &mut Request,
    ) -> Result<Placed, Error> {
        let session = self.session()?;
        let read = |layer: usize, path: &EntryPath| {
            let lower = request.lowers.get(layer).ok_or(io::ErrorKind::NotFound)?;
            let mut bytes = Vec::new();
            let file = session.read(lower, path).map_err(io::Error::other)?;
            file.take(authority::LARGEST).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let placed = authority::place(authority, rootfs, &request.env, &read)?;
        if !placed.pick.tree.entries().is_empty() {
            let lower = folder.join("authority");
            crate::store::make_root(&lower)?;
            unpack_pick(&session, &placed.pick, &EntryPath::root(), None, &lower)?;
            request.lowers.push(lower);
        }
        for (target, content) in &placed.files {
            request.mounts.push(Mount {
                target: target.clone(),
                source: Source::File {
                    content: content.clone(),
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                },
            });
        }
        for (name, value) in &placed.env {
            if request.env.iter().all(|(other, _)| other != name) {
                request.env.push((name.clone(), value.clone()));
            }
        }
        Ok(placed)
    }
}
