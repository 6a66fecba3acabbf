//! The forwarder: the process outside carries what comes to the gate's sockets.
//!
//! In: listening sockets from the gate. Out: connections to where the step meant, on the host's
//! network; [`Event`]s. One thread for a step; when the [`Forwarder`] is dropped, or the gate is
//! gone, everything that it carries is.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener, UdpSocket as StdUdp};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::control::{self, Ask, Said};
use super::destination::{Reach, Refusal, Route};
use super::ports::MOST_PORTS;
use super::relay::{self, Count};
use super::{Error, Event, Interceptor, dns, netlink};
use crate::sandbox::sys_network as sys;

/// Connections that one step may have at a time: two descriptors each.
pub const MOST_CONNECTIONS: usize = 200;
/// How long the world may take to accept.
const DIAL_PATIENCE: Duration = Duration::from_secs(60);
/// How long a connection that was made before it was asked for waits for that.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);
/// After the kernel had no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// What a step's network is to be.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Who is asked for names, in that order ([`resolvers`](super::resolver::resolvers)).
    pub resolvers: Vec<SocketAddr>,
    /// What is reached of the host.
    pub reach: Reach,
    /// Whether the step gets IPv6 ([`host_has_ipv6`]).
    pub ipv6: bool,
}

/// Carries one step's network.
#[derive(Debug)]
pub struct Forwarder {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Starts it, with the other end of the conversation, which is for [`Ports`](super::Ports). What
    /// comes goes to `interceptor` if there is one.
    /// `tell` is called on the forwarder's own thread and holds everything up meanwhile.
    ///
    /// # Errors
    /// Where the kernel gives no thread or socket.
    pub fn start(
        settings: Settings,
        interceptor: Option<Arc<dyn Interceptor>>,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<(Forwarder, OwnedFd), Error> {
        let failed = |what| move |source| Error::Forwarder { what, source };
        let (gate, outside) = control::pair().map_err(failed("socketpair"))?;
        let begin = Said::Begin {
            ipv6: settings.ipv6,
        };
        let sent = control::send(outside.as_fd(), &begin, None, SendFlags::empty());
        sent.map_err(failed("send"))?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().map_err(failed("runtime"))?;
        let (stop, stopped) = oneshot::channel();
        let body = move || {
            let state = Rc::new(State {
                resolvers: settings.resolvers.into(),
                reach: settings.reach,
                interceptor,
                tell: RefCell::new(Box::new(tell)),
                connections: Cell::new(0),
                listeners: Cell::new(0),
                early: RefCell::default(),
            });
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, async {
                tokio::select! {
                    _ = stopped => {}
                    // An error is one of the gate's end: it is gone or talks nonsense.
                    _ = converse(&state, outside) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("network".to_owned());
        let thread = thread.spawn(body).map_err(failed("thread"))?;
        let forwarder = Forwarder {
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((forwarder, gate))
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether the host has a way to the world by IPv6; nothing is sent. If not, a step gets none
/// either: programs then take IPv4 at once, as they do outside.
pub fn host_has_ipv6() -> bool {
    let socket = StdUdp::bind("[::]:0");
    socket.is_ok_and(|socket| socket.connect("[2000::1]:9").is_ok())
}

/// The number of one of the host's interfaces, for [`resolvers`](super::resolver::resolvers).
pub fn interface(name: &str) -> Option<u32> {
    let socket = StdUdp::bind("127.0.0.1:0").ok()?;
    rustix::net::netdevice::name_to_index(socket, name).ok()
}

/// A connection that is being made before the step asks for it.
struct Early {
    id: u64,
    stream: oneshot::Receiver<io::Result<TcpStream>>,
    /// Dropped with this: nobody need wait for a claim any more.
    _unclaimed: oneshot::Sender<()>,
}

struct State {
    resolvers: Rc<[SocketAddr]>,
    reach: Reach,
    interceptor: Option<Arc<dyn Interceptor>>,
    tell: RefCell<Box<dyn FnMut(Event)>>,
    connections: Cell<usize>,
    listeners: Cell<usize>,
    /// By destination, the oldest first.
    early: RefCell<BTreeMap<SocketAddr, VecDeque<Early>>>,
}

impl State {
    fn tell(&self, event: Event) {
        (self.tell.borrow_mut())(event);
    }

    fn refused(&self, destination: SocketAddr, reason: &io::Error) {
        let reason = reason.to_string();
        self.tell(Event::Refused {
            destination,
            reason,
        });
    }

    /// Takes one of the places that [`MOST_CONNECTIONS`] gives.
    fn place(self: &Rc<State>) -> Option<Place> {
        let taken = self.connections.get();
        if taken >= MOST_CONNECTIONS {
            return None;
        }
        self.connections.set(taken + 1);
        Some(Place(Rc::clone(self)))
    }

    /// Takes back connection `id`, if nobody has claimed it.
    fn disown(&self, destination: SocketAddr, id: u64) {
        let mut early = self.early.borrow_mut();
        if let Some(queue) = early.get_mut(&destination) {
            queue.retain(|early| early.id != id);
            if queue.is_empty() {
                early.remove(&destination);
            }
        }
    }

    fn claim(&self, destination: SocketAddr) -> Option<Early> {
        let mut early = self.early.borrow_mut();
        let queue = early.get_mut(&destination)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            early.remove(&destination);
        }
        first
    }
}

/// One connection's place among [`MOST_CONNECTIONS`].
struct Place(Rc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

/// Does what the gate asks, until it is gone.
async fn converse(state: &Rc<State>, control: OwnedFd) -> io::Result<()> {
    let control = Rc::new(sys::watched(control)?);
    loop {
        let receive = |fd: &OwnedFd| control::receive::<Ask>(fd, RecvFlags::DONTWAIT);
        let asked = control.async_io(Interest::READABLE, receive).await?;
        match asked {
            None => return Ok(()),
            Some((Ask::Listen, Some(socket))) => {
                state.listeners.set(state.listeners.get() + 1);
                if state.listeners.get() <= MOST_PORTS + 1 {
                    spawn_local(listen(Rc::clone(state), socket));
                }
            }
            Some((Ask::Resolve { .. }, Some(socket))) => {
                let told = Rc::clone(state);
                let answers = match &state.interceptor {
                    Some(interceptor) => dns::Answers::Interceptor(Arc::clone(interceptor)),
                    None => dns::Answers::Resolvers(Rc::clone(&state.resolvers)),
                };
                let asked = move |name| told.tell(Event::Asked { name });
                spawn_local(dns::serve(socket, answers, asked));
            }
            Some((Ask::Dial { id, to }, _)) => {
                let to = canonical(to);
                if let Some(interceptor) = &state.interceptor {
                    let admitted = interceptor.admits(to);
                    let error = admitted.as_ref().err().map_or(0, code);
                    if let Err(reason) = &admitted {
                        state.refused(to, reason);
                    }
                    answer(&control, id, error).await?;
                    continue;
                }
                match state.place() {
                    Some(place) => {
                        spawn_local(dial_early(place, Rc::clone(&control), id, to));
                    }
                    None => answer(&control, id, libc::EADDRNOTAVAIL).await?,
                }
            }
            Some(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// An address without the forms that mean another.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

async fn answer(control: &AsyncFd<OwnedFd>, id: u64, error: i32) -> io::Result<()> {
    let dialled = Said::Dialled { id, error };
    let send = |fd: &OwnedFd| control::send(fd.as_fd(), &dialled, None, SendFlags::DONTWAIT);
    control.async_io(Interest::WRITABLE, send).await
}

/// Connects before the step does, tells how that went, and keeps the connection for it.
async fn dial_early(place: Place, control: Rc<AsyncFd<OwnedFd>>, id: u64, to: SocketAddr) {
    let state = Rc::clone(&place.0);
    let (made, stream) = oneshot::channel();
    let (_unclaimed, claimed) = oneshot::channel();
    let queued = Early {
        id,
        stream,
        _unclaimed,
    };
    state
        .early
        .borrow_mut()
        .entry(to)
        .or_default()
        .push_back(queued);
    let dialled = dial(&state, to).await;
    let error = dialled.as_ref().err().map(code);
    if let Err(reason) = &dialled {
        state.refused(to, reason);
    }
    // If it can't be sent, the connection has been claimed or the conversation is over.
    let _ = made.send(dialled);
    if error.is_some() {
        state.disown(to, id);
    }
    let _ = answer(&control, id, error.unwrap_or(0)).await;
    if error.is_none() {
        let _ = timeout(CLAIM_PATIENCE, claimed).await;
        state.disown(to, id);
    }
}

/// The number that connect(2) gives for `error`.
fn code(error: &io::Error) -> i32 {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Refusal::Host) => libc::ECONNREFUSED,
        Some(Refusal::LinkLocal) => libc::EHOSTUNREACH,
        Some(Refusal::NoHost) => libc::ENETUNREACH,
        None if error.kind() == io::ErrorKind::TimedOut => libc::ETIMEDOUT,
        None => error.raw_os_error().unwrap_or(libc::ECONNREFUSED),
    }
}

/// Whether an address is the host's own; also where that can't be found out.
pub fn is_own(ip: IpAddr) -> bool {
    netlink::is_own(ip).unwrap_or(true)
}

/// Connects to where `asked` leads.
async fn dial(state: &State, asked: SocketAddr) -> io::Result<TcpStream> {
    let targets = match state.reach.route(asked, is_own) {
        Route::To(targets) => targets,
        Route::Resolver => state.resolvers.to_vec(),
        Route::Refused(refusal) => {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, refusal));
        }
    };
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for target in targets {
        match timeout(DIAL_PATIENCE, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// Accepts from one of the gate's sockets.
async fn listen(state: Rc<State>, socket: OwnedFd) -> io::Result<()> {
    let listener = StdListener::from(socket);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(carry(Rc::clone(&state), stream));
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    sleep(PAUSE).await;
                }
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPERM) => {}
                // Not a socket that listens.
                _ => return Err(error),
            },
        }
    }
}

/// Carries one connection to its end.
async fn carry(state: Rc<State>, step: TcpStream) {
    let Ok(destination) = step.local_addr().map(canonical) else {
        return relay::reset(step);
    };
    if let Some(interceptor) = &state.interceptor {
        if let Ok(step) = step.into_std() {
            state.tell(Event::Connected { destination });
            interceptor.connection(step, destination);
        }
        return;
    }
    let claimed = state.claim(destination);
    let Some(_place) = state.place() else {
        state.refused(destination, &io::Error::other("too many connections"));
        return relay::reset(step);
    };
    let made = match claimed {
        // An error there was told already; a sender that is gone can't be, as it sends first.
        Some(early) => early
            .stream
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::ConnectionAborted))),
        None => {
            let dialled = dial(&state, destination).await;
            if let Err(error) = &dialled {
                state.refused(destination, error);
            }
            dialled
        }
    };
    let Ok(world) = made else {
        return relay::reset(step);
    };
    state.tell(Event::Connected { destination });
    let count = Count::default();
    // A connection that breaks ends all the same.
    let _ = relay::both(step, world, &count).await;
    state.tell(Event::Closed {
        destination,
        sent: count.sent.get(),
        received: count.received.get(),
    });
}
