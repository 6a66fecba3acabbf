//! Checks: what is legal in a Dockerfile and still likely to be a mistake, or makes its builds
//! differ.
//!
//! In: a tree, and what is known around it ([`CheckInput`]). Out: [`Finding`]s, sorted by place;
//! a text for each rule ([`page`]); reports for programs ([`report`]).
//!
//! The rules are those of `docker build --check` (docs.docker.com/reference/build-checks), by
//! their names, and cairn's own about builds that don't come out the same twice. What the recipe
//! skips is left out ([`Settings`]).

mod commands;
mod context;
mod directive;
mod download;
mod package;
mod purity;
pub mod report;
mod rule;
mod settings;
mod shell;
mod style;
#[cfg(test)]
mod tests;
mod unlocked;
mod variable;

use std::collections::{BTreeMap, BTreeSet};

pub use rule::{Level, RULES, Rule};
pub use settings::{Error, Names, Settings};
pub use variable::names_secret;

use super::syntax::{Dockerfile, Span};
use crate::canon::Platform;
use crate::canon::pattern::Rules;

/// Most findings: nobody reads more, and each costs time.
const MOST_FINDINGS: usize = 1_000;

/// Something that a rule has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which.
    pub rule: &'static Rule,
    /// Bytes of the file.
    pub span: Span,
    /// As [`crate::canon::Problem::message`].
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

/// What is known beside the tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckInput<'a> {
    /// The file's text; without it places in commands are less exact.
    pub text: &'a str,
    /// What the build's context leaves out.
    pub ignore: Option<&'a Rules>,
    /// Of stages, by their place, whose base is an image that is known.
    pub bases: Option<&'a BTreeMap<usize, Base>>,
    /// `--build-arg`
    pub arguments: Option<&'a BTreeMap<String, String>>,
    /// Names that are no images: named contexts.
    pub contexts: Option<&'a BTreeSet<String>>,
    /// Whether a lock holds what names mean, and what commands fetch.
    pub is_locked: bool,
    /// In place of what the recipe says.
    pub settings: Option<&'a Settings>,
}

/// What is known of a base image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Base {
    /// Variables that its config sets.
    pub variables: BTreeSet<String>,
    /// Whether its config has a shell.
    pub has_shell: bool,
    /// What it is for, and what it should be for.
    pub platforms: Option<(Platform, Platform)>,
}

/// Everything that the rules find, sorted by place.
pub fn check(file: &Dockerfile, input: &CheckInput<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    directive::check(file, &mut findings);
    directive::syntax(file, &mut findings);
    style::check(file, input, &mut findings);
    variable::check(file, input, &mut findings);
    context::check(file, input, &mut findings);
    purity::check(file, input, &mut findings);
    let settings = settings(file, input);
    let skipped_at: Vec<_> = nodes(file)
        .map(|(span, comments)| (span, settings::above(comments)))
        .filter(|(_, names)| !names.is_empty())
        .collect();
    findings.retain(|finding| {
        let name = finding.rule.name;
        let is_skipped = |(span, names): &(&Span, Vec<Names>)| {
            span.contains(&finding.span.start) && names.iter().any(|names| names.has(name))
        };
        let is_in = |span: &Span| span.contains(&finding.span.start);
        let is_held = input.is_locked
            && rule::HELD_BY_LOCK.contains(&name)
            && !purity::on_host_network(file).any(is_in);
        !settings.skip.has(name)
            && !is_held
            && (!finding.rule.is_experimental || settings.experimental.has(name))
            && !skipped_at.iter().any(is_skipped)
    });
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.span.start, finding.span.end, finding.rule.name);
        key(a).cmp(&key(b)).then(a.message.cmp(&b.message))
    });
    findings.dedup();
    findings
}

/// What the recipe, or the caller, says about checks.
pub fn settings(file: &Dockerfile, input: &CheckInput<'_>) -> Settings {
    let written = file.directives.check.as_ref();
    let written = || written.and_then(|check| Settings::parse(&check.value).ok());
    let given = input.settings.cloned();
    given.or_else(written).unwrap_or_default()
}

/// The text about a rule, whatever the case of its name.
pub fn page(rule: &str) -> Option<&'static str> {
    let found = RULES
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(rule));
    found.map(|rule| rule.page)
}

/// Every instruction's place and comments.
fn nodes(file: &Dockerfile) -> impl Iterator<Item = (&Span, &[super::syntax::Spanned<String>])> {
    let globals = file
        .globals
        .iter()
        .map(|node| (&node.span, &node.comments[..]));
    let stages = file.stages.iter().flat_map(|stage| {
        let from = std::iter::once((&stage.from.span, &stage.from.comments[..]));
        let others = stage.instructions.iter();
        from.chain(others.map(|node| (&node.span, &node.comments[..])))
    });
    globals.chain(stages)
}

/// Notes a finding, unless there are too many; the rule is one of [`RULES`].
fn find(
    findings: &mut Vec<Finding>,
    rule: &'static Rule,
    span: &Span,
    message: String,
    hint: impl Into<String>,
) {
    if findings.len() >= MOST_FINDINGS {
        return;
    }
    let hint = hint.into();
    findings.push(Finding {
        rule,
        span: span.clone(),
        message,
        hint: (!hint.is_empty()).then_some(hint),
    });
}

/// The earlier stage that a base is, for each stage.
fn parents(file: &Dockerfile) -> Vec<Option<usize>> {
    let mut names = BTreeMap::new();
    let mut parents = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        let image = stage.from.kind.image.raw.to_lowercase();
        parents.push(names.get(&image).copied());
        if let Some(name) = &stage.from.kind.name {
            names.insert(name.value.clone(), at);
        }
    }
    parents
}
