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

/// Compares `matches` with each row of a table of `testdata/ignore`: an answer (`yes`, `no`, else
/// an error), a pattern and a name.
#[cfg(test)]
fn must_answer(table: &str, matches: impl Fn(&[u8], &[u8]) -> Result<bool, glob::Error>) {
    let mut rows = 0;
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let fields: Vec<_> = row.split('\t').collect();
        let [answer, pattern, name] = fields[..] else {
            panic!("`{row}` has not three fields");
        };
        let expected = match answer {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(glob::Error::Syntax),
        };
        assert_eq!(
            matches(&unquote(pattern), &unquote(name)),
            expected,
            "{row}"
        );
        rows += 1;
    }
    assert!(rows > 500, "{rows}");
}
