//! An instruction's words.
//!
//! In: what follows the instruction's name, on one line. Out: flags (`--name=value`), a JSON
//! array's strings, words between blanks, words between blanks that aren't quoted.

use super::joined::Part;
use super::syntax::{Span, Spanned, Word};

/// A flag of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    /// Without its dashes.
    pub(super) name: String,
    /// What follows `=`, without quotes and escapes.
    pub(super) value: Option<Word>,
    /// Of all of it.
    pub(super) span: Span,
}

/// Whether a text is a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// One of strings.
    Strings(Vec<Spanned<String>>),
    /// One that holds something else.
    Others,
    /// No array at all, or not a well-formed one: then it is for a shell.
    No,
}

/// Docker's own idea of white space between words: not the newline, of which there is none.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

/// The instruction's name, and the rest.
pub(super) fn keyword(line: Part<'_>) -> (Part<'_>, Part<'_>) {
    let line = line.trim();
    let (keyword, rest) = line
        .split(is_blank)
        .unwrap_or((line, line.from(line.text().len())));
    (keyword, rest.trim())
}

/// The flags, and what follows them.
pub(super) fn flags(mut rest: Part<'_>) -> (Vec<Flag>, Part<'_>) {
    let mut flags = Vec::new();
    loop {
        rest = rest.from(rest.text().len() - rest.text().trim_start().len());
        if !rest.text().starts_with("--") {
            return (flags, rest.trim());
        }
        let (flag, length) = unquoted(rest.text());
        let word = rest.slice(0..length);
        rest = rest.from(length);
        let Some(text) = flag.strip_prefix("--").filter(|text| !text.is_empty()) else {
            return (flags, rest.trim());
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let behind = word.text().find('=').map_or(length, |at| at + 1);
        flags.push(Flag {
            name: name.to_owned(),
            value: value.map(|value| Word::new(value, word.from(behind).span())),
            span: word.span(),
        });
    }
}

/// The first word without its quotes and escapes, and its length with them.
fn unquoted(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            _ if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            _ if c.is_whitespace() && quote.is_none() => return (word, at),
            _ => word.push(c),
        }
    }
    (word, text.len())
}

/// Words between blanks.
pub(super) fn blank_separated(rest: Part<'_>) -> Vec<Part<'_>> {
    let mut words = Vec::new();
    let mut rest = rest.trim();
    while !rest.is_empty() {
        match rest.split(is_blank) {
            Some((word, behind)) => {
                words.push(word);
                rest = behind;
            }
            None => {
                words.push(rest);
                break;
            }
        }
    }
    words
}

/// Words between blanks that are neither quoted nor escaped; quotes and escapes stay. An escape
/// at the very end is left out.
pub(super) fn quoted(rest: Part<'_>, escape: char) -> Vec<Part<'_>> {
    let text = rest.text();
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() && quote.is_none() {
            if let Some(start) = start.take() {
                words.push(rest.slice(start..at));
            }
            continue;
        }
        start.get_or_insert(at);
        if c == escape && quote != Some('\'') {
            if chars.next().is_none() {
                end = at;
            }
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        }
    }
    if let Some(start) = start.filter(|start| *start < end) {
        words.push(rest.slice(start..end));
    }
    words
}

/// Reads a JSON array.
pub(super) fn json(rest: Part<'_>) -> Json {
    let rest = rest.trim();
    if !rest.text().starts_with('[') {
        return Json::No;
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(rest.text()) else {
        return Json::No;
    };
    let mut strings = Vec::new();
    let mut from = 0;
    for value in values {
        let serde_json::Value::String(value) = value else {
            return Json::Others;
        };
        let text = &rest.text()[from..];
        let start = text.find('"').unwrap_or(0);
        let mut chars = text.char_indices().skip_while(|(at, _)| *at <= start);
        let mut end = text.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => drop(chars.next()),
                '"' => {
                    end = at + 1;
                    break;
                }
                _ => {}
            }
        }
        let span = rest.slice(from + start..from + end).span();
        strings.push(Spanned::new(value, span));
        from += end;
    }
    Json::Strings(strings)
}

/// Whether what follows the flags is a JSON array of strings.
pub(super) fn is_json(rest: Part<'_>) -> bool {
    matches!(json(flags(rest).1), Json::Strings(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::dockerfile::joined::Joined;

    fn with<T>(text: &str, read: impl Fn(Part<'_>) -> T) -> T {
        let mut joined = Joined::default();
        joined.push(text, 0);
        read(joined.all())
    }

    #[test]
    fn flags_end_at_the_first_other_word() {
        for (text, expected, behind) in [
            ("a --b", &[][..], "a --b"),
            ("--a=b c", &[("a", Some("b"))], "c"),
            (
                "--a  --b=\"c d\" e",
                &[("a", None), ("b", Some("c d"))],
                "e",
            ),
            ("--a= x", &[("a", Some(""))], "x"),
            ("--a=b=c", &[("a", Some("b=c"))], ""),
            ("--a=\\\"x' y' z", &[("a", Some("\"x y"))], "z"),
            ("-- --a b", &[], "--a b"),
            ("-a b", &[], "-a b"),
            ("--a='x", &[("a", Some("x"))], ""),
        ] {
            with(text, |part| {
                let (found, rest) = flags(part);
                let found: Vec<_> = found
                    .iter()
                    .map(|flag| {
                        (
                            &flag.name[..],
                            flag.value.as_ref().map(|value| &value.raw[..]),
                        )
                    })
                    .collect();
                assert_eq!((&found[..], rest.text()), (expected, behind), "{text}");
            });
        }
        with("--ab=cd e", |part| {
            let (found, _) = flags(part);
            assert_eq!(found[0].span, 0..7);
            assert_eq!(found[0].value.as_ref().unwrap().span, 5..7);
        });
    }

    #[test]
    fn quotes_and_escapes_keep_words_together() {
        for (text, expected) in [
            ("a b", &["a", "b"][..]),
            ("a=\"b c\" d", &["a=\"b c\"", "d"]),
            ("a=b\\ c d", &["a=b\\ c", "d"]),
            ("a='b\\' c", &["a='b\\'", "c"]),
            ("a=\"b\\\" c\" d", &["a=\"b\\\" c\"", "d"]),
            ("a=\"b c", &["a=\"b c"]),
            ("a b\\", &["a", "b"]),
            ("a \\", &["a"]),
            ("  ", &[]),
        ] {
            with(text, |part| {
                let found = quoted(part, '\\');
                let found: Vec<_> = found.iter().map(|word| word.text()).collect();
                assert_eq!(found, expected, "{text}");
            });
        }
    }

    #[test]
    fn arrays_of_strings_are_read_with_their_places() {
        let text = r#" [ "a\"]" , "ü" ] "#;
        let found = with(text, json);
        let expected = vec![
            Spanned::new("a\"]".to_owned(), 3..9),
            Spanned::new("ü".to_owned(), 12..16),
        ];
        assert_eq!(found, Json::Strings(expected));
        for (text, expected) in [
            ("[]", Json::Strings(Vec::new())),
            ("['a']", Json::No),
            ("[\"a\",]", Json::No),
            ("[\"a\"] b", Json::No),
            ("a", Json::No),
            ("", Json::No),
            ("[1]", Json::Others),
            ("[\"a\", [\"b\"]]", Json::Others),
        ] {
            assert_eq!(with(text, json), expected, "{text}");
        }
    }
}
