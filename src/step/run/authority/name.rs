//! The name under which OpenSSL looks for a certificate in a folder: `HASH.0`.
//!
//! In: a certificate's DER. Out: eight hexadecimal digits.
//!
//! It is the SHA-1 of the subject in a canonical form, its first four bytes as a little-endian
//! number (OpenSSL, `X509_NAME_hash_ex`, `x509_name_canon`): without the outer sequence, each text
//! in UTF-8 and lower case, spaces at its ends gone and those within as one.

use sha1::{Digest as _, Sha1};

use crate::normal::keystore::der::{self, CONTEXT_0, SEQUENCE, SET, UTF8};

/// The name of the file in which the certificate's subject is looked for, without `.0`.
pub(super) fn hash(certificate: &[u8]) -> Option<String> {
    let parts = der::first(certificate)?.0.values(SEQUENCE)?;
    let mut fields = parts.first()?.values(SEQUENCE)?;
    // The version may be left out.
    if fields.first()?.tag == CONTEXT_0 {
        fields.remove(0);
    }
    // Serial number, signature, issuer, validity.
    let subject = fields.get(4)?.values(SEQUENCE)?;
    let mut canonical = Vec::new();
    for set in subject {
        let mut rows = Vec::new();
        for attribute in set.values(SET)? {
            let [kind, value] = attribute.values(SEQUENCE)?[..] else {
                return None;
            };
            let value = match value.tag {
                // UTF8String, PrintableString, IA5String: what ASCII text is written in.
                UTF8 | 0x13 | 0x16 => der::write(UTF8, &text(value.content)),
                _ => return None,
            };
            rows.push(der::write(SEQUENCE, &[kind.whole, &value].concat()));
        }
        canonical.extend(der::write(SET, &rows.concat()));
    }
    let digest = Sha1::digest(&canonical);
    let number = u32::from_le_bytes(digest.get(..4)?.try_into().ok()?);
    Some(format!("{number:08x}"))
}

fn text(value: &[u8]) -> Vec<u8> {
    let words = value.split(u8::is_ascii_whitespace);
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(&b' ').to_ascii_lowercase()
}
