//! The reader of one word.
//!
//! In: characters. Out: [`Expanded`]. A `${…}` is read by the same code as the word around it,
//! up to its `}`.

use std::cell::Cell;

use super::{DEEPEST, Error, Expanded, LONGEST, Mode, Variables, pattern};

pub(super) struct Lexer<'a> {
    rest: &'a str,
    escape: char,
    mode: Mode,
    variables: &'a dyn Variables,
    left: &'a Cell<u64>,
    depth: usize,
    found: Expanded,
}

/// A text and the words that it falls into.
#[derive(Default)]
struct Output {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Output {
    /// A character of the recipe or of a value: a blank ends the word.
    fn push(&mut self, c: char) {
        self.text.push(c);
        match c.is_whitespace() {
            false => self.word.push(c),
            true if !self.word.is_empty() => self.words.push(std::mem::take(&mut self.word)),
            true => {}
        }
    }

    /// Quoted or escaped: never ends the word.
    fn push_raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn end(mut self) -> (String, Vec<String>) {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        (self.text, self.words)
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        text: &'a str,
        escape: char,
        mode: Mode,
        variables: &'a dyn Variables,
        left: &'a Cell<u64>,
    ) -> Lexer<'a> {
        Lexer {
            rest: text,
            escape,
            mode,
            variables,
            left,
            depth: 0,
            found: Expanded::default(),
        }
    }

    pub(super) fn all(mut self) -> Result<Expanded, Error> {
        self.work(self.rest.len())?;
        let (text, words) = self.until(None)?;
        Ok(Expanded {
            text,
            words,
            ..self.found
        })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Takes `steps` from what may still be done.
    fn work(&self, steps: usize) -> Result<(), Error> {
        let left = self.left.get().checked_sub(steps as u64);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Error::TooMuch)
    }

    fn fits(text: &str) -> Result<(), Error> {
        match text.len() > LONGEST {
            true => Err(Error::TooLong),
            false => Ok(()),
        }
    }

