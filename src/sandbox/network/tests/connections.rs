//! Connections by TCP.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::scope;
use std::time::Duration;

use rustix::io::Errno;

use super::{
    HOST_V4, HOST_V6, become_host, behind_a_gate, code, greet, heard, plain, serve, to_the_host,
};
use crate::sandbox::network::destination::Reach;
use crate::sandbox::network::ports::MOST_PORTS;
use crate::sandbox::network::{Event, Forwarder, Ports, Settings, Verdict};

#[test]
fn bytes_go_both_ways_to_what_was_meant_and_each_way_ends_by_itself() {
    const BYTES: usize = 3_000_000;
    let host = || {
        for at in [format!("{HOST_V4}:7000"), format!("[{HOST_V6}]:7000")] {
            serve(&at, |mut stream| {
                let mut got = Vec::new();
                stream.read_to_end(&mut got).unwrap();
                assert!(got.iter().enumerate().all(|(at, byte)| *byte == at as u8));
                stream.write_all(&got).unwrap();
            });
        }
        (to_the_host(), ())
    };
    behind_a_gate(host, |step, ()| {
        for to in [format!("{HOST_V4}:7000"), format!("[{HOST_V6}]:7000")] {
            let mut stream = step.connect(&to).unwrap();
            let bytes: Vec<u8> = (0..BYTES).map(|at| at as u8).collect();
            stream.write_all(&bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            assert!(back == bytes);
            let destination = to.parse().unwrap();
            step.saw(&Event::Connected { destination });
            step.saw(&Event::Closed {
                destination,
                sent: BYTES as u64,
                received: BYTES as u64,
            });
        }
    });
}

#[test]
fn what_is_refused_or_broken_outside_is_so_inside() {
    let host = || {
        serve(&format!("{HOST_V4}:7001"), reset);
        (to_the_host(), ())
    };
    behind_a_gate(host, |step, ()| {
        let closed = format!("{HOST_V4}:7002");
        assert_eq!(code(step.connect(&closed)), Some(Errno::CONNREFUSED));
        // The test's host has no way to anywhere.
        let nowhere = step.connect("198.51.100.1:80");
        assert_eq!(code(nowhere), Some(Errno::NETUNREACH));
        // Without a question first: the port is open by now, so it breaks after the fact.
        let mut byte = [0];
        let resetting = step.connect(&format!("{HOST_V4}:7001"));
        for stream in [plain(&closed), resetting] {
            let broken = stream.and_then(|mut stream| stream.read(&mut byte));
            assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        assert_eq!(
            code(plain(&format!("{HOST_V4}:7003"))),
            Some(Errno::CONNREFUSED)
        );
        let events = step.events();
        // Port 7001 may break so early that it counts as refused.
        let refused = |event: &&Event| match event {
            Event::Refused { destination, .. } => destination.port() != 7001,
            _ => false,
        };
        assert_eq!(events.iter().filter(refused).count(), 3, "{events:?}");
    });
}

fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

#[test]
fn the_hosts_own_services_are_closed_but_for_what_was_asked_for() {
    let host = || {
        for at in [
            "127.0.0.1:7000",
            "127.0.0.1:3128",
            "[::1]:7001",
            "0.0.0.0:7002",
        ] {
            greet(at, "host");
        }
        (Settings::default(), ())
    };
    let closed = [
        ("192.0.0.1:7000", Errno::CONNREFUSED),
        ("192.0.0.4:3128", Errno::CONNREFUSED),
        ("127.0.0.1:7000", Errno::CONNREFUSED),
        ("[::1]:7001", Errno::CONNREFUSED),
        ("0.0.0.0:7000", Errno::CONNREFUSED),
        ("169.254.169.254:80", Errno::HOSTUNREACH),
    ];
    behind_a_gate(host, |step, ()| {
        for (to, expected) in closed {
            assert_eq!(code(step.connect(to)), Some(expected), "{to}");
        }
        let own = format!("{HOST_V4}:7002");
        assert_eq!(code(step.connect(&own)), Some(Errno::CONNREFUSED));
    });
    let host = || {
        for at in ["127.0.0.1:7000", "127.0.0.1:3128", "[::1]:7001"] {
            greet(at, "host");
        }
        let proxy = "127.0.0.1:3128".parse().unwrap();
        let reach = Reach {
            host_gateway: true,
            proxies: [(3128, vec![proxy])].into(),
        };
        let resolvers = Vec::new();
        let settings = Settings {
            resolvers,
            reach,
            ..Settings::default()
        };
        (settings, ())
    };
    behind_a_gate(host, |step, ()| {
        for to in ["192.0.0.1:7000", "192.0.0.1:7001", "192.0.0.4:3128"] {
            assert_eq!(heard(step.connect(to)), "host", "{to}");
        }
        let refused = Some(Errno::CONNREFUSED);
        assert_eq!(code(step.connect("192.0.0.4:7000")), refused);
        assert_eq!(code(step.connect("127.0.0.1:7000")), refused);
    });
}

#[test]
fn the_steps_own_servers_stay_its_own_on_ports_that_it_also_uses_outside() {
    let host = || {
        greet(&format!("{HOST_V4}:443"), "host");
        greet("127.0.0.1:443", "loopback of the host");
        (to_the_host(), ())
    };
    behind_a_gate(host, |step, ()| {
        let outside = format!("{HOST_V4}:443");
        assert_eq!(heard(step.connect(&outside)), "host");
        // Ports of the gate are in no step's way, whatever the step binds to.
        greet("127.0.0.1:443", "loopback");
        greet("192.0.0.2:443", "address");
        greet("[::]:8443", "any");
        for (to, expected) in [
            ("127.0.0.1:443", "loopback"),
            ("192.0.0.2:443", "address"),
            (&outside, "host"),
            ("127.0.0.1:8443", "any"),
            ("[::1]:8443", "any"),
        ] {
            assert_eq!(heard(step.connect(to)), expected, "{to}");
        }
    });
}

#[test]
fn what_is_not_read_outside_is_not_taken_inside() {
    let host = || {
        let listener = TcpListener::bind(format!("{HOST_V4}:7000")).unwrap();
        (to_the_host(), listener)
    };
    behind_a_gate(host, |step, listener| {
        let mut stream = step.connect(&format!("{HOST_V4}:7000")).unwrap();
        stream
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let block = vec![0; 1 << 20];
        let mut sent = 0;
        let stopped = loop {
            match stream.write(&block) {
                Ok(length) => sent += length,
                Err(error) => break error,
            }
            assert!(sent < 1 << 28);
        };
        assert_eq!(stopped.kind(), ErrorKind::WouldBlock);
        // As it is the host's listener that is gone, so is what waited in it.
        drop(listener);
        let mut byte = [0];
        assert_eq!(
            stream.read(&mut byte).unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn a_step_that_opens_too_many_ports_is_told_so() {
    behind_a_gate(
        || (to_the_host(), ()),
        |step, ()| {
            let first = 20_000;
            // One is for DNS over TCP.
            let last = first + u16::try_from(MOST_PORTS).unwrap() - 1;
            let failed = |port: u16| step.verdict(&format!("{HOST_V4}:{port}"));
            for port in first..last {
                assert_eq!(failed(port), Verdict::Fail(Errno::CONNREFUSED), "{port}");
            }
            assert_eq!(failed(last), Verdict::Fail(Errno::ADDRNOTAVAIL));
            assert_eq!(failed(first), Verdict::Fail(Errno::CONNREFUSED));
        },
    );
}

#[test]
fn a_forwarder_that_ends_ends_what_it_carries() {
    let run = || {
        if !become_host() {
            return;
        }
        let listener = TcpListener::bind(format!("{HOST_V4}:7000")).unwrap();
        let (forwarder, control) = Forwarder::start(to_the_host(), None, |_| {}).unwrap();
        let (wiring, mut ports) = Ports::lay(control).unwrap();
        let to = format!("{HOST_V4}:7000");
        let verdict = ports.connect(to.parse().unwrap());
        assert_eq!(verdict, Verdict::Continue);
        wiring.enter().unwrap();
        let mut stream = plain(&to).unwrap();
        stream.write_all(b"x").unwrap();
        let (mut outside, _) = listener.accept().unwrap();
        let mut byte = [0];
        outside.read_exact(&mut byte).unwrap();
        // Without IPv6 the kernel says so, as on a host that has none.
        let unreachable = plain(&format!("[{HOST_V6}]:7000"));
        assert_eq!(code(unreachable), Some(Errno::NETUNREACH));
        drop(forwarder);
        assert_eq!(stream.read(&mut byte).unwrap_or(0), 0);
        assert_eq!(outside.read(&mut byte).unwrap_or(0), 0);
        let verdict = ports.connect(to.parse().unwrap());
        assert_eq!(verdict, Verdict::Fail(Errno::NETUNREACH));
    };
    scope(|scope| scope.spawn(run).join().unwrap());
}
