//! Why packages don't go together.
//!
//! In: what the solver found. Out: [`Unsolvable`].

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsolvable {
    /// No package of that name.
    #[error("no archive has a package `{0}`")]
    Unknown(String),
    /// No package with such a version.
    #[error("no archive has `{wanted}`\n  there is {there}")]
    NoVersion {
        /// What is asked for.
        wanted: String,
        /// The versions that there are.
        there: String,
    },
    /// A name that several packages stand for.
    #[error(
        "`{wanted}` is a virtual package\nhint: install one of those that provide it: {providers}"
    )]
    Virtual {
        /// What is asked for.
        wanted: String,
        /// Names.
        providers: String,
    },
    /// Packages that don't go together: a tree of reasons.
    #[error("the packages don't go together\n{0}")]
    Conflict(String),
}
