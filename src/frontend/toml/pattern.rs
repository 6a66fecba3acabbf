//! Patterns of a recipe: sources to copy, paths to remove, and filters.
//!
//! In: text without NUL. Out: the patterns that the plan's steps expand, in one normal form, or a
//! [`Fault`]. Sources and removed paths are as Go's `filepath.Match` has them, filters as
//! `.dockerignore` has them.

use super::value::{Fault, absolute, fault, path_fault, quoted};
use crate::canon::path::Error as PathError;

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
            _ => {
                pattern_component(component).or_else(|why| {
                    fault(format!("{} is no pattern: {why}", quoted(text)), BACKSLASH)
                })?;
                components.push(component);
            }
        }
    }
    Ok(match components.as_slice() {
        [] => ".".to_owned(),
        _ => components.join("/"),
    })
}

const BACKSLASH: &str = "a backslash in front takes a character as it is";

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
    for component in text.split('/') {
        pattern_component(component)
            .or_else(|why| fault(format!("{} is no pattern: {why}", quoted(text)), BACKSLASH))?;
    }
    Ok(text.to_owned())
}

/// Checks what Go's `filepath.Match` calls a bad pattern: a bracket or an escape without its end.
fn pattern_component(text: &str) -> Result<(), &'static str> {
    const BACKSLASH: &str = "nothing follows the `\\`";
    const BRACKET: &str = "a `[` has no `]`, or an empty range";
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => drop(rest.next().ok_or(BACKSLASH)?),
            '[' => {
                rest.next_if_eq(&'^');
                let mut ranges = 0;
                while ranges == 0 || rest.next_if_eq(&']').is_none() {
                    range_end(&mut rest).ok_or(BRACKET)?;
                    if rest.next_if_eq(&'-').is_some() {
                        range_end(&mut rest).ok_or(BRACKET)?;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn range_end(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '\\' => rest.next(),
        '-' | ']' => None,
        other => Some(other),
    }
}

/// A name taken as it is, as a pattern.
pub fn literal(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
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
        ] {
            assert_eq!(source(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "", "..", "a/../b", "../a", "[", "a[]b", "[a-", "[-a]", "a\\",
        ] {
            assert!(source(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_root_is_not_removed() {
        assert_eq!(absolute_pattern("/tmp/*").as_deref(), Ok("tmp/*"));
        for text in ["/", "//.", "tmp", "", "/a/../b"] {
            assert!(absolute_pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_stay_as_they_are() {
        for text in ["**/*.md", "!keep", "/a/", "[[]x"] {
            assert_eq!(filter(text).as_deref(), Ok(text));
        }
        for text in ["", " ", "a[", "b/\\"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn literal_names_are_sound_patterns() {
        assert_eq!(literal("a*[b]?\\"), "a\\*\\[b]\\?\\\\");
        assert!(source(&literal("[*?\\")).is_ok());
    }
}
