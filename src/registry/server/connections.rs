//! Connections, as many as there may be.
//!
//! In: a listening socket, a sign to stop. Out: connections that send at once and count until they
//! are dropped; beyond the limit they wait in the kernel's queue. At the sign, hyper closes those
//! that wait for their next request; those on which nothing ever came, as clients keep them in
//! reserve, are closed here.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A listener with a limit.
pub(super) struct Limited {
    listener: TcpListener,
    free: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Limited {
    /// Lets `most` connections exist at once, and ends unused ones at `stop`.
    pub(super) fn new(listener: TcpListener, most: usize, stop: CancellationToken) -> Limited {
        let free = Arc::new(Semaphore::new(most));
        Limited {
            listener,
            free,
            stop,
        }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let counted = self.free.clone().acquire_owned().await.ok();
        // axum's own, which outlasts a shortage of file descriptors.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without it a response in two packets waits 40 ms for an acknowledgement; a connection
        // that can't be told so is a slow one.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stream,
            unused: Some(Box::pin(self.stop.clone().cancelled_owned())),
            _counted: counted,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that counts.
pub(super) struct Connection {
    stream: TcpStream,
    /// The sign to stop, until something came.
    unused: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _counted: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match (
            Pin::new(&mut self.stream).poll_read(cx, buffer),
            &mut self.unused,
        ) {
            (Poll::Pending, Some(stop)) => {
                // Nothing was read: its end.
                stop.as_mut().poll(cx).map(Ok)
            }
            (result, unused) => {
                if result.is_ready() {
                    *unused = None;
                }
                result
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
