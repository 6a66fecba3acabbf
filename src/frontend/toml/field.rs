//! What the recipe's types are made of: values with their place, and values that failed to be
//! read without taking the rest of the recipe down with them.
//!
//! In: [`super::de`], which knows the names in [`magic`]. Out: [`Field`], [`At`], [`Keyed`],
//! [`List`], [`Table`], [`TextOr`]; in the schema each is as what it holds.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Names by which these types ask [`super::de`] for more than serde can ask for.
pub mod magic {
    /// Of a tuple: start, end and the value.
    pub const AT: &str = "$at";
    /// The same, with the place of a table's only key.
    pub const KEYED: &str = "$keyed";
    /// Of an enum: text or anything else.
    pub const TEXT_OR: &str = "$text-or";
    /// Of an enum: text or a list.
    pub const TEXT_OR_LIST: &str = "$text-or-list";
}

/// One key of a table.
#[derive(Debug, Clone, Default)]
pub enum Field<T> {
    /// It isn't there.
    #[default]
    Absent,
    /// It is there and wrong, which has been said.
    Faulty,
    /// It is there.
    Given(T),
}

/// A value and its bytes `start..end` in the recipe.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// Where.
    pub span: Range<usize>,
    /// What.
    pub value: T,
}

/// A value that stands as the only member of a table, with its place: from the key on.
#[derive(Debug, Clone)]
pub struct Keyed<T> {
    /// Where: the key, in a table with one member.
    pub span: Range<usize>,
    /// What.
    pub value: T,
}

/// A list without its faulty elements.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<T>);

/// A table of the user's own keys, in the recipe's order, without its faulty members.
#[derive(Debug, Clone)]
pub struct Table<T>(pub Vec<(At<String>, T)>);

/// Text, or something longer.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(rename = "$text-or")]
#[schemars(untagged, inline)]
pub enum TextOr<T> {
    // Without documentation, which would stand before the key's own in the schema.
    Text(String),
    Other(T),
}

/// Text, or a list.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(rename = "$text-or-list")]
#[schemars(untagged, inline)]
pub enum TextOrList<T> {
    // Without documentation, as above.
    Text(String),
    Other(List<T>),
}

impl<T> Field<T> {
    /// The value, where it is there and sound.
    pub fn given(&self) -> Option<&T> {
        match self {
            Field::Given(value) => Some(value),
            Field::Absent | Field::Faulty => None,
        }
    }

    /// Whether the key isn't there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }
}

impl<T> Field<List<T>> {
    /// The elements; none where it isn't there.
    pub fn items(&self) -> &[T] {
        self.given().map_or(&[], |list| &list.0)
    }
}

impl<T> Field<Table<T>> {
    /// The members; none where it isn't there.
    pub fn members(&self) -> &[(At<String>, T)] {
        self.given().map_or(&[], |table| &table.0)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field<T>, D::Error> {
        struct FieldVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
            type Value = Field<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }

            // What serde says of a key that isn't there.
            fn visit_none<E>(self) -> Result<Field<T>, E> {
                Ok(Field::Absent)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Field<T>, D::Error> {
                Ok(T::deserialize(inner).map_or(Field::Faulty, Field::Given))
            }
        }

        deserializer.deserialize_option(FieldVisitor(PhantomData))
    }
}

macro_rules! placed {
    ($name:ident, $magic:expr) => {
        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name<T>, D::Error> {
                struct PlacedVisitor<T>(PhantomData<T>);

                impl<'de, T: Deserialize<'de>> Visitor<'de> for PlacedVisitor<T> {
                    type Value = $name<T>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a value")
                    }

                    fn visit_seq<A: SeqAccess<'de>>(
                        self,
                        mut seq: A,
                    ) -> Result<$name<T>, A::Error> {
                        let lacks = || serde::de::Error::custom("a place has three parts");
                        let start = seq.next_element()?.ok_or_else(lacks)?;
                        let end = seq.next_element()?.ok_or_else(lacks)?;
                        let value = seq.next_element()?.ok_or_else(lacks)?;
                        Ok($name {
                            span: start..end,
                            value,
                        })
                    }
                }

                deserializer.deserialize_tuple_struct($magic, 3, PlacedVisitor(PhantomData))
            }
        }
    };
}

placed!(At, magic::AT);
placed!(Keyed, magic::KEYED);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                loop {
                    match seq.next_element() {
                        Ok(Some(item)) => items.push(item),
                        Ok(None) => return Ok(List(items)),
                        // It has been said, and the next one stands by itself.
                        Err(_) => {}
                    }
                }
            }
        }

        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<T>, D::Error> {
        struct TableVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key()? {
                    if let Ok(value) = map.next_value() {
                        members.push((key, value));
                    }
                }
                Ok(Table(members))
            }
        }

        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

macro_rules! schema_of {
    ($($name:ident as $what:ty;)*) => {$(
        impl<T: JsonSchema> JsonSchema for $name<T> {
            fn inline_schema() -> bool {
                <$what>::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                <$what>::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                <$what>::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$what>::json_schema(generator)
            }
        }
    )*};
}

schema_of! {
    Field as T;
    At as T;
    Keyed as T;
    List as Vec<T>;
    Table as std::collections::BTreeMap<String, T>;
}
