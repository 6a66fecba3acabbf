//! Private keys that a command made.
//!
//! In: the path and the bytes of a file that a command made. Out: what kind of private key it holds.
//!
//! A key that is made in a build is in every copy of the image, and where randomness is an input, too,
//! anybody can make it again. So a build that leaves one is refused unless that is allowed. Keys that
//! came from elsewhere are not meant, and this is how they are told apart:
//!
//! - what came with its time wasn't made: dpkg, rpm, tar and gem give files the times that they have
//!   in their archives;
//! - what has the bytes of a file below, of one that is mounted or of a body that was fetched is that
//!   file;
//! - folders of packages for languages, and folders of tests, examples and documents, hold keys that
//!   are no secret to anybody ([`is_of_others`]);
//! - a text holds a key only where a whole block of PEM is there, and not where one is talked about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::keystore::der::{self, INTEGER, OCTETS, OID, SEQUENCE};
use super::keystore::{jks, pkcs12};
use crate::canon::EntryPath;

/// What kind of private key a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A block of PEM (RFC 7468), encrypted or not.
    Pem,
    /// OpenSSH's own (PROTOCOL.key).
    OpenSsh,
    /// OpenPGP's, in armour (RFC 9580, 6.2) or as GnuPG keeps it.
    OpenPgp,
    /// A PrivateKeyInfo (RFC 5958) or RSAPrivateKey (RFC 8017) without armour.
    Der,
    /// A PKCS #12 with a bag of keys (RFC 7292).
    Pkcs12,
    /// A keystore of Java's own kind with an entry that is a key.
    Java,
}

/// A private key that a command made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Its file, as [`EntryPath`] is shown.
    pub path: String,
    /// What kind of key it is.
    pub kind: Kind,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Pem => "PEM",
            Kind::OpenSsh => "OpenSSH",
            Kind::OpenPgp => "OpenPGP",
            Kind::Der => "DER",
            Kind::Pkcs12 => "PKCS #12",
            Kind::Java => "Java keystore",
        })
    }
}

/// What is in each text that holds a key.
pub(super) const MARK: &[u8] = b"PRIVATE KEY";

/// Whether what begins so may be a key without being a text.
pub(super) fn may_begin(head: &[u8]) -> bool {
    jks::is_one(head) || jks::has_secrets(head) || is_gnupg(head) || begins_as_der(head)
}

/// Whether it is a sequence that begins with a version, as keys and PKCS #12 do.
fn begins_as_der(head: &[u8]) -> bool {
    let &[SEQUENCE, length, ref rest @ ..] = head else {
        return false;
    };
    let more = match length {
        0..=0x7f => 0,
        0x81..=0x84 => usize::from(length & 0x7f),
        _ => return false,
    };
    matches!(rest.get(more..), Some([INTEGER, 1, 0 | 1 | 3, ..]))
}

/// The private key in a file that holds `content`; the first of several.
pub fn find(content: &[u8]) -> Option<Kind> {
    if jks::is_one(content) || jks::has_secrets(content) {
        return jks::has_key(content).then_some(Kind::Java);
    }
    if begins_as_der(content) {
        return in_der(content);
    }
    if is_gnupg(content) {
        return Some(Kind::OpenPgp);
    }
    in_text(content)
}

/// GnuPG's own files (`agent/keyformat.txt`): an expression, or fields one of which is that.
fn is_gnupg(head: &[u8]) -> bool {
    const EXPRESSIONS: [&[u8]; 2] = [b"(11:private-key", b"(21:protected-private-key"];
    const FIELDS: [&[u8]; 2] = [b"Key: (private-key", b"Key: (protected-private-key"];
    let is_field = |line: &[u8]| FIELDS.iter().any(|field| line.starts_with(field));
    EXPRESSIONS.iter().any(|begin| head.starts_with(begin))
        || head.split(|&byte| byte == b'\n').take(4).any(is_field)
}

