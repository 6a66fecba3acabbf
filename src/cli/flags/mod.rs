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
pub use limits::{Allow, add_host, allow, bytes, duration, ulimit};
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

#[cfg(test)]
mod tests {
    use super::*;

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
