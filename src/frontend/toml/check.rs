//! Whoever looks through a recipe: collects what is wrong and goes on.
//!
//! In: fields as [`super::field`] has them, and how to read one ([`super::value`]). Out: what is
//! sound; a value that is wrong is said and comes out as nothing, as one that isn't there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::field::{At, Field, List};
use super::value::Fault;
use crate::canon::Problem;

/// The problems found so far, and the names that steps may use.
#[derive(Default)]
pub struct Checker {
    /// In any order.
    pub problems: Vec<Problem>,
    /// Stages by name: their place.
    pub stages: BTreeMap<String, usize>,
    /// Contexts of the recipe and of the caller.
    pub contexts: BTreeSet<String>,
}

/// The table that a key stands in: what it is called, and where.
#[derive(Clone)]
pub struct Owner<'a> {
    /// `copy`, `from`, …
    pub name: &'a str,
    /// Where.
    pub span: Range<usize>,
}

type Read<T> = fn(&str) -> Result<T, Fault>;

impl Checker {
    /// Adds a problem.
    pub fn say(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a problem with a message and a hint at `span`.
    pub fn fault(&mut self, span: Range<usize>, message: impl Into<String>, hint: &str) {
        let problem = Problem::new(message).at(span);
        self.say(match hint {
            "" => problem,
            hint => problem.hint(hint),
        });
    }

    /// Reads a value.
    pub fn read<T>(&mut self, at: &At<String>, read: Read<T>) -> Option<T> {
        match read(&at.value) {
            Ok(value) => Some(value),
            Err(Fault { message, hint }) => {
                self.fault(at.span.clone(), message, &hint);
                None
            }
        }
    }

    /// Reads a value that may be left out.
    pub fn optional<T>(&mut self, field: &Field<At<String>>, read: Read<T>) -> Option<T> {
        self.read(field.given()?, read)
    }

    /// Says that a key lacks which must be there.
    pub fn need<T>(&mut self, owner: &Owner<'_>, key: &str, field: &Field<T>) {
        if field.is_absent() {
            let message = format!("`{}` lacks `{key}`", owner.name);
            self.fault(owner.span.clone(), message, "");
        }
    }

    /// Reads a value that must be there.
    pub fn required<T>(
        &mut self,
        owner: &Owner<'_>,
        key: &str,
        field: &Field<At<String>>,
        read: Read<T>,
    ) -> Option<T> {
        self.need(owner, key, field);
        self.optional(field, read)
    }

    /// Reads each element.
    pub fn items<T>(&mut self, items: &[At<String>], read: Read<T>) -> Vec<T> {
        items
            .iter()
            .filter_map(|item| self.read(item, read))
            .collect()
    }

    /// Reads a list that has at least one element where it is there.
    pub fn list<T>(
        &mut self,
        key: &str,
        field: &Field<At<List<At<String>>>>,
        hint: &str,
        read: Read<T>,
    ) -> Option<Vec<T>> {
        let list = field.given()?;
        if list.value.0.is_empty() {
            self.fault(list.span.clone(), format!("`{key}` is empty"), hint);
            return None;
        }
        Some(self.items(&list.value.0, read))
    }
}
