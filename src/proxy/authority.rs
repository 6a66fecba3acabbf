//! A certificate authority that exists for one step alone.
//!
//! In: the instant of the step's record, names of servers. Out: the authority's certificate, which
//! the step is made to trust, and TLS in the name of each server. Its key never leaves this
//! process's memory, and is gone with the step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Error;

/// Names that one step may have certificates for.
const MOST_NAMES: usize = 10_000;
/// Years that certificates hold before and after the record's: whatever clock a program reads.
const YEARS: (i64, i64) = (10, 40);
/// Seconds of a year.
const YEAR: i64 = 31_556_952;
/// What ALPN offers (RFC 7301), the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The authority of one step.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// That of all servers.
    key: KeyPair,
    /// Years that certificates begin and end with.
    years: [i32; 2],
    configs: Mutex<BTreeMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// Makes one; `instant` is in seconds since 1970.
    pub fn new(instant: i64) -> Result<Authority, Error> {
        let at = 1970_i64.saturating_add(instant / YEAR).clamp(1980, 9000);
        let years = [at - YEARS.0, at + YEARS.1].map(|year| i32::try_from(year).unwrap_or(1970));
        let mut params = params("cairn's authority for one step", years);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Authority {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
            key: KeyPair::generate()?,
            years,
            configs: Mutex::default(),
        })
    }

    /// Its certificate, in DER.
    pub fn der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// TLS in the name of `name`: a host's name or an IP address.
    pub fn config(&self, name: &str) -> Result<Arc<ServerConfig>, Error> {
        let configs = || self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs().get(name) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(name)?);
        let mut configs = configs();
        if configs.len() < MOST_NAMES {
            configs.insert(name.to_owned(), Arc::clone(&config));
        }
        Ok(config)
    }

    fn make(&self, name: &str) -> Result<ServerConfig, Error> {
        let mut params = params(name, self.years);
        params.subject_alt_names = CertificateParams::new([name.to_owned()])?.subject_alt_names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&self.key, &self.issuer)?;
        let chain = vec![certificate.into(), self.issuer.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = config.with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

fn params(name: &str, [first, last]: [i32; 2]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    // X.520 lets it be no longer.
    if name.len() <= 64 {
        subject.push(DnType::CommonName, name);
    }
    params.distinguished_name = subject;
    params.not_before = date_time_ymd(first, 1, 1);
    params.not_after = date_time_ymd(last, 12, 31);
    params
}
