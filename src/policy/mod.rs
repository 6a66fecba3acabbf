//! Source policies: which inputs a build may have, and what it takes in place of some of them.
//!
//! In: the JSON text that BuildKit and buildx take (`sourcepolicy/pb` of BuildKit), and what an
//! input is called there. Out: a [`Decision`]; or from a lock the policy that says the same to
//! BuildKit ([`write`](mod@write)). Pure: never reads a file, a network or a clock.

mod convert;
mod input;
pub mod read;
mod rule;
pub mod write;

#[cfg(test)]
mod tests;

pub use convert::{File, Repository};
pub use input::{HTTP_CHECKSUM, Input, git_place};

use crate::canon::Digest;
use rule::{Action, Rule};

/// How often one input may be converted, as in BuildKit's engine.
const MOST_CONVERSIONS: usize = 20;

/// A policy; the default one allows everything.
#[derive(Debug, Default)]
pub struct Policy {
    /// As messages call it.
    file: String,
    rules: Vec<Rule>,
    /// Of its text.
    digest: Option<Digest>,
}

/// What a policy says of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is taken as it is.
    Allowed,
    /// Another is taken in its place.
    Converted(Input),
    /// It may not be had.
    Refused(Refusal),
}

/// Why an input may not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A rule says so.
    #[error(
        "`{file}` denies {}: rule {rule}, DENY `{selector}`\nhint: a later rule that allows it goes before that one; see who keeps the policy",
        what(identifier, origin)
    )]
    Denied {
        /// What is denied.
        identifier: String,
        /// What the recipe asks for, where a rule made something else of it.
        origin: Option<String>,
        /// From 1, in the policy's order.
        rule: usize,
        /// What the rule is for.
        selector: String,
        /// The policy.
        file: String,
    },
    /// It is converted again and again.
    #[error(
        "`{file}` converts `{identifier}` more than {MOST_CONVERSIONS} times\nhint: what one rule makes, another unmakes"
    )]
    Loop {
        /// What the recipe asks for.
        identifier: String,
        /// The policy.
        file: String,
    },
    /// It is converted to what can't be had in its place.
    #[error("`{file}` makes `{to}` of `{from}`, by rule {rule}, and {reason}")]
    Unusable {
        /// What the recipe asks for.
        from: String,
        /// What the rule makes of it.
        to: String,
        /// From 1, in the policy's order.
        rule: usize,
        /// Why that can't be.
        reason: String,
        /// The policy.
        file: String,
    },
}

fn what(identifier: &str, origin: &Option<String>) -> String {
    match origin {
        None => format!("`{identifier}`"),
        Some(origin) => format!("`{identifier}`, which it makes of `{origin}`"),
    }
}

/// What one round of the rules comes to.
enum Round {
    Allowed,
    /// By the rule of that place.
    Denied(usize),
    /// By the rule of that place.
    Converted(Input, usize),
}

impl Policy {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Of its text; none where there is none.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// As messages call it.
    pub fn file_name(&self) -> &str {
        &self.file
    }

    /// What it says of an input that has no attributes: of what a command fetches that is its URL.
    pub fn decide(&self, identifier: &str) -> Decision {
        self.judge(&Input::new(identifier))
    }

    /// What it says of an input. The last rule that allows or denies it wins; what a rule converts
    /// begins anew (BuildKit, `sourcepolicy/engine.go`).
    pub fn judge(&self, input: &Input) -> Decision {
        match self.converted(input) {
            Err(refusal) => Decision::Refused(refusal),
            Ok((_, None)) => Decision::Allowed,
            Ok((input, Some(_))) => Decision::Converted(input),
        }
    }

    /// What an input comes to, and the place of the rule that made it so.
    fn converted(&self, input: &Input) -> Result<(Input, Option<usize>), Refusal> {
        let (mut now, mut by) = (input.clone(), None);
        for _ in 0..=MOST_CONVERSIONS {
            match self.round(&now) {
                Round::Allowed => return Ok((now, by)),
                Round::Denied(place) => return Err(self.denied(input, &now, place)),
                Round::Converted(next, place) => (now, by) = (next, Some(place)),
            }
        }
        Err(Refusal::Loop {
            identifier: input.identifier.clone(),
            file: self.file.clone(),
        })
    }

    fn round(&self, input: &Input) -> Round {
        let mut denied = None;
        for (place, rule) in self.rules.iter().enumerate() {
            if !rule.selector.matches(input) {
                continue;
            }
            match &rule.action {
                Action::Allow => denied = None,
                Action::Deny => denied = Some(place),
                Action::Convert(update) => {
                    if let Some(next) = rule.selector.converted(input, update) {
                        return Round::Converted(next, place);
                    }
                }
            }
        }
        denied.map_or(Round::Allowed, Round::Denied)
    }

    /// Judges what an input turned out to mean, `resolved`, by the rules that are about that alone
    /// and not about its name, which was judged before.
    pub fn judge_resolved(&self, named: &Input, resolved: &Input) -> Result<(), Refusal> {
        let mut denied = None;
        for (place, rule) in self.rules.iter().enumerate() {
            if !rule.selector.matches(resolved) || rule.selector.matches(named) {
                continue;
            }
            match &rule.action {
                Action::Allow => denied = None,
                Action::Deny => denied = Some(place),
                Action::Convert(update) => {
                    if let Some(next) = rule.selector.converted(resolved, update) {
                        let reason =
                            "that was looked up already\nhint: write the rule for its name";
                        return Err(self.unusable(resolved, &next, place, reason));
                    }
                }
            }
        }
        denied.map_or(Ok(()), |place| Err(self.denied(named, resolved, place)))
    }

    fn denied(&self, origin: &Input, input: &Input, place: usize) -> Refusal {
        let is_other = origin.identifier != input.identifier;
        Refusal::Denied {
            identifier: input.identifier.clone(),
            origin: is_other.then(|| origin.identifier.clone()),
            rule: place + 1,
            selector: self.rules[place].selector.identifier.clone(),
            file: self.file.clone(),
        }
    }

    fn unusable(
        &self,
        from: &Input,
        to: &Input,
        place: usize,
        reason: impl Into<String>,
    ) -> Refusal {
        Refusal::Unusable {
            from: from.identifier.clone(),
            to: crate::canon::login::redacted(&to.identifier),
            rule: place + 1,
            reason: reason.into(),
            file: self.file.clone(),
        }
    }
}
