//! The step's `connect`s, as the supervisor sees them.
//!
//! In: a notified connect(2). Out: its port is open in the gate, and whether it is of any use. The
//! address is read once, and if the kernel then reads another, that one's port may not be open:
//! it harms nobody.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use super::{Ports, Verdict};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};

/// Bytes of the longest address that is of interest: `sockaddr_in6`.
const LONGEST: u32 = 28;
const INET: u16 = 2;
const INET6: u16 = 10;

/// Answers connect(2).
#[derive(Debug, Default)]
pub struct Connects {
    /// None in the process that makes the filter only.
    pub ports: Option<Ports>,
}

impl Handler for Connects {
    fn rules(&self) -> Vec<Rule> {
        vec![Rule::always(Call::Connect, Action::Notify)]
    }

    fn answer(&mut self, _: Call, caller: &Caller<'_>) -> Answer {
        let Some(ports) = &mut self.ports else {
            return Answer::Continue;
        };
        let Ok(Some(to)) = address(caller) else {
            // The kernel has its own words for bad ones.
            return Answer::Continue;
        };
        match kind(caller) {
            Ok(SocketType::STREAM) => match ports.connect(to) {
                Verdict::Continue => Answer::Continue,
                Verdict::Fail(errno) => Answer::Fail(errno),
            },
            // Choosing among addresses, libc connects sockets of other kinds to see whether there
            // is a way.
            Ok(_) => Answer::Continue,
            Err(_) => {
                // Of no use without a port, but only the kernel knows whether one is wanted.
                let _ = ports.ensure(to.port());
                Answer::Continue
            }
        }
    }
}

/// The internet's address that the call is for, if it is for one.
fn address(caller: &Caller<'_>) -> Result<Option<SocketAddr>, Errno> {
    let length = caller.word(2).min(LONGEST) as usize;
    let mut bytes = [0; LONGEST as usize];
    let bytes = bytes.get_mut(..length).unwrap_or_default();
    if length < 16 {
        return Ok(None);
    }
    caller.read(caller.argument(1), bytes)?;
    Ok(parse(bytes))
}

/// The address in a `sockaddr_in` or `sockaddr_in6`.
fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let ip = match family {
        INET => Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?).into(),
        INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What kind of socket the call is on.
fn kind(caller: &Caller<'_>) -> Result<SocketType, Errno> {
    let leader = caller.status("Tgid")?.parse().map_err(|_| Errno::SRCH)?;
    let leader = Pid::from_raw(leader).ok_or(Errno::SRCH)?;
    let process = rustix::process::pidfd_open(leader, PidfdFlags::empty())?;
    caller.check()?;
    let flags = PidfdGetfdFlags::empty();
    let socket: OwnedFd = rustix::process::pidfd_getfd(&process, caller.int(0), flags)?;
    sockopt::socket_type(&socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_are_read_and_others_left() {
        let v4 = [&INET.to_ne_bytes()[..], &[1, 187, 10, 1, 2, 3], &[0; 8]].concat();
        assert_eq!(parse(&v4).unwrap().to_string(), "10.1.2.3:443");
        let v6 = [
            &INET6.to_ne_bytes()[..],
            &[0, 80],
            &[0; 4],
            &[0xfd; 16],
            &[0; 4],
        ]
        .concat();
        let expected = "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:80";
        assert_eq!(parse(&v6).unwrap().to_string(), expected);
        assert_eq!(parse(&v6[..23]), None);
        let unix = [&1_u16.to_ne_bytes()[..], b"/run/socket\0\0\0"].concat();
        assert_eq!(parse(&unix), None);
        assert_eq!(parse(&[]), None);
    }
}