    /// Up to `stop`, which is read, too; without one up to the end.
    fn until(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), Error> {
        let mut output = Output::default();
        loop {
            let Some(c) = self.peek() else {
                return match stop {
                    Some(_) => Err(Error::Brace),
                    None => Ok(output.end()),
                };
            };
            if stop == Some(c) {
                self.next();
                return Ok(output.end());
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    self.work(value.len())?;
                    value.chars().for_each(|c| output.push(c));
                }
                '\'' if !self.mode.no_quotes => output.push_raw(&self.single_quoted()?),
                '"' if !self.mode.no_quotes => output.push_raw(&self.double_quoted()?),
                '<' if self.rest.starts_with("<<") => {
                    // Blanks may stand between it and the name of the here-document.
                    let behind = self.rest[2..].trim_start();
                    let (here, rest) = self.rest.split_at(self.rest.len() - behind.len());
                    self.rest = rest;
                    output.push_raw(here);
                }
                _ => {
                    self.next();
                    if c != self.escape {
                        output.push(c);
                    } else {
                        let mut raw = String::new();
                        if self.mode.raw_escapes {
                            raw.push(c);
                        }
                        raw.extend(self.next());
                        output.push_raw(&raw);
                    }
                }
            }
            Lexer::fits(&output.text)?;
        }
    }

    fn single_quoted(&mut self) -> Result<String, Error> {
        let inside = &self.rest[1..];
        let end = inside.find('\'').ok_or(Error::Quote('\''))?;
        self.rest = &inside[end + 1..];
        Ok(self.in_quotes('\'', &inside[..end]))
    }

    fn in_quotes(&self, quote: char, text: &str) -> String {
        match self.mode.raw_quotes {
            true => format!("{quote}{text}{quote}"),
            false => text.to_owned(),
        }
    }

    fn double_quoted(&mut self) -> Result<String, Error> {
        self.next();
        let mut text = String::new();
        loop {
            match self.peek().ok_or(Error::Quote('"'))? {
                '"' => {
                    self.next();
                    return Ok(self.in_quotes('"', &text));
                }
                '$' => {
                    let value = self.dollar()?;
                    self.work(value.len())?;
                    text.push_str(&value);
                }
                c => {
                    self.next();
                    let escaped = match self.peek() {
                        _ if c != self.escape => None,
                        Some(next) if "\"$".contains(next) || next == self.escape => Some(next),
                        _ => None,
                    };
                    if let Some(next) = escaped {
                        self.next();
                        if self.mode.raw_escapes {
                            text.push(c);
                        }
                        text.push(next);
                    } else {
                        text.push(c);
                    }
                }
            }
            Lexer::fits(&text)?;
        }
    }

    /// From `$` to the end of the variable.
    fn dollar(&mut self) -> Result<String, Error> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(match self.get(name) {
                _ if name.is_empty() => "$".to_owned(),
                None if self.mode.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::TooDeep);
        }
        let value = self.braced();
        self.depth -= 1;
        value
    }

    fn braced(&mut self) -> Result<String, Error> {
        self.next();
        match self.peek() {
            None => return Err(Error::Brace),
            Some('{' | '}' | ':') => return Err(Error::Name),
            _ => {}
        }
        let name = self.name();
        let operator = self.next().ok_or(Error::Brace)?;
        match operator {
            '}' => Ok(match self.get(name) {
                None if self.mode.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            ':' => match self.next().ok_or(Error::Brace)? {
                operator @ ('-' | '+' | '?') => self.alternative(name, operator, true),
                other => Err(no_operator(name, format!(":{other}"))),
            },
            '-' | '+' | '?' => self.alternative(name, operator, false),
            '#' | '%' => self.trimmed(name, operator),
            '/' => self.replaced(name),
            other => Err(no_operator(name, other.to_string())),
        }
    }

    /// `-`, `+` and `?`; with a colon an empty value is as none.
    fn alternative(&mut self, name: &str, operator: char, colon: bool) -> Result<String, Error> {
        let (word, _) = self.until(Some('}'))?;
        let set = self.variables.get(name).map(str::to_owned);
        if set.is_some() {
            self.found.used.insert(name.to_owned());
        } else if self.mode.keep_unset {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        let value = set.clone().filter(|value| !(colon && value.is_empty()));
        match (operator, value) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) => Err(Error::Required {
                name: name.to_owned(),
                message: match set {
                    _ if !word.is_empty() => word,
                    None => "it must be set".to_owned(),
                    Some(_) => "it must not be empty".to_owned(),
                },
            }),
        }
    }

    /// Reads a part of `${…}` in which escapes are the pattern's.
    fn raw_until(&mut self, stop: char) -> Result<String, Error> {
        let before = std::mem::replace(&mut self.mode.raw_escapes, true);
        let text = self.until(Some(stop));
        self.mode.raw_escapes = before;
        text.map(|(text, _)| text)
    }

    fn trimmed(&mut self, name: &str, operator: char) -> Result<String, Error> {
        let written = self.raw_until('}')?;
        let value = match self.get(name) {
            None if self.mode.keep_unset => return Ok(format!("${{{name}{operator}{written}}}")),
            value => value.unwrap_or_default(),
        };
        let (longest, text) = match written.strip_prefix(operator) {
            Some(text) => (true, text),
            None => (false, &written[..]),
        };
        let pattern = pattern::Pattern::new(text)?;
        let value: Vec<char> = value.chars().collect();
        let from_end = operator == '%';
        let length = pattern.prefix(&value, longest, from_end, &|steps| self.work(steps))?;
        let kept = match (length, from_end) {
            (None, _) => &value[..],
            (Some(length), false) => &value[length..],
            (Some(length), true) => &value[..value.len() - length],
        };
        Ok(kept.iter().collect())
    }

    fn replaced(&mut self, name: &str) -> Result<String, Error> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let written = match self.raw_until('/') {
            Err(Error::Brace) => return Err(Error::Slash(name.to_owned())),
            written => written?,
        };
        let replacement = self.raw_until('}')?;
        let value = match self.get(name) {
            None if self.mode.keep_unset => {
                let slash = if all { "//" } else { "/" };
                return Ok(format!("${{{name}{slash}{written}/{replacement}}}"));
            }
            value => value.unwrap_or_default(),
        };
        let pattern = pattern::Pattern::new(&written)?;
        let value: Vec<char> = value.chars().collect();
        let work = |steps| self.work(steps);
        let matches = pattern.matches(&value, all, &work)?;
        let mut result = String::new();
        let mut done = 0;
        for found in matches {
            result.extend(&value[done..found.start]);
            result.push_str(&replacement);
            self.work(replacement.len())?;
            Lexer::fits(&result)?;
            done = found.end;
        }
        result.extend(&value[done..]);
        Ok(result)
    }

    /// The name of a variable: digits, a special parameter of the shell, or letters, digits and
    /// `_`; may be empty.
    fn name(&mut self) -> &'a str {
        let rest = self.rest;
        let is_number = |c: char| c.is_numeric();
        let is_name = |c: char| c.is_alphabetic() || c.is_numeric() || c == '_';
        let length = |is: &dyn Fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let length = match rest.chars().next() {
            Some(c) if is_number(c) => length(&is_number),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => length(&is_name),
        };
        let (name, rest) = rest.split_at(length);
        self.rest = rest;
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let value = self.variables.get(name);
        let asked = match value {
            Some(_) => &mut self.found.used,
            None => &mut self.found.unset,
        };
        asked.insert(name.to_owned());
        value.map(str::to_owned)
    }
}

fn no_operator(name: &str, operator: String) -> Error {
    Error::Operator {
        name: name.to_owned(),
        operator,
    }
}
