//! Control files: paragraphs of fields, as deb822(5) has them.
//!
//! In: text. Out: [`Paragraph`]s, which borrow from it: an index has 50 MB, and few of its fields
//! are ever looked at.

/// A paragraph: its text, without the empty lines around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paragraph<'a>(&'a str);

impl<'a> Paragraph<'a> {
    /// All of `text` as one paragraph.
    pub fn new(text: &'a str) -> Paragraph<'a> {
        Paragraph(text)
    }

    /// As it is written.
    pub fn text(&self) -> &'a str {
        self.0
    }

    /// The fields in order: name, and value without the space around it; lines of a value that
    /// goes on keep their leading space.
    pub fn fields(&self) -> Fields<'a> {
        Fields(self.0)
    }

    /// The value of the field `name`, whose case doesn't matter.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let is_it = |(key, _): &(&str, &str)| key.eq_ignore_ascii_case(name);
        self.fields().find(is_it).map(|(_, value)| value)
    }
}

/// The fields of a paragraph.
pub struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        loop {
            let rest = self.0;
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            loop {
                end += match rest[end..].find('\n') {
                    Some(at) => at + 1,
                    None => rest.len() - end,
                };
                if !matches!(rest.as_bytes().get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            self.0 = &rest[end..];
            let field = &rest[..end];
            if let Some((name, value)) = field.split_once(':')
                && !name.starts_with(['#', ' ', '\t'])
            {
                return Some((name.trim_end(), value.trim()));
            }
        }
    }
}

/// The paragraphs of `text`.
pub fn paragraphs(text: &str) -> Paragraphs<'_> {
    Paragraphs(text)
}

/// See [`paragraphs`].
pub struct Paragraphs<'a>(&'a str);

impl<'a> Iterator for Paragraphs<'a> {
    type Item = Paragraph<'a>;

    fn next(&mut self) -> Option<Paragraph<'a>> {
        let rest = self.0.trim_start_matches('\n');
        if rest.is_empty() {
            return None;
        }
        let (paragraph, after) = match rest.find("\n\n") {
            Some(at) => (&rest[..=at], &rest[at + 2..]),
            None => (rest, ""),
        };
        self.0 = after;
        Some(Paragraph(paragraph))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_have_fields_that_go_on() {
        let text = "\n\nPackage: a\nDescription: short\n long\n .\n more\n# no: field\nSize:3\n\n\nPackage:b";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        let fields: Vec<_> = all[0].fields().collect();
        assert_eq!(
            fields,
            [
                ("Package", "a"),
                ("Description", "short\n long\n .\n more"),
                ("Size", "3")
            ]
        );
        assert_eq!(all[1].get("package"), Some("b"));
        assert_eq!(all[1].get("Size"), None);
    }
}
