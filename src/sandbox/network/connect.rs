//! The step's `connect`s, as the supervisor sees them.
//!
//! In: a notified connect(2). Out: its port is open in the gate, and whether it is of any use. The
//! address is read once, and if the kernel then reads another, that one's port may not be open:
//! it harms nobody.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::{Ports, Verdict};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};

/// Bytes of the longest address that is of interest: `sockaddr_in6`.
const LONGEST: u32 = 28;
/// `SYS_CONNECT` of `socketcall`.
const CONNECT: u32 = 3;
const INET: u16 = 2;
const INET6: u16 = 10;

/// Answers connect(2).
#[derive(Debug)]
pub struct Connects {
    ports: Ports,
}

impl Connects {
    /// Opens ports as they are asked for.
    pub fn by(ports: Ports) -> Connects {
        Connects { ports }
    }
}

impl Handler for Connects {
    fn rules() -> Vec<Rule> {
        let old = Is::OneOf(vec![CONNECT]);
        vec![
            Rule::always(Call::Connect, Action::Notify),
            Rule::when(Call::Socketcall, 0, !0, old, Action::Notify),
        ]
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        let asked = Asked::of(call, caller);
        let (Ok(Some(to)), Ok(asked)) = (asked.and_then(|asked| asked.to(caller)), asked) else {
            // The kernel has its own words for bad ones.
            return Answer::Continue;
        };
        match asked.kind(caller) {
            Ok(SocketType::STREAM) => match self.ports.connect(to) {
                Verdict::Continue => Answer::Continue,
                Verdict::Fail(errno) => Answer::Fail(errno),
            },
            // Choosing among addresses, libc connects sockets of other kinds to see whether there
            // is a way.
            Ok(_) => Answer::Continue,
            Err(_) => {
                // Of no use without a port, but only the kernel knows whether one is wanted.
                let _ = self.ports.ensure(to.port());
                Answer::Continue
            }
        }
    }
}

/// A call, taken apart.
#[derive(Debug, Clone, Copy)]
struct Asked {
    socket: i32,
    address: u64,
    length: u32,
}

impl Asked {
    fn of(call: Call, caller: &Caller<'_>) -> Result<Asked, Errno> {
        if call == Call::Connect {
            return Ok(Asked {
                socket: caller.int(0),
                address: caller.argument(1),
                length: caller.word(2),
            });
        }
        // Those of `socketcall` are in memory, 32 bits each.
        let mut bytes = [0; 12];
        caller.read(caller.argument(1), &mut bytes)?;
        let (words, _) = bytes.as_chunks();
        let [socket, address, length] = [0, 1, 2].map(|at| u32::from_ne_bytes(words[at]));
        Ok(Asked {
            socket: socket.cast_signed(),
            address: address.into(),
            length,
        })
    }

    /// The internet's address that the call is for, if it is for one.
    fn to(self, caller: &Caller<'_>) -> Result<Option<SocketAddr>, Errno> {
        let length = self.length.min(LONGEST) as usize;
        let mut bytes = [0; LONGEST as usize];
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        if length < 16 {
            return Ok(None);
        }
        caller.read(self.address, bytes)?;
        Ok(parse(bytes))
    }

    /// What kind of socket it is on.
    fn kind(self, caller: &Caller<'_>) -> Result<SocketType, Errno> {
        sockopt::socket_type(&caller.taken(self.socket)?)
    }
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