fn in_der(content: &[u8]) -> Option<Kind> {
    let (whole, rest) = der::first(content)?;
    let parts = whole.values(SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let is_pkcs8 = || {
        let [_, algorithm, key, ..] = parts[..] else {
            return None;
        };
        let kind = algorithm.values(SEQUENCE)?;
        Some(kind.first()?.tag == OID && key.tag == OCTETS)
    };
    // A version, modulus, two exponents, two primes and three numbers made of these.
    let is_rsa = parts.len() >= 9 && parts[..9].iter().all(|part| part.tag == INTEGER);
    match pkcs12::has_key(content) {
        true => Some(Kind::Pkcs12),
        false => (is_rsa || is_pkcs8().unwrap_or(false)).then_some(Kind::Der),
    }
}

/// Fewest letters of a key's block: those of an Ed25519 key in PKCS #8 are 64.
const FEWEST: usize = 60;
const BEGIN: &[u8] = b"-----BEGIN ";

fn in_text(content: &[u8]) -> Option<Kind> {
    let lines = content.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix(BEGIN);
        let name = name.and_then(|name| name.strip_suffix(b"-----"));
        let Some(name) = name else {
            continue;
        };
        let is_pgp = name == b"PGP PRIVATE KEY BLOCK";
        if !is_pgp && !name.ends_with(MARK) {
            continue;
        }
        let (mut letters, mut has_fields) = (Vec::new(), false);
        // What has dashes ends it, or begins another.
        while let Some(line) = lines.next_if(|line| !line.starts_with(b"-----")) {
            // RFC 1421 (as OpenSSL encrypts) and RFC 9580 have fields there, and a checksum.
            match line.contains(&b':') {
                true => has_fields = true,
                false => letters.extend(line),
            }
        }
        let end = [&b"-----END "[..], name, b"-----"].concat();
        let is_body = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let is_whole = lines.peek() == Some(&&end[..]);
        if !is_whole || letters.len() < FEWEST || !letters.iter().all(is_body) {
            continue;
        }
        if is_pgp {
            return Some(Kind::OpenPgp);
        }
        // `openssh-key-v1` in base64.
        if letters.starts_with(b"b3BlbnNzaC1rZXktdj") {
            return Some(Kind::OpenSsh);
        }
        // What isn't encrypted is a sequence: its first six bits are `M`.
        if has_fields || letters.starts_with(b"M") {
            return Some(Kind::Pem);
        }
    }
    None
}

