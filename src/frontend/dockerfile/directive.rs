//! Parser directives: `# key=value` in the first lines of a file.
//!
//! In: the first lines. Out: [`Directives`]. A line that is no directive ends them, an empty one
//! or another comment, too. A directive may stand there once. A first line with `#!` is passed
//! over: behind it `syntax` and `check` still are directives, but not `escape` (BuildKit looks for
//! that one by other means, which know no such line).

use super::joined::Part;
use super::syntax::{Directives, Spanned};
use crate::canon::Problem;

/// Reads directives, line by line.
pub(super) struct Reader {
    pub(super) found: Directives,
    has_escape: bool,
    has_begun: bool,
    has_shebang: bool,
    is_done: bool,
}

impl Reader {
    pub(super) fn new() -> Reader {
        Reader {
            found: Directives {
                syntax: None,
                escape: '\\',
                check: None,
            },
            has_escape: false,
            has_begun: false,
            has_shebang: false,
            is_done: false,
        }
    }

    /// Whether the line is a directive. After the first that isn't, none is.
    pub(super) fn line(&mut self, line: Part<'_>) -> Result<bool, Box<Problem>> {
        if self.is_done {
            return Ok(false);
        }
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first && line.text().starts_with("#!") {
            self.has_shebang = true;
            return Ok(false);
        }
        let Some((key, value)) = split(line) else {
            self.is_done = true;
            return Ok(false);
        };
        let name = key.text().to_ascii_lowercase();
        let is_known = match &name[..] {
            "syntax" => put(&mut self.found.syntax, value),
            "check" => put(&mut self.found.check, value),
            // A comment, and what follows is looked for behind it.
            "escape" if self.has_shebang => true,
            "escape" => {
                let is_first = !std::mem::replace(&mut self.has_escape, true);
                self.found.escape = escape(value)?;
                is_first
            }
            _ => {
                self.is_done = true;
                return Ok(false);
            }
        };
        match is_known {
            true => Ok(true),
            false => {
                let problem = Problem::new(format!("the directive `{name}` is there twice"));
                Err(Box::new(problem.at(line.span()).hint("keep one of them")))
            }
        }
    }
}

fn put(place: &mut Option<Spanned<String>>, value: Part<'_>) -> bool {
    place.replace(value.spanned()).is_none()
}

fn escape(value: Part<'_>) -> Result<char, Box<Problem>> {
    match value.text() {
        "\\" => Ok('\\'),
        "`" => Ok('`'),
        other => {
            let problem = Problem::new(format!("`{other}` can't be the escape character"));
            let problem = problem.at(value.span());
            Err(Box::new(problem.hint("it is `\\` or a backtick")))
        }
    }
}

/// Key and value of `# key = value`.
fn split(line: Part<'_>) -> Option<(Part<'_>, Part<'_>)> {
    let text = line.text();
    let inside = line.from(text.strip_prefix('#').map(|rest| text.len() - rest.len())?);
    let at = inside.text().find('=')?;
    let (key, value) = (inside.slice(0..at).trim(), inside.from(at + 1).trim());
    let is_key = key.text().chars().all(|c| c.is_ascii_alphanumeric())
        && key.text().starts_with(|c: char| c.is_ascii_alphabetic());
    (is_key && !value.is_empty()).then_some((key, value))
}
