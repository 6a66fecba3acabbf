//! Keystores as PKCS #12 (RFC 7292) that have no password: `cacerts` from Java 18 on.
//!
//! In: a keystore's bytes, a certificate. Out: the bytes with it, or without it. What is encrypted
//! or sealed by a password is none of these: such a file differs each time that it is written.

use super::der::{self, BMP, CONTEXT_0, OCTETS, OID, SEQUENCE, SET, Value};

/// 1.2.840.113549.1.7.1, "data".
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// 1.2.840.113549.1.12.10.1.3, "certBag".
const CERTIFICATE_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
/// 1.2.840.113549.1.12.10.1.1, "keyBag", and 2, "pkcs8ShroudedKeyBag".
const KEY_BAGS: [&[u8]; 2] = [
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02",
];
/// 1.2.840.113549.1.9.22.1, "x509Certificate".
const X509: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
/// 1.2.840.113549.1.9.20, "friendlyName".
const NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14";
/// 2.16.840.1.113894.746875.1.1, by which Java knows whom it trusts.
const TRUSTED: &[u8] = b"\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01";
/// 2.5.29.37.0, for any use.
const ANY_USE: &[u8] = b"\x55\x1d\x25\x00";

/// The keystore with `certificate` behind those that it has; none where it can't have it.
pub fn add(bytes: &[u8], alias: &str, certificate: &[u8]) -> Option<Vec<u8>> {
    let mut added = false;
    let keystore = changed(bytes, &mut |bags| {
        let is_first = bags.iter().any(is_certificate) && !std::mem::replace(&mut added, true);
        let all = bags.iter().map(|bag| bag.whole.to_vec());
        all.chain(is_first.then(|| bag(alias, certificate)))
            .collect()
    })?;
    added.then_some(keystore)
}

/// The keystore without `certificate`; none where it can't be read.
pub fn remove(bytes: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    changed(bytes, &mut |bags| {
        let kept = bags
            .iter()
            .filter(|bag| held(bag).is_none_or(|held| held != certificate));
        kept.map(|bag| bag.whole.to_vec()).collect()
    })
}

/// Whether there is a private key in it, whoever sealed it: each has a bag of its own, which is
/// encrypted by itself.
pub fn has_key(bytes: &[u8]) -> bool {
    let is_key = |bag: &Value| {
        let parts = bag.values(SEQUENCE);
        parts.is_some_and(|parts| {
            let kind = parts.first().map(|kind| kind.content);
            kind.is_some_and(|kind| KEY_BAGS.contains(&kind))
        })
    };
    bags(bytes).is_some_and(|bags| bags.iter().any(is_key))
}

/// All bags that can be read without a password.
fn bags(bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let (keystore, _) = der::first(bytes)?;
    let &[version, content, ..] = &keystore.values(SEQUENCE)?[..] else {
        return None;
    };
    if version.content != [3] {
        return None;
    }
    let mut all = Vec::new();
    for part in der::first(data(&content)?)?.0.values(SEQUENCE)? {
        if let Some(bags) = data(&part) {
            all.extend(der::first(bags)?.0.values(SEQUENCE)?);
        }
    }
    Some(all)
}

/// The keystore with its bags changed.
fn changed(bytes: &[u8], change: &mut dyn FnMut(&[Value]) -> Vec<Vec<u8>>) -> Option<Vec<u8>> {
    let (keystore, rest) = der::first(bytes)?;
    // A third part would be the seal.
    let [version, content] = keystore.values(SEQUENCE)?[..] else {
        return None;
    };
    if version.content != [3] || !rest.is_empty() {
        return None;
    }
    let parts = der::first(data(&content)?)?.0.values(SEQUENCE)?;
    let mut safe = Vec::new();
    for part in parts {
        match data(&part) {
            Some(bags) => {
                let bags = der::first(bags)?.0.values(SEQUENCE)?;
                let bags = change(&bags).concat();
                safe.extend(info(&der::write(SEQUENCE, &bags)));
            }
            None => safe.extend(part.whole),
        }
    }
    let content = info(&der::write(SEQUENCE, &safe));
    Some(der::write(SEQUENCE, &[version.whole, &content].concat()))
}

