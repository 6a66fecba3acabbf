//! The layout of a step's network: the step's namespace, the gate, and the cable between them.
//!
//! In: a process of one thread with `CAP_SYS_ADMIN` in its user namespace. Out: it stands in the
//! gate, and [enters](Wiring::enter) the step's side to make the step's first process.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::LinkNameSpaceType;

use super::netlink::{Body, Netlink, address, kind, link, route};
use super::{Error, address as cable};
use crate::sandbox::sys_network as sys;

/// Both ends of the cable have this number: far from those that the kernel hands out.
const CABLE: u32 = 77;
/// The loopback's number in every namespace.
const LOOPBACK: u32 = 1;
const INET: u8 = 2;
const INET6: u8 = 10;

/// A network that is laid out. The calling thread stands in the gate.
#[derive(Debug)]
pub struct Wiring {
    step: OwnedFd,
    gate: OwnedFd,
    ipv6: bool,
}

impl Wiring {
    /// Lays a network out, with IPv6 if `ipv6` and the kernel has it. The calling thread ends up
    /// in the gate.
    ///
    /// # Errors
    /// Where the kernel refuses a namespace, or has no `veth`.
    pub fn lay(ipv6: bool) -> Result<Wiring, Error> {
        let step = new_namespace()?;
        let mut inside = open_netlink()?;
        let handle = new_namespace()?;
        let mut gate = open_netlink()?;
        layout("loopback", up(&mut inside, LOOPBACK))?;
        layout("loopback", up(&mut gate, LOOPBACK))?;
        layout("veth", lay_cable(&mut gate, step.as_fd()))?;
        layout("cable", up(&mut gate, CABLE))?;
        layout("cable", up(&mut inside, CABLE))?;
        let v4 = (cable::GATE_V4.into(), cable::STEP_V4.into());
        addresses(&mut gate, &mut inside, v4)?;
        let v6 = (cable::GATE_V6.into(), cable::STEP_V6.into());
        // Kernels without IPv6, or with it switched off, refuse the first address.
        let ipv6 = ipv6 && addresses(&mut gate, &mut inside, v6).is_ok();
        quieten();
        Ok(Wiring {
            step,
            gate: handle,
            ipv6,
        })
    }

    /// Whether the step has IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.ipv6
    }

    /// Moves the calling thread into the step's namespace.
    ///
    /// # Errors
    /// Those of setns(2): it needs `CAP_SYS_ADMIN` in the user namespace that [`lay`](Self::lay)
    /// was called in.
    pub fn enter(&self) -> Result<(), Error> {
        enter(&self.step)
    }

    /// Moves the calling thread back into the gate.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub fn leave(&self) -> Result<(), Error> {
        enter(&self.gate)
    }
}

fn enter(namespace: &OwnedFd) -> Result<(), Error> {
    let kind = Some(LinkNameSpaceType::Network);
    let entered = rustix::thread::move_into_link_name_space(namespace.as_fd(), kind);
    entered.map_err(|errno| Error::Namespace {
        what: "setns",
        source: errno.into(),
    })
}

/// Moves into a new namespace and gives a handle on it.
fn new_namespace() -> Result<OwnedFd, Error> {
    let made = sys::new_network();
    // The thread's own: a process may have threads in several.
    let opened = made.and_then(|()| File::open("/proc/thread-self/ns/net"));
    match opened {
        Ok(file) => Ok(file.into()),
        Err(source) => Err(Error::Namespace {
            what: "unshare",
            source,
        }),
    }
}

fn open_netlink() -> Result<Netlink, Error> {
    layout("netlink", Netlink::open())
}

fn layout<T>(what: &'static str, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::Layout { what, source })
}

fn up(side: &mut Netlink, index: u32) -> io::Result<()> {
    side.change(kind::NEW_LINK, &Body::link(index, true))
}

