//! What the recipe says about its own checks.
//!
//! In: `# check=…` at its top, or above one instruction. Out: [`Settings`]:
//! `skip=A,B` or `skip=all`, `error=BOOL`, `experimental=A,B` or `experimental=all`, with `;`
//! between them.

use std::collections::BTreeSet;

use crate::canon::truth;
use crate::frontend::dockerfile::syntax::Spanned;

/// Which rules count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Rules that don't.
    pub skip: Names,
    /// Experimental rules that do.
    pub experimental: Names,
    /// Whether a finding fails the build.
    pub error: bool,
}

/// Names of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Every rule.
    All,
    /// These, whatever their case.
    These(BTreeSet<String>),
}

impl Default for Names {
    fn default() -> Names {
        Names::These(BTreeSet::new())
    }
}

impl Names {
    fn new(text: &str) -> Names {
        match text.trim() {
            "all" => Names::All,
            text => {
                let names = text.split(',').map(|name| name.trim().to_lowercase());
                Names::These(names.filter(|name| !name.is_empty()).collect())
            }
        }
    }

    /// Whether `name` is one of them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::These(names) => names.contains(&name.to_lowercase()),
        }
    }
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No `=` in it.
    #[error("`{0}` is no setting of checks")]
    NoValue(String),
    /// An unknown key.
    #[error("checks have no setting `{0}`")]
    Unknown(String),
    /// `error=` neither true nor false.
    #[error("`error` can't be `{0}`")]
    NoBoolean(String),
}

impl Settings {
    /// Reads the value of `# check=`, or of the build argument `BUILDKIT_DOCKERFILE_CHECK`.
    pub fn parse(text: &str) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        let parts = without_reason(text).split(';').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(Error::NoValue(part.to_owned()));
            };
            match key.trim() {
                "skip" => settings.skip = Names::new(value),
                "experimental" => settings.experimental = Names::new(value),
                "error" => {
                    let value = value.trim();
                    let no_boolean = || Error::NoBoolean(value.to_owned());
                    settings.error = truth(value).ok_or_else(no_boolean)?;
                }
                other => return Err(Error::Unknown(other.to_owned())),
            }
        }
        Ok(settings)
    }
}

/// Settings without the `// why` behind them.
pub(super) fn without_reason(text: &str) -> &str {
    text.split("//").next().unwrap_or(text)
}

/// What the comments above one instruction skip: `# check=skip=A,B // why`.
pub(super) fn above(comments: &[Spanned<String>]) -> Vec<Names> {
    let values = comments.iter().filter_map(value);
    let settings = values.filter_map(|value| Settings::parse(&value.value).ok());
    settings.map(|settings| settings.skip).collect()
}

/// The settings in a comment.
pub(super) fn value(comment: &Spanned<String>) -> Option<Spanned<String>> {
    let (key, rest) = comment.value.split_once('=')?;
    if !key.trim().eq_ignore_ascii_case("check") {
        return None;
    }
    let start = comment.span.start + key.len() + 1;
    Some(Spanned::new(rest.to_owned(), start..start + rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let settings = Settings::parse("skip=StageNameCasing, B;error=true; experimental=all");
        let settings = settings.unwrap();
        assert!(settings.error && settings.experimental.has("x"));
        assert!(settings.skip.has("stagenamecasing") && settings.skip.has("b"));
        assert!(!settings.skip.has("C"));
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        assert!(Settings::parse("skip=all").unwrap().skip.has("anything"));
        for text in ["skip", "skpi=a", "error=maybe"] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
    }
}
