//! The gate's ports: opened as the step asks for them.
//!
//! In: a thread that stands in the gate, addresses that the step connects to. Out: listening
//! sockets, handed to the forwarder; what a `connect` is to be told.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::control::{self, Ask, Said};
use super::{Error, Wiring, address};
use crate::sandbox::sys_network as sys;

/// Most ports that one step may have open; each costs a descriptor of the process outside.
pub const MOST_PORTS: usize = 128;

/// How long a `connect` waits for the world's answer. One that doesn't want to wait should not
/// have to for long, and while one waits, no other call of the step is answered.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// What `connect` is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Fail with this.
    Fail(Errno),
}

/// The gate's listening sockets.
#[derive(Debug)]
pub struct Ports {
    control: OwnedFd,
    has_ipv6: bool,
    open: BTreeSet<u16>,
    next: u64,
}

impl Ports {
    /// Lays out a network as the forwarder wants it and opens its ports for DNS. The calling
    /// thread ends up in the gate. `control` leads to the forwarder:
    /// [`Forwarder::start`](super::Forwarder::start) gave it.
    ///
    /// # Errors
    /// Where the kernel refuses a namespace or a socket, or the forwarder is gone.
    pub fn lay(control: OwnedFd) -> Result<(Wiring, Ports), Error> {
        let begin = control::receive::<Said>(&control, RecvFlags::empty());
        let ipv6 = match begin {
            Ok(Some((Said::Begin { ipv6 }, _))) => ipv6,
            Ok(_) => return Err(gone(io::ErrorKind::BrokenPipe.into())),
            Err(source) => return Err(gone(source)),
        };
        let wiring = Wiring::lay(ipv6)?;
        let ports = Ports::new(&wiring, control)?;
        Ok((wiring, ports))
    }

    fn new(wiring: &Wiring, control: OwnedFd) -> Result<Ports, Error> {
        let mut ports = Ports {
            control,
            has_ipv6: wiring.has_ipv6(),
            open: BTreeSet::new(),
            next: 0,
        };
        let mut open = || {
            ports.resolve(Ipv4Addr::UNSPECIFIED.into())?;
            if ports.has_ipv6 {
                ports.resolve(Ipv6Addr::UNSPECIFIED.into())?;
            }
            ports.ensure(53)
        };
        match open() {
            Ok(()) => Ok(ports),
            Err(source) => Err(Error::Forwarder {
                what: "open ports",
                source,
            }),
        }
    }

    /// What a `connect` of the step by TCP to `to` is to be told, after the port was opened.
    pub fn connect(&mut self, to: SocketAddr) -> Verdict {
        let is_own = match to.ip().to_canonical() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified() || ip == address::STEP_V4,
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip == address::STEP_V6,
        };
        if is_own || to.port() == 53 || to.port() == 0 {
            return Verdict::Continue;
        }
        if to.is_ipv6() && to.ip().to_canonical().is_ipv6() && !self.has_ipv6 {
            return Verdict::Continue;
        }
        if let Err(error) = self.ensure(to.port()) {
            let code = Errno::from_io_error(&error);
            return Verdict::Fail(code.unwrap_or(Errno::NETUNREACH));
        }
        match self.dial(to) {
            Ok(verdict) => verdict,
            // The forwarder is gone.
            Err(_) => Verdict::Fail(Errno::NETUNREACH),
        }
    }

    /// Listens on `port` of every address.
    ///
    /// # Errors
    /// Those of the kernel; `EADDRNOTAVAIL` beyond [`MOST_PORTS`].
    pub fn ensure(&mut self, port: u16) -> io::Result<()> {
        if self.open.contains(&port) {
            return Ok(());
        }
        if self.open.len() >= MOST_PORTS {
            return Err(Errno::ADDRNOTAVAIL.into());
        }
        // A socket of IPv6 hears IPv4, too.
        let any = match self.has_ipv6 {
            true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let socket = socket(any, SocketType::STREAM)?;
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        if self.has_ipv6 {
            rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        }
        rustix::net::bind(&socket, &SocketAddr::new(any, port))?;
        rustix::net::listen(&socket, 128)?;
        self.send(&Ask::Listen, Some(&socket))?;
        self.open.insert(port);
        Ok(())
    }

    /// Hears questions to port 53 of every address of the family of `any`.
    fn resolve(&mut self, any: IpAddr) -> io::Result<()> {
        let socket = socket(any, SocketType::DGRAM)?;
        if any.is_ipv6() {
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
        }
        sys::tell_destinations(socket.as_fd(), any.is_ipv6())?;
        rustix::net::bind(&socket, &SocketAddr::new(any, 53))?;
        let v6 = any.is_ipv6();
        self.send(&Ask::Resolve { v6 }, Some(&socket))
    }

    fn send(&self, ask: &Ask, attached: Option<&OwnedFd>) -> io::Result<()> {
        let attached = attached.map(AsFd::as_fd);
        control::send(self.control.as_fd(), ask, attached, SendFlags::empty())
    }

    /// Asks the forwarder, and goes on if it takes long.
    fn dial(&mut self, to: SocketAddr) -> io::Result<Verdict> {
        self.next += 1;
        let id = self.next;
        self.send(&Ask::Dial { id, to }, None)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Verdict::Continue);
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut watched = [PollFd::new(&self.control, PollFlags::IN)];
            match rustix::event::poll(&mut watched, Some(&left)) {
                Ok(0) => return Ok(Verdict::Continue),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            // An answer to an earlier question came too late and is of no use any more.
            match control::receive::<Said>(&self.control, RecvFlags::DONTWAIT)? {
                Some((Said::Dialled { id: other, error }, _)) if other == id => {
                    return Ok(match error {
                        0 => Verdict::Continue,
                        error => Verdict::Fail(Errno::from_raw_os_error(error)),
                    });
                }
                Some(_) => {}
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }
}

fn gone(source: io::Error) -> Error {
    Error::Forwarder {
        what: "begin",
        source,
    }
}

/// A socket for the family of `any`, that doesn't block and dies with an exec.
fn socket(any: IpAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = match any {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}
