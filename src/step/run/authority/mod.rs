//! The certificate authority of one command: whoever ends its TLS signs with it, so that all that
//! runs in the command must trust it, and nothing of it may be in the layer.
//!
//! In: the authority's certificate, the image below. Out: [`Placed`]: a layer for the command alone
//! in which the image's own bundles and keystores hold the authority, too; files in `/dev` and
//! variables that name them, for tools that have bundles of their own or none; and, after the
//! command, its files as they would be without all that.
//!
//! A layer and not mounts: `update-ca-certificates` and its like rename new bundles over old ones,
//! which can't be done to what is mounted.

mod clean;
mod edk2;
mod name;
mod pem;
mod place;
mod search;
mod variables;

pub(super) use clean::{Cleaned, LARGEST};
pub(super) use place::{Placed, place};
use search::Marks;
pub(super) use search::Searcher;

use crate::canon::base64;
use crate::normal::keystore::der::{self, CONTEXT_0, INTEGER, SEQUENCE};

/// What our files, and our entries in keystores, are called.
const NAME: &str = "cairn-step-authority";

/// The certificate of an authority that exists for one command only.
#[derive(Debug, Clone)]
pub struct Authority {
    der: Vec<u8>,
    /// Of the DER, in one line.
    base64: String,
    pem: String,
    /// Of its subject.
    hash: String,
    marks: Marks,
}

impl Authority {
    /// Of a certificate in DER (RFC 5280). None where that isn't one which can be told from all
    /// others by its beginning: its serial number must have 8 to 20 bytes, best random ones, and
    /// its subject consist of ASCII texts.
    pub fn new(der: Vec<u8>) -> Option<Authority> {
        let (certificate, rest) = der::first(&der)?;
        let parts = certificate.values(SEQUENCE)?;
        let mut fields = parts.first()?.values(SEQUENCE)?.into_iter();
        let serial = fields.find(|field| field.tag != CONTEXT_0)?;
        let has_serial = serial.tag == INTEGER && (8..=20).contains(&serial.content.len());
        if !has_serial || !rest.is_empty() {
            return None;
        }
        let base64 = base64::encode(&der);
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(str::from_utf8).collect();
        let lines = lines.into_iter().collect::<Result<Vec<_>, _>>().ok()?;
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        );
        let marks = Marks::new(der.get(..MARK)?, base64.get(..MARK / 3 * 4)?.as_bytes());
        Some(Authority {
            hash: name::hash(&der)?,
            marks,
            base64,
            pem,
            der,
        })
    }

    /// The certificate, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as a PEM block, in lines of 64 and with `\n` at the end of each.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

/// Bytes at the beginning of a certificate that hold its serial number whole: at most 15 stand
/// before that, and 20 it has itself. A multiple of three, so that base64 has it whole, too; 60
/// letters, less than the 64 that are in a line of PEM.
const MARK: usize = 45;

#[cfg(test)]
pub(super) mod tests {
    use std::process::Command;

    use super::*;

    /// An authority as openssl makes one.
    pub(in crate::step::run) fn authority() -> Authority {
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
            -keyout /dev/null -outform DER -subj";
        let mut openssl = Command::new("openssl");
        openssl.args(arguments.split_whitespace());
        let output = openssl
            .arg("/O=The  Test/CN=An Authority")
            .output()
            .unwrap();
        Authority::new(output.stdout).unwrap()
    }

    #[test]
    fn openssl_reads_what_is_written_and_has_the_same_hash() {
        let authority = authority();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-subject_hash", "-in"]);
        let output = openssl.arg(&file).output().unwrap();
        let hash = String::from_utf8(output.stdout).unwrap();
        assert_eq!(hash.trim(), authority.hash);
    }

    #[test]
    fn what_could_be_taken_for_another_is_refused() {
        let authority = authority();
        assert!(Authority::new(Vec::new()).is_none());
        let (cut, more) = (&authority.der[1..], [&authority.der[..], b"x"].concat());
        assert!(Authority::new(cut.to_vec()).is_none());
        assert!(Authority::new(more).is_none());
        let short = der::write(INTEGER, &[1]);
        let (certificate, _) = der::first(&authority.der).unwrap();
        let parts = certificate.values(SEQUENCE).unwrap();
        let mut fields = parts[0].values(SEQUENCE).unwrap();
        fields[1] = der::first(&short).unwrap().0;
        let fields: Vec<_> = fields.iter().map(|field| field.whole).collect();
        let first = der::write(SEQUENCE, &fields.concat());
        let whole = [&first, parts[1].whole, parts[2].whole].concat();
        assert!(Authority::new(der::write(SEQUENCE, &whole)).is_none());
    }
}
