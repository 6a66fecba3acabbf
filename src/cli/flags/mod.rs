//! Values of flags that are more than text.
//!
//! In: one value of a flag of `cairn build`, as `docker buildx build` takes it. Out: what it
//! means, or what is wrong with it; nothing is looked at besides the text.

pub mod call;
pub mod context;
pub mod limits;
pub mod secret;

pub use call::{Call, call};
pub use context::ContextValue;
pub use limits::{Allow, Resources, add_host, allow, bytes, duration, resources, ulimit};
pub use secret::{Secret, Ssh, secret, ssh};

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

/// `--annotation [manifest:]KEY=VALUE`; cairn annotates manifests alone.
pub fn annotation(text: &str) -> Result<(String, String), String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err("it has to be KEY=VALUE".to_owned());
    };
    let key = match key.split_once(':') {
        Some(("manifest", key)) => key,
        Some((kind, _)) if is_annotated_elsewhere(kind) => {
            return Err(format!(
                "cairn annotates manifests alone, and no `{kind}`: leave that out, or write `manifest:`"
            ));
        }
        _ => key,
    };
    match key.is_empty() {
        true => Err("it has to be KEY=VALUE".to_owned()),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

/// Whether buildx annotates by `kind` something besides the manifest of every platform.
fn is_annotated_elsewhere(kind: &str) -> bool {
    let kinds = ["index", "index-descriptor", "manifest-descriptor"];
    kinds.contains(&kind) || kind.split(',').any(|kind| kinds.contains(&kind)) || kind.contains('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_of_manifests() {
        for (text, expected) in [
            ("a=1", Some(("a", "1"))),
            ("manifest:a=1=2", Some(("a", "1=2"))),
            ("org.test:a=1", Some(("org.test:a", "1"))),
            ("index:a=1", None),
            ("manifest[linux/amd64]:a=1", None),
            ("manifest,index:a=1", None),
            ("manifest:=1", None),
            ("a", None),
        ] {
            let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(annotation(text).ok(), expected, "{text}");
        }
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
