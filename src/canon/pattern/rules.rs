//! Lists of patterns in which the last that matches decides.
//!
//! In: patterns in order, some of them exceptions (`!pattern`). Out: [`Rules`], and for each path
//! of a walk a [`Verdict`], made from the verdict of the directory that holds it.
//!
//! A pattern that matches a directory matches all below it, and exceptions do so too. Of all
//! patterns that match a path or a directory above it the last in the list counts (Docker's
//! documentation of `.dockerignore`; moby/patternmatcher, `MatchesOrParentMatches`). So a verdict
//! is no more than the place of that pattern, and only patterns after it can still change it.
//!
//! moby/patternmatcher's `MatchesUsingParentResults`, which walks use, departs from that where it
//! forgets what it had skipped: with `a`, `!a/x`, `*` it keeps `a/x`, though `*` matches `a`. This
//! is the documented rule.

use super::deep::Glob;
use super::glob;
use crate::canon::EntryPath;

/// Most patterns in one list.
pub const MOST: usize = 10_000;

/// Patterns in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One pattern of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// As it was written.
    pub text: String,
    /// Its line in the file, or its place in the list, from 1.
    pub line: usize,
    /// Whether it takes back what earlier patterns matched.
    pub is_exception: bool,
    glob: Glob,
}

/// Why a pattern can't be part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no pattern.
    #[error(transparent)]
    Glob(#[from] glob::Error),
    /// An exception of nothing.
    #[error("nothing follows its `!`")]
    Empty,
    /// Over [`MOST`].
    #[error("it is one more than {MOST}")]
    TooMany,
}

/// What a list says about one path. The default is what it says about the root of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// How many patterns there are up to and with the one that decides; 0 where none matches.
    decided: usize,
    matches: bool,
}

impl Verdict {
    /// Whether the path matches: an ignore list leaves it out, an include list takes it.
    pub fn matches(self) -> bool {
        self.matches
    }
}

impl Rules {
    /// Rules from a list of patterns, as `--exclude` has them; the first that is none with its
    /// place from 0. Blanks around a pattern don't count, and an empty one is skipped.
    pub fn new<T: AsRef<str>>(patterns: &[T]) -> Result<Rules, (usize, Error)> {
        let mut rules = Rules::default();
        for (at, pattern) in patterns.iter().enumerate() {
            rules
                .push(pattern.as_ref().as_bytes(), at + 1)
                .map_err(|error| (at, error))?;
        }
        Ok(rules)
    }

    /// Adds a pattern, which stands on `line`.
    pub(super) fn push(&mut self, text: &[u8], line: usize) -> Result<(), Error> {
        let text = trim(text);
        if text.is_empty() {
            return Ok(());
        }
        if self.rules.len() == MOST {
            return Err(Error::TooMany);
        }
        let clean = clean(text);
        let (is_exception, pattern) = match &clean[..] {
            b"!" => return Err(Error::Empty),
            [b'!', pattern @ ..] => (true, pattern),
            pattern => (false, pattern),
        };
        self.rules.push(Rule {
            text: String::from_utf8_lossy(text).into_owned(),
            line,
            is_exception,
            glob: Glob::new(pattern)?,
        });
        Ok(())
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the list says about `path`, given what it says about the directory that holds it.
    pub fn verdict(&self, path: &EntryPath, parent: Verdict) -> Verdict {
        let later = self.rules.iter().enumerate().skip(parent.decided);
        match later.rev().find(|(_, rule)| rule.glob.matches(path)) {
            Some((at, rule)) => Verdict {
                decided: at + 1,
                matches: !rule.is_exception,
            },
            None => parent,
        }
    }

    /// What the list says about `path`, told without a walk.
    pub fn verdict_alone(&self, path: &EntryPath) -> Verdict {
        let above = path.ancestors().skip(1);
        let parent = above.fold(Verdict::default(), |parent, directory| {
            self.verdict(&directory, parent)
        });
        match path.is_root() {
            true => parent,
            false => self.verdict(path, parent),
        }
    }

    /// Whether something below `directory` may get another answer than `verdict`, the one that
    /// `directory` got. If not, a walk need not go in where nothing is wanted.
    pub fn may_differ_below(&self, directory: &EntryPath, verdict: Verdict) -> bool {
        self.rules
            .iter()
            .skip(verdict.decided)
            .filter(|rule| rule.is_exception == verdict.matches)
            .any(|rule| rule.glob.may_match_below(directory))
    }

    /// The pattern that made `verdict`; none where no pattern matched.
    pub fn explain(&self, verdict: Verdict) -> Option<&Rule> {
        self.rules.get(verdict.decided.checked_sub(1)?)
    }
}

/// `text` without Unicode white space around it.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let blank = |text: &[u8], from_end: bool| -> usize {
        (1..=text.len().min(3))
            .find(|&length| {
                let part = match from_end {
                    true => &text[text.len() - length..],
                    false => &text[..length],
                };
                std::str::from_utf8(part).is_ok_and(|part| part.chars().all(char::is_whitespace))
            })
            .unwrap_or(0)
    };
    let mut rest = text;
    while let length @ 1.. = blank(rest, false) {
        rest = &rest[length..];
    }
    while let length @ 1.. = blank(rest, true) {
        rest = &rest[..rest.len() - length];
    }
    rest
}

