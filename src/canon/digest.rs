//! Digests: sha256 and nothing else, as a value that can't be mistaken for text.
//!
//! In: bytes, or the text form `sha256:` + 64 lower-case hex digits (OCI image-spec, descriptor.md,
//! "Digests"). Out: [`Digest`] and the ids that are digests of something particular: [`DiffId`],
//! [`ChainId`], [`TreeDigest`], [`StepKey`].

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::digest::common::hazmat::SerializableState;

/// A sha256 digest: of a blob's bytes unless a narrower type says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Text that is not `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sha256 digest (`sha256:` and 64 lower-case hex digits)")]
pub struct ParseError(pub String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// The digest as 64 lower-case hex digits, as blobs are named on disk.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        self.write_hex(&mut text);
        text
    }

    /// Adds what [`Digest::hex`] gives to `text`.
    pub fn write_hex(&self, text: &mut String) {
        let digit = |number: u8| b"0123456789abcdef"[usize::from(number)];
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        text.extend(std::str::from_utf8(&hex));
    }

    /// Twelve hex digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// The reverse of [`Digest::hex`].
    pub fn from_hex(hex: &str) -> Result<Digest, ParseError> {
        let error = || ParseError(hex.to_owned());
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(error()),
        };
        if hex.len() != 64 {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Digest(bytes))
    }

    /// The 32 bytes themselves.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Digest, ParseError> {
        text.strip_prefix("sha256:")
            .and_then(|hex| Digest::from_hex(hex).ok())
            .ok_or_else(|| ParseError(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a [`Hasher`] has seen, as its library writes it; in JSON an escaped text, for it is short,
/// behind what tells the library's way of writing: one that was written otherwise is none.
#[derive(Clone, PartialEq, Eq)]
pub struct HasherState(Vec<u8>);

impl fmt::Debug for HasherState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HasherState")
    }
}

impl HasherState {
    /// Names how the library lays a state out, by how it lays out a known one whose every part is
    /// of another value: its version alone would not say whether that has changed.
    fn form() -> &'static str {
        static FORM: OnceLock<String> = OnceLock::new();
        FORM.get_or_init(|| {
            let seen: Vec<u8> = (0..100).collect();
            let mut hasher = Hasher::new();
            hasher.update(&seen);
            Digest::of(&hasher.state().0).hex()[..8].to_owned()
        })
    }
}

impl Serialize for HasherState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = super::path::escape(&self.0);
        serializer.serialize_str(&format!("{}:{state}", HasherState::form()))
    }
}

impl<'de> Deserialize<'de> for HasherState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<HasherState, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let (form, state) = text.split_once(':').unwrap_or_default();
        let state = super::path::unescape(state).filter(|_| form == HasherState::form());
        state
            .map(HasherState)
            .ok_or_else(|| serde::de::Error::custom("no state of a hasher"))
    }
}

/// Hashes a stream piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Hasher {
        Hasher::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// What it has seen, to go on from later; only [`Hasher::resume`] understands it.
    pub fn state(&self) -> HasherState {
        HasherState(self.0.serialize().to_vec())
    }

    /// A hasher that has seen what `state` says; none for what is no state.
    pub fn resume(state: &HasherState) -> Option<Hasher> {
        let state = state.0[..].try_into().ok()?;
        sha2::Sha256::deserialize(state).ok().map(Hasher)
    }

    /// The digest of all that was taken in.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Hashes and counts what is read through it.
pub struct Hashed<R> {
    source: R,
    hasher: Hasher,
    size: u64,
}

impl<R> Hashed<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Hashed<R> {
        let hasher = Hasher::new();
        Hashed {
            source,
            hasher,
            size: 0,
        }
    }

    /// Digest and number of the bytes that were read.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }
}

impl<R: std::io::Read> std::io::Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

macro_rules! digest_of {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

digest_of! {
    /// A layer's name before compression: the digest of its tar (image-spec, config.md).
    DiffId;
    /// A stack of layers (image-spec, config.md, "Layer ChainID").
    ChainId;
    /// A table of entries in its text form (`layer::tree`).
    TreeDigest;
    /// A step together with what its inputs came out as (`plan::key`).
    StepKey;
}

impl ChainId {
    /// The chain of `diff_ids`, bottom first; none for an empty stack.
    ///
    /// image-spec, config.md: `ChainID(L₀|…|Lₙ) = Digest(ChainID(L₀|…|Lₙ₋₁) + " " + DiffID(Lₙ))`.
    pub fn of(diff_ids: &[DiffId]) -> Option<ChainId> {
        let (first, rest) = diff_ids.split_first()?;
        let chain = rest.iter().fold(first.0, |chain, diff_id| {
            Digest::of(format!("{chain} {diff_id}").as_bytes())
        });
        Some(ChainId(chain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_goes_there_and_back() {
        // FIPS 180-2, appendix B.1.
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
    }

    #[test]
    fn anything_but_lower_case_sha256_is_refused() {
        let hex = Digest::of(b"").hex();
        for text in [
            hex.clone(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha512:{hex}"),
            format!("sha256:../../{}", &hex[6..]),
            String::new(),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_hasher_goes_on_where_it_stopped() {
        let mut hasher = Hasher::new();
        hasher.update(&[7; 100]);
        let mut resumed = Hasher::resume(&hasher.state()).unwrap();
        resumed.update(&[8; 100]);
        assert_eq!(resumed.finish(), Digest::of(&[[7; 100], [8; 100]].concat()));
        assert!(Hasher::resume(&HasherState(Vec::new())).is_none());
    }

    #[test]
    fn a_state_that_was_written_in_another_way_is_none() {
        let mut hasher = Hasher::new();
        hasher.update(&[7; 100]);
        let text = serde_json::to_string(&hasher.state()).unwrap();
        let read = |text: &str| serde_json::from_str::<HasherState>(text).ok();
        assert_eq!(read(&text), Some(hasher.state()));
        let (form, state) = text.split_once(':').unwrap();
        assert_eq!(form.len(), 1 + 8);
        for other in [
            format!("\"00000000:{state}"),
            format!("\"{state}"),
            "\"\"".to_owned(),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    #[test]
    fn chain_of_one_layer_is_its_diff_id() {
        let first = DiffId(Digest::of(b"1"));
        let second = DiffId(Digest::of(b"2"));
        assert_eq!(ChainId::of(&[]), None);
        assert_eq!(ChainId::of(&[first]), Some(ChainId(first.0)));
        let both = format!("{first} {second}");
        assert_eq!(
            ChainId::of(&[first, second]),
            Some(ChainId(Digest::of(both.as_bytes())))
        );
    }
}
