//! Connections to one host: TLS, and whether it speaks TLS at all.
//!
//! In: an [`Endpoint`], the CAs that are trusted for it, the client's own certificate. Out: an HTTP client and the URL that
//! requests begin with. Redirects are left to the caller, who knows what must not be sent along.
//! Proxies are the system's, but never for this machine.

use std::error::Error as _;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;

use super::error::Error;
use super::hosts::{Endpoint, Scheme, is_loopback};
use crate::canon::event::Events;

/// Until a host counts as not answering.
const CONNECT: Duration = Duration::from_secs(30);
/// Until a connection on which nothing comes counts as broken.
const SILENCE: Duration = Duration::from_secs(120);
/// For the question whether a host speaks TLS.
const PROBE: Duration = Duration::from_secs(15);

/// How cairn calls itself.
const USER_AGENT: &str = concat!("cairn/", env!("CARGO_PKG_VERSION"));

/// One host, with everything that it takes to speak to it.
pub(super) struct Connection {
    host: String,
    scheme: Scheme,
    pub(super) http: reqwest::Client,
    settled: OnceCell<&'static str>,
}

impl Connection {
    pub(super) fn new(
        endpoint: &Endpoint,
        ca: Vec<CertificateDer<'static>>,
        identity: Option<reqwest::Identity>,
    ) -> Result<Connection, Error> {
        // Whoever was first has chosen the same one; there is no other in the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .connect_timeout(CONNECT)
                .read_timeout(SILENCE)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .danger_accept_invalid_certs(!endpoint.verify);
            let builder = match is_loopback(&endpoint.host) {
                true => builder.no_proxy(),
                false => builder,
            };
            match &identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        };
        let start = |error: reqwest::Error| Error::Start(causes(&error));
        let extra = ca
            .iter()
            .map(|certificate| reqwest::Certificate::from_der(certificate))
            .collect::<Result<Vec<_>, _>>()
            .map_err(start)?;
        let http = builder().tls_certs_merge(extra.clone()).build();
        // A machine without any CA can still speak to hosts that need none of the system's.
        let http = http.or_else(|_| builder().tls_certs_only(extra).build());
        Ok(Connection {
            host: endpoint.host.clone(),
            scheme: endpoint.scheme,
            http: http.map_err(start)?,
            settled: OnceCell::new(),
        })
    }

    /// `https` or `http`. A host that may speak either is asked by TLS first, as docker does; a
    /// certificate that isn't trusted is an error and no reason to do without.
    pub(super) async fn scheme(&self, events: &Events) -> Result<&'static str, Error> {
        let settle = || async {
            match self.scheme {
                Scheme::Https => return Ok("https"),
                Scheme::Http => return Ok("http"),
                Scheme::Either => {}
            }
            let url = format!("https://{}/v2/", self.host);
            let probe = self.http.get(url).timeout(PROBE).send().await;
            match probe {
                Ok(_) => Ok("https"),
                Err(error) if is_certificate(&error) => Err(self.failure(&error)),
                Err(error) => {
                    let host = &self.host;
                    let cause = causes(&error);
                    events.debug(format!("{host}: no TLS ({cause}), so plain HTTP"));
                    Ok("http")
                }
            }
        };
        self.settled.get_or_try_init(settle).await.copied()
    }

    /// What a failed request means.
    pub(super) fn failure(&self, error: &reqwest::Error) -> Error {
        let (host, cause) = (self.host.clone(), causes(error));
        match is_tls(error) {
            true => Error::Tls { host, cause },
            false => Error::Unreachable { host, cause },
        }
    }
}

/// Whether a URL is spoken to in the way that `base` is: same scheme, host and port.
pub(super) fn is_same_origin(base: &Url, url: &Url) -> bool {
    base.scheme() == url.scheme()
        && base.host_str() == url.host_str()
        && base.port_or_known_default() == url.port_or_known_default()
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        // An io::Error shows the source of what it wraps, but not what it wraps.
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        source = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn is_tls(error: &reqwest::Error) -> bool {
    tls_error(error).is_some()
}

fn is_certificate(error: &reqwest::Error) -> bool {
    matches!(tls_error(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// The innermost cause, which says most; without URLs, whose queries may hold signatures.
pub(super) fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it doesn't answer in time".to_owned();
    }
    let mut text = None;
    let mut source = error.source();
    while let Some(error) = source {
        text = Some(error.to_string());
        source = error.source();
    }
    super::error::plain(&text.unwrap_or_else(|| "the request failed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        let base = Url::parse("https://r.example/v2/").unwrap();
        for (url, same) in [
            ("https://r.example/other?x=1", true),
            ("https://r.example:443/", true),
            ("https://r.example:444/", false),
            ("http://r.example/", false),
            ("http://r.example:443/", false),
            ("https://r.example.evil/", false),
            ("https://x.r.example/", false),
        ] {
            assert_eq!(
                is_same_origin(&base, &Url::parse(url).unwrap()),
                same,
                "{url}"
            );
        }
    }
}