/// Whether a file at `path` holds what others made: a package of a language, a test, an example.
pub fn is_of_others(path: &EntryPath) -> bool {
    const FOLDERS: [&[u8]; 26] = [
        b"__tests__",
        b"demo",
        b"demos",
        b"dist-packages",
        b"doc",
        b"docs",
        b"example",
        b"examples",
        b"fixture",
        b"fixtures",
        b"gems",
        b"node_modules",
        b"sample",
        b"samples",
        b"site-packages",
        b"spec",
        b"specs",
        b"test",
        b"test-data",
        b"test-fixtures",
        b"test_data",
        b"testdata",
        b"testing",
        b"tests",
        b"testsuite",
        b"vendor",
    ];
    let mut above: Vec<&[u8]> = path.components().collect();
    above.pop();
    // What tools keep beside packages, they made.
    let is_cache = above.contains(&&b".cache"[..]);
    let is_of_language = |pair: &[&[u8]]| matches!(pair, [b"registry", b"src"] | [b"pkg", b"mod"]);
    !is_cache
        && (above.iter().any(|name| FOLDERS.contains(name)) || above.windows(2).any(is_of_language))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::base64;

    fn pem(name: &str, der: &[u8]) -> String {
        let letters = base64::encode(der);
        let lines: Vec<_> = letters.as_bytes().chunks(64).collect();
        let lines = String::from_utf8(lines.join(&b'\n')).unwrap();
        format!("-----BEGIN {name}-----\n{lines}\n-----END {name}-----\n")
    }

    /// As PKCS #8 has an Ed25519 key (RFC 8410, 7).
    fn pkcs8() -> Vec<u8> {
        let version = der::write(INTEGER, &[0]);
        let algorithm = der::write(SEQUENCE, &der::write(OID, b"\x2b\x65\x70"));
        let key = der::write(OCTETS, &der::write(OCTETS, &[7; 32]));
        der::write(SEQUENCE, &[version, algorithm, key].concat())
    }

    #[test]
    fn keys_are_found_in_texts() {
        let key = pkcs8();
        let ssh = [&b"openssh-key-v1\0"[..], &[1; 60]].concat();
        let fields =
            "BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
        let encrypted = pem("RSA PRIVATE KEY", &[0xa5; 64]);
        let encrypted = encrypted.replace("BEGIN RSA PRIVATE KEY-----\n", fields);
        for (text, expected) in [
            (pem("PRIVATE KEY", &key), Some(Kind::Pem)),
            (pem("ENCRYPTED PRIVATE KEY", &key), Some(Kind::Pem)),
            (pem("EC PRIVATE KEY", &key), Some(Kind::Pem)),
            (encrypted, Some(Kind::Pem)),
            (pem("OPENSSH PRIVATE KEY", &ssh), Some(Kind::OpenSsh)),
            (pem("PGP PRIVATE KEY BLOCK", &[0x95; 64]), Some(Kind::OpenPgp)),
            (format!("# Key\n{}", pem("PRIVATE KEY", &key)), Some(Kind::Pem)),
            (pem("PRIVATE KEY", &key).replace('\n', "\r\n"), Some(Kind::Pem)),
            (pem("PRIVATE KEY", &key).replace("\n", "\n    "), Some(Kind::Pem)),
            // A certificate, a public key, and what only speaks of keys.
            (pem("CERTIFICATE", &key), None),
            (pem("PUBLIC KEY", &key), None),
            (pem("PRIVATE KEY", &key[..20]), None),
            (pem("PRIVATE KEY", &[0; 64]), None),
            (
                "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ...\n-----END PRIVATE KEY-----\n".to_owned(),
                None,
            ),
            ("if line == \"-----BEGIN PRIVATE KEY-----\":\n".to_owned(), None),
            (pem("PRIVATE KEY", &key).replace("-----END", "END"), None),
            (
                format!("-----BEGIN PRIVATE KEY-----\n{}", pem("PRIVATE KEY", &key)),
                Some(Kind::Pem),
            ),
        ] {
            assert_eq!(find(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_found_without_armour() {
        let key = pkcs8();
        assert_eq!(find(&key), Some(Kind::Der));
        assert!(may_begin(&key));
        let numbers = vec![der::write(INTEGER, &[1]); 9].concat();
        assert_eq!(find(&der::write(SEQUENCE, &numbers)), Some(Kind::Der));
        let certificate = der::write(SEQUENCE, &der::write(SEQUENCE, &[2, 1, 0]));
        assert_eq!(find(&certificate), None);
        assert!(!may_begin(&certificate));
        for length in 0..key.len() {
            assert_eq!(find(&key[..length]), None);
        }
        assert_eq!(find(b"(11:private-key(3:rsa"), Some(Kind::OpenPgp));
        let fields = b"Created: 20260101T000000\nKey: (private-key (rsa (n #00#)))\n";
        assert_eq!(find(fields), Some(Kind::OpenPgp));
        assert_eq!(find(b"(20:shadowed-private-key"), None);
    }

    #[test]
    fn what_others_made_is_known_by_its_folder() {
        for (path, expected) in [
            ("usr/lib/python3/dist-packages/twisted/server.pem", true),
            ("app/node_modules/webpack-dev-server/ssl/server.pem", true),
            ("app/node_modules/.cache/server/server.pem", false),
            ("src/tests/key.pem", true),
            ("root/.cargo/registry/src/index/rustls-1/key.pem", true),
            ("root/go/pkg/mod/example.org/key.pem", true),
            ("etc/ssl/private/ssl-cert-snakeoil.key", false),
            ("etc/ssh/ssh_host_rsa_key", false),
            ("srv/tests", false),
            ("srv/mod/key.pem", false),
        ] {
            let path = EntryPath::new(path.as_bytes()).unwrap();
            assert_eq!(is_of_others(&path), expected, "{path}");
        }
    }
}
