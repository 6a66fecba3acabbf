//! What a command fetched: its record, as the lock has it.
//!
//! In: what the recording proxy saw. Out: values, sorted, without anything that proves who asked:
//! credentials never get here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canon::{Digest, json};

/// All that one command fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// When it was recorded, in seconds since 1970: what the command's clock says.
    pub instant: i64,
    /// Host names that it asked for and that there were, lower-case, without the last dot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// In the order of [`Exchange`]; equal requests that were answered differently stay in the
    /// order in which they were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
}

impl Record {
    /// Of all of it, as canonical JSON.
    ///
    /// # Errors
    /// For a number that JSON can't hold exactly.
    pub fn digest(&self) -> Result<Digest, json::Error> {
        Ok(Digest::of(&json::to_vec(self)?))
    }

    /// Whether the same was fetched, at whatever instant.
    pub fn is_same(&self, other: &Record) -> bool {
        (&self.names, &self.exchanges) == (&other.names, &other.exchanges)
    }
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What was asked.
    #[serde(flatten)]
    pub request: Request,
    /// What came.
    #[serde(flatten)]
    pub response: Response,
}

/// A request, as far as it decides its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Request {
    /// `http://` or `https://`, host, port if it isn't the scheme's own, path and query; without
    /// credentials.
    pub url: String,
    /// `GET`, …
    pub method: String,
    /// Header fields that matter, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: BTreeMap<String, String>,
    /// Its body, if it has one that isn't empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Body>,
}

/// The status of no answer: the server could not be reached or broke off, each time that it was
/// asked, and the command went on all the same.
pub const NO_ANSWER: u16 = 0;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Response {
    /// 200, …; [`NO_ANSWER`].
    pub status: u16,
    /// Header fields that matter, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body, if it has one that isn't empty: a blob of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// What follows the body, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, String>,
}

/// Bytes by their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Of all of it.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
}
