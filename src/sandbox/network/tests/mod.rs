//! The network against real kernels' sockets: a "host" in a network namespace of its own, with
//! servers, and a step behind a gate. Nothing leaves the test.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, scope};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::netlink::{Body, Netlink, address, kind};
use super::{Event, Forwarder, Interceptor, Ports, Settings, Verdict};
use crate::sandbox::sys_network as sys;

mod connections;
mod interception;
mod names;

const HOST_V4: &str = "203.0.113.5";
const HOST_V6: &str = "2001:db8::5";
const PATIENCE: Duration = Duration::from_secs(10);

/// The step's end of a test.
struct Step {
    ask: Sender<(SocketAddr, Sender<Verdict>)>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Step {
    /// What the supervisor does before the kernel sees a `connect`.
    fn verdict(&self, to: &str) -> Verdict {
        let (answer, answered) = channel();
        self.ask.send((to.parse().unwrap(), answer)).unwrap();
        answered.recv().unwrap()
    }

    fn connect(&self, to: &str) -> io::Result<TcpStream> {
        match self.verdict(to) {
            Verdict::Fail(errno) => Err(errno.into()),
            Verdict::Continue => plain(to),
        }
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Waits for an event.
    fn saw(&self, event: &Event) {
        let end = Instant::now() + PATIENCE;
        while !self.events().contains(event) {
            assert!(Instant::now() < end, "no {event:?} in {:?}", self.events());
            std::thread::yield_now();
        }
    }
}

fn plain(to: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to.parse().unwrap(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn code(result: io::Result<TcpStream>) -> Option<Errno> {
    Errno::from_io_error(&result.err()?)
}

/// Moves the calling thread onto a host of its own, with the addresses [`HOST_V4`] and
/// [`HOST_V6`]; tells whether it may.
fn become_host() -> bool {
    match sys::new_network() {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return false,
        Err(error) => panic!("{error}"),
    }
    let mut host = Netlink::open().unwrap();
    host.change(kind::NEW_LINK, &Body::link(1, true)).unwrap();
    for ip in [HOST_V4, HOST_V6] {
        let (family, prefix, octets) = match ip.parse().unwrap() {
            IpAddr::V4(ip) => (2, 32, ip.octets().to_vec()),
            IpAddr::V6(ip) => (10, 128, ip.octets().to_vec()),
        };
        let flags = address::NO_DUPLICATE_DETECTION;
        let body = Body::address(family, prefix, flags, 1).with(address::LOCAL, &octets);
        host.change(kind::NEW_ADDRESS, &body.with(address::ADDRESS, &octets))
            .unwrap();
    }
    true
}

/// A network that reaches the host's own addresses, where all of the test's world is.
fn to_the_host() -> Settings {
    let mut settings = Settings::default();
    settings.reach.host_gateway = true;
    settings
}

/// Runs `host` on a host of its own, then `step` behind a gate to it. Without the right to make
/// namespaces nothing is run: [`all_of_it_works_for_users_without_root`] gets that right.
fn behind_a_gate<T: Send>(
    host: impl FnOnce() -> (Settings, T) + Send,
    step: impl FnOnce(&Step, T) + Send,
) {
    intercepted(None, host, step);
}

/// As [`behind_a_gate`], with somebody in place of the world.
fn intercepted<T: Send>(
    interceptor: Option<Arc<dyn Interceptor>>,
    host: impl FnOnce() -> (Settings, T) + Send,
    step: impl FnOnce(&Step, T) + Send,
) {
    let body = || {
        if !become_host() {
            return;
        }
        let (mut settings, kept) = host();
        settings.ipv6 = true;
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let told = Arc::clone(&events);
        let tell = move |event| told.lock().unwrap().push(event);
        let (_forwarder, control) = Forwarder::start(settings, interceptor, tell).unwrap();
        let (wiring, mut ports) = Ports::lay(control).unwrap();
        let (ask, asked): (_, Receiver<(SocketAddr, Sender<Verdict>)>) = channel();
        scope(|scope| {
            let inside = scope.spawn(|| {
                wiring.enter().unwrap();
                step(&Step { ask, events }, kept);
            });
            for (to, answer) in asked {
                answer.send(ports.connect(to)).unwrap();
            }
            if let Err(panic) = inside.join() {
                std::panic::resume_unwind(panic);
            }
        });
    };
    scope(|scope| {
        if let Err(panic) = scope.spawn(body).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A server for as many connections as come, each in a thread.
fn serve(at: &str, each: impl Fn(TcpStream) + Clone + Send + 'static) {
    let listener = TcpListener::bind(at).unwrap();
    let accept = move || {
        for stream in listener.incoming() {
            let (stream, each) = (stream.unwrap(), each.clone());
            Builder::new().spawn(move || each(stream)).unwrap();
        }
    };
    Builder::new().spawn(accept).unwrap();
}

/// A server that says `word` and hangs up.
fn greet(at: &str, word: &'static str) {
    serve(at, move |mut stream| {
        stream.write_all(word.as_bytes()).unwrap();
    });
}

fn heard(stream: io::Result<TcpStream>) -> String {
    let mut text = String::new();
    stream.unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn all_of_it_works_for_users_without_root() {
    let program = std::fs::File::open("/proc/self/exe").unwrap();
    let mut arguments: Vec<&str> = Vec::new();
    if rustix::process::geteuid().is_root() {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        arguments = [&["setpriv"][..], &nobody].concat();
    }
    // By its descriptor, as nobody need be able to walk to where the tests are built.
    arguments.extend(["unshare", "-Urn", "/proc/self/fd/0"]);
    arguments.extend([
        module_path!().split_once("::").unwrap().1,
        "--skip",
        "users_without_root",
    ]);
    let mut command = Command::new(arguments[0]);
    let output = command.args(&arguments[1..]).stdin(Stdio::from(program));
    let output = output.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() && said.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("unshare failed"), "{said}");
        println!("skipped: users may not make namespaces here");
        return;
    }
    assert!(output.status.success(), "{said}");
    assert!(said.contains("11 passed"), "{said}");
}
