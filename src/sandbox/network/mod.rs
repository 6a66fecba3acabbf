//! The network of a step without root: TCP to anywhere and DNS, carried by ordinary sockets of the
//! process outside.
//!
//! In: a user namespace that cairn has made, what the host resolves names with. Out: two network
//! namespaces joined by a cable, and a [`Forwarder`] that carries what the step says to the world.
//! Never: a packet of the step's own making on the host's network.
//!
//! ```text
//! step's namespace          gate                            outside (the host's network)
//! lo, eth0 192.0.0.2 ──────▶ every address is local here:   Forwarder: connects to what was meant,
//!   default route            listeners hear any address     copies both ways, asks the resolvers
//!                            Ports ── listening sockets ──▶ (SCM_RIGHTS)
//! ```
//!
//! The gate is a namespace with the other end of the cable and a route that makes every address
//! local to it. A socket that listens there on a port accepts connections to that port of any
//! address, and getsockname(2) tells which was meant. The step's own servers live in the step's
//! own namespace, so that nothing of the gate's ever stands in the way of a `bind`, and 127.0.0.1
//! and ::1 are the step's own.
//!
//! Ports are opened as they are asked for: the step's `connect`s come to `connect`
//! (seccomp user notification), which has the forwarder connect first, so that what is refused
//! outside is refused inside. A program that connects without connect(2) (`MSG_FASTOPEN`) finds
//! only those ports that others have opened.
//!
//! A step with an [`Interceptor`] talks to that alone: its connections and questions are handed over
//! instead of carried, and nothing is dialled.
//!
//! Not carried: UDP other than DNS (port 53), ICMP, raw sockets, connections *to* the step.
//! A datagram is answered with "port unreachable" at once, an echo request not at all.

pub(super) mod carried;
pub(super) mod connect;
pub mod destination;
pub mod dns;
pub mod event;
pub mod forwarder;
pub mod interceptor;
pub mod ports;
pub mod proxy;
pub mod resolver;
pub mod wiring;

mod control;
mod netlink;
mod relay;

#[cfg(test)]
mod tests;

pub use event::Event;
pub use forwarder::{Forwarder, Settings, is_own};
pub use interceptor::Interceptor;
pub use ports::{Ports, Verdict};
pub use wiring::Wiring;

use std::net::{Ipv4Addr, Ipv6Addr};

/// The addresses of the cable: the same in every step, so that they tell nothing of the host. The
/// block 192.0.0.0/29 is for translators inside of a host (RFC 7335) and in no network.
pub mod address {
    use super::{Ipv4Addr, Ipv6Addr};

    /// Bits that the addresses of one cable share.
    pub const PREFIX_V4: u8 = 29;
    /// Bits that the addresses of one cable share.
    pub const PREFIX_V6: u8 = 126;
    /// The gate: the step's default route. With `host-gateway`, the host's loopback.
    pub const GATE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);
    /// The step.
    pub const STEP_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);
    /// The hardware address of the step's end of the cable: `cairn`, as one that nobody was sold. Names
    /// (UUIDs of version 1) and IPv6's own addresses are made of it.
    pub const STEP_HARDWARE: [u8; 6] = *b"\x02cairn";
    /// The same of the gate's end.
    pub const GATE_HARDWARE: [u8; 6] = *b"\x06cairn";
    /// The resolver that the step's `/etc/resolv.conf` names.
    pub const RESOLVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 3);
    /// Where proxies on the host's loopback are.
    pub const PROXY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 4);
    /// The gate: the step's default route. With `host-gateway`, the host's loopback.
    pub const GATE_V6: Ipv6Addr = Ipv6Addr::new(0xfd5c, 0xa1e7, 0x41c0, 0, 0, 0, 0, 1);
    /// The step.
    pub const STEP_V6: Ipv6Addr = Ipv6Addr::new(0xfd5c, 0xa1e7, 0x41c0, 0, 0, 0, 0, 2);
}

/// The whole of a step's `/etc/resolv.conf`, whatever the host has: search domains are facts of
/// the host and aren't handed on.
pub const RESOLV_CONF: &str = "nameserver 192.0.0.3\n";

/// The address that `--add-host NAME:host-gateway` means.
pub const HOST_GATEWAY: &str = "host-gateway";

/// Why a step has no network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A namespace could not be made or entered.
    #[error("{what}: {source}")]
    Namespace {
        /// What was done.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The kernel refused a part of the network's layout.
    #[error("{what}: {source}")]
    Layout {
        /// What was asked for.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The forwarder could not be started, or its sockets not made.
    #[error("{what}: {source}")]
    Forwarder {
        /// What was done.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl From<Error> for super::Error {
    fn from(error: Error) -> super::Error {
        super::Error::Unsupported {
            what: "make a network for the step".to_owned(),
            cause: error.to_string(),
            hint: "`--network=none` runs it without one, `--network=host` on the host's".to_owned(),
        }
    }
}