/// What a "data" holds.
fn data<'a>(info: &Value<'a>) -> Option<&'a [u8]> {
    let [kind, content] = info.values(SEQUENCE)?[..] else {
        return None;
    };
    let [octets] = content.values(CONTEXT_0)?[..] else {
        return None;
    };
    (kind.content == DATA && octets.tag == OCTETS).then_some(octets.content)
}

fn info(data: &[u8]) -> Vec<u8> {
    let octets = der::write(CONTEXT_0, &der::write(OCTETS, data));
    der::write(SEQUENCE, &[der::write(OID, DATA), octets].concat())
}

fn is_certificate(bag: &Value) -> bool {
    held(bag).is_some()
}

/// The certificate that a bag holds.
fn held<'a>(bag: &Value<'a>) -> Option<&'a [u8]> {
    let parts = bag.values(SEQUENCE)?;
    let (kind, content) = (parts.first()?, parts.get(1)?);
    if kind.content != CERTIFICATE_BAG {
        return None;
    }
    let [bag] = content.values(CONTEXT_0)?[..] else {
        return None;
    };
    let [kind, content] = bag.values(SEQUENCE)?[..] else {
        return None;
    };
    let [octets] = content.values(CONTEXT_0)?[..] else {
        return None;
    };
    (kind.content == X509 && octets.tag == OCTETS).then_some(octets.content)
}

/// A bag as Java writes it.
fn bag(alias: &str, certificate: &[u8]) -> Vec<u8> {
    let sequence = |parts: &[Vec<u8>]| der::write(SEQUENCE, &parts.concat());
    let oid = |oid: &[u8]| der::write(OID, oid);
    let octets = der::write(CONTEXT_0, &der::write(OCTETS, certificate));
    let held = der::write(CONTEXT_0, &sequence(&[oid(X509), octets]));
    let name: Vec<u8> = alias.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let attributes = [
        sequence(&[oid(NAME), der::write(SET, &der::write(BMP, &name))]),
        sequence(&[oid(TRUSTED), der::write(SET, &oid(ANY_USE))]),
    ];
    let attributes = der::write(SET, &attributes.concat());
    sequence(&[oid(CERTIFICATE_BAG), held, attributes])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keystore of one certificate.
    fn keystore() -> Vec<u8> {
        let bags = der::write(SEQUENCE, &bag("first", b"first certificate"));
        let safe = der::write(SEQUENCE, &info(&bags));
        let version = der::write(der::INTEGER, &[3]);
        der::write(SEQUENCE, &[version, info(&safe)].concat())
    }

    #[test]
    fn what_was_added_is_removed_to_the_byte() {
        let one = keystore();
        let two = add(&one, "second", &[7; 1000]).unwrap();
        assert!(two.len() > one.len() + 1000);
        assert_eq!(remove(&two, &[7; 1000]).unwrap(), one);
        assert_eq!(remove(&two, b"another").unwrap(), two);
    }

    #[test]
    fn keys_are_found_and_certificates_are_none() {
        let one = keystore();
        assert!(!has_key(&one));
        for bag in KEY_BAGS {
            let key = der::write(CONTEXT_0, &der::write(OCTETS, b"key"));
            let bag = der::write(SEQUENCE, &[der::write(OID, bag), key].concat());
            let safe = info(&der::write(SEQUENCE, &bag));
            let parts = der::write(SEQUENCE, &safe);
            let version = der::write(der::INTEGER, &[3]);
            let seal = der::write(SEQUENCE, b"");
            let sealed = der::write(SEQUENCE, &[version, info(&parts), seal].concat());
            assert!(has_key(&sealed));
            assert!(!has_key(&sealed[..sealed.len() - 1]));
        }
    }

    #[test]
    fn what_is_damaged_or_sealed_is_left_alone() {
        let one = keystore();
        for length in 0..one.len() {
            assert_eq!(remove(&one[..length], b"first certificate"), None);
        }
        let (value, _) = der::first(&one).unwrap();
        let seal = der::write(SEQUENCE, b"");
        let sealed = der::write(SEQUENCE, &[value.content, &seal].concat());
        assert_eq!(add(&sealed, "second", b"second"), None);
        assert_eq!(remove(&sealed, b"first certificate"), None);
    }
}