/// A cable from `gate` to the namespace `step`, where its end is `eth0`.
fn lay_cable(gate: &mut Netlink, step: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let far = Body::link(CABLE, false)
        .with(link::NAME, b"eth0\0")
        .with(link::ADDRESS, &cable::STEP_HARDWARE)
        .with(link::NAMESPACE_FD, &step.as_raw_fd().to_ne_bytes());
    let data = Body::default().with_nested(link::VETH_PEER, &far);
    let info = Body::default()
        .with(link::INFO_KIND, b"veth")
        .with_nested(link::INFO_DATA, &data);
    let body = Body::link(CABLE, false)
        .with(link::NAME, b"step0\0")
        .with(link::ADDRESS, &cable::GATE_HARDWARE)
        .with_nested(link::INFO, &info);
    gate.change(kind::NEW_LINK, &body)
}

/// The addresses and routes of one family: everything is behind the gate, and in the gate
/// everything is local but the cable.
fn addresses(
    gate: &mut Netlink,
    inside: &mut Netlink,
    (gates, steps): (IpAddr, IpAddr),
) -> Result<(), Error> {
    // The gate's has no network around it: that would be more at hand than "local".
    layout("address", add_address(gate, gates, None))?;
    let around = match steps {
        IpAddr::V4(_) => cable::PREFIX_V4,
        IpAddr::V6(_) => cable::PREFIX_V6,
    };
    layout("address", add_address(inside, steps, Some(around)))?;
    layout("default route", add_default(inside, gates))?;
    // First the way back, or the route after it would make the step's own address local, too. It
    // must be in the same table: the first table that knows an address decides.
    layout("route to the step", add_cable_route(gate, steps))?;
    layout("local route", add_local(gate, gates))
}

/// The family, the bits of a whole address, the address.
fn octets(ip: IpAddr) -> (u8, u8, Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => (INET, 32, ip.octets().to_vec()),
        IpAddr::V6(ip) => (INET6, 128, ip.octets().to_vec()),
    }
}

fn add_address(side: &mut Netlink, ip: IpAddr, prefix: Option<u8>) -> io::Result<()> {
    let (family, whole, octets) = octets(ip);
    let flags = match ip {
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => address::NO_DUPLICATE_DETECTION,
    };
    let body = Body::address(family, prefix.unwrap_or(whole), flags, CABLE)
        .with(address::LOCAL, &octets)
        .with(address::ADDRESS, &octets);
    side.change(kind::NEW_ADDRESS, &body)
}

fn add_default(side: &mut Netlink, gateway: IpAddr) -> io::Result<()> {
    let (family, _, octets) = octets(gateway);
    let (table, scope) = (route::TABLE_MAIN, route::SCOPE_UNIVERSE);
    let body = Body::route(family, 0, table, scope, route::UNICAST)
        .with(route::GATEWAY, &octets)
        .with(route::INTERFACE, &CABLE.to_ne_bytes());
    side.change(kind::NEW_ROUTE, &body)
}

fn add_cable_route(side: &mut Netlink, step: IpAddr) -> io::Result<()> {
    let (family, whole, octets) = octets(step);
    let (table, scope) = (route::TABLE_LOCAL, route::SCOPE_LINK);
    let body = Body::route(family, whole, table, scope, route::UNICAST)
        .with(route::DESTINATION, &octets)
        .with(route::INTERFACE, &CABLE.to_ne_bytes());
    side.change(kind::NEW_ROUTE, &body)
}

fn add_local(side: &mut Netlink, gates: IpAddr) -> io::Result<()> {
    let (family, _, _) = octets(gates);
    let (table, scope) = (route::TABLE_LOCAL, route::SCOPE_HOST);
    let body = Body::route(family, 0, table, scope, route::LOCAL)
        .with(route::INTERFACE, &LOOPBACK.to_ne_bytes());
    side.change(kind::NEW_ROUTE, &body)
}

/// Best effort, as `/proc/sys` may be read-only: the gate must not answer echo requests for the
/// whole world, and must say "port unreachable" each time.
fn quieten() {
    for (name, value) in [
        ("ipv4/icmp_echo_ignore_all", "1"),
        ("ipv6/icmp/echo_ignore_all", "1"),
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ] {
        let _ = std::fs::write(format!("/proc/sys/net/{name}"), value);
    }
}
