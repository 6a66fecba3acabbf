//! The variables that are set where an instruction stands.
//!
//! In: arguments of the caller and the recipe, platforms. Out: [`Scope`], in the order in which
//! they were set: a name that is set again moves to the end.

use std::collections::BTreeMap;

use crate::canon::{Platform, Problem};
use crate::frontend::Options;
use crate::frontend::dockerfile::expand::{self, Expanded, Expander, Variables};
use crate::frontend::dockerfile::syntax::{Dockerfile, Span, Word};

/// Variables, in order.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Of each name when it was set last, and to what.
    values: BTreeMap<String, (u64, String)>,
    /// How often something was set.
    sets: u64,
    /// Bytes of all names and values.
    bytes: usize,
}

impl Scope {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.sets += 1;
        let entry = (self.sets, value.to_owned());
        match self.values.insert(name.to_owned(), entry) {
            Some((_, old)) => self.bytes -= old.len(),
            None => self.bytes += name.len(),
        }
        self.bytes += value.len();
    }

    /// All of them.
    pub fn all(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self.values.iter().collect();
        all.sort_by_key(|(_, (set, _))| *set);
        let pairs = all.into_iter();
        pairs
            .map(|(name, (_, value))| (name.clone(), value.clone()))
            .collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes + 64 * self.values.len()
    }
}

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(_, value)| value.as_str())
    }
}

/// What is set for `FROM`, and for each `ARG` of a stage that names it: the platforms, the stage
/// that is built, and the arguments before the first `FROM` (Dockerfile reference, "Scope",
/// "Automatic platform ARGs in the global scope").
pub fn global(
    file: &Dockerfile,
    options: &Options,
    platform: &Platform,
    expander: &Expander,
) -> Result<Scope, Vec<Problem>> {
    let mut scope = Scope::default();
    let mut automatic = |name: &str, value: &str| {
        let given = options.build_args.get(name);
        scope.set(name, given.map_or(value, String::as_str));
    };
    for (prefix, platform) in [("BUILD", &options.default_platform), ("TARGET", platform)] {
        automatic(&format!("{prefix}PLATFORM"), &platform.to_string());
        automatic(&format!("{prefix}OS"), &platform.os);
        automatic(&format!("{prefix}ARCH"), &platform.architecture);
        let variant = platform.variant.as_deref().unwrap_or_default();
        automatic(&format!("{prefix}VARIANT"), variant);
    }
    let last = file
        .stages
        .last()
        .and_then(|stage| stage.from.kind.name.as_ref());
    let target = options.target.as_deref();
    let target = target.or(last.map(|name| name.value.as_str()));
    automatic("TARGETSTAGE", target.unwrap_or("default"));
    let mut problems = Vec::new();
    for argument in file.globals.iter().flat_map(|node| &node.kind) {
        let mut set = || -> Result<(), Box<Problem>> {
            let name = word(expander, &argument.name, &scope)?.text;
            let value = match (options.build_args.get(&name), &argument.default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => word(expander, default, &scope)?.text,
                (None, None) => return Ok(()),
            };
            scope.set(&name, &value);
            Ok(())
        };
        problems.extend(set().err().map(|problem| *problem));
    }
    match problems.is_empty() {
        true => Ok(scope),
        false => Err(problems),
    }
}

/// What `raw` comes out as.
pub fn word(expander: &Expander, word: &Word, scope: &Scope) -> Result<Expanded, Box<Problem>> {
    let expanded = expander.word(&word.raw, scope);
    expanded.map_err(|error| unexpanded(&error, &word.span))
}

/// The problem of a word that can't be expanded.
pub fn unexpanded(error: &expand::Error, span: &Span) -> Box<Problem> {
    let problem = Problem::new(error.to_string()).at(span.clone());
    Box::new(match error.way_out() {
        Some(hint) => problem.hint(hint),
        None => problem,
    })
}
