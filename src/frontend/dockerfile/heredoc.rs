//! Here-documents: the words that open them, and their bodies.
//!
//! In: an instruction on one line, and the lines after it. Out: [`Heredoc`]s.
//!
//! A word opens one when it is `[NUMBER]<<[-]NAME`, and nothing in the line keeps a shell from
//! reading it: a quote that is never closed makes that no word opens one. The name may be quoted
//! or escaped as in a shell; then nothing is expanded in the body.

use super::expand::{Expander, Mode};
use super::joined::Part;
use super::syntax::{Heredoc, Spanned};

/// A word that opens a here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) expands: bool,
    pub(super) chomps: bool,
    pub(super) descriptor: u32,
}

/// What `word` opens, if it does.
pub(super) fn opening(word: &str) -> Option<Opening> {
    let (number, rest) = word.split_once("<<")?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (chomps, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let words = |raw_quotes| {
        let mode = Mode {
            raw_quotes,
            keep_unset: true,
            ..Mode::default()
        };
        let expanded = Expander::new('\\').with(rest, &(), mode).ok()?;
        <[String; 1]>::try_from(expanded.words).ok()
    };
    let [name] = words(false)?;
    let [raw] = words(true)?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    Some(Opening {
        expands: quotes(&name) == quotes(&raw),
        name,
        chomps,
        descriptor: number.parse().unwrap_or(0),
    })
}

/// The here-documents that the line opens, each with its word.
pub(super) fn openings(line: Part<'_>) -> Vec<(Opening, Part<'_>)> {
    let text = line.text();
    if !text.contains("<<") {
        return Vec::new();
    }
    let mode = Mode {
        raw_quotes: true,
        raw_escapes: true,
        keep_unset: true,
        ..Mode::default()
    };
    let Ok(expanded) = Expander::new('\\').with(text, &(), mode) else {
        return Vec::new();
    };
    let mut from = 0;
    let opened = expanded.words.iter().filter_map(|word| {
        let opening = opening(word)?;
        // Nothing was expanded, so that the word stands in the line as it is.
        let at = text[from..].find(word.as_str()).map(|at| from + at);
        let range = match at {
            Some(at) => at..at + word.len(),
            None => 0..text.len(),
        };
        from = range.end;
        Some((opening, line.slice(range)))
    });
    opened.collect()
}

impl Opening {
    /// Whether a line (without its end) is that of the body.
    pub(super) fn is_end(&self, line: &str) -> bool {
        let line = match self.chomps {
            true => line.trim_start_matches('\t'),
            false => line,
        };
        line == self.name
    }

    pub(super) fn with_body(self, word: Part<'_>, body: Spanned<String>) -> Heredoc {
        Heredoc {
            name: self.name,
            span: word.span(),
            body,
            expands: self.expands,
            chomps: self.chomps,
            descriptor: self.descriptor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::dockerfile::joined::Joined;

    #[test]
    fn words_that_open_and_those_that_do_not() {
        for (word, expected) in [
            ("<<EOF", Some(("EOF", true, false, 0))),
            ("<<-EOF", Some(("EOF", true, true, 0))),
            ("<<'EOF'", Some(("EOF", false, false, 0))),
            ("<<\"EOF\"", Some(("EOF", false, false, 0))),
            ("<<E'O'F", Some(("EOF", false, false, 0))),
            ("<<-'E F'", Some(("E F", false, true, 0))),
            ("3<<EOF", Some(("EOF", true, false, 3))),
            ("<< EOF", Some(("EOF", true, false, 0))),
            ("<<$EOF", Some(("$EOF", true, false, 0))),
            ("<<E\\OF", Some(("EOF", true, false, 0))),
            ("<<a.txt", Some(("a.txt", true, false, 0))),
            ("<<", None),
            ("<<-", None),
            ("<<<EOF", None),
            ("<EOF", None),
            ("x<<EOF", None),
            ("<<'EOF", None),
            ("<<a b", None),
            ("1<<EOF<", None),
        ] {
            let found = opening(word);
            let found = found.as_ref().map(|opening| {
                let name = &opening.name[..];
                (name, opening.expands, opening.chomps, opening.descriptor)
            });
            assert_eq!(found, expected, "{word}");
        }
    }

    #[test]
    fn lines_open_several_and_quotes_close_them() {
        for (line, expected) in [
            ("RUN cat <<A <<-'B' > x", &["<<A", "<<-'B'"][..]),
            ("RUN echo '<<A'", &[]),
            ("RUN echo it's <<A", &[]),
            ("RUN cat <<A <<A", &["<<A", "<<A"]),
            ("RUN $x <<A ${y:-z}", &["<<A"]),
            ("RUN cat << A", &["<< A"]),
            ("RUN echo \\<<A", &[]),
        ] {
            let mut joined = Joined::default();
            joined.push(line, 0);
            let found = openings(joined.all());
            let found: Vec<_> = found.iter().map(|(_, word)| word.text()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
