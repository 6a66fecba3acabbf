//! One request of a step, whatever connection it came on.
//!
//! In: a request, where its connection was meant to go. Out: [`Asked`] for who has the answers, and
//! their answer.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::body::{Body, empty, full};
use super::conditional::Conditions;
use super::connection::{Origin, host_of, serve_stream};
use super::spool::{self, Spool};
use super::{Answers, Error, Shared, canonical, credentials, names, runtime};
use crate::canon::Digest;
use crate::lock::{self, Exchange, Record};
use crate::policy::{Decision, HTTP_CHECKSUM, Policy};

/// Seconds from 1970 to the end of 9999, after which dates can't be written.
const LAST_SECOND: i64 = 253_402_300_799;

/// A request that is understood.
pub struct Asked {
    /// As it is recorded.
    pub request: lock::Request,
    /// As the server gets it.
    pub uri: Uri,
    /// Likewise, without what is for the proxy alone.
    pub headers: HeaderMap,
    /// Likewise.
    pub method: Method,
    /// What the program has already.
    pub conditions: Conditions,
    /// Its body.
    pub body: Spool,
    /// Of what proves who asks, if anything does: it must not get to a disk.
    pub credentials: Option<Digest>,
    /// Where to, whatever the URL says.
    pub to: Option<SocketAddr>,
    /// What the answer must be, as the source policy has it.
    pub checksum: Option<String>,
}

/// The program's connection is to break: it sees what it would see of a server that fails.
#[derive(Debug, thiserror::Error)]
#[error("the answer can't be given")]
pub struct Broken;

/// When an answer is given, as the step's clock has it.
pub fn date(instant: i64) -> HeaderValue {
    let seconds = u64::try_from(instant.min(LAST_SECOND)).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let text = httpdate::fmt_http_date(time);
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Answers `request`.
pub async fn serve(
    shared: Arc<Shared>,
    origin: Arc<Origin>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    if request.method() == Method::CONNECT {
        return Ok(connect(shared, request));
    }
    let Some(place) = place(&shared, &origin, &request) else {
        return Ok(refusal(
            StatusCode::BAD_REQUEST,
            "cairn: the request doesn't say which server it is for\n",
        ));
    };
    let asked = match understand(&shared, place, request).await {
        Ok(asked) => asked,
        Err(Misread::Refused(text)) => return Ok(refusal(StatusCode::BAD_REQUEST, text)),
        Err(Misread::Broken) => return Err(Broken),
    };
    let date = shared.date.clone();
    let answered = match &shared.answers {
        Answers::World(recorder) => Arc::clone(recorder).answer(&shared, asked).await,
        Answers::Record(replayer) => replayer.answer(&shared, asked).await,
    };
    let mut response = answered?;
    response.headers_mut().insert(header::DATE, date);
    Ok(response)
}

/// A server, and the way to it.
struct Place {
    is_tls: bool,
    host: String,
    port: u16,
    to: Option<SocketAddr>,
}

/// Which server a request is for.
fn place(shared: &Shared, origin: &Origin, request: &Request<Incoming>) -> Option<Place> {
    let uri = request.uri();
    if let (Some(authority), true) = (uri.authority(), request.version() < Version::HTTP_2) {
        // It takes us for a proxy: only the URL says where to.
        let is_tls = uri.scheme_str() == Some("https");
        let usual = if is_tls { 443 } else { 80 };
        let (host, port) = (
            host(authority.host())?,
            authority.port_u16().unwrap_or(usual),
        );
        return Some(Place {
            is_tls,
            to: by_hosts(shared, &host, port),
            host,
            port,
        });
    }
    let said = match uri.authority() {
        Some(authority) => Some(authority.host().to_owned()),
        None => {
            let field = request.headers().get(header::HOST);
            let field = field.and_then(|field| field.to_str().ok());
            let authority = field.and_then(|field| field.parse::<http::uri::Authority>().ok());
            authority.map(|authority| authority.host().to_owned())
        }
    };
    let said = said.and_then(|said| host(&said));
    Some(Place {
        is_tls: origin.is_tls,
        host: said.or_else(|| origin.name.clone())?,
        port: origin.port,
        to: origin.to,
    })
}

/// A host as URLs have it.
fn host(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(host_of(ip)),
        Err(_) => names::host(text),
    }
}

