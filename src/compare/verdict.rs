//! How much two things are alike, as one word.
//!
//! In: what is known to be equal. Out: a step of the ladder.

use serde::Serialize;

/// How much two things are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The same bytes, by their digests.
    Identical,
    /// The same file system: every path, its content and its metadata; only compression, how it is
    /// parted into layers, or documents differ.
    SameContent,
    /// Something in the file system differs.
    Different,
}

/// What is known to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The bytes that name everything else: of an image its manifest's.
    pub bytes: bool,
    /// All entries of the file systems.
    pub entries: bool,
}

impl Verdict {
    /// The highest step that these facts reach.
    pub fn of(facts: Facts) -> Verdict {
        match facts {
            Facts { bytes: true, .. } => Verdict::Identical,
            Facts { entries: true, .. } => Verdict::SameContent,
            _ => Verdict::Different,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Identical => "identical",
            Verdict::SameContent => "same content",
            Verdict::Different => "different",
        }
    }
}
