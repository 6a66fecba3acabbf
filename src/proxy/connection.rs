//! One connection of a step: what is spoken on it, and TLS ended.
//!
//! In: a stream and where it was meant to go. Out: HTTP requests for [`serve`]. What isn't HTTP ends
//! the step.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::dial::Stream;
use super::{Error, Shared, names, runtime, serve};

/// How long a program may say nothing on a new connection. If it is longer, it waits for the server
/// to speak first.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes that are looked at to tell what is spoken.
const FIRST: usize = 64;
/// Requests that may be under way on one connection of HTTP/2.
const MOST_STREAMS: u32 = 100;
/// What TLS begins with: a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// Bytes of the longest method.
const LONGEST_METHOD: usize = 32;

/// Ports of protocols other than HTTP, in most of which the server speaks first.
const OTHERS: [(u16, &str); 20] = [
    (21, "FTP"),
    (22, "SSH"),
    (23, "telnet"),
    (25, "SMTP"),
    (110, "POP3"),
    (143, "IMAP"),
    (389, "LDAP"),
    (465, "SMTP"),
    (587, "SMTP"),
    (636, "LDAP"),
    (873, "rsync"),
    (990, "FTP"),
    (993, "IMAP"),
    (995, "POP3"),
    (1433, "SQL Server's"),
    (3306, "MySQL's"),
    (3690, "Subversion's"),
    (5432, "PostgreSQL's"),
    (6379, "Redis's"),
    (9418, "git's"),
];

/// The protocol that a port is for, if that isn't HTTP.
pub fn other_protocol(port: u16) -> Option<&'static str> {
    let mut others = OTHERS.iter();
    Some(others.find(|(other, _)| *other == port)?.1)
}

/// Where a connection was meant to go.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The address to be dialled; none where a name leads there.
    pub to: Option<SocketAddr>,
    /// The port.
    pub port: u16,
    /// The name, if it is known without a request, or the address.
    pub name: Option<String>,
    /// Whether TLS is ended here.
    pub is_tls: bool,
    /// For messages: the name or address, and the port.
    pub called: String,
}

/// Serves a connection to its end, or until the step's.
pub fn begin(shared: Arc<Shared>, stream: TcpStream, destination: SocketAddr) {
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        shared.note(format!(
            "a connection to `{destination}` was refused: there were too many"
        ));
        return reset(stream);
    };
    runtime::spawn(async move {
        let _place = place;
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
            return;
        };
        // It is only quicker with it.
        let _ = stream.set_nodelay(true);
        let over = shared.over.clone();
        let served = async {
            match destination.port() {
                53 => resolve(&shared, stream).await,
                _ => {
                    let origin = origin(&shared, destination);
                    serve_stream(Arc::clone(&shared), Box::new(stream), origin).await
                }
            }
        };
        tokio::select! {
            () = over.cancelled() => {}
            // A connection that breaks has ended all the same.
            _ = served => {}
        }
    });
}

/// Ends a connection such that the program sees it broken.
pub fn reset(stream: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    drop(stream);
}

fn origin(shared: &Shared, destination: SocketAddr) -> Origin {
    let ip = destination.ip();
    let (to, name) = match ip {
        IpAddr::V4(v4) if names::is_address(v4) => {
            let mut names = shared.names(v4).into_iter();
            // Where two share the address, a request has to say which it is for.
            let only = names.next().filter(|_| names.next().is_none());
            (None, only)
        }
        _ => (Some(destination), Some(host_of(ip))),
    };
    Origin {
        to,
        port: destination.port(),
        name,
        is_tls: false,
        called: shared.called(destination),
    }
}

/// An address as URLs have it.
pub fn host_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Serves whatever is spoken on `stream`.
pub async fn serve_stream(
    shared: Arc<Shared>,
    mut stream: Box<dyn Stream>,
    origin: Origin,
) -> io::Result<()> {
    let mut first = vec![0; FIRST];
    let not_http = |what| {
        let to = origin.called.clone();
        shared.fail(Error::NotHttp { to, what });
    };
    let length = match timeout(SILENCE, stream.read(&mut first)).await {
        Ok(Ok(0)) => return Ok(()),
        Ok(read) => read?,
        Err(_) => {
            not_http("the program waits for the server to speak first");
            return Ok(());
        }
    };
    first.truncate(length);
    let is_tls = first.first() == Some(&HANDSHAKE);
    let is_http = may_be_http(&first);
    let stream = Box::new(Begun {
        first,
        at: 0,
        stream,
    });
    match (is_tls, is_http) {
        (true, _) if !origin.is_tls => secure(shared, stream, origin).await,
        (_, true) => requests(shared, stream, origin).await,
        _ => {
            not_http("what the program says first is no request");
            Ok(())
        }
    }
}

