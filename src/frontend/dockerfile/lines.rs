//! A file's lines to instructions on one line each.
//!
//! In: the text. Out: [`Raw`] instructions with their here-documents and the comments above them.
//!
//! A line that ends with one escape character, blanks after it allowed, goes on in the next;
//! between the two comments are left out, and blank lines, too, though that is deprecated. White
//! space before the first line of an instruction doesn't count, before the others it does.

use std::ops::Range;

use super::directive::Reader;
use super::heredoc;
use super::joined::{Joined, Part};
use super::syntax::{Directives, Heredoc, Span, Spanned};
use crate::canon::Problem;

/// An instruction on one line.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) line: Joined,
    /// Everything of it, the last newline not included.
    pub(super) span: Span,
    pub(super) comments: Vec<Spanned<String>>,
    pub(super) heredocs: Vec<Heredoc>,
}

/// What a file consists of.
#[derive(Debug)]
pub(super) struct File {
    pub(super) directives: Directives,
    pub(super) instructions: Vec<Raw>,
    pub(super) empty_continuations: Vec<Span>,
    pub(super) problems: Vec<Problem>,
}

/// Most instructions of one file.
const MOST: usize = 20_000;

/// A line without its end, and where it stands.
type Line<'a> = (&'a str, Range<usize>);

pub(super) fn read(text: &str) -> File {
    let mut reader = Lines {
        text,
        lines: lines(text),
        at: 0,
    };
    let mut directives = Reader::new();
    let mut file = File {
        directives: Reader::new().found,
        instructions: Vec::new(),
        empty_continuations: Vec::new(),
        problems: Vec::new(),
    };
    let mut comments: Vec<Spanned<String>> = Vec::new();
    while let Some((line, span)) = reader.next() {
        let start = line.len() - line.trim_start().len();
        let mut first = Joined::default();
        first.push(&line[start..], span.start + start);
        match directives.line(first.all()) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(problem) => {
                file.problems.push(*problem);
                continue;
            }
        }
        if let Some(comment) = comment(first.all()) {
            match comment.is_empty() {
                true => comments.clear(),
                false => comments.push(comment.spanned()),
            }
            continue;
        }
        if first.text().is_empty() {
            comments.clear();
            continue;
        }
        let escape = directives.found.escape;
        let begin = span.start + start;
        let (joined, end) = reader.joined(first, span, escape, &mut file.empty_continuations);
        if joined.text().trim().is_empty() {
            continue;
        }
        let mut raw = Raw {
            line: joined,
            span: begin..end,
            comments: std::mem::take(&mut comments),
            heredocs: Vec::new(),
        };
        if file.instructions.len() == MOST {
            let problem = Problem::new(format!("there are more than {MOST} instructions"));
            file.problems.push(problem.at(raw.span));
            break;
        }
        if let Err(problem) = reader.heredocs(&mut raw) {
            file.problems.push(*problem);
        }
        file.instructions.push(raw);
    }
    file.directives = directives.found;
    file
}

/// The lines of `text`, without a byte order mark.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let marked = text.strip_prefix('\u{feff}');
    let mut at = marked.map_or(0, |rest| text.len() - rest.len());
    for line in text[at..].split_inclusive('\n') {
        let inside = line.trim_end_matches(['\n', '\r']);
        lines.push((inside, at..at + line.len()));
        at += line.len();
    }
    lines
}

/// What a comment line says; none if it is none.
fn comment(line: Part<'_>) -> Option<Part<'_>> {
    let line = line.trim();
    line.text().starts_with('#').then(|| line.from(1).trim())
}

/// A line without what makes it go on, and whether it does.
fn continued(line: &str, escape: char) -> Option<&str> {
    let inside = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!inside.ends_with(escape)).then_some(inside)
}

struct Lines<'a> {
    text: &'a str,
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        let line = self.lines.get(self.at).cloned();
        self.at += 1;
        line
    }

    /// An instruction that starts with `first` on the line `span`; and where it ends.
    fn joined(
        &mut self,
        first: Joined,
        span: Span,
        escape: char,
        empty: &mut Vec<Span>,
    ) -> (Joined, usize) {
        let text = first.text();
        // Leading white space is already left out.
        let mut end = first.all().span().end;
        let Some(inside) = continued(text, escape) else {
            return (first, end);
        };
        let mut joined = Joined::default();
        joined.push(inside, end - text.len());
        end = span.end.min(end);
        while let Some((line, span)) = self.next() {
            let trimmed = line.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                empty.push(span);
                continue;
            }
            end = span.start + line.len();
            match continued(line, escape) {
                Some(inside) => joined.push(inside, span.start),
                None => {
                    joined.push(line, span.start);
                    break;
                }
            }
        }
        (joined, end)
    }

    /// Reads the bodies of the here-documents that the instruction opens.
    fn heredocs(&mut self, raw: &mut Raw) -> Result<(), Box<Problem>> {
        if !may_open(raw.line.all()) {
            return Ok(());
        }
        for (opening, word) in heredoc::openings(raw.line.all()) {
            let from = self.at;
            let end = loop {
                match self.next() {
                    Some((line, span)) if opening.is_end(line) => break span,
                    Some(_) => {}
                    None => {
                        let name = &opening.name;
                        let problem =
                            Problem::new(format!("the here-document `{name}` never ends"))
                                .at(word.span())
                                .label("opened here")
                                .hint(format!("end it with a line that is `{name}` alone"));
                        return Err(Box::new(problem));
                    }
                }
            };
            let start = self.lines[from].1.start;
            let body = self.text[start..end.start].to_owned();
            raw.span.end = end.start + opening.name.len().min(end.len());
            let body = Spanned::new(body, start..end.start);
            raw.heredocs.push(opening.with_body(word, body));
        }
        Ok(())
    }
}

/// Whether the instruction is one whose here-documents mean something: `ADD`, `COPY` and `RUN`,
/// also behind `ONBUILD`, and not with a JSON array.
fn may_open(line: Part<'_>) -> bool {
    let Some((keyword, rest)) = line.trim().split(char::is_whitespace) else {
        return false;
    };
    let is = |name: &str| keyword.text().eq_ignore_ascii_case(name);
    if is("ONBUILD") {
        return !rest.text().to_ascii_uppercase().starts_with("ONBUILD") && may_open(rest);
    }
    (is("ADD") || is("COPY") || is("RUN")) && !super::words::is_json(rest)
}
