//! Route netlink (rtnetlink(7)): the few messages that lay out a network.
//!
//! In: a kind, a fixed part, attributes. Out: the kernel's yes or no, or what it knows of an
//! address. The socket speaks for the
//! network namespace that it was opened in.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Kinds of requests: `RTM_*` of linux/rtnetlink.h.
pub mod kind {
    pub const NEW_LINK: u16 = 16;
    pub const NEW_ADDRESS: u16 = 20;
    pub const NEW_ROUTE: u16 = 24;
    pub const GET_ROUTE: u16 = 26;
}

/// The interface attributes in use: `IFLA_*` of linux/if_link.h, `VETH_INFO_PEER` of linux/veth.h.
pub mod link {
    pub const ADDRESS: u16 = 1;
    pub const NAME: u16 = 3;
    pub const INFO: u16 = 18;
    pub const INFO_KIND: u16 = 1;
    pub const INFO_DATA: u16 = 2;
    pub const VETH_PEER: u16 = 1;
    pub const NAMESPACE_FD: u16 = 28;
    pub const UP: u32 = 1;
}

/// The address attributes in use: `IFA_*` of linux/if_addr.h.
pub mod address {
    pub const ADDRESS: u16 = 1;
    pub const LOCAL: u16 = 2;
    /// `IFA_F_NODAD`: usable at once, nobody else is on the cable.
    pub const NO_DUPLICATE_DETECTION: u8 = 0x02;
}

/// The route attributes in use: `RTA_*` and `RT*` of linux/rtnetlink.h.
pub mod route {
    pub const DESTINATION: u16 = 1;
    pub const INTERFACE: u16 = 4;
    pub const GATEWAY: u16 = 5;
    pub const TABLE_MAIN: u8 = 254;
    pub const TABLE_LOCAL: u8 = 255;
    pub const PROTOCOL_BOOT: u8 = 3;
    pub const SCOPE_UNIVERSE: u8 = 0;
    pub const SCOPE_LINK: u8 = 253;
    pub const SCOPE_HOST: u8 = 254;
    pub const UNICAST: u8 = 1;
    pub const LOCAL: u8 = 2;
}

const HEADER: usize = 16;
const ERROR: u16 = 2;
const REQUEST: u16 = 0x01;
const ACKNOWLEDGE: u16 = 0x04;
/// `NLM_F_CREATE`: make it if it isn't there.
const CREATE: u16 = 0x400;

/// A request's body: a fixed part, then attributes.
#[derive(Debug, Default, Clone)]
pub struct Body(Vec<u8>);

impl Body {
    /// `struct ifinfomsg`: an interface by `index`; `up` says whether it is to be up.
    pub fn link(index: u32, up: bool) -> Body {
        let flags = u32::from(up) * link::UP;
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        Body(body)
    }

    /// `struct ifaddrmsg`.
    pub fn address(family: u8, prefix: u8, flags: u8, index: u32) -> Body {
        let mut body = vec![family, prefix, flags, route::SCOPE_UNIVERSE];
        body.extend(index.to_ne_bytes());
        Body(body)
    }

    /// `struct rtmsg`.
    pub fn route(family: u8, prefix: u8, table: u8, scope: u8, kind: u8) -> Body {
        let boot = route::PROTOCOL_BOOT;
        let mut body = vec![family, prefix, 0, 0, table, boot, scope, kind];
        body.extend([0; 4]);
        Body(body)
    }

    /// With the attribute `kind`.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Body {
        // Lengths are a few dozen bytes: they never reach 65536.
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// With an attribute made of others, and of a fixed part before them.
    pub fn with_nested(self, kind: u16, inside: &Body) -> Body {
        self.with(kind, &inside.0)
    }
}

/// `body` as a request of `kind` with the number `sequence`.
fn message(kind: u16, sequence: u32, body: &Body) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.0.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(HEADER + body.0.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | ACKNOWLEDGE | CREATE).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(&body.0);
    message
}

