//! What a rebuild shows of an image: how far it agrees, under what variation, and who says so.
//!
//! In: a verdict about a rebuild. Out: a [`Statement`] for others, and from several rebuilders'
//! statements what they agree on ([`Quorum`]); why one differs ([`cause`]). Pure: who rebuilds is
//! somebody else.

pub mod cause;
mod quorum;
mod statement;
mod variation;

pub use quorum::{Agreement, Quorum};
pub use statement::{Error, LARGEST, Material, PREDICATE_TYPE, Rebuild, STATEMENT_TYPE, Statement};
pub use variation::Variation;

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a rebuild agrees with an image: the higher, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Verdict {
    /// The same bytes, by digest: of every manifest, config and layer.
    Identical,
    /// The same file systems in all that a layer can say; compression, how they are parted into layers,
    /// or configs differ.
    SameContent,
    /// The same file systems after passes that are named.
    SameAfterNamedPasses,
    /// Something else differs.
    Different,
    /// There is nothing to compare with: an input is gone or not locked, or a step failed.
    CannotRebuild,
}

impl Verdict {
    /// The exit code: 0 for the same bytes alone, 1 for whatever differs, 2 for no rebuild.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Identical => 0,
            Verdict::SameContent | Verdict::SameAfterNamedPasses | Verdict::Different => 1,
            Verdict::CannotRebuild => 2,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Identical => "IDENTICAL",
            Verdict::SameContent => "SAME-CONTENT",
            Verdict::SameAfterNamedPasses => "SAME-AFTER-NAMED-PASSES",
            Verdict::Different => "DIFFERENT",
            Verdict::CannotRebuild => "CANNOT-REBUILD",
        })
    }
}
