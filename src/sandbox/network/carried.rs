//! One request's network, from the caller's end: what it needs of the host.
//!
//! In: a request as the caller has it. Out: a request whose names and proxies fit the step's
//! network, and a forwarder for it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::destination::Reach;
use super::{Error, Forwarder, HOST_GATEWAY, Interceptor, Settings, forwarder, proxy, resolver};
use crate::sandbox::Request;
use crate::sandbox::request::Network;

/// A network that is carried until this is dropped; none, where nothing is to be carried.
#[derive(Debug)]
pub(in crate::sandbox) struct Carried {
    _forwarder: Option<Forwarder>,
}

impl Carried {
    /// Puts the caller's proxies into the environment of `request`, and starts what it needs. The
    /// descriptor is for the step's worker. An interceptor stands for the caller's proxies, too.
    pub(in crate::sandbox) fn start(
        request: &mut Request,
        interceptor: Option<Arc<dyn Interceptor>>,
    ) -> Result<(Carried, Option<OwnedFd>), Error> {
        let proxies = std::mem::take(&mut request.proxies);
        let (proxies, reached) = match request.network {
            Network::None => (Vec::new(), BTreeMap::new()),
            Network::Forwarded if interceptor.is_some() => (Vec::new(), BTreeMap::new()),
            Network::Forwarded => proxy::for_step(&proxies),
            Network::Host => (proxies, BTreeMap::new()),
        };
        for (name, value) in proxies {
            if request.env.iter().all(|(other, _)| *other != name) {
                request.env.push((name, value));
            }
        }
        if request.network != Network::Forwarded {
            return Ok((Carried { _forwarder: None }, None));
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
            // What an interceptor gives must not follow from the host.
            ipv6: match &interceptor {
                None => forwarder::host_has_ipv6(),
                Some(_) => names_ipv6(&request.hosts),
            },
        };
        let (forwarder, control) = Forwarder::start(settings, interceptor, |_| {})?;
        let carried = Carried {
            _forwarder: Some(forwarder),
        };
        Ok((carried, Some(control)))
    }
}

/// Whether one of the names of `/etc/hosts` leads to an address of IPv6.
fn names_ipv6(hosts: &[(String, String)]) -> bool {
    let mut addresses = hosts.iter().map(|(_, address)| address);
    addresses.any(|address| address.parse::<Ipv6Addr>().is_ok())
}
