//! Errors as people read them.
//!
//! In: [`Problem`]s of a recipe, or any error with its causes. Out: text that ends with a newline.
//! Problems look as rustc's do (drawn by `annotate-snippets`):
//!
//! ```text
//! error: `copy` has no key `too`
//!  --> cairn.toml:7:28
//!   |
//! 7 | copy = { paths = ["src"], too = "/src/" }
//!   |                           ^^^
//!   |
//!   = hint: did you mean `to`?
//! ```
//! Other errors are a line, and one for each cause and way out:
//!
//! ```text
//! error: can't read `recipe/cairn.toml`
//!   cause: No such file or directory (os error 2)
//! hint: name the folder that holds it
//! ```

use std::error::Error;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, Title};

use super::printable;
use crate::canon::login::{masked, redacted};
use crate::canon::{Problem, Source};

/// Most problems that are drawn; the rest are counted.
const MOST_SHOWN: usize = 20;

/// The problems of a recipe, one below the other.
pub fn problems(problems: &[Problem], source: &Source, colour: bool) -> String {
    let drawn = problems.iter().take(MOST_SHOWN);
    let mut drawn: Vec<_> = drawn
        .map(|problem| draw(problem, Some(source), colour))
        .collect();
    if let Some(more @ 1..) = problems.len().checked_sub(MOST_SHOWN) {
        drawn.push(draw(
            &Problem::new(format!("and {more} more like these")),
            None,
            colour,
        ));
    }
    drawn.join("\n")
}

/// How bad something is that breaks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// To be mended.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something that breaks nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the rule that says so.
    pub rule: Option<&'static str>,
    /// What it is, where, and the way out.
    pub problem: Problem,
}

/// Remarks on a recipe, one below the other; those beyond the first `most` are counted.
pub fn remarks(remarks: &[Remark], source: &Source, most: usize, colour: bool) -> String {
    let mut drawn = Vec::new();
    for remark in remarks.iter().take(most) {
        let (level, problem) = match remark.severity {
            Severity::Warning => (Level::WARNING, &remark.problem),
            Severity::Note => (Level::NOTE, &remark.problem),
        };
        let mut title = level.primary_title(words(&problem.message));
        if let Some(rule) = remark.rule {
            title = title.id(rule);
        }
        drawn.push(group(title, problem, Some(source), colour));
    }
    if let Some(more @ 1..) = remarks.len().checked_sub(most) {
        let message = format!("and {more} more like these");
        let title = Level::WARNING.primary_title(message);
        drawn.push(group(title, &Problem::new(""), None, colour));
    }
    drawn.join("\n")
}

/// One problem, which may be of no recipe.
pub fn problem(problem: &Problem, source: Option<&Source>, colour: bool) -> String {
    draw(problem, source, colour)
}

fn draw(problem: &Problem, source: Option<&Source>, colour: bool) -> String {
    let title = Level::ERROR.primary_title(words(&problem.message));
    group(title, problem, source, colour)
}

/// What stands below a title.
fn group(title: Title<'_>, problem: &Problem, source: Option<&Source>, colour: bool) -> String {
    let snippet = source.and_then(|source| snippet(problem, source));
    let group = with_notes(title.elements(snippet), problem);
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    format!("{}\n", renderer.render(&[group]))
}

fn with_notes<'a>(group: Group<'a>, problem: &'a Problem) -> Group<'a> {
    let causes = problem.causes.iter();
    let causes = causes.map(|cause| Level::NOTE.with_name("cause").message(words(cause)));
    let output = (!problem.output.is_empty()).then(|| {
        let lines = problem.output.iter().map(|line| words(line));
        let lines: Vec<_> = lines.collect();
        Level::NOTE.message(format!("it wrote last:\n{}", lines.join("\n")))
    });
    let hint = problem.hint.iter();
    let hint = hint.map(|hint| Level::HELP.with_name("hint").message(words(hint)));
    group.elements(causes).elements(output).elements(hint)
}

/// Text of a problem: printable, without logins, and cut where a hostile name would fill the
/// screen.
fn words(text: &str) -> String {
    const MOST: usize = 600;
    let text = &redacted(text);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text),
    }
}

/// The lines that the problem is about. Only they are handed on: drawing takes time with the
/// length of the text.
fn snippet<'a>(
    problem: &'a Problem,
    source: &'a Source,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let text = source.text();
    let clamp = |span: &Range<usize>| {
        let boundary = |at: usize| {
            let at = at.min(text.len());
            (0..=at).rev().find(|&at| text.is_char_boundary(at))
        };
        let start = boundary(span.start).unwrap_or(0);
        start..boundary(span.end).unwrap_or(0).max(start)
    };
    let primary = clamp(problem.span.as_ref()?);
    let others: Vec<_> = problem
        .others
        .iter()
        .map(|(span, label)| (clamp(span), label))
        .collect();
    let all = || others.iter().map(|(span, _)| span).chain([&primary]);
    let first = all().map(|span| span.start).min()?;
    let last = all().map(|span| span.end).max()?;
    let begin = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
    let shift = |span: &Range<usize>| span.start - begin..span.end - begin;
    let mut annotation = AnnotationKind::Primary.span(shift(&primary));
    if !problem.label.is_empty() {
        annotation = annotation.label(words(&problem.label));
    }
    let others = others.iter().map(|(span, label)| {
        AnnotationKind::Context
            .span(shift(span))
            .label(words(label))
    });
    // The renderer shows ASCII's control characters as pictures, but not those of Latin-1, two
    // bytes each in UTF-8 as what stands for them here.
    let lines = masked(&text[begin..end]);
    let lines = lines.replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "·");
    let snippet = Snippet::source(lines)
        .line_start(source.position(begin).line)
        .path(printable(source.name()))
        .annotation(annotation)
        .annotations(others);
    Some(snippet)
}

