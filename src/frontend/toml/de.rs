//! From TOML with places to the recipe's types, saying all that is wrong on the way.
//!
//! In: the document as the `toml` crate parses it. Out: any type of [`super::field`] and serde;
//! problems go to a list the moment they are found, so that whoever asked may go on with the next
//! key: an error that leaves a [`Value`] is always [`Fault::Told`].

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Expected, Unexpected, Visitor};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::access::{Items, Member, Members, Parts, Variant};
use super::field::magic;
use crate::canon::Problem;
use crate::frontend::suggest;

/// A value of the document.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    value: &'a DeValue<'a>,
    span: (usize, usize),
    /// The innermost key that it stands under; empty at the top.
    pub(super) key: &'a str,
    /// Whether it is an element of a list.
    is_element: bool,
    problems: &'a RefCell<Vec<Problem>>,
}

/// Why a value can't be had.
#[derive(Debug)]
pub enum Fault {
    /// It is in the list.
    Told,
    /// It has another type, or is out of the type's range: what was expected.
    Type(String),
    /// Something else.
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Told => f.write_str("said already"),
            Fault::Type(expected) => write!(f, "expected {expected}"),
            Fault::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::Other(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::Type(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::Type(expected.to_string())
    }
}

/// Reads the whole document, adding what is wrong to `problems`.
pub fn read<T: for<'de> serde::Deserialize<'de>>(
    document: &DeValue<'_>,
    problems: &RefCell<Vec<Problem>>,
) -> Option<T> {
    let value = Value {
        value: document,
        span: (0, 0),
        key: "",
        is_element: false,
        problems,
    };
    T::deserialize(value).ok()
}

impl<'a> Value<'a> {
    /// Puts a problem into the list.
    pub(super) fn told(&self, problem: Problem) -> Fault {
        self.problems.borrow_mut().push(problem);
        Fault::Told
    }

    fn range(&self) -> Range<usize> {
        self.span.0..self.span.1
    }

