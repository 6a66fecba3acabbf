//! Sockets of the host for a step: what listens inside is the step's own, and the process outside
//! carries what is said there.
//!
//! In: a request that mounts sockets; from the step's first process, sockets that listen. Out: a
//! connection to the host's socket for each that is made inside. So the host's socket is never in
//! the step, where its mode could be changed. All ends when the [`Relay`] is dropped.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{LocalSet, spawn_local};

use super::channel::{receive_bytes, send_bytes};
use super::error::{Doing as _, Error};
use super::request::{Request, Source};
use super::sys_network;

/// Connections to one socket at a time; further ones wait.
const MOST_CONNECTIONS: usize = 64;
/// After the kernel had no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// Carries what is said to one step's sockets.
#[derive(Debug)]
pub(super) struct Relay {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// None where no socket is to be mounted. The descriptor is for the step's first process.
    pub(super) fn start(request: &Request) -> Result<Option<(Relay, OwnedFd)>, Error> {
        let hosts = request
            .mounts
            .iter()
            .filter_map(|mount| match &mount.source {
                Source::Socket { host, .. } => Some(host.clone()),
                _ => None,
            });
        let hosts: Vec<PathBuf> = hosts.collect();
        if hosts.is_empty() {
            return Ok(None);
        }
        for host in &hosts {
            let doing = || format!("reach the socket `{}`", host.display());
            if !host.metadata().doing(doing)?.file_type().is_socket() {
                return Err(io::Error::other("it is no socket")).doing(doing);
            }
        }
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let pair = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.doing(|| "make a socket".to_owned())?;
        let begin = || -> io::Result<Relay> {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build()?;
            let (stop, stopped) = oneshot::channel();
            let body = move || {
                LocalSet::new().block_on(&runtime, async {
                    tokio::select! {
                        _ = stopped => {}
                        // It ends by itself only if the step does before it has begun.
                        _ = serve(ours, hosts) => {}
                    }
                });
            };
            let thread = std::thread::Builder::new().name("sockets".to_owned());
            Ok(Relay {
                stop: Some(stop),
                thread: Some(thread.spawn(body)?),
            })
        };
        let relay = begin().doing(|| "relay sockets".to_owned())?;
        Ok(Some((relay, theirs)))
    }
}

impl Drop for Relay {
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

/// Hands the sockets that listen in a step to who relays, in the order of the request's mounts.
pub(super) fn hand_over(to: &OwnedFd, listeners: &[OwnedFd]) -> io::Result<()> {
    let mut listeners = listeners.iter();
    listeners.try_for_each(|listener| send_bytes(to.as_fd(), &[0], &[listener.as_fd()]))
}

async fn serve(ours: OwnedFd, hosts: Vec<PathBuf>) -> io::Result<()> {
    let ours = sys_network::watched(ours)?;
    for host in hosts {
        let receive = |socket: &OwnedFd| receive_bytes(socket.as_fd(), &mut [0]);
        let (_, descriptors) = ours.async_io(Interest::READABLE, receive).await?;
        let listener = descriptors.into_iter().next();
        let listener = StdListener::from(listener.ok_or(io::ErrorKind::UnexpectedEof)?);
        listener.set_nonblocking(true)?;
        spawn_local(accept(UnixListener::from_std(listener)?, host));
    }
    std::future::pending().await
}

async fn accept(listener: UnixListener, host: PathBuf) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((mut inside, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let host = host.clone();
        spawn_local(async move {
            // Whoever asked finds the connection ended, as of an agent that is gone.
            if let Ok(mut outside) = UnixStream::connect(host).await {
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            }
            drop(place);
        });
    }
}