/// An error, what caused it, and the ways out: the lines of its messages that begin with `hint:`.
/// A cause that the message before it tells already is not told again; `way_out` is told where
/// the messages tell none.
pub fn chain(error: &(dyn Error + 'static), way_out: Option<&str>, colour: bool) -> String {
    let mut text = String::new();
    let mut hints = Vec::new();
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = printable(&redacted(&error.to_string()));
        let (hint, facts): (Vec<_>, Vec<_>) =
            message.lines().partition(|line| line.starts_with("hint:"));
        hints.extend(hint.into_iter().map(str::to_owned));
        let facts = facts.join("\n");
        if text.is_empty() {
            text = format!("{} {facts}\n", painted("error:", "1;91", colour));
        } else if !told.contains(&facts) {
            text.push_str(&format!("  cause: {}\n", facts.replace('\n', "\n    ")));
        }
        told = message;
        next = error.source();
    }
    if hints.is_empty() {
        hints.extend(way_out.map(str::to_owned));
    }
    // As problems have it.
    for hint in hints {
        let rest = hint.trim_start_matches("hint:").trim_start();
        let word = painted("hint", "1", colour);
        text.push_str(&format!(" |\n = {word}: {rest}\n"));
    }
    text
}

/// A warning, in one line.
pub fn warning(message: &str, colour: bool) -> String {
    let word = painted("warning:", "1;93", colour);
    format!("{word} {}\n", printable(message))
}

/// Text in a colour: the parameters of "select graphic rendition" (ECMA-48, 8.3.117).
pub(super) fn painted(text: &str, parameters: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{parameters}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("cairn.toml", text.into(), 1 << 20).unwrap()
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Link {
        message: &'static str,
        #[source]
        cause: Option<Box<Link>>,
    }

    fn link(message: &'static str, cause: Option<Link>) -> Link {
        let cause = cause.map(Box::new);
        Link { message, cause }
    }

    #[test]
    fn problem_is_drawn_below_its_line() {
        let source = source("from = \"scratch\"\n[[steps]]\ncopy = { too = \"/\" }\n");
        let problem = Problem::new("`copy` has no key `too`")
            .at(36..39)
            .other(17..26, "in this step")
            .cause("there is none")
            .hint("did you mean `to`?");
        insta::assert_snapshot!(problems(&[problem], &source, false), @r#"
        error: `copy` has no key `too`
         --> cairn.toml:3:10
          |
        2 | [[steps]]
          | --------- in this step
        3 | copy = { too = "/" }
          |          ^^^
          |
          = cause: there is none
          = hint: did you mean `to`?
        "#);
    }

    #[test]
    fn problems_beyond_the_twentieth_are_counted() {
        let problem = Problem::new("wrong").at(0..1);
        let text = problems(&vec![problem; 23], &source("x"), false);
        assert_eq!(text.matches("error: wrong").count(), 20);
        assert!(text.ends_with("error: and 3 more like these\n"), "{text}");
    }

    #[test]
    fn spans_outside_of_the_text_or_inside_of_characters_are_moved() {
        let source = source("ä\n");
        for span in [1..1, 0..1, 1..2, 3..3, 2..900, 900..901] {
            let text = problem(&Problem::new("m").at(span), Some(&source), false);
            assert!(text.contains("--> cairn.toml:"), "{text}");
        }
        assert_eq!(
            problem(&Problem::new("m"), Some(&source), false),
            "error: m\n"
        );
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let source = source("a = \"\u{1b}[2J\u{9b}31m\"");
        let problem = Problem::new("\u{1b}[2J")
            .at(0..10)
            .label("\u{7}")
            .hint("\u{9b}31m");
        let text = problems(&[problem], &source, false);
        let is_control = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(is_control), "{text:?}");
    }

    #[test]
    fn causes_are_told_once_and_hints_last() {
        let io = || link("no such file", None);
        let error = link(
            "can't build\nhint: look there",
            Some(link("can't read `a`: no such file", Some(io()))),
        );
        assert_eq!(
            chain(&error, Some("not this way"), false),
            "error: can't build\n  cause: can't read `a`: no such file\n |\n = hint: look there\n"
        );
        let error = link("can't read `a`\nhint: make it", Some(io()));
        assert_eq!(
            chain(&error, None, true),
            "\u{1b}[1;91merror:\u{1b}[0m can't read `a`\n  cause: no such file\n |\n = \u{1b}[1mhint\u{1b}[0m: make it\n"
        );
        let error = link("can't ask", None);
        let expected = "error: can't ask\n |\n = hint: this way\n";
        assert_eq!(chain(&error, Some("this way"), false), expected);
    }
}