/// The shortest path that says the same, as Go's `path.Clean`: without double slashes, `.` and
/// what `..` takes back; `.` for nothing.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let is_rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if is_rooted => {}
            _ => parts.push(part),
        }
    }
    match (is_rooted, &parts[..]) {
        (true, _) => [b"/", &parts.join(&b'/')[..]].concat(),
        (false, []) => b".".to_vec(),
        (false, parts) => parts.join(&b'/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    /// The examples of Go's documentation of `path.Clean`, and of `path`'s `ExampleClean`.
    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (written, expected) in [
            ("a/c", "a/c"),
            ("a//c", "a/c"),
            ("a/c/.", "a/c"),
            ("a/c/b/..", "a/c"),
            ("/../a/c", "/a/c"),
            ("/../a/b/../././/c", "/a/c"),
            ("", "."),
            ("..", ".."),
            ("../../a", "../../a"),
            ("a/../..", ".."),
            ("/", "/"),
            ("./", "."),
        ] {
            assert_eq!(clean(written.as_bytes()), expected.as_bytes(), "{written}");
        }
    }

    #[test]
    fn white_space_of_any_script_is_trimmed_and_nothing_else() {
        assert_eq!(trim("\u{a0}\u{3000} a b\t\u{85}".as_bytes()), b"a b");
        assert_eq!(trim(b" \xff\xa0 "), b"\xff\xa0");
        assert_eq!(trim(b" \r\n"), b"");
    }

    #[test]
    fn the_rule_that_decides_is_named() {
        let rules = Rules::new(&["", "a", " !a/b ", "c"]).unwrap();
        let text = |name: &str| {
            let rule = rules.explain(rules.verdict_alone(&path(name)));
            rule.map(|rule| (rule.line, rule.text.as_str()))
        };
        assert_eq!(text("a/x"), Some((2, "a")));
        assert_eq!(text("a/b/c"), Some((3, "!a/b")));
        assert_eq!(text("x"), None);
        assert_eq!(rules.explain(Verdict::default()), None);
    }

    #[test]
    fn the_root_is_never_matched() {
        let rules = Rules::new(&["**", "."]).unwrap();
        assert!(!rules.verdict_alone(&EntryPath::root()).matches());
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_place() {
        assert_eq!(Rules::new(&["a", "!"]), Err((1, Error::Empty)));
        assert_eq!(Rules::new(&["!/"]), Err((0, Error::Empty)));
        assert_eq!(Rules::new(&["a["]), Err((0, glob::Error::Syntax.into())));
        assert_eq!(
            Rules::new(&vec!["a"; MOST + 1]),
            Err((MOST, Error::TooMany))
        );
    }
}
