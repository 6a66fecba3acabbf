//! `cairn.toml`: the recipe of cairn's own kind.
//!
//! In: its text. Out: [`crate::plan::Plan`] ([`plan`]), or all its problems; its JSON Schema
//! ([`schema`]). TOML 1.1 by the `toml` crate.
//!
//! On the way: `de` reads the types of `recipe`, `step` and `config`, whose fields know
//! their places (`field`); `stages` checks them and makes the `draft`; `lower` chooses
//! what the caller wants of it. Each says what is wrong and goes on, so that one run tells all.

mod access;
pub(super) mod address;
mod check;
mod config;
mod de;
mod draft;
mod field;
mod lower;
mod lower_config;
mod lower_packages;
mod lower_run;
mod lower_step;
mod packages;
pub(super) mod pattern;
mod recipe;
mod run;
mod schema;
mod stages;
mod step;

pub(super) mod value;
mod write;
mod written;

use std::cell::RefCell;

pub use schema::schema;
use toml::de::{DeTable, DeValue};
pub use write::write;

use super::{Options, Problem, Source};
use crate::canon::{format, problem};
use crate::plan::Plan;

/// Largest recipe in bytes, for [`Source::new`].
pub const LARGEST: usize = 1 << 20;

/// The plan of a recipe, or everything that is wrong with it, sorted by place.
pub fn plan(source: &Source, options: &Options) -> Result<Plan, Vec<Problem>> {
    let mut problems = match read(source.text(), options) {
        Ok(plan) => return Ok(plan),
        Err(problems) => problems,
    };
    problem::sort(&mut problems);
    Err(problems)
}

fn read(text: &str, options: &Options) -> Result<Plan, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(syntax(errors));
    }
    let document = DeValue::Table(document.into_inner());
    newer_format(&document)?;
    let problems = RefCell::default();
    let recipe: Option<recipe::Recipe> = de::read(&document, &problems);
    let mut problems = problems.into_inner();
    let draft = recipe.map(|recipe| {
        let (draft, more) = stages::draft(&recipe, options.contexts.keys());
        problems.extend(more);
        draft
    });
    match draft {
        Some(draft) if problems.is_empty() => lower::lower(&draft, options),
        _ => Err(problems),
    }
}

/// One error of syntax makes others behind it: only the first is worth reading, and keys that are
/// there twice.
fn syntax(errors: Vec<toml::de::Error>) -> Vec<Problem> {
    let is_duplicate = |error: &toml::de::Error| error.message() == "duplicate key";
    let all_duplicates = errors.iter().all(is_duplicate);
    let shown = errors
        .iter()
        .take(if all_duplicates { usize::MAX } else { 1 });
    let problem = |error: &toml::de::Error| {
        let problem = match is_duplicate(error) {
            true => Problem::new("the key is there twice")
                .hint("a table can have a key once, and `[stages.NAME]` begins a stage once"),
            false => Problem::new(format!("the recipe is no TOML: {}", error.message())),
        };
        match error.span() {
            Some(span) => problem.at(span),
            None => problem,
        }
    };
    shown.map(problem).collect()
}

/// Whatever else is wrong with a recipe of a newer format, is so only to this cairn.
fn newer_format(document: &DeValue<'_>) -> Result<(), Vec<Problem>> {
    let DeValue::Table(table) = document else {
        return Ok(());
    };
    let Some(value) = table.get("format") else {
        return Ok(());
    };
    let DeValue::Integer(number) = value.get_ref() else {
        return Ok(());
    };
    let current = format::CURRENT.number();
    let known = u32::from_str_radix(number.as_str(), number.radix())
        .ok()
        .and_then(format::Format::new);
    if known.is_some() {
        return Ok(());
    }
    let is_newer = i64::from_str_radix(number.as_str(), number.radix())
        .is_ok_and(|number| number > i64::from(current));
    let problem = match is_newer {
        true => Problem::new(format!(
            "format {number} is newer than this cairn, which knows {current}"
        ))
        .hint("a newer cairn can build this recipe"),
        false => Problem::new(format!("there is no format {number}"))
            .hint(format!("write `format = {current}`, or leave it out")),
    };
    Err(vec![problem.at(value.span())])
}
