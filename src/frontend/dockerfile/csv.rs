//! Flags with options: `key=value,key=value`.
//!
//! In: the flag's value. Out: its options, each with its place. One with a comma in it is quoted as
//! in CSV (RFC 4180).

use super::syntax::{Span, Word};
use crate::canon::Problem;

fn problem(span: &Span, message: String, hint: &str) -> Box<Problem> {
    Box::new(Problem::new(message).at(span.clone()).hint(hint))
}

/// The options of a `what`: one line of CSV.
pub(super) fn fields(word: &Word, what: &str) -> Result<Vec<Word>, Box<Problem>> {
    // The way back to the file is only known where nothing was quoted or continued.
    let is_plain = word.raw.len() == word.span.len();
    let span = |start: usize, end: usize| match is_plain {
        true => word.span.start + start..word.span.start + end,
        false => word.span.clone(),
    };
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let rest = &word.raw[at..];
        let (text, length) = match rest.strip_prefix('"') {
            Some(inside) => {
                let Some((text, length)) = quoted_field(inside) else {
                    let message = format!("a quoted option of the {what} has no end");
                    let hint = "quote all of it: `\"key=a,b\"`";
                    return Err(problem(&word.span, message, hint));
                };
                (text, length + 1)
            }
            None => {
                let length = rest.find(',').unwrap_or(rest.len());
                (rest[..length].to_owned(), length)
            }
        };
        if text.is_empty() || !rest.starts_with('"') && text.contains('"') {
            let message = match text.is_empty() {
                true => format!("an option of the {what} is empty"),
                false => format!("an option of the {what} has a quote inside"),
            };
            return Err(problem(&word.span, message, "write `key=value,key=value`"));
        }
        fields.push(Word::new(text, span(at, at + length)));
        at += length;
        match word.raw[at..].chars().next() {
            None => return Ok(fields),
            Some(_) => at += 1,
        }
    }
}

/// A field behind its opening quote, and how long it is with the closing one.
fn quoted_field(inside: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut at = 0;
    loop {
        let end = at + inside[at..].find('"')?;
        text.push_str(&inside[at..end]);
        match inside[end + 1..].chars().next() {
            Some('"') => {
                text.push('"');
                at = end + 2;
            }
            None | Some(',') => return Some((text, end + 1)),
            Some(_) => return None,
        }
    }
}
