//! Files of certificates and keys that are no text: Java's keystores, PKCS #12, and the DER that both
//! stand on.
//!
//! In: bytes. Out: what they hold, and the same with other entries or times.

pub mod der;
pub mod jks;
pub mod pkcs12;