    /// Puts into the list what a visitor found wrong.
    fn tell<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|fault| match fault {
            Fault::Told => Fault::Told,
            Fault::Type(expected) => self.told(self.wrong_type(&expected)),
            Fault::Other(message) => self.told(Problem::new(message).at(self.range())),
        })
    }

    fn wrong_type(&self, expected: &str) -> Problem {
        let subject = match (self.key, self.is_element) {
            ("", _) => "the recipe".to_owned(),
            (key, false) => format!("`{key}`"),
            (key, true) => format!("an element of `{key}`"),
        };
        let expected = words(expected);
        let found = match self.value {
            DeValue::Integer(number) if expected.starts_with("a whole") => number.to_string(),
            _ => self.kind().to_owned(),
        };
        let message = format!("{subject} must be {expected}, not {found}");
        let problem = Problem::new(message).at(self.range());
        match self.way_out(expected) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn way_out(&self, expected: &str) -> Option<String> {
        let key = self.key;
        Some(match (expected, self.value) {
            ("text", DeValue::Integer(_)) if key == "mode" => {
                "write octal digits in quotes: `\"0755\"`".to_owned()
            }
            ("text", DeValue::Integer(number)) => format!("put it in quotes: `\"{number}\"`"),
            ("text", DeValue::Boolean(value)) => format!("put it in quotes: `\"{value}\"`"),
            ("text", DeValue::Float(number)) => format!("put it in quotes: `\"{number}\"`"),
            ("a list", DeValue::Table(_)) if key == "steps" => {
                "begin each step with `[[steps]]`".to_owned()
            }
            ("a list", _) => "put it in brackets: `[…]`".to_owned(),
            ("a table", DeValue::String(_)) if key == "from" => {
                "say what it is: `{ stage = \"…\" }`, `{ image = \"…\" }`, `{ context = \"…\" }` or `{ oci = \"…\" }`".to_owned()
            }
            _ => return None,
        })
    }

    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    fn table(&self) -> Result<&'a DeTable<'a>, Fault> {
        match self.value {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.told(self.wrong_type("a map"))),
        }
    }

    /// The value of a table's member.
    pub(super) fn member(
        &self,
        key: &'a Spanned<DeString<'a>>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Value<'a> {
        let span = value.span();
        Value {
            value: value.get_ref(),
            span: (span.start, span.end),
            key: key.get_ref(),
            is_element: false,
            problems: self.problems,
        }
    }

    /// An element of the list.
    pub(super) fn element(&self, item: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let span = item.span();
        Value {
            value: item.get_ref(),
            span: (span.start, span.end),
            is_element: true,
            ..*self
        }
    }

    /// The members in the order of the text.
    fn members(&self, table: &'a DeTable<'a>) -> Members<'a> {
        let mut members: Vec<_> = table.iter().collect();
        members.sort_by_key(|(key, _)| key.span().start);
        Members {
            rest: members.into_iter(),
            value: None,
            parent: *self,
        }
    }

    fn unknown(&self, key: &Spanned<DeString<'_>>, known: &[&str]) -> Problem {
        let owner = match self.key {
            "" => "a recipe".to_owned(),
            key => format!("`{key}`"),
        };
        let word = key.get_ref();
        let problem = Problem::new(format!("{owner} has no key `{word}`")).at(key.span());
        match suggest::hint(word, known.iter().copied(), "its keys are") {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Serde's names of types, in the recipe's words.
fn words(expected: &str) -> &str {
    match expected {
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "`true` or `false`",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" => "a whole number",
        other => other,
    }
}

impl<'de, 'a> Deserializer<'de> for Value<'a> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match self.value {
            DeValue::String(text) if text.contains('\0') => {
                let message = format!("`{}` holds a NUL character", self.key);
                Err(self.told(Problem::new(message).at(self.range())))
            }
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => visitor.visit_i64(number),
                    Err(_) => Err(Fault::Other(format!("`{number}` is too large"))),
                }
            }
            DeValue::Float(number) => visitor.visit_f64(number.as_str().parse().unwrap_or(0.0)),
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(date) => visitor.visit_string(date.to_string()),
            DeValue::Array(_) => return self.deserialize_seq(visitor),
            DeValue::Table(_) => return self.deserialize_map(visitor),
        };
        self.tell(result)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            DeValue::String(_) => self.deserialize_any(visitor),
            _ => Err(self.told(self.wrong_type("a string"))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.tell(visitor.visit_some(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.tell(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let DeValue::Array(items) = self.value else {
            return Err(self.told(self.wrong_type("a sequence")));
        };
        let items = Items {
            rest: items.iter(),
            parent: self,
        };
        self.tell(visitor.visit_seq(items))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let mut span = self.span;
        if let (magic::KEYED, DeValue::Table(table)) = (name, self.value)
            && let (1, Some((key, _))) = (table.len(), table.iter().next())
        {
            span = (key.span().start, key.span().end);
        }
        let parts = Parts {
            next: 0,
            span,
            value: self,
        };
        self.tell(visitor.visit_seq(parts))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let members = self.members(self.table()?);
        self.tell(visitor.visit_map(members))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let mut members = self.members(self.table()?);
        let (known, unknown) = members
            .rest
            .partition::<Vec<_>, _>(|(key, _)| fields.contains(&key.get_ref().as_ref()));
        for (key, _) in unknown {
            self.told(self.unknown(key, fields));
        }
        members.rest = known.into_iter();
        self.tell(visitor.visit_map(members))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == magic::TEXT_OR {
            let variant = match self.value {
                DeValue::String(_) => "Text",
                DeValue::Table(_) => "Other",
                _ => return Err(self.told(self.wrong_type("text or a table"))),
            };
            let value = self;
            return self.tell(visitor.visit_enum(Variant { variant, value }));
        }
        if name == magic::TEXT_OR_LIST {
            let variant = match self.value {
                DeValue::String(_) => "Text",
                DeValue::Array(_) => "Other",
                _ => return Err(self.told(self.wrong_type("text or a list"))),
            };
            let value = self;
            return self.tell(visitor.visit_enum(Variant { variant, value }));
        }
        let (key, value) = self.verb(variants)?;
        let variant = key.get_ref();
        let value = self.member(key, value);
        self.tell(visitor.visit_enum(Variant { variant, value }))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct tuple identifier ignored_any
    }
}

impl<'a> Value<'a> {
    /// The one member of a step, which must be a verb.
    fn verb(&self, verbs: &[&str]) -> Result<Member<'a>, Fault> {
        let DeValue::Table(table) = self.value else {
            let problem = self.wrong_type("a table with one verb");
            return Err(self.told(problem.hint("such as `{ copy = { … } }`")));
        };
        let (known, unknown): (Vec<_>, Vec<_>) = self
            .members(table)
            .rest
            .partition(|(key, _)| verbs.contains(&key.get_ref().as_ref()));
        for (key, _) in &unknown {
            let word = key.get_ref();
            if let Some((verb, _)) = known.first() {
                let message = format!("`{word}` stands beside the verb of the step");
                let problem = Problem::new(message).at(key.span());
                let verb = verb.get_ref();
                self.told(problem.hint(format!("what belongs to `{verb}` stands in its table")));
                continue;
            }
            let problem = Problem::new(format!("there is no step `{word}`")).at(key.span());
            let hint = suggest::hint(word, verbs.iter().copied(), "the steps are");
            self.told(match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
        }
        match known[..] {
            [] if unknown.is_empty() => {
                let problem = Problem::new("the step does nothing").at(self.range());
                let hint = suggest::hint("", verbs.iter().copied(), "give it one of");
                Err(self.told(problem.hint(hint.unwrap_or_default())))
            }
            [only] if unknown.is_empty() => Ok(only),
            [(first, _), (second, _), ..] => {
                let (one, two) = (first.get_ref(), second.get_ref());
                let problem = Problem::new(format!("the step has two verbs, `{one}` and `{two}`"));
                let problem = problem.at(second.span()).other(first.span(), "the first");
                Err(self.told(problem.hint("begin another step with `[[steps]]`")))
            }
            _ => Err(Fault::Told),
        }
    }
}
