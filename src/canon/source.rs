//! The text of a recipe, and places in it.
//!
//! In: a file's name and bytes. Out: [`Source`], UTF-8 of a limited size, that tells a byte
//! offset's line and column.

use super::Problem;

/// A recipe's text with the name to call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// A place for people: both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Lines end with `\n`.
    pub line: usize,
    /// Of the character, in its line.
    pub column: usize,
}

impl Source {
    /// Takes the text of the file that messages call `name`; refuses more than `limit` bytes and
    /// what is not UTF-8.
    pub fn new(
        name: impl Into<String>,
        bytes: Vec<u8>,
        limit: usize,
    ) -> Result<Source, Box<Problem>> {
        let name = name.into();
        if bytes.len() > limit {
            let message = format!(
                "`{name}` has {} bytes, and {limit} is the most",
                bytes.len()
            );
            let problem = Problem::new(message);
            let problem = problem.hint("put large contents into files, and `copy` them");
            return Err(Box::new(problem));
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                let lines = lines(&text);
                Ok(Source { name, text, lines })
            }
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                bytes.truncate(valid);
                let text = String::from_utf8_lossy(&bytes);
                let Place { line, column } = position(&text, &lines(&text), valid);
                let message = format!("`{name}` is not UTF-8 at line {line}, column {column}");
                Err(Box::new(Problem::new(message).hint("save it as UTF-8")))
            }
        }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of the byte `offset`; of the end when it lies beyond.
    pub fn position(&self, offset: usize) -> Place {
        position(&self.text, &self.lines, offset)
    }
}

fn lines(text: &str) -> Vec<usize> {
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

fn position(text: &str, lines: &[usize], offset: usize) -> Place {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // The first begins at 0, so that there is one.
    let line = lines.partition_point(|start| *start <= end);
    let start = line.checked_sub(1).and_then(|at| lines.get(at));
    Place {
        line,
        column: text[start.copied().unwrap_or(0)..end].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let source = Source::new("r", "ä\nbü=c\r\n".into(), 100).unwrap();
        for (offset, line, column) in [
            (0, 1, 1),
            (1, 1, 1),
            (2, 1, 2),
            (3, 2, 1),
            (6, 2, 3),
            (10, 3, 1),
            (999, 3, 1),
        ] {
            assert_eq!(source.position(offset), Place { line, column }, "{offset}");
        }
    }

    #[test]
    fn what_is_no_text_or_too_much_of_it_is_refused() {
        let error = Source::new("r", b"ab\nc\xff".into(), 100).unwrap_err();
        assert_eq!(error.message, "`r` is not UTF-8 at line 2, column 2");
        let error = Source::new("r", vec![b'#'; 101], 100).unwrap_err();
        assert_eq!(error.message, "`r` has 101 bytes, and 100 is the most");
    }
}
