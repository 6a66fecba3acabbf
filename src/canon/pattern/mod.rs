//! Docker's path patterns: globs, and lists of them in which the last word counts.
//!
//! In: patterns from recipes and ignore files, as bytes. Out: [`Wildcard`] for the sources of a
//! copy, [`Rules`] for ignore files and for include and exclude lists. Pure, and linear in the
//! length of a path for any one pattern: a hostile pattern can't stall a build.
//!
//! | where | what counts |
//! | --- | --- |
//! | a copy's source | Go's `filepath.Match`, where `**` is no more than `*` ([`glob`]) |
//! | a line of `.dockerignore` | a glob with `**`, against the path and all above it ([`rules`]) |
//! | include and exclude lists | the same, without the file's comments ([`Rules::new`]) |

mod deep;
pub mod glob;
pub mod ignore;
pub mod rules;

pub use glob::Wildcard;
pub use rules::{Rules, Verdict};

/// Reads the form in which `testdata/ignore` holds bytes: `%XX` for what can't be shown.
#[cfg(test)]
fn unquote(text: &str) -> Vec<u8> {
    crate::canon::path::unescape(text).unwrap()
}
