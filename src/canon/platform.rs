//! Platforms: operating system, architecture and variant, spelt one way.
//!
//! In: `linux/amd64`, `arm64`, `linux/arm/v7` and their aliases. Out: [`Platform`] in the
//! normal form of image-spec's `platform` object, so that no spelling reaches a digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An image's platform in normal form (image-spec, image-index.md, `platform`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Platform {
    /// Go's GOOS: `linux`, `windows`, …
    pub os: String,
    /// Go's GOARCH: `amd64`, `arm64`, …
    pub architecture: String,
    /// Of the architecture, where it is not the usual one: `v7` of `arm`, …
    pub variant: Option<String>,
}

/// Go's values of GOOS, which image-spec names (config.md, `os`).
const SYSTEMS: [&str; 15] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];

/// Go's values of GOARCH, which image-spec names (config.md, `architecture`).
const ARCHITECTURES: [&str; 15] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x", "sparc64", "wasm",
];

/// Text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {hint}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
}

impl ParseError {
    fn form(text: &str) -> ParseError {
        ParseError {
            message: format!("`{text}` is no platform"),
            hint: "write it as `linux/amd64` or `linux/arm/v7`".to_owned(),
        }
    }

    fn unknown(word: &str, what: &str, known: &[&str]) -> ParseError {
        ParseError {
            message: format!("there is no {what} `{word}`"),
            hint: format!("it is one of {}", known.join(", ")),
        }
    }
}

impl Platform {
    /// A platform from its parts, brought to normal form: the table of containerd's
    /// `platforms.Normalize` (`x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`).
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Platform {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant
            .map(str::to_ascii_lowercase)
            .filter(|variant| !variant.is_empty());
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
            ("i386" | "i486" | "i586" | "i686", _) => ("386", None),
            ("aarch64" | "arm64", None | Some("8" | "v8" | "v8.0")) => ("arm64", None),
            ("aarch64" | "arm64", Some("9" | "9.0" | "v9.0")) => ("arm64", Some("v9")),
            ("aarch64", other) => ("arm64", other),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            (architecture, variant) => (architecture, variant),
        };
        Platform {
            os,
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }
}

impl FromStr for Platform {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Platform, ParseError> {
        let parts: Vec<_> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.len() <= 64
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        if !parts.iter().all(is_word) {
            return Err(ParseError::form(text));
        }
        let platform = match parts[..] {
            [architecture] if architecture != "linux" && architecture != "windows" => {
                Platform::new("linux", architecture, None)
            }
            [os, architecture] => Platform::new(os, architecture, None),
            [os, architecture, variant] => Platform::new(os, architecture, Some(variant)),
            _ => return Err(ParseError::form(text)),
        };
        if !SYSTEMS.contains(&platform.os.as_str()) {
            return Err(ParseError::unknown(
                &platform.os,
                "operating system",
                &SYSTEMS,
            ));
        }
        if !ARCHITECTURES.contains(&platform.architecture.as_str()) {
            let (word, what) = (&platform.architecture, "architecture");
            return Err(ParseError::unknown(word, what, &ARCHITECTURES));
        }
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> String {
        platform.to_string()
    }
}

impl TryFrom<String> for Platform {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Platform, ParseError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_makes_images_for_is_refused_with_what_there_is() {
        for (text, word) in [
            ("linux/amd46", "amd46"),
            ("foo", "foo"),
            ("linus/amd64", "linus"),
        ] {
            let error = text.parse::<Platform>().unwrap_err();
            assert!(error.message.contains(word), "{error}");
            assert!(
                error.hint.contains("amd64") || error.hint.contains("linux"),
                "{error}"
            );
        }
        for text in ["riscv64", "windows/amd64", "linux/mips64le", "wasip1/wasm"] {
            assert!(text.parse::<Platform>().is_ok(), "{text}");
        }
    }

    #[test]
    fn every_spelling_has_one_normal_form() {
        for (spelt, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("linux/amd64/v2", "linux/amd64/v2"),
            ("Linux/AArch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i686", "linux/386"),
            ("riscv64", "linux/riscv64"),
        ] {
            assert_eq!(spelt.parse::<Platform>().unwrap().to_string(), normal);
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/am d64",
            "linux/amd64\n",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
    }
}
