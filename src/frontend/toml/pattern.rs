//! Patterns of a recipe: sources to copy, paths to remove, and filters.
//!
//! In: text without NUL. Out: the patterns that the plan's steps expand, in one normal form, or a
//! [`Fault`]. Sources and removed paths are as Go's `filepath.Match` has them, filters as
//! `.dockerignore` has them.

use super::value::{Fault, absolute, fault, path_fault, quoted};
use crate::canon::path::Error as PathError;
use crate::canon::pattern::{Rules, Wildcard};

/// A source below a folder's root: leading, double and trailing slashes and `.` components go;
/// `.` is all of it.
pub fn source(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return fault("the path is empty", "`\".\"` is all of it");
    }
    let mut components = Vec::new();
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                let hint = "name another folder in `[contexts]`, and copy from that";
                return fault(format!("{} leads out of the folder", quoted(text)), hint);
            }
            _ => components.push(component),
        }
    }
    if components.is_empty() {
        return Ok(".".to_owned());
    }
    let pattern = components.join("/");
    if Wildcard::is_needed_for(pattern.as_bytes()) {
        Wildcard::new(pattern.as_bytes()).or_else(|why| no_pattern(text, &why))?;
    }
    Ok(pattern)
}

/// As [`source`], but the first `/./` stays: what is before it is not to be kept.
pub fn source_with_pivot(text: &str) -> Result<String, Fault> {
    let whole = source(text)?;
    let Some((before, after)) = text.split_once("/./") else {
        return Ok(whole);
    };
    let read = |part: &str| source(if part.is_empty() { "." } else { part });
    match (read(before)?.as_str(), read(after)?) {
        (".", _) => Ok(whole),
        (before, after) => Ok(format!("{before}/./{after}")),
    }
}

fn no_pattern<T>(text: &str, why: &dyn std::error::Error) -> Result<T, Fault> {
    let message = format!("{} is no pattern: {why}", quoted(text));
    fault(message, "`[[]` stands for a `[` that is meant as it is")
}

/// A pattern of absolute paths; comes out without the leading slash.
pub fn absolute_pattern(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        return absolute(text).map(|_| String::new());
    }
    if text.split('/').any(|component| component == "..") {
        return Err(path_fault(text, PathError::Parent));
    }
    match source(text)?.as_str() {
        "." => fault("the root can't be removed", "`\"/*\"` is all that it holds"),
        pattern => Ok(pattern.to_owned()),
    }
}

/// A line of `include` or `exclude`, as `.dockerignore` has them; stays as it is.
pub fn filter(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return fault("the pattern is empty", "`\"**\"` matches everything");
    }
    match Rules::new(&[text]) {
        Ok(_) => Ok(text.to_owned()),
        Err((_, why)) => no_pattern(text, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_one_form() {
        for (text, expected) in [
            (".", "."),
            ("/", "."),
            ("./a//b/", "a/b"),
            ("/a", "a"),
            ("*.txt", "*.txt"),
            ("a/[^x-z]?/\\*", "a/[^x-z]?/\\*"),
            ("...", "..."),
            ("a\\", "a\\"),
        ] {
            assert_eq!(source(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "", "..", "a/../b", "../a", "[", "a[]b", "[a-", "[-a]", "*\\",
        ] {
            assert!(source(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_pivot_stays() {
        for (text, expected) in [
            ("a/b", "a/b"),
            ("./a//b/.", "a/b"),
            ("./a/./b", "a/./b"),
            ("a//././b/./c", "a/./b/c"),
            ("/./a/b", "a/b"),
            ("a/./", "a/./."),
        ] {
            assert_eq!(source_with_pivot(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(source_with_pivot("a/./../b").is_err());
    }

    #[test]
    fn the_root_is_not_removed() {
        assert_eq!(absolute_pattern("/tmp/*").as_deref(), Ok("tmp/*"));
        for text in ["/", "//.", "tmp", "", "/a/../b", "/[", "*"] {
            assert!(absolute_pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_stay_as_they_are() {
        for text in ["**/*.md", "!keep", "/a/", "[[]x"] {
            assert_eq!(filter(text).as_deref(), Ok(text));
        }
        for text in ["", " ", "a[", "!", "b/\\"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
