//! Image references: `[registry[:port]/]repository[:tag][@digest]`.
//!
//! In: the text that people write. Out: [`Reference`] with Docker's defaults filled in
//! (distribution/reference, "normalized": `alpine` is `docker.io/library/alpine:latest`).

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// A reference to an image in a registry, complete.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host name with its port, where there is one: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    /// Path of the repository: `library/alpine`.
    pub repository: String,
    /// Tag; `latest` where neither tag nor digest was given.
    pub tag: Option<String>,
    /// Digest of the manifest or index.
    pub digest: Option<Digest>,
}

/// Text that is no image reference, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no image reference: {reason}")]
pub struct ParseError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ParseError {
    /// The same in lower case, where that is one.
    pub fn in_lower_case(&self) -> Option<String> {
        let lower = self.text.to_lowercase();
        let is_meant = lower != self.text && lower.parse::<Reference>().is_ok();
        is_meant.then_some(lower)
    }
}

/// The registry that short names mean.
pub const DEFAULT_REGISTRY: &str = "docker.io";

impl Reference {
    /// `registry/repository`, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The digest where there is one, else the tag: what a registry's manifest URL ends with.
    pub fn tag_or_digest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The same repository at `digest`, without a tag.
    pub fn at(&self, digest: Digest) -> Reference {
        Reference {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Reference, ParseError> {
        let refuse = |reason| ParseError {
            text: text.to_owned(),
            reason,
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|_| {
                    refuse("what follows `@` is not `sha256:` and 64 lower-case hex digits")
                })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') && !tag.ends_with(']') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse(
                "a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
            ));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest.to_owned()),
            Some(_) => (DEFAULT_REGISTRY, name.to_owned()),
            None => (DEFAULT_REGISTRY, format!("library/{name}")),
        };
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
            other => other,
        };
        let repository = match repository.split_once('/') {
            None if registry == DEFAULT_REGISTRY => format!("library/{repository}"),
            _ => repository,
        };
        if name.is_empty() || !repository.split('/').all(is_repository_component) {
            return Err(refuse(
                "a repository has lower-case letters, digits, and `.`, `_`, `__` or `-` between them, parted by `/`",
            ));
        }
        if name.len() > 255 {
            return Err(refuse("its name is longer than 255 characters"));
        }
        let host_is_sound = registry
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
        if !host_is_sound {
            return Err(refuse("the registry is no host name"));
        }
        let tag = match (tag, digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Reference {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// Docker takes `Foo` of `Foo/bar` for a host, too, where whoever writes it means a repository.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// distribution-spec, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    let first = bytes.next();
    tag.len() <= 128
        && first.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// distribution-spec, same place: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
pub fn is_repository_component(component: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_are_plain =
        bytes.first().copied().is_some_and(is_plain) && bytes.last().copied().is_some_and(is_plain);
    let mut separators = bytes
        .split(|&byte| is_plain(byte))
        .filter(|run| !run.is_empty());
    ends_are_plain
        && separators
            .all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|&byte| byte == b'-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_defaults_are_filled_in() {
        let digest = Digest::of(b"");
        for (text, normal) in [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            (
                "docker.io/alpine",
                "docker.io/library/alpine:latest".to_owned(),
            ),
            ("index.docker.io/a/b", "docker.io/a/b:latest".to_owned()),
            ("me/tool:1.0_x", "docker.io/me/tool:1.0_x".to_owned()),
            ("localhost/tool", "localhost/tool:latest".to_owned()),
            (
                "localhost:5000/a/b/c:t",
                "localhost:5000/a/b/c:t".to_owned(),
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
            (
                &format!("r.example/a@{digest}"),
                format!("r.example/a@{digest}"),
            ),
            (
                &format!("r.example/a:t@{digest}"),
                format!("r.example/a:t@{digest}"),
            ),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), normal);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            ":t",
            "Alpine",
            "Foo/bar",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a:.t",
            "a@sha256:12",
            "a b",
            "a__-b",
            "a...b",
            "-a",
            "r.example/../x",
            "r.example:5000/A",
            "a\u{e9}",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn lower_case_is_suggested_where_it_helps() {
        let suggested = |text: &str| text.parse::<Reference>().unwrap_err().in_lower_case();
        assert_eq!(suggested("Foo/Bar:t").as_deref(), Some("foo/bar:t"));
        assert_eq!(suggested("Foo//bar"), None);
        assert_eq!(suggested("foo//bar"), None);
    }
}
