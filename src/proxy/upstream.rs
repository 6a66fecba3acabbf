//! The world's side: requests to the servers that a step means.
//!
//! In: requests, and where to if not to where their URL leads. Out: answers. Connections are kept for
//! the next request. What is closed to steps ([`Reach`]) stays closed, whatever name leads there;
//! the caller's proxies are used as curl uses them.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use super::body::Body;
use super::dial::Dial;
use crate::sandbox::network::destination::Reach;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How many of those to one host.
const MOST_IDLE: usize = 32;
/// Servers at addresses that a step gave itself, each with connections of its own.
const MOST_ADDRESSES: usize = 1000;

/// The way to the world of one step.
pub struct Upstream {
    dial: Dial,
    /// By the address that is dialled whatever the URL says; none where the URL says it.
    clients: Mutex<BTreeMap<Option<SocketAddr>, Client<Dial, Body>>>,
}

impl Upstream {
    /// Nothing is connected to yet. `proxies` are the caller's variables.
    pub fn new(reach: Reach, proxies: &[(String, String)]) -> Result<Upstream, rustls::Error> {
        Ok(Upstream {
            dial: Dial {
                tls: tls()?,
                proxies: Arc::new(matcher(proxies)),
                reach: Arc::new(reach),
                to: None,
            },
            clients: Mutex::default(),
        })
    }

    /// Whether `host` is reached by way of a proxy, which then knows the names.
    pub fn is_proxied(&self, host: &str) -> bool {
        let uri = |scheme: &str| format!("{scheme}://{host}/").parse::<Uri>().ok();
        let mut uris = ["http", "https"].into_iter().filter_map(uri);
        uris.any(|uri| self.dial.proxies.intercept(&uri).is_some())
    }

    /// Sends a request, whose URL is whole. It is dialled at `to`, if that is given.
    pub async fn send(
        &self,
        to: Option<SocketAddr>,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        if to.is_none() && request.uri().scheme_str() == Some("http") {
            let proxy = self.dial.proxies.intercept(request.uri());
            if let Some(auth) = proxy.as_ref().and_then(|proxy| proxy.basic_auth()) {
                let auth = auth.clone();
                request.headers_mut().insert(PROXY_AUTHORIZATION, auth);
            }
        }
        let client = self.client(to);
        client.request(request).await
    }

    fn client(&self, to: Option<SocketAddr>) -> Client<Dial, Body> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() > MOST_ADDRESSES {
            clients.clear();
        }
        let make = || {
            let dial = Dial {
                to,
                ..self.dial.clone()
            };
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(MOST_IDLE)
                .http2_adaptive_window(true)
                .build(dial)
        };
        clients.entry(to).or_insert_with(make).clone()
    }
}

/// What this machine trusts: `SSL_CERT_FILE` of the caller, or the system's.
fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    static TLS: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = TLS.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    // A machine without any can still speak to servers that need none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::clone(TLS.get_or_init(|| Arc::new(config))))
}

/// The caller's proxies: the first value of each variable counts, in small letters or capitals.
fn matcher(variables: &[(String, String)]) -> Matcher {
    let value = |wanted: &str| {
        let mut named = variables
            .iter()
            .filter(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_empty());
        named.next().map_or("", |(_, value)| value.as_str())
    };
    Matcher::builder()
        .all(value("ALL_PROXY"))
        .http(value("HTTP_PROXY"))
        .https(value("HTTPS_PROXY"))
        .no(value("NO_PROXY"))
        .build()
}

/// The innermost cause of a failure, which says most.
pub fn cause(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = error.to_string();
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        source = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    text
}
