//! Values of flags that are more than text.
//!
//! In: one value of a flag of `cairn build`, as `docker buildx build` takes it. Out: what it
//! means, or what is wrong with it; nothing is looked at besides the text.

pub mod call;
pub mod context;
pub mod limits;
pub mod secret;

pub use call::{Call, Format, call};
pub use context::ContextValue;
pub use limits::{Allow, Resources, add_host, allow, bytes, duration, resources, ulimit};
pub use secret::{Secret, Ssh, secret, ssh};

use super::environment::Environment;
use crate::canon::platform::ParseError;
use crate::canon::{Platform, truth};
use crate::normal::Without;

/// `--build-arg NAME=VALUE`, or `NAME`, whose value the environment has.
pub fn build_argument(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    match name.trim().is_empty() {
        true => Err("it has to be NAME=VALUE, or NAME of the environment".to_owned()),
        false => Ok((name.to_owned(), value)),
    }
}

/// An annotation, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Of the manifest of every platform.
    pub of_manifests: bool,
    /// Of the index of several.
    pub of_index: bool,
    /// Its name.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// `--annotation [manifest:|index:]KEY=VALUE`
pub fn annotation(text: &str) -> Result<Annotation, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err("it has to be KEY=VALUE".to_owned());
    };
    let (kinds, key) = match key.split_once(':') {
        Some((kinds, rest)) if kinds.split(',').all(is_annotated) => (kinds, rest),
        _ => ("manifest", key),
    };
    annotated(kinds, key, value)
}

/// `annotation[-KIND].KEY` of `-o`
pub fn annotation_key(text: &str, value: &str) -> Result<Annotation, String> {
    let rest = text.strip_prefix("annotation").unwrap_or(text);
    let (kind, key) = rest.split_once('.').unwrap_or((rest, ""));
    let kind = match kind.strip_prefix('-') {
        Some(kind) => kind.to_owned(),
        None if kind.is_empty() => "manifest".to_owned(),
        None => format!("manifest{kind}"),
    };
    annotated(&kind, key, value)
}

fn annotated(kinds: &str, key: &str, value: &str) -> Result<Annotation, String> {
    let mut annotation = Annotation {
        of_manifests: false,
        of_index: false,
        key: key.to_owned(),
        value: value.to_owned(),
    };
    for kind in kinds.split(',') {
        match kind {
            "manifest" => annotation.of_manifests = true,
            "index" => annotation.of_index = true,
            other => {
                return Err(format!(
                    "cairn annotates the index, and the manifests of all platforms alike, but no `{other}`"
                ));
            }
        }
    }
    match key.is_empty() {
        true => Err("it names no KEY".to_owned()),
        false => Ok(annotation),
    }
}

/// Whether buildx annotates that.
fn is_annotated(kind: &str) -> bool {
    let kind = kind.split('[').next().unwrap_or(kind);
    let kinds = [
        "manifest",
        "index",
        "index-descriptor",
        "manifest-descriptor",
    ];
    kinds.contains(&kind)
}

/// The value of a flag that is on or off.
pub fn switch(text: &str) -> Result<bool, String> {
    truth(text).ok_or_else(|| "it is true or false".to_owned())
}

/// `--platform`: one by name, or `local`, this machine's.
pub fn platform(text: &str) -> Result<Platform, String> {
    match text {
        "local" => Ok(Environment::machine()),
        name => name.parse().map_err(|error: ParseError| error.to_string()),
    }
}

/// `--no-normalise NAME`, or `all`
pub fn normaliser(name: &str) -> Result<Without, String> {
    Without::named(name).map_err(|error| error.to_string())
}

/// `--label KEY=VALUE`, or `KEY`, whose value is empty.
pub fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match key.is_empty() {
        true => Err("it has to be KEY=VALUE, or KEY".to_owned()),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_of_manifests_and_indexes() {
        let read = |text: &str| {
            let read = annotation(text).ok()?;
            let Annotation {
                of_manifests,
                of_index,
                key,
                value,
            } = read;
            Some((of_manifests, of_index, format!("{key} {value}")))
        };
        for (text, expected) in [
            ("a=1", Some((true, false, "a 1"))),
            ("manifest:a=1=2", Some((true, false, "a 1=2"))),
            ("org.test:a=1", Some((true, false, "org.test:a 1"))),
            ("index:a=1", Some((false, true, "a 1"))),
            ("manifest,index:a=1", Some((true, true, "a 1"))),
            ("manifest[linux/amd64]:a=1", None),
            ("index-descriptor:a=1", None),
            ("manifest:=1", None),
            ("a", None),
        ] {
            let expected =
                expected.map(|(manifests, index, told)| (manifests, index, told.to_owned()));
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_platform_may_be_that_of_this_machine() {
        assert_eq!(platform("local"), Ok(Environment::machine()));
        assert_eq!(platform("arm64").unwrap().to_string(), "linux/arm64");
        assert!(platform("linux/none").is_err());
    }

    #[test]
    fn a_label_may_say_nothing() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(label("a"), pair("a", ""));
        assert_eq!(label("a=b=c"), pair("a", "b=c"));
        assert!(label("=b").is_err());
    }

    #[test]
    fn arguments_have_a_value_or_take_it_from_the_environment() {
        for (text, expected) in [
            ("a=1", Some(("a", Some("1")))),
            ("a=", Some(("a", Some("")))),
            ("a=b=c", Some(("a", Some("b=c")))),
            ("a", Some(("a", None))),
            ("", None),
            ("=1", None),
        ] {
            let expected =
                expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
            assert_eq!(build_argument(text).ok(), expected, "{text}");
        }
    }
}