/// Whether `first` may begin a request (RFC 9112, 3): a method in capital letters. That HTTP/2
/// begins with is `PRI * HTTP/2.0` (RFC 9113, 3.4).
fn may_be_http(first: &[u8]) -> bool {
    let method = first.iter().take_while(|byte| **byte != b' ').count();
    let method = first.get(..method).unwrap_or_default();
    let is_method = method
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'-' || *byte == b'_');
    is_method && !method.is_empty() && method.len() <= LONGEST_METHOD && !first.starts_with(b"SSH-")
}

/// Ends TLS and serves what is inside.
async fn secure(shared: Arc<Shared>, stream: Box<dyn Stream>, origin: Origin) -> io::Result<()> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let start = timeout(SILENCE, hello).await??;
    let asked = start.client_hello().server_name().and_then(names::host);
    let name = asked.or_else(|| origin.name.clone());
    let Some(name) = name else {
        let called = &origin.called;
        shared.note(format!(
            "a program didn't say which server it means at `{called}`"
        ));
        return Ok(());
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let config = match shared.authority.config(bare) {
        Ok(config) => config,
        Err(error) => {
            shared.fail(error);
            return Ok(());
        }
    };
    let stream = match timeout(SILENCE, start.into_stream(config)).await? {
        Ok(stream) => stream,
        Err(error) => {
            let port = origin.port;
            shared.note(format!(
                "a program didn't take cairn's certificate for `{name}:{port}`: {error}"
            ));
            return Err(error);
        }
    };
    let origin = Origin {
        called: format!("{name}:{}", origin.port),
        name: Some(name),
        is_tls: true,
        ..origin
    };
    Box::pin(serve_stream(shared, Box::new(stream), origin)).await
}

/// Serves requests, in either HTTP.
async fn requests(shared: Arc<Shared>, stream: Box<dyn Stream>, origin: Origin) -> io::Result<()> {
    let has_asked = Arc::new(AtomicBool::new(false));
    let called = origin.called.clone();
    let (asked, inner, origin) = (
        Arc::clone(&has_asked),
        Arc::clone(&shared),
        Arc::new(origin),
    );
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        serve::serve(Arc::clone(&inner), Arc::clone(&origin), request)
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .auto_date_header(false)
        .half_close(true)
        // A program may come back to a connection after a long while.
        .header_read_timeout(None)
        .title_case_headers(true)
        .timer(TokioTimer::new());
    server
        .http2()
        .auto_date_header(false)
        .adaptive_window(true)
        .max_concurrent_streams(MOST_STREAMS)
        .timer(TokioTimer::new());
    let io = TokioIo::new(stream);
    let served = server.serve_connection_with_upgrades(io, service).await;
    if let Err(error) = served {
        let is_parse = error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse);
        if is_parse && !has_asked.load(Ordering::Relaxed) {
            let what = "what the program asks is no request by RFC 9112; a URL may need `%22` for `\"` and the like";
            shared.fail(Error::NotHttp { to: called, what });
        }
        return Err(io::Error::other(error));
    }
    Ok(())
}

/// Answers DNS questions, each after its length (RFC 1035, 4.2.2).
async fn resolve(shared: &Shared, mut stream: tokio::net::TcpStream) -> io::Result<()> {
    loop {
        let length = timeout(SILENCE, stream.read_u16()).await??;
        let mut question = vec![0; usize::from(length)];
        timeout(SILENCE, stream.read_exact(&mut question)).await??;
        let answer = shared.resolve(&question).await;
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&answer).await?;
    }
}

/// A stream whose beginning was read already.
struct Begun {
    first: Vec<u8>,
    at: usize,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.first.get(self.at..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..length).unwrap_or_default());
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_other_beginnings() {
        for first in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0",
            b"G",
            b"M-SEARCH * ",
        ] {
            assert!(may_be_http(first));
        }
        for first in [
            &b"SSH-2.0-x\r\n"[..],
            b"\0\0",
            b"220 hello",
            b"hello",
            b" /",
        ] {
            assert!(!may_be_http(first));
        }
        assert_eq!(other_protocol(22), Some("SSH"));
        assert_eq!(other_protocol(443), None);
    }
}
