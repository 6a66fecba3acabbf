//! Java's own keystores ("JKS"): `cacerts` up to Java 17.
//!
//! In: a keystore's bytes, a certificate. Out: the bytes with it, or without it.
//!
//! All numbers are big-endian. `feedfeed`, a version (1 or 2), how many entries there are, each of
//! them: 1 (a key) or 2 (a certificate), an alias, milliseconds since 1970, what it holds. At the
//! end stands the SHA-1 of the password in UTF-16, of `Mighty Aphrodite` and of all that is before.

use std::ops::Range;

use sha1::{Digest as _, Sha1};

const MAGIC: u32 = 0xfeed_feed;
/// Of "JCEKS", whose entries may also be secrets of other kinds.
const SECRETS: u32 = 0xcece_cece;
const KEY: u32 = 1;
const CERTIFICATE: u32 = 2;
/// A key that isn't one of a pair; only there.
const SECRET: u32 = 3;
const DIGEST: usize = 20;
/// Bytes before the first entry.
const HEAD: usize = 12;
/// What keystores of authorities have as password: Java's, Apple's, none.
const PASSWORDS: [&str; 3] = ["changeit", "changeme", ""];

/// Whether this begins as such a keystore does.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_be_bytes())
}

/// Whether this begins as one of those does that hold secrets, too.
pub fn has_secrets(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECRETS.to_be_bytes())
}

/// Whether there is a private or secret key in it, whatever its password.
pub fn has_key(bytes: &[u8]) -> bool {
    let has_one = || {
        let mut reader = Reader { body: bytes, at: 4 };
        let version = reader.number()?;
        for _ in 0..reader.number()? {
            let kind = reader.peek()?;
            if matches!(kind, KEY | SECRET) {
                return Some(true);
            }
            reader.entry(version)?;
        }
        Some(false)
    };
    has_one().unwrap_or(false)
}

/// The keystore with other times of its entries, in milliseconds since 1970, where `dated` gives
/// one; none where its password isn't known, or it can't be read.
pub fn dated(bytes: &[u8], dated: &dyn Fn(u64) -> Option<u64>) -> Option<Vec<u8>> {
    let keystore = Keystore::read(bytes)?;
    let mut body = bytes.get(..bytes.len() - DIGEST)?.to_vec();
    for entry in &keystore.entries {
        let time = body.get_mut(entry.time.clone())?;
        let was = u64::from_be_bytes((&*time).try_into().ok()?);
        if let Some(becomes) = dated(was) {
            time.copy_from_slice(&becomes.to_be_bytes());
        }
    }
    Some(keystore.sealed(body))
}

/// The keystore with `certificate` as its last entry; none where its password isn't known, or it
/// can't be read.
pub fn add(bytes: &[u8], alias: &str, certificate: &[u8]) -> Option<Vec<u8>> {
    let keystore = Keystore::read(bytes)?;
    let mut out = keystore.head(keystore.entries.len() + 1)?;
    out.extend(bytes.get(HEAD..bytes.len() - DIGEST)?);
    out.extend(CERTIFICATE.to_be_bytes());
    put_text(&mut out, alias)?;
    // Made in 1970, as the same on every machine.
    out.extend(0_u64.to_be_bytes());
    if keystore.version == 2 {
        put_text(&mut out, "X.509")?;
    }
    out.extend(u32::try_from(certificate.len()).ok()?.to_be_bytes());
    out.extend(certificate);
    Some(keystore.sealed(out))
}

/// The keystore without entries for `certificate`; none where its password isn't known, or it
/// can't be read.
pub fn remove(bytes: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    let keystore = Keystore::read(bytes)?;
    let is_other = |entry: &&Entry| bytes.get(entry.certificate.clone()) != Some(certificate);
    let kept: Vec<_> = keystore.entries.iter().filter(is_other).collect();
    let mut out = keystore.head(kept.len())?;
    for entry in kept {
        out.extend(bytes.get(entry.whole.clone())?);
    }
    Some(keystore.sealed(out))
}

struct Keystore {
    version: u32,
    password: &'static str,
    entries: Vec<Entry>,
}

struct Entry {
    whole: Range<usize>,
    time: Range<usize>,
    /// Empty of keys.
    certificate: Range<usize>,
}

