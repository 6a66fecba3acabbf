//! Signatures of archives: clear-signed text (RFC 9580, section 7) by a key of a keyring.
//!
//! In: `InRelease`, keys armoured or binary, an instant. Out: what was signed, and by whom. A key
//! that was revoked or had expired signs nothing, and no signature counts whose hash is broken.

use pgp::composed::{CleartextSignedMessage, Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

/// Keys that may sign.
#[derive(Default)]
pub struct Keyring(Vec<SignedPublicKey>);

/// What was signed.
pub struct Signed {
    /// The text.
    pub text: String,
    /// Hex digits of the fingerprint of the key that signed it.
    pub signer: String,
}

impl Keyring {
    /// Adds the keys of `bytes`; says how many, or why there are none.
    pub fn add(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let refuse = |error: pgp::errors::Error| error.to_string();
        let before = self.0.len();
        // A file may hold several keys in armour of their own.
        let mut rest = bytes;
        loop {
            let (block, after) = next_block(rest);
            let (keys, _) = SignedPublicKey::from_reader_many_buf(block).map_err(refuse)?;
            // Of keys of a kind that nobody knows yet the others are no worse.
            let keys = keys.filter_map(Result::ok);
            self.0
                .extend(keys.filter(|key| !own_signatures(key).is_empty()));
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        match self.0.len() - before {
            0 => Err("it holds no public key".to_owned()),
            count => Ok(count),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is signed in `text`, by a key of these that could sign at `instant`, in seconds since
    /// 1970; else why it doesn't count.
    pub fn verify(&self, text: &str, instant: i64) -> Result<Signed, String> {
        let (message, _) = CleartextSignedMessage::from_string(text)
            .map_err(|error| format!("it is not clear-signed: {error}"))?;
        let signed = message.signed_text();
        let mut why = "it isn't signed".to_owned();
        for signature in message.signatures() {
            match self.signer(signature, signed.as_bytes(), instant) {
                Ok(signer) => {
                    return Ok(Signed {
                        text: signed.replace("\r\n", "\n"),
                        signer,
                    });
                }
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    fn signer(&self, signature: &Signature, text: &[u8], instant: i64) -> Result<String, String> {
        let by = issuer(signature);
        let is_sound = matches!(
            signature.hash_alg(),
            Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512)
                | Some(HashAlgorithm::Sha224 | HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512)
        );
        if !is_sound {
            return Err(format!(
                "the signature of key {by} is made with a broken hash"
            ));
        }
        let created = signature.created().map(|time| i64::from(time.as_secs()));
        let Some(created) = created else {
            return Err(format!("the signature of key {by} says no time"));
        };
        let expiry = signature.signature_expiration_time();
        let expiry = expiry
            .map(|time| i64::from(time.as_secs()))
            .filter(|time| *time > 0);
        if expiry.is_some_and(|time| created + time < instant) {
            return Err(format!("the signature of key {by} has expired"));
        }
        for key in &self.0 {
            let verified = match signature.verify(&key.primary_key, text) {
                Ok(()) => Ok(self::check_primary(key, instant)),
                Err(_) => subkey_of(key, signature, text, instant).ok_or(()),
            };
            if let Ok(checked) = verified {
                let signer = hex(key.primary_key.fingerprint().as_bytes());
                return match checked {
                    Ok(()) => Ok(signer),
                    Err(reason) => Err(format!("key {signer} {reason}")),
                };
            }
        }
        let is_known = |key: &SignedPublicKey| {
            let subkeys = key.public_subkeys.iter();
            let mut ids = subkeys
                .map(|subkey| subkey.key.legacy_key_id())
                .collect::<Vec<_>>();
            ids.push(key.primary_key.legacy_key_id());
            signature.issuer_key_id().iter().any(|id| ids.contains(id))
        };
        Err(match self.0.iter().any(is_known) {
            true => format!("the signature of key {by} is wrong"),
            false => format!("it is signed by key {by}, which is none of the given ones"),
        })
    }
}

/// Whether a subkey of `key` made the signature, and could.
fn subkey_of(
    key: &SignedPublicKey,
    signature: &Signature,
    text: &[u8],
    instant: i64,
) -> Option<Result<(), &'static str>> {
    let made = |subkey: &&SignedPublicSubKey| signature.verify(&subkey.key, text).is_ok();
    let subkey = key.public_subkeys.iter().find(made)?;
    Some(check_primary(key, instant).and_then(|()| check_subkey(key, subkey, instant)))
}

/// What a key says of itself. Others may have signed it, too: of that nothing is needed.
fn own_signatures(key: &SignedPublicKey) -> Vec<&Signature> {
    let (primary, details) = (&key.primary_key, &key.details);
    let of_users = details.users.iter().flat_map(|user| {
        let is_own = |signature: &&Signature| {
            let is_revocation = signature.typ() == Some(SignatureType::CertRevocation);
            let verified = signature.verify_certification(primary, Tag::UserId, &user.id);
            !is_revocation && verified.is_ok()
        };
        user.signatures.iter().filter(is_own)
    });
    let direct = details.direct_signatures.iter();
    let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
    of_users.chain(direct).collect()
}

fn check_primary(key: &SignedPublicKey, instant: i64) -> Result<(), &'static str> {
    let mut revoked = key.details.revocation_signatures.iter();
    if revoked.any(|signature| signature.verify_key(&key.primary_key).is_ok()) {
        return Err("was revoked");
    }
    check_age(&key.primary_key, own_signatures(key).into_iter(), instant)
}

/// A subkey is what its primary key says; one that signs has to say the same of that.
fn check_subkey(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    instant: i64,
) -> Result<(), &'static str> {
    let is_revoked =
        |signature: &Signature| signature.typ() == Some(SignatureType::SubkeyRevocation);
    if subkey.signatures.iter().any(is_revoked) {
        return Err("revoked its subkey");
    }
    let is_bound = |signature: &&Signature| {
        let back = signature.embedded_signature();
        signature.key_flags().sign()
            && signature
                .verify_subkey_binding(&key.primary_key, &subkey.key)
                .is_ok()
            && back.is_some_and(|back| {
                back.verify_primary_key_binding(&subkey.key, &key.primary_key)
                    .is_ok()
            })
    };
    let mut bound = subkey.signatures.iter().filter(is_bound).peekable();
    if bound.peek().is_none() {
        return Err("has no subkey that may sign");
    }
    check_age(&subkey.key, bound, instant)
}

/// The newest of a key's own signatures says how long it is good for.
fn check_age<'s>(
    key: &impl VerifyingKey,
    own: impl Iterator<Item = &'s Signature>,
    instant: i64,
) -> Result<(), &'static str> {
    let created = i64::from(key.created_at().as_secs());
    let newest = own.max_by_key(|signature| signature.created().map(|time| time.as_secs()));
    let lifetime = newest.and_then(Signature::key_expiration_time);
    let lifetime = lifetime
        .map(|time| i64::from(time.as_secs()))
        .filter(|time| *time > 0);
    match lifetime {
        Some(lifetime) if created + lifetime < instant => Err("has expired"),
        _ => Ok(()),
    }
}

/// One armoured block and what follows it; all of it where it isn't armoured.
fn next_block(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";
    const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|part| part == what);
    match find(bytes, END) {
        Some(at) if bytes.is_ascii() => {
            let (block, after) = bytes.split_at(at + END.len());
            (block, find(after, BEGIN).map(|_| after))
        }
        _ => (bytes, None),
    }
}

fn issuer(signature: &Signature) -> String {
    if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        return hex(fingerprint.as_bytes());
    }
    match signature.issuer_key_id().first() {
        Some(id) => hex(id.as_ref()),
        None => "of nobody".to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
