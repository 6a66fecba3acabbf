//! What a table, a list or a verb holds, one piece after the other, as serde asks for it.
//!
//! In: a [`Value`] of the document. Out: its members, elements or variant, each a [`Value`] again.

use serde::de::value::{StrDeserializer, UsizeDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::de::{Fault, Value};
use crate::canon::Problem;

/// A key and its value.
pub type Member<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

/// The members of a table.
pub struct Members<'a> {
    /// Those that weren't asked for yet.
    pub rest: std::vec::IntoIter<Member<'a>>,
    /// The one whose key was asked for, and its value not yet.
    pub value: Option<Member<'a>>,
    /// The table.
    pub parent: Value<'a>,
}

impl<'de, 'a> MapAccess<'de> for Members<'a> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        seed.deserialize(Key {
            key,
            parent: self.parent,
        })
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.value.take() {
            Some((key, value)) => seed.deserialize(self.parent.member(key, value)),
            None => Err(Fault::Other("a value without a key".to_owned())),
        }
    }
}

#[derive(Clone, Copy)]
struct Key<'a> {
    key: &'a Spanned<DeString<'a>>,
    parent: Value<'a>,
}

impl<'de, 'a> Deserializer<'de> for Key<'a> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.key.get_ref().contains('\0') {
            let message = format!("a key of `{}` holds a NUL character", self.parent.key);
            let problem = Problem::new(message).at(self.key.span());
            return Err(self.parent.told(problem));
        }
        visitor.visit_str(self.key.get_ref())
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let span = self.key.span();
        visitor.visit_seq(Parts {
            next: 0,
            span: (span.start, span.end),
            value: self,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple map struct enum identifier ignored_any
    }
}

/// The elements of a list.
pub struct Items<'a> {
    /// Those that weren't asked for yet.
    pub rest: std::slice::Iter<'a, Spanned<DeValue<'a>>>,
    /// The list.
    pub parent: Value<'a>,
}

impl<'de, 'a> SeqAccess<'de> for Items<'a> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.rest.next() else {
            return Ok(None);
        };
        let item = self.parent.element(item);
        seed.deserialize(item).map(Some)
    }
}

/// Start, end and value, as [`super::field::At`] asks for them.
pub struct Parts<T> {
    /// How many were asked for.
    pub next: usize,
    /// Start and end.
    pub span: (usize, usize),
    /// The value.
    pub value: T,
}

impl<'de, V: Deserializer<'de, Error = Fault> + Copy> SeqAccess<'de> for Parts<V> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.next += 1;
        let number = |number| UsizeDeserializer::<Fault>::new(number);
        match self.next {
            1 => seed.deserialize(number(self.span.0)).map(Some),
            2 => seed.deserialize(number(self.span.1)).map(Some),
            3 => seed.deserialize(self.value).map(Some),
            _ => Ok(None),
        }
    }
}

/// The variant of an enum, and what it holds.
pub struct Variant<'a> {
    /// Its name.
    pub variant: &'a str,
    /// What it holds.
    pub value: Value<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Fault;
    type Variant = Value<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Value<'a>), Fault> {
        let variant: StrDeserializer<'_, Fault> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self.value))
    }
}

impl<'de, 'a> VariantAccess<'de> for Value<'a> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}
