//! Where a connection of a step may go.
//!
//! In: the address that the step meant, and whether it is the machine's own. Out: where to connect
//! to, or why not. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address;

/// Where connections to one address go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the first of these that accepts.
    To(Vec<SocketAddr>),
    /// To the host's resolvers.
    Resolver,
    /// Nowhere.
    Refused(Refusal),
}

/// Why a connection goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is the host's loopback, or leads there.
    #[error("the host's own services are closed to steps (hint: `--add-host NAME:host-gateway`)")]
    Host,
    /// Link-local, or another where clouds keep the credentials of machines.
    #[error("link-local addresses, and those of clouds' metadata, are closed to steps")]
    LinkLocal,
    /// Not the address of one host.
    #[error("this is no address of a host")]
    NoHost,
}

/// Services on the host by the port that a step finds them at: where they are, to be tried in that
/// order.
pub type Proxies = BTreeMap<u16, Vec<SocketAddr>>;

/// What a step is let to reach beyond the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether the gate's address is the host's loopback.
    pub host_gateway: bool,
    /// Proxies on the host's loopback, by their port at [`address::PROXY_V4`].
    pub proxies: Proxies,
}

impl Reach {
    /// Where a connection to `asked` goes; `is_own` says whether an address is one of the host's.
    pub fn route(&self, asked: SocketAddr, is_own: impl Fn(IpAddr) -> bool) -> Route {
        let (ip, port) = (asked.ip().to_canonical(), asked.port());
        if port == 53 {
            return Route::Resolver;
        }
        if ip == IpAddr::V4(address::PROXY_V4) {
            return match self.proxies.get(&port) {
                Some(targets) => Route::To(targets.clone()),
                None => Route::Refused(Refusal::Host),
            };
        }
        if ip == IpAddr::V4(address::GATE_V4) || ip == IpAddr::V6(address::GATE_V6) {
            let loopbacks = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return match self.host_gateway {
                true => Route::To(loopbacks.map(|ip| SocketAddr::new(ip, port)).to_vec()),
                false => Route::Refused(Refusal::Host),
            };
        }
        let refusal = match ip {
            IpAddr::V4(ip) => refusal_v4(ip),
            IpAddr::V6(ip) => refusal_v6(ip),
        };
        match refusal {
            Some(refusal) => Route::Refused(refusal),
            // A service that listens at all of the host's addresses is no less the host's own.
            None if !self.host_gateway && is_own(ip) => Route::Refused(Refusal::Host),
            None => Route::To(vec![SocketAddr::new(ip, port)]),
        }
    }
}

/// Where clouds give a machine its credentials, beside the link-local 169.254.169.254: Alibaba's,
/// Azure's and Oracle's.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Amazon's.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn refusal_v4(ip: Ipv4Addr) -> Option<Refusal> {
    let [first, second, third, _] = ip.octets();
    if ip.is_loopback() || first == 0 {
        // The kernel takes 0.0.0.0 for the loopback.
        return Some(Refusal::Host);
    }
    if ip.is_link_local() || METADATA_V4.contains(&ip) {
        return Some(Refusal::LinkLocal);
    }
    // 240.0.0.0/4 is reserved, but some networks do use it.
    let cable = (first, second, third) == (192, 0, 0) && ip.octets()[3] < 8;
    (ip.is_multicast() || ip.is_broadcast() || cable).then_some(Refusal::NoHost)
}

fn refusal_v6(ip: Ipv6Addr) -> Option<Refusal> {
    if ip.is_loopback() || ip.is_unspecified() {
        return Some(Refusal::Host);
    }
    if ip.is_unicast_link_local() || ip == METADATA_V6 {
        return Some(Refusal::LinkLocal);
    }
    // ::a.b.c.d, which nobody routes (RFC 4291, 2.5.5.1).
    let compatible = ip.segments()[..6] == [0; 6];
    let cable = ip.segments()[..4] == address::GATE_V6.segments()[..4];
    (ip.is_multicast() || compatible || cable).then_some(Refusal::NoHost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(reach: &Reach, asked: &str) -> Route {
        reach.route(asked.parse().unwrap(), |ip| {
            ip == IpAddr::from([10, 9, 9, 9])
        })
    }

    #[test]
    fn the_world_is_open_and_the_host_is_not() {
        let reach = Reach::default();
        for open in ["93.184.216.34:443", "10.1.2.3:8080", "[2606:2800::1]:80"] {
            assert_eq!(route(&reach, open), Route::To(vec![open.parse().unwrap()]));
        }
        let mapped = Route::To(vec!["10.1.2.3:80".parse().unwrap()]);
        assert_eq!(route(&reach, "[::ffff:10.1.2.3]:80"), mapped);
        for (closed, why) in [
            ("127.0.0.1:80", Refusal::Host),
            ("127.8.9.1:80", Refusal::Host),
            ("0.0.0.0:80", Refusal::Host),
            ("0.1.2.3:80", Refusal::Host),
            ("[::1]:80", Refusal::Host),
            ("[::]:80", Refusal::Host),
            ("[::ffff:127.0.0.1]:80", Refusal::Host),
            ("[::ffff:0.0.0.0]:80", Refusal::Host),
            ("192.0.0.1:80", Refusal::Host),
            ("192.0.0.4:3128", Refusal::Host),
            ("[fd5c:a1e7:41c0::1]:80", Refusal::Host),
            ("10.9.9.9:80", Refusal::Host),
            ("[::ffff:10.9.9.9]:80", Refusal::Host),
            ("169.254.169.254:80", Refusal::LinkLocal),
            ("100.100.100.200:80", Refusal::LinkLocal),
            ("[fd00:ec2::254]:80", Refusal::LinkLocal),
            ("[fe80::1]:80", Refusal::LinkLocal),
            ("[::127.0.0.1]:80", Refusal::NoHost),
            ("[ff02::1]:80", Refusal::NoHost),
            ("224.0.0.1:80", Refusal::NoHost),
            ("255.255.255.255:80", Refusal::NoHost),
            ("192.0.0.2:80", Refusal::NoHost),
            ("192.0.0.7:80", Refusal::NoHost),
            ("[fd5c:a1e7:41c0::7]:80", Refusal::NoHost),
        ] {
            assert_eq!(route(&reach, closed), Route::Refused(why), "{closed}");
        }
    }

    #[test]
    fn what_was_asked_for_leads_to_the_host() {
        let target: SocketAddr = "127.0.0.1:3128".parse().unwrap();
        let reach = Reach {
            host_gateway: true,
            proxies: BTreeMap::from([(3128, vec![target])]),
        };
        assert_eq!(route(&reach, "192.0.0.4:3128"), Route::To(vec![target]));
        assert_eq!(
            route(&reach, "192.0.0.4:3129"),
            Route::Refused(Refusal::Host)
        );
        let both = ["127.0.0.1:80", "[::1]:80"].map(|text| text.parse().unwrap());
        assert_eq!(route(&reach, "192.0.0.1:80"), Route::To(both.to_vec()));
        assert_eq!(route(&reach, "127.0.0.1:80"), Route::Refused(Refusal::Host));
        let own = Route::To(vec!["10.9.9.9:80".parse().unwrap()]);
        assert_eq!(route(&reach, "10.9.9.9:80"), own);
    }

    #[test]
    fn names_are_resolved_whoever_is_asked() {
        for asked in ["8.8.8.8:53", "192.0.0.3:53", "[2001:4860::8888]:53"] {
            assert_eq!(route(&Reach::default(), asked), Route::Resolver);
        }
    }
}
