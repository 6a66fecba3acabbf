//! The JSON text of a policy to its rules.
//!
//! In: a file's text. Out: a [`Policy`], or what is wrong with it. What cairn can't do is refused
//! by name: a rule that is passed over in silence is none.

use crate::canon::Digest;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::Policy;
use super::input::{GIT_CHECKSUM, GIT_FULL_URL, GIT_KEEP_DIR, HTTP_CHECKSUM, HTTP_FILENAME};
use super::rule::{Action, Condition, Constraint, Pattern, Rule, Selector, Update, regex};

/// Most bytes of a policy.
pub const LARGEST: usize = 4 << 20;

/// The only version that there is; the text may leave it out.
const VERSION: i64 = 1;

/// Attributes that a rule may ask for.
const KNOWN: [&str; 5] = [
    HTTP_CHECKSUM,
    HTTP_FILENAME,
    GIT_FULL_URL,
    GIT_CHECKSUM,
    GIT_KEEP_DIR,
];

/// Attributes that a rule may set.
const SETTABLE: [&str; 3] = [HTTP_CHECKSUM, GIT_FULL_URL, GIT_CHECKSUM];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    #[serde(default, deserialize_with = "action")]
    action: usize,
    selector: SelectorText,
    #[serde(default)]
    updates: Option<UpdateText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorText {
    identifier: String,
    // Go's encoding of the message has the one, the JSON of protocol buffers the other.
    #[serde(
        default,
        alias = "match_type",
        rename = "matchType",
        deserialize_with = "match_type"
    )]
    match_type: usize,
    #[serde(default)]
    constraints: Vec<ConstraintText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintText {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default, deserialize_with = "condition")]
    condition: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateText {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

const ACTIONS: [&str; 3] = ["ALLOW", "DENY", "CONVERT"];
const MATCH_TYPES: [&str; 3] = ["WILDCARD", "EXACT", "REGEX"];
const CONDITIONS: [&str; 3] = ["EQUAL", "NOTEQUAL", "MATCHES"];

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    choice(deserializer, ACTIONS)
}

fn match_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    choice(deserializer, MATCH_TYPES)
}

fn condition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    choice(deserializer, CONDITIONS)
}

/// A name or its number.
fn choice<'de, D: Deserializer<'de>>(deserializer: D, names: [&str; 3]) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Name(String),
        Number(u64),
    }
    let (found, told) = match Text::deserialize(deserializer)? {
        Text::Name(name) => (names.iter().position(|known| *known == name), name),
        Text::Number(number) => {
            let found = usize::try_from(number).ok();
            (
                found.filter(|number| *number < names.len()),
                number.to_string(),
            )
        }
    };
    found.ok_or_else(|| {
        let names = names.join("`, `");
        serde::de::Error::custom(format!("`{told}` is none of `{names}`"))
    })
}

/// What `text` says; messages call it `file`.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str, file: &str) -> Result<Policy, String> {
    // An array would be taken for the members in their order.
    if !text.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    let whole: PolicyText = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(version) = whole
        .version
        .filter(|version| ![0, VERSION].contains(version))
    {
        return Err(format!(
            "it has version {version}, and cairn reads version {VERSION}"
        ));
    }
    let rules = whole.rules.into_iter().enumerate();
    let rules = rules
        .map(|(place, text)| rule(text).map_err(|reason| format!("rule {}: {reason}", place + 1)));
    Ok(Policy {
        file: file.to_owned(),
        rules: rules.collect::<Result<_, _>>()?,
        digest: Some(Digest::of(text.as_bytes())),
    })
}

fn rule(text: RuleText) -> Result<Rule, String> {
    let selector = selector(text.selector)?;
    let action = match (text.action, text.updates) {
        (2, Some(text)) => Action::Convert(update(text)?),
        (2, None) => return Err("it converts, and has no `updates`".to_owned()),
        (_, Some(_)) => return Err("it has `updates`, and doesn't convert".to_owned()),
        (1, None) => Action::Deny,
        _ => Action::Allow,
    };
    Ok(Rule { selector, action })
}

fn selector(text: SelectorText) -> Result<Selector, String> {
    let identifier = text.identifier;
    if identifier.is_empty() {
        return Err("its selector has no `identifier`".to_owned());
    }
    let pattern = match text.match_type {
        0 => Pattern::wildcard(&identifier)?,
        1 => Pattern::Exact,
        _ => Pattern::Regex(regex(&identifier)?),
    };
    let constraints = text.constraints.into_iter().map(|text| {
        known(&text.key, &KNOWN)?;
        let condition = match text.condition {
            0 => Condition::Equal(text.value),
            1 => Condition::NotEqual(text.value),
            _ => Condition::Matches(regex(&text.value)?),
        };
        let key = text.key;
        Ok(Constraint { key, condition })
    });
    let constraints = constraints.collect::<Result<_, String>>()?;
    Ok(Selector {
        identifier,
        pattern,
        constraints,
    })
}

fn update(text: UpdateText) -> Result<Update, String> {
    for key in text.attrs.keys() {
        known(key, &SETTABLE)?;
    }
    if text.identifier.is_empty() && text.attrs.is_empty() {
        return Err("its `updates` change nothing".to_owned());
    }
    Ok(Update {
        identifier: Some(text.identifier).filter(|identifier| !identifier.is_empty()),
        attrs: text.attrs,
    })
}

fn known(key: &str, known: &[&str]) -> Result<(), String> {
    match known.contains(&key) {
        true => Ok(()),
        false => Err(format!(
            "cairn can't do anything about the attribute `{key}`, only about `{}`",
            known.join("`, `")
        )),
    }
}
