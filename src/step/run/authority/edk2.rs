//! Certificates for UEFI's firmware: `extracted/edk2/cacerts.bin`, which Red Hat's `update-ca-trust`
//! makes of all anchors.
//!
//! In: such a file's bytes, a certificate. Out: the bytes without it.
//!
//! Lists one behind the other, of one certificate each (UEFI 2.10, 32.4.1, `EFI_SIGNATURE_LIST`): a
//! GUID that says what it holds, little-endian numbers of four bytes (of the list, of a header, of
//! each signature with its owner), an owner's GUID, the certificate.

/// `EFI_CERT_X509_GUID`, a5c059a1-94e4-4aa7-87b5-ab155c2bf072.
const X509: [u8; 16] = *b"\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72";
/// Bytes of a list before the owner's GUID.
const HEAD: usize = 28;
const OWNER: usize = 16;

/// Whether this begins as such a file does.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&X509)
}

/// The file without lists that hold `certificate` alone; none where it can't be read.
pub(super) fn remove(bytes: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = rest.get(16..20)?.try_into().ok()?;
        let size = usize::try_from(u32::from_le_bytes(size)).ok()?;
        let (list, behind) = rest.split_at_checked(size)?;
        // One that is shorter than its own head would never end.
        let held = list.get(HEAD + OWNER..)?;
        if !(is_one(list) && held == certificate) {
            kept.extend(list);
        }
        rest = behind;
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(certificate: &[u8]) -> Vec<u8> {
        let size = (HEAD + OWNER + certificate.len()) as u32;
        let numbers = [size, 0, size - HEAD as u32].map(u32::to_le_bytes);
        [&X509[..], &numbers.concat(), &[9; OWNER], certificate].concat()
    }

    #[test]
    fn the_certificate_goes_and_the_others_stay() {
        let all = [list(b"one"), list(b"ours"), list(b"two")];
        let expected = [list(b"one"), list(b"two")].concat();
        assert_eq!(remove(&all.concat(), b"ours").unwrap(), expected);
        assert_eq!(remove(&list(b"ours"), b"ours").unwrap(), b"");
    }

    #[test]
    fn what_is_damaged_is_left_alone() {
        let whole = [list(b"one"), list(b"ours")].concat();
        let first = list(b"one").len();
        for length in (1..whole.len()).filter(|&length| length != first) {
            assert_eq!(remove(&whole[..length], b"ours"), None, "{length}");
        }
        let mut endless = list(b"ours");
        endless[16..20].fill(0);
        assert_eq!(remove(&endless, b"ours"), None);
    }
}