/// The error number of the acknowledgement of `sequence` in `answer`, if there is one: 0 is yes.
fn acknowledged(answer: &[u8], sequence: u32) -> Option<i32> {
    let mut rest = answer;
    loop {
        let header = rest.first_chunk::<HEADER>()?;
        let length = u32::from_ne_bytes(*header.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let number = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        if kind == ERROR && number == sequence {
            let code = rest.get(HEADER..HEADER + 4)?;
            return Some(-i32::from_ne_bytes(code.try_into().ok()?));
        }
        rest = rest.get(length.max(HEADER).next_multiple_of(4)..)?;
    }
}

/// A socket to the kernel's routing.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// For the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn open() -> io::Result<Netlink> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // No protocol is 0, which is NETLINK_ROUTE.
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok(Netlink {
            socket,
            sequence: 0,
        })
    }

    /// Asks for one change and waits for the answer.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn change(&mut self, kind: u16, body: &Body) -> io::Result<()> {
        self.sequence += 1;
        let message = message(kind, self.sequence, body);
        rustix::net::send(&self.socket, &message, SendFlags::empty())?;
        let mut answer = [0; 4096];
        loop {
            let (_, length) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
            let answer = answer.get(..length).unwrap_or_default();
            match acknowledged(answer, self.sequence) {
                None => {}
                Some(0) => return Ok(()),
                Some(code) => return Err(io::Error::from_raw_os_error(code)),
            }
        }
    }
}

/// Where the kernel would send what is for `ip`: the type of the route in an answer to `sequence`
/// (`rtm_type` of struct rtmsg), or the error's number. None if it isn't in this answer.
fn route_type(answer: &[u8], sequence: u32) -> Option<Result<u8, i32>> {
    if let Some(code) = acknowledged(answer, sequence) {
        return Some(Err(code));
    }
    let header = answer.first_chunk::<HEADER>()?;
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let number = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
    let is_route = kind == kind::NEW_ROUTE && number == sequence;
    is_route.then(|| answer.get(HEADER + 7).copied().map(Ok))?
}

/// Whether an address is one of this machine's own, in the network namespace of the calling
/// thread. Nothing is sent to anybody but the kernel.
///
/// # Errors
/// Those of the conversation with the kernel. That there is no way to the address is none: it is
/// not the machine's then.
pub fn is_own(ip: IpAddr) -> io::Result<bool> {
    let (family, octets) = match ip {
        IpAddr::V4(ip) => (AddressFamily::INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AddressFamily::INET6, ip.octets().to_vec()),
    };
    let family = u8::try_from(family.as_raw()).map_err(io::Error::other)?;
    let bits = u8::try_from(octets.len() * 8).map_err(io::Error::other)?;
    let body = Body(vec![family, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let body = body.with(route::DESTINATION, &octets);
    let netlink = Netlink::open()?;
    let mut asked = message(kind::GET_ROUTE, 1, &body);
    asked[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    rustix::net::send(&netlink.socket, &asked, SendFlags::empty())?;
    let mut answer = [0; 4096];
    loop {
        let (_, length) = rustix::net::recv(&netlink.socket, &mut answer[..], RecvFlags::empty())?;
        match route_type(answer.get(..length).unwrap_or_default(), 1) {
            None => {}
            Some(Ok(kind)) => return Ok(kind == route::LOCAL),
            Some(Err(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL)) => {
                return Ok(false);
            }
            Some(Err(code)) => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_lengths_are_not() {
        let body = Body::default().with(3, b"lo\0").with(4, &[1, 2, 3, 4]);
        assert_eq!(
            body.0,
            [
                &7_u16.to_ne_bytes()[..],
                &3_u16.to_ne_bytes(),
                b"lo\0\0",
                &8_u16.to_ne_bytes(),
                &4_u16.to_ne_bytes(),
                &[1, 2, 3, 4]
            ]
            .concat()
        );
        let message = message(kind::NEW_LINK, 7, &body);
        assert_eq!(message.len(), HEADER + 16);
        assert_eq!(message[..4], 32_u32.to_ne_bytes());
    }

    #[test]
    fn an_answer_is_found_behind_others_and_never_read_past_its_end() {
        let answer = |sequence: u32, code: i32| {
            let body = Body([&code.to_ne_bytes()[..], &[0; 16]].concat());
            message(ERROR, sequence, &body)
        };
        let both = [answer(1, -17), answer(2, 0)].concat();
        assert_eq!(acknowledged(&both, 1), Some(17));
        assert_eq!(acknowledged(&both, 2), Some(0));
        assert_eq!(acknowledged(&both, 3), None);
        for length in 0..HEADER + 4 {
            assert_eq!(acknowledged(&both[..length], 1), None);
        }
        assert_eq!(acknowledged(&[0; 64], 1), None);
    }

    #[test]
    fn the_machines_own_addresses_are_known() {
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("192.0.2.77", false),
        ] {
            let is_own = is_own(ip.parse().unwrap()).unwrap();
            // There are machines without IPv6.
            assert!(is_own == expected || ip == "::1", "{ip}");
        }
    }

    #[test]
    fn the_kernel_says_no_with_a_reason() {
        let mut netlink = Netlink::open().unwrap();
        let body = Body::link(0x7fff_fff0, true);
        assert!(netlink.change(kind::NEW_LINK, &body).is_err());
    }
}
