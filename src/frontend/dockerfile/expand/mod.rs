//! Expansion of variables, quotes and escapes in a word.
//!
//! In: a raw word, the variables that are set, and how to take quotes ([`Mode`]). Out:
//! [`Expanded`]: the text as one, the words that it falls into, and which variables it asked for
//! (docs.docker.com/reference/dockerfile, "Environment replacement"):
//!
//! | written | comes out as |
//! | --- | --- |
//! | `$x`, `${x}` | the value, or nothing |
//! | `${x-w}`, `${x:-w}` | the value, or `w` where x is unset (or empty, with the colon) |
//! | `${x+w}`, `${x:+w}` | `w` where x is set (and not empty), else nothing |
//! | `${x?w}`, `${x:?w}` | the value; unset (or empty) is an error that says `w` |
//! | `${x#p}`, `${x##p}` | the value without the shortest, longest prefix that matches `p` |
//! | `${x%p}`, `${x%%p}` | the same with suffixes |
//! | `${x/p/w}`, `${x//p/w}` | the first, every match of `p` replaced by `w` |
//! | `'…'` | as it is |
//! | `"…"` | variables are expanded, and `\` escapes `"`, `$` and itself |
//! | `\c` | `c`; the escape character is the file's |
//!
//! What hostile recipes could make long is limited: one text to [`LONGEST`], all that one
//! [`Expander`] does to [`MOST_WORK`].

mod lexer;
mod pattern;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Most bytes that one word may expand to.
pub const LONGEST: usize = 1 << 20;

/// Most bytes read, written and compared by one expander.
pub const MOST_WORK: u64 = 64 << 20;

/// Most `${…}` within each other.
pub const DEEPEST: usize = 100;

/// The variables that are set.
pub trait Variables {
    /// The value of `name`, if it is set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).map(String::as_str)
    }
}

/// The last of a name counts.
impl Variables for [(String, String)] {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Variables for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<&str> {
        Variables::get(self.as_slice(), name)
    }
}

/// No variables at all.
impl Variables for () {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// What a word came out as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// All of it.
    pub text: String,
    /// What it falls into at blanks, those of values too, unless they are quoted or escaped.
    pub words: Vec<String>,
    /// Variables that it named and that are set.
    pub used: BTreeSet<String>,
    /// Variables that it named and that are not set, but for those that it says what to do about
    /// (`-`, `+`, `?`).
    pub unset: BTreeSet<String>,
}

/// How quotes, escapes and unset variables are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes are characters like any other: the bodies of here-documents.
    pub no_quotes: bool,
    /// Variables that aren't set stay as they are written.
    pub keep_unset: bool,
}

/// Why a word can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `'` or `"` without its partner.
    #[error("a quote `{0}` is never closed")]
    Quote(char),
    /// A `${` without its `}`.
    #[error("a `${{` is never closed")]
    Brace,
    /// A `${x/` without its second `/`.
    #[error("`${{{0}/…}}` has no second `/`")]
    Slash(String),
    /// `${}`, `${:…}`, `${{…}`.
    #[error("`${{` is not followed by the name of a variable")]
    Name,
    /// An operator that isn't one.
    #[error("`{operator}` is no operator of `${{{name}…}}`")]
    Operator {
        /// The variable.
        name: String,
        /// What follows it.
        operator: String,
    },
    /// `${x:?words}` and x is not set, or empty.
    #[error("variable `{name}`: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the recipe says about it.
        message: String,
    },
    /// A pattern with an escape of something that needs none.
    #[error("`{0}` is no pattern: `\\` must be followed by `*`, `?` or `\\`")]
    Pattern(String),
    /// Over [`LONGEST`].
    #[error("it expands to more than {LONGEST} bytes")]
    TooLong,
    /// Over [`DEEPEST`].
    #[error("it has more than {DEEPEST} `${{` within each other")]
    TooDeep,
    /// Over [`MOST_WORK`].
    #[error("the variables of this recipe expand to too much")]
    TooMuch,
}

impl Error {
    /// The way out, where there is one to name.
    pub fn way_out(&self) -> Option<String> {
        Some(match self {
            Error::Quote(quote) => {
                format!("close it, or write `\\{quote}` for the character itself")
            }
            Error::Brace => "end it with `}`, and quote what has blanks in it".to_owned(),
            Error::Slash(name) => format!("write `${{{name}/PATTERN/REPLACEMENT}}`"),
            Error::Name => "write `\\$` where a dollar is meant".to_owned(),
            Error::Operator { .. } => {
                "there are `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`".to_owned()
            }
            Error::Required { name, .. } => {
                format!("set it with ARG or ENV before, or give it with `--build-arg {name}=…`")
            }
            Error::Pattern(_) => return None,
            Error::TooLong | Error::TooDeep | Error::TooMuch => {
                "put what is large into a file".to_owned()
            }
        })
    }
}

/// Expands words of one recipe.
#[derive(Debug)]
pub struct Expander {
    escape: char,
    left: Cell<u64>,
}

impl Expander {
    /// One that takes `escape` for the escape character.
    pub fn new(escape: char) -> Expander {
        Expander {
            escape,
            left: Cell::new(MOST_WORK),
        }
    }

    /// A word of an instruction.
    pub fn word(&self, raw: &str, variables: &dyn Variables) -> Result<Expanded, Error> {
        self.with(raw, variables, Mode::default())
    }

    /// The body of a here-document, whose escape character is always `\`.
    pub fn heredoc(&self, body: &str, variables: &dyn Variables) -> Result<String, Error> {
        let mode = Mode {
            no_quotes: true,
            ..Mode::default()
        };
        lexer::Lexer::new(body, '\\', mode, variables, &self.left)
            .all()
            .map(|expanded| expanded.text)
    }

    /// A word with quotes and escapes taken as `mode` says.
    pub fn with(
        &self,
        raw: &str,
        variables: &dyn Variables,
        mode: Mode,
    ) -> Result<Expanded, Error> {
        lexer::Lexer::new(raw, self.escape, mode, variables, &self.left).all()
    }
}