impl Keystore {
    fn read(bytes: &[u8]) -> Option<Keystore> {
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        let mut reader = Reader { body, at: 0 };
        if reader.number()? != MAGIC {
            return None;
        }
        let version = reader.number()?;
        if !matches!(version, 1 | 2) {
            return None;
        }
        let count = reader.number()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(reader.entry(version)?);
        }
        let mut passwords = PASSWORDS.into_iter();
        let password = passwords.find(|password| digest(password, body) == *seal)?;
        (reader.at == body.len()).then_some(Keystore {
            version,
            password,
            entries,
        })
    }

    fn head(&self, count: usize) -> Option<Vec<u8>> {
        let numbers = [MAGIC, self.version, u32::try_from(count).ok()?];
        Some(numbers.map(u32::to_be_bytes).concat())
    }

    fn sealed(&self, mut body: Vec<u8>) -> Vec<u8> {
        let seal = digest(self.password, &body);
        body.extend(seal);
        body
    }
}

fn digest(password: &str, body: &[u8]) -> [u8; DIGEST] {
    let mut hash = Sha1::new();
    for unit in password.encode_utf16() {
        hash.update(unit.to_be_bytes());
    }
    hash.update(b"Mighty Aphrodite");
    hash.update(body);
    hash.finalize().into()
}

fn put_text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    out.extend(text.as_bytes());
    Some(())
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let range = self.at..self.at.checked_add(length)?;
        self.body.get(range.clone())?;
        self.at = range.end;
        Some(range)
    }

    fn number(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        let bytes = self.body.get(bytes)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    fn peek(&self) -> Option<u32> {
        let bytes = self.body.get(self.at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Option<()> {
        let bytes = self.take(2)?;
        let bytes = self.body.get(bytes)?.try_into().ok()?;
        self.take(u16::from_be_bytes(bytes).into()).map(drop)
    }

    fn data(&mut self) -> Option<Range<usize>> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn certificate(&mut self, version: u32) -> Option<Range<usize>> {
        if version == 2 {
            self.text()?;
        }
        self.data()
    }

    fn entry(&mut self, version: u32) -> Option<Entry> {
        let from = self.at;
        let kind = self.number()?;
        self.text()?;
        let time = self.take(8)?;
        let certificate = match kind {
            CERTIFICATE => self.certificate(version)?,
            KEY => {
                self.data()?;
                for _ in 0..self.number()? {
                    self.certificate(version)?;
                }
                self.at..self.at
            }
            _ => return None,
        };
        Some(Entry {
            whole: from..self.at,
            time,
            certificate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty keystore, as keytool writes one.
    fn empty(version: u32, password: &'static str) -> Vec<u8> {
        let keystore = Keystore {
            version,
            password,
            entries: Vec::new(),
        };
        keystore.sealed(keystore.head(0).unwrap())
    }

    #[test]
    fn what_was_added_is_removed_to_the_byte() {
        for version in [1, 2] {
            for password in PASSWORDS {
                let keystore = empty(version, password);
                let one = add(&keystore, "one", b"first certificate").unwrap();
                let two = add(&one, "two", b"second certificate").unwrap();
                assert_eq!(remove(&two, b"second certificate").unwrap(), one);
                let alone = remove(&two, b"first certificate").unwrap();
                assert_eq!(remove(&alone, b"second certificate").unwrap(), keystore);
                assert_eq!(remove(&two, b"another").unwrap(), two);
            }
        }
    }

    #[test]
    fn times_change_and_nothing_else() {
        let keystore = add(&empty(2, "changeit"), "one", b"certificate").unwrap();
        let later = dated(&keystore, &|was| (was == 0).then_some(7_000)).unwrap();
        assert_ne!(later, keystore);
        assert_eq!(later.len(), keystore.len());
        assert_eq!(
            dated(&later, &|was| (was == 7_000).then_some(0)).unwrap(),
            keystore
        );
        assert_eq!(dated(&later, &|_| None).unwrap(), later);
        assert_eq!(dated(&empty(2, "secret"), &|_| None), None);
    }

    #[test]
    fn keys_are_found_whatever_the_password() {
        let certificates = add(&empty(2, "changeit"), "one", b"certificate").unwrap();
        assert!(!has_key(&certificates));
        let mut key = certificates.clone();
        key[HEAD + 3] = 1;
        assert!(has_key(&key));
        let mut secrets = key;
        secrets[..4].copy_from_slice(&SECRETS.to_be_bytes());
        secrets[HEAD + 3] = 3;
        assert!(has_secrets(&secrets) && has_key(&secrets));
        for length in 0..HEAD + 4 {
            assert!(!has_key(&secrets[..length]));
        }
    }

    #[test]
    fn what_is_damaged_or_has_another_password_is_left_alone() {
        let keystore = add(&empty(2, "changeit"), "one", b"certificate").unwrap();
        for length in 0..keystore.len() {
            assert_eq!(remove(&keystore[..length], b"certificate"), None);
        }
        let mut changed = keystore.clone();
        changed[HEAD + 9] ^= 1;
        assert_eq!(remove(&changed, b"certificate"), None);
        assert_eq!(add(&empty(2, "secret"), "one", b"certificate"), None);
    }
}
