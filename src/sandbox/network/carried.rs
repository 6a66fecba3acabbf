//! One request's network, from the caller's end: what it needs of the host, what came of it.
//!
//! In: a request as the caller has it. Out: a request whose names and proxies fit the step's
//! network, a forwarder for it, and in the end [`Use`]s.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::destination::Reach;
use super::{Error, Event, Forwarder, HOST_GATEWAY, Settings, forwarder, proxy, resolver};
use crate::sandbox::Request;
use crate::sandbox::request::Network;

/// Most destinations that are told apart.
const MOST_USES: usize = 1000;

/// What a step did with one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Where it meant to go.
    pub destination: SocketAddr,
    /// Connections that stood.
    pub connections: u64,
    /// Connections that were refused, on the way or at the end of it.
    pub refused: u64,
    /// Bytes that it sent.
    pub sent: u64,
    /// Bytes that it received.
    pub received: u64,
}

/// A network that is carried until this is dropped.
#[derive(Debug)]
pub(in crate::sandbox) struct Carried {
    forwarder: Forwarder,
    uses: Arc<Mutex<BTreeMap<SocketAddr, Use>>>,
}

impl Carried {
    /// Puts the caller's proxies into the environment of `request`, and starts what it needs. The
    /// descriptor is for the step's worker.
    pub(in crate::sandbox) fn start(
        request: &mut Request,
    ) -> Result<Option<(Carried, OwnedFd)>, Error> {
        let proxies = std::mem::take(&mut request.proxies);
        let (proxies, reached) = match request.network {
            Network::None => return Ok(None),
            Network::Forwarded => proxy::for_step(&proxies),
            Network::Host => (proxies, BTreeMap::new()),
        };
        for (name, value) in proxies {
            if request.env.iter().all(|(other, _)| *other != name) {
                request.env.push((name, value));
            }
        }
        if request.network == Network::Host {
            return Ok(None);
        }
        let named = |(_, address): &(String, String)| address == HOST_GATEWAY;
        let reach = Reach {
            host_gateway: request.hosts.iter().any(named),
            proxies: reached,
        };
        // A host without the file asks itself, as its libc does.
        let resolvers = std::fs::read("/etc/resolv.conf").unwrap_or_default();
        let resolvers = String::from_utf8_lossy(&resolvers);
        let settings = Settings {
            resolvers: resolver::resolvers(&resolvers, forwarder::interface),
            reach,
            ipv6: forwarder::host_has_ipv6(),
        };
        let uses: Arc<Mutex<BTreeMap<_, _>>> = Arc::default();
        let told = Arc::clone(&uses);
        let tell = move |event| {
            note(
                &mut told.lock().unwrap_or_else(PoisonError::into_inner),
                event,
            );
        };
        let (forwarder, control) = Forwarder::start(settings, tell)?;
        Ok(Some((Carried { forwarder, uses }, control)))
    }

    /// Ends it and tells what it carried.
    pub(in crate::sandbox) fn end(self) -> Vec<Use> {
        drop(self.forwarder);
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *uses).into_values().collect()
    }
}

fn note(uses: &mut BTreeMap<SocketAddr, Use>, event: Event) {
    let destination = match event {
        Event::Asked { .. } => return,
        Event::Connected { destination }
        | Event::Refused { destination, .. }
        | Event::Closed { destination, .. } => destination,
    };
    if uses.len() >= MOST_USES && !uses.contains_key(&destination) {
        return;
    }
    let entry = uses.entry(destination).or_insert(Use {
        destination,
        connections: 0,
        refused: 0,
        sent: 0,
        received: 0,
    });
    match event {
        Event::Asked { .. } => {}
        Event::Connected { .. } => entry.connections += 1,
        Event::Refused { .. } => entry.refused += 1,
        Event::Closed { sent, received, .. } => {
            entry.sent += sent;
            entry.received += received;
        }
    }
}
