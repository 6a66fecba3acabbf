//! One rule: what it is for, and what it does.
//!
//! In: an input. Out: whether the rule is for it, and what it makes of it (BuildKit,
//! `sourcepolicy/matcher.go`, `formatter.go`, `mutate.go`, `util/wildcard`). Patterns take a time
//! that grows with the text alone.

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};

use super::Input;

/// Most bytes of a compiled pattern.
const LARGEST_PATTERN: usize = 1 << 20;

/// A rule of a policy.
#[derive(Debug)]
pub(super) struct Rule {
    pub selector: Selector,
    pub action: Action,
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum Action {
    Allow,
    Deny,
    Convert(Update),
}

/// What a rule makes of an input.
#[derive(Debug)]
pub(super) struct Update {
    /// Another one, with `${1}` for what the pattern's first star or group stands for.
    pub identifier: Option<String>,
    /// What else is asked of it.
    pub attrs: BTreeMap<String, String>,
}

/// What a rule is for.
#[derive(Debug)]
pub(super) struct Selector {
    /// As it is written.
    pub identifier: String,
    pub pattern: Pattern,
    /// All of which must hold.
    pub constraints: Vec<Constraint>,
}

/// How an identifier is compared.
#[derive(Debug)]
pub(super) enum Pattern {
    Exact,
    /// With stars that stand for anything.
    Wildcard(Regex),
    /// Found anywhere in it.
    Regex(Regex),
}

/// Something that must hold of an attribute, which is empty where there is none.
#[derive(Debug)]
pub(super) struct Constraint {
    pub key: String,
    pub condition: Condition,
}

#[derive(Debug)]
pub(super) enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
}

/// A regular expression as Go reads it: letters and digits are ASCII's.
pub(super) fn regex(text: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.unicode(false).size_limit(LARGEST_PATTERN);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("the pattern `{text}` is too large"),
        error => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            format!("`{text}` is no pattern that cairn knows: {reason}")
        }
    })
}

impl Pattern {
    /// An identifier with stars.
    pub(super) fn wildcard(text: &str) -> Result<Pattern, String> {
        if text.contains("**") {
            return Err(format!("`{text}` has two stars in a row; one is enough"));
        }
        let parts: Vec<_> = text.split('*').map(regex::escape).collect();
        regex(&format!("^{}$", parts.join("(.*)"))).map(Pattern::Wildcard)
    }
}

impl Selector {
    pub(super) fn matches(&self, input: &Input) -> bool {
        let constraints = self.constraints.iter();
        let holds = constraints.map(|constraint| {
            let value = input.attrs.get(&constraint.key).map_or("", String::as_str);
            match &constraint.condition {
                Condition::Equal(wanted) => value == wanted,
                Condition::NotEqual(wanted) => value != wanted,
                Condition::Matches(pattern) => pattern.is_match(value.as_bytes()),
            }
        });
        let identifier = &input.identifier;
        let is_meant = self.identifier == *identifier
            || match &self.pattern {
                Pattern::Exact => false,
                Pattern::Wildcard(pattern) | Pattern::Regex(pattern) => {
                    pattern.is_match(identifier.as_bytes())
                }
            };
        is_meant && holds.into_iter().all(|holds| holds)
    }

    /// What `update` makes of an input that this is for; none where it stays as it is.
    pub(super) fn converted(&self, input: &Input, update: &Update) -> Option<Input> {
        let mut next = input.clone();
        if let Some(wanted) = &update.identifier {
            next.identifier = self.formatted(&input.identifier, wanted);
        }
        next.attrs.extend(update.attrs.clone());
        (next != *input).then_some(next)
    }

    fn formatted(&self, identifier: &str, wanted: &str) -> String {
        let mut bytes = Vec::new();
        match &self.pattern {
            Pattern::Exact => return wanted.to_owned(),
            Pattern::Wildcard(pattern) => match pattern.captures(identifier.as_bytes()) {
                Some(captures) => captures.expand(wanted.as_bytes(), &mut bytes),
                None => return identifier.to_owned(),
            },
            Pattern::Regex(pattern) => {
                bytes.extend(&*pattern.replace_all(identifier.as_bytes(), wanted.as_bytes()));
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
