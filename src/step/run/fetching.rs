//! Where the network of a command leads.
//!
//! In: what the caller knows of what the command fetched before. Out: the proxy that it talks to, if
//! it doesn't talk to the world.

use std::path::Path;
use std::sync::Arc;

use super::mask::Mask;
use super::sources::{Kept, Mounts};
use super::{Error, Runner};
use crate::canon::{Digest, EntryPath, json};
use crate::lock::Record;
use crate::plan::Command;
use crate::plan::command::Network;
use crate::proxy::{self, Proxy};
use crate::sandbox::{Mount, Source};

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
    /// To a record, and nowhere else.
    Replayed(&'a Record),
}

/// Where the certificate of a step's authority is.
const AUTHORITY: &str = "run/cairn-authority.pem";

/// Bytes of a secret that is kept out of records: a shorter one may be an everyday word.
const SHORTEST_SECRET: usize = 8;

/// Variables that name a file of certificates.
const VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
];

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
            Fetching::Recorded { instant } => {
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
            Fetching::Forwarded => Kept::By(None),
            Fetching::Recorded { .. } => Kept::No(folder),
            Fetching::Replayed(record) => {
                let text = json::to_vec(record).map_err(crate::store::Error::from)?;
                Kept::By(Some(Digest::of(&text)))
            }
        })
    }
}

/// Has the command trust the authority whose certificate is `pem`.
pub(super) fn trust(pem: &str, mounts: &mut Mounts) {
    let Ok(target) = EntryPath::new(AUTHORITY.as_bytes()) else {
        return;
    };
    mounts.mounts.push(Mount {
        target,
        source: Source::File {
            content: pem.as_bytes().to_vec(),
            mode: 0o444,
            uid: 0,
            gid: 0,
        },
    });
    let named = VARIABLES.map(|name| (name.to_owned(), format!("/{AUTHORITY}")));
    mounts.env.extend(named);
}
