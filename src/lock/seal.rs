//! Seals: what tells that an entry was changed by hand.
//!
//! In: an entry with its place. Out: the first 8 hex digits of the sha256 of both as canonical
//! JSON. A seal guards against slips, not against whoever means it: he could seal anew. Each entry
//! has its own, so that git can merge two locks.

use serde::{Deserialize, Serialize};

use crate::canon::{Digest, json};

/// 8 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seal(String);

impl Seal {
    /// Of `entry`, which stands at `place`.
    ///
    /// # Errors
    /// For a number that JSON can't hold exactly.
    pub fn of(place: &[&str], entry: &impl Serialize) -> Result<Seal, json::Error> {
        let text = json::to_vec(&(place, entry))?;
        let hex = Digest::of(&text).hex();
        Ok(Seal(hex.chars().take(8).collect()))
    }
}

impl std::fmt::Display for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
