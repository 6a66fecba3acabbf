//! Ignore files: `.cairnignore` and `.dockerignore`.
//!
//! In: the file's bytes. Out: its [`Rules`], with the lines that they stand on, or all its
//! [`Problem`]s (docs.docker.com, "Build context", ".dockerignore files"; moby/patternmatcher's
//! `ignorefile`):
//!
//! - A byte order mark at the file's start doesn't count. Lines end with `\n` or `\r\n`.
//! - A line whose first byte is `#` is a comment. A `#` after a blank is not.
//! - Blanks around a line, and after its `!`, don't count; empty lines don't either.
//! - A pattern is cleaned as a path, and one leading slash is dropped: all are relative to the
//!   context's root, which itself can't be left out.

use super::rules::{Error, Rules, clean, trim};

/// Longest line in bytes; the reference has the same limit.
const LONGEST_LINE: usize = 64 << 10;

/// A line that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}` is no pattern: {error}")]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// The line, shortened.
    pub text: String,
    /// What is wrong with it.
    pub error: Error,
}

/// Reads an ignore file.
pub fn parse(file: &[u8]) -> Result<Rules, Vec<Problem>> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut rules = Rules::default();
    let mut problems = Vec::new();
    for (at, line) in file.split(|&byte| byte == b'\n').enumerate() {
        let result = match line {
            [b'#', ..] => Ok(()),
            _ if line.len() >= LONGEST_LINE => Err(super::glob::Error::TooLong.into()),
            _ => rules.push(&pattern(trim(line)), at + 1),
        };
        if let Err(error) = result {
            let start = &line[..line.len().min(80)];
            problems.push(Problem {
                line: at + 1,
                text: String::from_utf8_lossy(trim(start)).into_owned(),
                error,
            });
            if error == Error::TooMany {
                break;
            }
        }
    }
    match problems.is_empty() {
        true => Ok(rules),
        false => Err(problems),
    }
}

/// What a trimmed line says, as a pattern of a list.
fn pattern(line: &[u8]) -> Vec<u8> {
    let (mark, pattern) = match line.strip_prefix(b"!") {
        Some(pattern) => (&b"!"[..], trim(pattern)),
        None => (&b""[..], line),
    };
    if pattern.is_empty() {
        return mark.to_vec();
    }
    let pattern = clean(pattern);
    let relative = match &pattern[..] {
        [b'/', rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    [mark, relative].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::canon::EntryPath;
    use crate::canon::pattern::{Verdict, unquote};

    fn entry(quoted: &str) -> EntryPath {
        EntryPath::new(&unquote(quoted)).unwrap()
    }

    /// What a walk hands on of `all`, in which every directory stands before what it holds.
    fn walk(rules: &Rules, all: &BTreeSet<EntryPath>) -> BTreeSet<EntryPath> {
        let mut kept = BTreeSet::new();
        let mut verdicts = vec![(EntryPath::root(), Some(Verdict::default()))];
        for path in all {
            while path.below(&verdicts[verdicts.len() - 1].0).is_none() {
                verdicts.pop();
            }
            // None: the walk has not gone in.
            let Some(parent) = verdicts[verdicts.len() - 1].1 else {
                continue;
            };
            let verdict = rules.verdict(path, parent);
            assert_eq!(verdict, rules.verdict_alone(path), "{path}");
            let goes_in = !verdict.matches() || rules.may_differ_below(path, verdict);
            verdicts.push((path.clone(), goes_in.then_some(verdict)));
            if !verdict.matches() {
                kept.extend(path.ancestors().skip(1));
                kept.insert(path.clone());
            }
        }
        kept
    }

    /// `testdata/ignore/README.md` says how the table is read and who judged it.
    #[test]
    fn files_leave_out_what_docker_leaves_out() {
        let table = include_str!("../../../testdata/ignore/cases.txt");
        let mut rows = 0;
        for case in table.split("\n= ").skip(1) {
            let mut file = Vec::new();
            let mut expected: Vec<(&str, &str)> = Vec::new();
            for row in case.lines().skip(1).filter(|row| !row.is_empty()) {
                match row.split_once(' ').unwrap_or((row, "")) {
                    ("|", line) => {
                        let words: Vec<_> = line.split(' ').map(unquote).collect();
                        file.extend(words.join(&b' '));
                        file.push(b'\n');
                    }
                    ("#", _) => {}
                    row => expected.push(row),
                }
            }
            let rules = parse(&file);
            let all = expected.iter().filter(|(answer, _)| *answer != "error");
            let all = all.map(|(_, path)| entry(path)).flat_map(|path| {
                let above: Vec<_> = path.ancestors().skip(1).collect();
                above.into_iter().chain([path])
            });
            let all = all.collect();
            let kept = rules
                .as_ref()
                .map(|rules| walk(rules, &all))
                .unwrap_or_default();
            for (answer, what) in expected {
                let got = match &rules {
                    Err(problems) => ("error", problems[0].line.to_string()),
                    Ok(_) if kept.contains(&entry(what)) => ("keep", what.into()),
                    Ok(_) => ("drop", what.into()),
                };
                assert_eq!(got, (answer, what.into()), "{case}");
                rows += 1;
            }
        }
        assert!(rows >= 60, "{rows}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let text = format!("a\n!\n[\n{}", "x".repeat(LONGEST_LINE));
        let lines: Vec<_> = parse(text.as_bytes())
            .unwrap_err()
            .iter()
            .map(|problem| problem.line)
            .collect();
        assert_eq!(lines, [2, 3, 4]);
        let error = parse(b"\n [a\n").unwrap_err()[0].to_string();
        assert!(error.starts_with("line 2: `[a` is no pattern: "), "{error}");
    }

    #[test]
    fn lines_are_counted_with_comments_and_the_mark() {
        let rules = parse(b"\xef\xbb\xbf# c\r\n\r\na\r\n").unwrap();
        let rule = rules.explain(rules.verdict_alone(&EntryPath::new(b"a").unwrap()));
        assert_eq!(rule.map(|rule| rule.line), Some(3));
    }
}
