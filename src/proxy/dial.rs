//! Connections to the world.
//!
//! In: a URL, the address to be dialled if that isn't the URL's own, proxies. Out: connections, by
//! TLS where the URL says so, with the HTTP that the server speaks (ALPN).

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::sandbox::network::destination::{Reach, Route};
use crate::sandbox::network::is_own;

/// Until an address counts as not answering.
const CONNECT: Duration = Duration::from_secs(30);

/// A connection, whatever it is made of.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
#[derive(Clone)]
pub struct Dial {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) proxies: Arc<Matcher>,
    pub(super) reach: Arc<Reach>,
    /// Where to, whatever the URL says.
    pub(super) to: Option<SocketAddr>,
}

/// A connection that a request can be sent on.
pub struct Link {
    io: TokioIo<Box<dyn Stream>>,
    is_h2: bool,
    is_proxied: bool,
}

type Dialling<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Service<Uri> for Dial {
    type Response = Link;
    type Error = io::Error;
    type Future = Dialling<Link>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Dialling<Link> {
        let dial = self.clone();
        Box::pin(async move {
            let is_tls = uri.scheme_str() == Some("https");
            let (host, port) = place(&uri)?;
            let proxy = match dial.to {
                Some(_) => None,
                None => dial.proxies.intercept(&uri),
            };
            let stream: Box<dyn Stream> = match (&proxy, dial.to) {
                (Some(proxy), _) => return dial.by_proxy(proxy, &uri, is_tls, &host).await,
                (None, Some(address)) => Box::new(dial.reach(&[address]).await?),
                (None, None) => Box::new(dial.reach(&resolve(&host, port).await?).await?),
            };
            match is_tls {
                true => dial.secure(stream, &host, true).await,
                false => Ok(Link::plain(stream)),
            }
        })
    }
}

impl Dial {
    /// Connects to the first of `addresses` that a step may reach and that accepts.
    async fn reach(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for asked in addresses {
            match self.reach.route(*asked, is_own) {
                Route::To(targets) => match connect(&targets).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failed = error,
                },
                Route::Refused(refusal) => failed = io::Error::other(refusal),
                Route::Resolver => {}
            }
        }
        Err(failed)
    }

    /// TLS on `stream`.
    async fn secure(&self, stream: Box<dyn Stream>, host: &str, is_http: bool) -> io::Result<Link> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
        let mut tls = Arc::clone(&self.tls);
        if !is_http {
            let mut config = (*tls).clone();
            config.alpn_protocols.clear();
            tls = Arc::new(config);
        }
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Link {
            is_h2,
            ..Link::plain(Box::new(stream))
        })
    }

    async fn by_proxy(
        &self,
        proxy: &Intercept,
        uri: &Uri,
        is_tls: bool,
        host: &str,
    ) -> io::Result<Link> {
        let at = proxy.uri().clone();
        let entry = Entry(self.clone());
        let stream: Box<dyn Stream> = match at.scheme_str() {
            Some("socks5" | "socks5h") => {
                let mut socks = SocksV5::new(at, entry);
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                let link = socks.call(uri.clone()).await.map_err(io::Error::other)?;
                link.io.into_inner()
            }
            Some("http" | "https") if is_tls => {
                let mut tunnel = Tunnel::new(at, entry);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                let link = tunnel.call(uri.clone()).await.map_err(io::Error::other)?;
                link.io.into_inner()
            }
            Some("http" | "https") => {
                let mut link = Service::call(&mut Entry(self.clone()), at).await?;
                link.is_proxied = true;
                return Ok(link);
            }
            other => {
                let scheme = other.unwrap_or_default();
                return Err(io::Error::other(format!(
                    "a proxy by `{scheme}` can't be used"
                )));
            }
        };
        match is_tls {
            true => self.secure(stream, host, true).await,
            false => Ok(Link::plain(stream)),
        }
    }
}

/// Connections to a proxy, wherever it is: the caller chose it.
#[derive(Clone)]
struct Entry(Dial);

impl Service<Uri> for Entry {
    type Response = Link;
    type Error = io::Error;
    type Future = Dialling<Link>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, at: Uri) -> Dialling<Link> {
        let dial = self.0.clone();
        Box::pin(async move {
            let (host, port) = place(&at)?;
            let stream = connect(&resolve(&host, port).await?).await?;
            match at.scheme_str() {
                Some("https") => dial.secure(Box::new(stream), &host, false).await,
                _ => Ok(Link::plain(Box::new(stream))),
            }
        })
    }
}

/// The host and port of a URL.
fn place(uri: &Uri) -> io::Result<(String, u16)> {
    let host = uri.host().ok_or(io::ErrorKind::InvalidInput)?;
    let usual = match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h") => 1080,
        _ => 80,
    };
    Ok((host.to_owned(), uri.port_u16().unwrap_or(usual)))
}

/// The addresses of a host, by the system's resolver.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((bare, port)).await?;
    Ok(found.collect())
}

async fn connect(targets: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for target in targets {
        match timeout(CONNECT, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                // It is only quicker with it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

impl Link {
    fn plain(stream: Box<dyn Stream>) -> Link {
        Link {
            io: TokioIo::new(stream),
            is_h2: false,
            is_proxied: false,
        }
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        match self.is_h2 {
            true => connected.negotiated_h2(),
            false => connected,
        }
    }
}

impl hyper::rt::Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
