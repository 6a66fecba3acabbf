//! DNS, and datagrams that aren't.

use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::thread::Builder;

use super::{PATIENCE, behind_a_gate, heard, serve};
use crate::sandbox::network::destination::Reach;
use crate::sandbox::network::{Event, Settings};

/// A resolver that answers each question with `answer` and the code `code`.
fn resolver(at: &str, answer: &'static [u8], code: u8) {
    let socket = UdpSocket::bind(at).unwrap();
    let serve = move || {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            buffer[2] |= 0x80;
            buffer[3] = code;
            let said = [&buffer[..length], answer].concat();
            socket.send_to(&said, from).unwrap();
        }
    };
    Builder::new().spawn(serve).unwrap();
}

/// A question for `cairn.test`, and what came back.
pub fn look_up(server: &str) -> Vec<u8> {
    let any = match server.starts_with('[') {
        true => "[::]:0",
        false => "0.0.0.0:0",
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // A connected socket hears only whom it asked.
    socket.connect(server).unwrap();
    socket.send(&question()).unwrap();
    let mut answer = [0; 2000];
    let length = socket.recv(&mut answer).unwrap();
    answer[..length].to_vec()
}

fn question() -> Vec<u8> {
    let header = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], b"\x05cairn\x04test\0", &[0, 1, 0, 1]].concat()
}

#[test]
fn names_are_resolved_by_the_host_whoever_is_asked() {
    let host = || {
        resolver("127.0.0.53:53", b"refused", 5);
        resolver("[::1]:53", b"here", 0);
        serve("[::1]:53", |mut stream| {
            let mut question = [0; 4];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(b"by TCP").unwrap();
        });
        // Nobody is at the first one.
        let resolvers = ["127.0.0.9:53", "127.0.0.53:53", "[::1]:53"];
        let resolvers = resolvers.map(|at| at.parse().unwrap()).to_vec();
        let reach = Reach::default();
        let settings = Settings {
            resolvers,
            reach,
            ..Settings::default()
        };
        (settings, ())
    };
    behind_a_gate(host, |step, ()| {
        for server in ["192.0.0.3:53", "8.8.8.8:53", "[2001:4860:4860::8888]:53"] {
            let mut expected = question();
            expected[2] |= 0x80;
            assert_eq!(look_up(server), [&expected[..], b"here"].concat());
            let mut stream = step.connect(server).unwrap();
            stream.write_all(b"ask!").unwrap();
            assert_eq!(heard(Ok(stream)), "by TCP");
        }
        let name = "cairn.test".to_owned();
        step.saw(&Event::Asked { name });
    });
}

#[test]
fn without_a_resolver_questions_fail_at_once() {
    let host = || {
        let resolvers = vec!["127.0.0.9:53".parse().unwrap()];
        let reach = Reach::default();
        let settings = Settings {
            resolvers,
            reach,
            ..Settings::default()
        };
        (settings, ())
    };
    behind_a_gate(host, |_, ()| {
        let answer = look_up("192.0.0.3:53");
        assert_eq!(answer[..4], [7, 9, 0x81, 0x82]);
        assert_eq!(answer.len(), question().len());
    });
}

#[test]
fn other_datagrams_are_told_that_nobody_is_there() {
    behind_a_gate(
        || (Settings::default(), ()),
        |_, ()| {
            for (any, to) in [
                ("0.0.0.0:0", "8.8.8.8:123"),
                ("[::]:0", "[2001:db8::8]:123"),
            ] {
                let socket = UdpSocket::bind(any).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                socket.connect(to).unwrap();
                socket.send(b"time?").unwrap();
                let error = socket.recv(&mut [0; 8]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            }
        },
    );
}