/// Where the step's `/etc/hosts` leads.
fn by_hosts(shared: &Shared, host: &str, port: u16) -> Option<SocketAddr> {
    let ip = shared.hosts.get(host)?;
    Some(SocketAddr::new(*ip, port))
}

enum Misread {
    Refused(&'static str),
    Broken,
}

/// Takes a request apart, its body included.
async fn understand(
    shared: &Shared,
    place: Place,
    request: Request<Incoming>,
) -> Result<Asked, Misread> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Place {
        is_tls,
        host,
        port,
        to,
    } = place;
    let url = canonical::url(is_tls, &host, port, path);
    let shown = canonical::masked(&url, &*shared.mask);
    // What is hidden tells requests apart, too.
    let hidden = (shown != url).then_some(url);
    let url = shown;
    let mut headers = parts.headers;
    if let Some(protocol) = other_conversation(&headers) {
        shared.fail(Error::Upgrade { url, protocol });
        return Err(Misread::Broken);
    }
    let uri = match (is_tls, port) {
        (true, 443) => format!("https://{host}{path}"),
        (true, _) => format!("https://{host}:{port}{path}"),
        (false, 80) => format!("http://{host}{path}"),
        (false, _) => format!("http://{host}:{port}{path}"),
    };
    let uri = uri.parse::<Uri>();
    let mut uri = uri.map_err(|_| Misread::Refused("cairn: the request's URL is none\n"))?;
    let (mut to, mut checksum) = (to, None);
    match shared.policy.decide(&url) {
        Decision::Allowed => {}
        Decision::Refused(refusal) => {
            shared.fail(refusal.into());
            return Err(Misread::Broken);
        }
        Decision::Converted(input) => {
            checksum = input.attrs.get(HTTP_CHECKSUM).cloned();
            if input.identifier != url {
                let other = input.identifier.parse::<Uri>().ok();
                let is_http = |uri: &Uri| {
                    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
                };
                let Some(other) = other.filter(is_http) else {
                    let to = input.identifier;
                    shared.fail(Error::Elsewhere { url, to });
                    return Err(Misread::Broken);
                };
                // What proves who asks is for the server that the program means.
                let server = |uri: &Uri| (uri.scheme().cloned(), uri.authority().cloned());
                if server(&other) != server(&uri) {
                    credentials::remove(&mut headers);
                    to = None;
                }
                headers.remove(header::HOST);
                uri = other;
            }
        }
    }
    let wants_trailers = headers
        .get(header::TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    canonical::strip_hop(&mut headers);
    let credentials = credentials::digest(path, hidden.as_deref(), &headers);
    let conditions = Conditions::take(&mut headers);
    // Of what is compressed on its way the same bytes need not come twice.
    let identity = HeaderValue::from_static("identity");
    headers.insert(header::ACCEPT_ENCODING, identity);
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let temporary = || {
        let file = shared.store.temporary().map_err(io::Error::other)?;
        file.as_file().try_clone()
    };
    let (spool, sent) = spool::take(&headers, body, temporary)
        .await
        .map_err(|error| {
            shared.note(format!("{} {url}: {error}", parts.method));
            Misread::Broken
        })?;
    Ok(Asked {
        request: lock::Request {
            url,
            method: parts.method.as_str().to_owned(),
            asked: canonical::asked(&headers),
            sent,
        },
        uri,
        headers,
        method: parts.method,
        conditions,
        body: spool,
        credentials,
        to,
        checksum,
    })
}

impl Asked {
    /// Whether an answer with that body is what the source policy asks for.
    pub fn check(&self, body: Option<&lock::Body>) -> Result<(), Error> {
        check(&self.request.url, self.checksum.as_deref(), body)
    }
}

fn check(url: &str, checksum: Option<&str>, body: Option<&lock::Body>) -> Result<(), Error> {
    let got = body.map_or_else(|| Digest::of(b""), |body| body.sha256);
    match checksum {
        Some(expected) if *expected != *got.to_string() => Err(Error::Checksum {
            url: url.to_owned(),
            expected: expected.to_owned(),
            got: got.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Whether `policy` lets a command have what `record` has, asked for or not.
///
/// # Errors
/// For the first request that is denied, or answered otherwise than the policy says.
pub fn judge(policy: &Policy, record: &Record) -> Result<(), Error> {
    for Exchange { request, response } in &record.exchanges {
        match policy.decide(&request.url) {
            Decision::Refused(refusal) => return Err(refusal.into()),
            Decision::Converted(input) if response.status == 200 => {
                let checksum = input.attrs.get(HTTP_CHECKSUM);
                let checksum = checksum.map(String::as_str);
                check(&request.url, checksum, response.body.as_ref())?;
            }
            Decision::Converted(_) | Decision::Allowed => {}
        }
    }
    Ok(())
}

/// The protocol that a program wants to go on in. A wish for HTTP/2 need not be granted.
fn other_conversation(headers: &HeaderMap) -> Option<String> {
    let wished = headers.get(header::UPGRADE)?.to_str().ok()?;
    let wished = wished.to_ascii_lowercase();
    let is_other = |protocol: &&str| !protocol.is_empty() && !protocol.starts_with("h2");
    let mut protocols = wished.split(',').map(str::trim);
    let other = protocols.find(is_other)?;
    (!other.starts_with("http/") && !other.starts_with("tls/")).then(|| other.to_owned())
}

/// A tunnel for a program that takes us for a proxy: what comes in it is served like any other
/// connection.
fn connect(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let authority = request.uri().authority().cloned();
    let there = authority.as_ref().and_then(|authority| {
        let host = host(authority.host())?;
        Some((host, authority.port_u16()?))
    });
    let Some((host, port)) = there else {
        let text = "cairn: the tunnel leads nowhere\n";
        return refusal(StatusCode::BAD_REQUEST, text);
    };
    let origin = Origin {
        to: by_hosts(&shared, &host, port),
        port,
        called: format!("{host}:{port}"),
        name: Some(host),
        is_tls: false,
    };
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        let text = "cairn: there are too many connections\n";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    runtime::spawn(async move {
        let _place = place;
        let over = shared.over.clone();
        let served = async {
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                let stream = Box::new(TokioIo::new(upgraded));
                // A connection that breaks has ended all the same.
                let _ = serve_stream(shared, stream, origin).await;
            }
        };
        tokio::select! {
            () = over.cancelled() => {}
            () = served => {}
        }
    });
    Response::new(empty())
}

/// An answer of cairn's own.
pub fn refusal(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(full(text.into().into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// An answer without its body.
pub fn response(status: u16, fields: &BTreeMap<String, String>) -> Response<Body> {
    let mut response = Response::new(empty());
    // Any number of three digits is one.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = header_map(fields);
    response
}

/// What a program gets that has the answer already (RFC 9110, 15.4.5).
pub fn not_modified(fields: &BTreeMap<String, String>) -> Response<Body> {
    const SAID: [&str; 6] = [
        "cache-control",
        "content-location",
        "etag",
        "expires",
        "last-modified",
        "vary",
    ];
    let said = fields.iter().filter(|(name, _)| SAID.contains(&&***name));
    let said = said.map(|(name, value)| (name.clone(), value.clone()));
    response(304, &said.collect())
}

/// Fields of a record; those that can't be any are none.
pub fn header_map(fields: &BTreeMap<String, String>) -> HeaderMap {
    let fields = fields.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    fields.collect()
}
