//! Why packages can't be had.
//!
//! In: what archives sent, and what was asked of them. Out: [`Error`].

use crate::canon::Digest;
use crate::packages::Unsolvable;

/// Why packages can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A platform that the distribution isn't made for.
    #[error("there are no packages for `{0}`")]
    Architecture(String),
    /// Nobody says where the archive is.
    #[error(
        "nothing says where the packages of `{suite}` are\nhint: name the archive in the recipe (`mirror = \"https://…\"`) or in ${variable}; where this machine's apt has that suite, its archive is taken"
    )]
    NoMirror {
        /// Which suite.
        suite: String,
        /// The variable that names a mirror.
        variable: &'static str,
    },
    /// No keys.
    #[error(
        "nothing says whose packages to trust: the image below has no keys of archives\nhint: name files with keys in the recipe: `keys = [\"archive.asc\"]`"
    )]
    NoKeys,
    /// A file that should hold keys.
    #[error("`{file}` can't be used as keys: {reason}")]
    Key {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// The transfer.
    #[error("can't fetch `{url}`: {reason}")]
    Fetch {
        /// From where.
        url: String,
        /// Why.
        reason: String,
    },
    /// Nothing outside is to be asked.
    #[error(transparent)]
    Offline(#[from] crate::inputs::http::Offline),
    /// A secret for a server.
    #[error(transparent)]
    Secret(#[from] crate::inputs::access::BadSecret),
    /// A signature.
    #[error(
        "`{url}` is not to be trusted: {reason}\nhint: if that key is to be trusted, put it into a file and name that in `keys`"
    )]
    Signature {
        /// What is signed.
        url: String,
        /// Why it doesn't count.
        reason: String,
    },
    /// Something that is out of date.
    #[error(
        "`{url}` is out of date: {reason}\n  cause: the mirror is stale, or an old state of the archive was replayed; or this machine's clock is wrong\nhint: name another mirror, or the archive as it was at an instant: `snapshot`"
    )]
    Stale {
        /// What.
        url: String,
        /// Since when.
        reason: String,
    },
    /// A list that is none, or of something else.
    #[error("`{url}` is refused: {reason}")]
    Release {
        /// Which.
        url: String,
        /// Why.
        reason: String,
    },
    /// Other bytes than the signed list says.
    #[error(
        "`{url}` is not what the archive signed\n  expected {expected}\n  got      {got}\n  cause: the mirror is being updated or damaged, or the transfer was tampered with; nothing was stored\nhint: try again later, or another mirror"
    )]
    DigestMismatch {
        /// From where.
        url: String,
        /// As it is signed.
        expected: Digest,
        /// As it is.
        got: Digest,
    },
    /// Another size.
    #[error(
        "`{url}` is not what the archive signed: it should have {expected} bytes, and has {got}\nhint: try again later, or another mirror"
    )]
    Size {
        /// From where.
        url: String,
        /// As it is signed.
        expected: u64,
        /// As far as it was read.
        got: u64,
    },
    /// Packages that don't go together, or aren't there.
    #[error("{error}\n  in {suites}")]
    Unsolvable {
        /// Why.
        error: Unsolvable,
        /// Where it was looked for.
        suites: String,
    },
    /// A relation that is none.
    #[error("`{0}` can't be asked for")]
    Relation(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// JSON.
    #[error(transparent)]
    Json(#[from] crate::canon::json::Error),
}
