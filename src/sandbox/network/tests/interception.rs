//! Somebody in place of the world.

use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::names::look_up;
use super::{code, greet, heard, intercepted, plain, to_the_host};
use crate::sandbox::network::Event;
use crate::sandbox::network::destination::Refusal;
use crate::sandbox::network::interceptor::{Answer, Interceptor};

/// Says where a connection was to go; refuses port 22.
struct Echo(io::PipeReader);

impl Interceptor for Echo {
    fn admits(&self, destination: SocketAddr) -> io::Result<()> {
        match destination.port() {
            22 => Err(io::Error::new(
                ErrorKind::ConnectionRefused,
                Refusal::LinkLocal,
            )),
            _ => Ok(()),
        }
    }

    fn connection(&self, mut stream: TcpStream, destination: SocketAddr) {
        write!(stream, "{destination}").unwrap();
    }

    fn question(&self, question: Vec<u8>, answer: Answer) {
        answer([&question[..2], b"answered"].concat());
    }

    fn ended(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[test]
fn what_is_said_goes_to_the_interceptor_and_to_nobody_else() {
    let (reader, _writer) = io::pipe().unwrap();
    let host = || {
        greet("203.0.113.5:80", "the world");
        (to_the_host(), ())
    };
    intercepted(Some(Arc::new(Echo(reader))), host, |step, ()| {
        for to in [
            "203.0.113.5:80",
            "8.8.4.4:443",
            "[2001:db8::9]:81",
            "9.9.9.9:53",
        ] {
            assert_eq!(heard(step.connect(to)), to);
        }
        // Without having asked, too.
        assert_eq!(heard(plain("10.2.3.4:80")), "10.2.3.4:80");
        assert_eq!(code(step.connect("1.2.3.4:22")), Some(Errno::HOSTUNREACH));
        step.saw(&Event::Refused {
            destination: "1.2.3.4:22".parse().unwrap(),
            reason: Refusal::LinkLocal.to_string(),
        });
        assert_eq!(look_up("8.8.8.8:53")[2..], *b"answered");
    });
}
