//! What a build of buildx had, as its provenance tells: a beginning for a lock.
//!
//! In: JSON text: a provenance of SLSA v0.2 or v1 by itself, in a statement of in-toto, or as
//! `--metadata-file` and `imagetools inspect --format '{{json .Provenance}}'` wrap it, for one
//! platform or several. Out: [`Provenance`]: digests that are looked up before they are believed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::git_parts;
use crate::canon::login::{self, decoded};
use crate::canon::{Digest, Platform, Reference};

/// Most bytes of a provenance; with `mode=max` it holds the recipe and all steps.
pub const LARGEST: usize = 64 << 20;

/// How deep a provenance may be wrapped.
const DEEPEST: u32 = 6;

/// What a build had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// What names in registries meant: by the whole name, and the platform where it is told.
    images: BTreeMap<(String, Option<Platform>), Digest>,
    /// Commits, by URL and name.
    commits: BTreeMap<(String, String), String>,
    /// Files of HTTP servers, by URL.
    files: BTreeMap<String, Digest>,
    /// Inputs of other kinds, as they are called there.
    others: Vec<String>,
    /// SOURCE_DATE_EPOCH, in seconds since 1970.
    pub epoch: Option<i64>,
}

/// Why a text is no provenance that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nothing of the kind is in it.
    #[error(
        "there is no provenance in it\nhint: `docker buildx build --provenance=mode=max --metadata-file FILE` writes one"
    )]
    None,
    /// It has two answers for one name.
    #[error("it says of `{0}` that it was both `{1}` and `{2}`")]
    Ambiguous(String, String, String),
    /// A digest that is none.
    #[error("it says of `{0}` that its sha256 is `{1}`, which is none: that has 64 digits, 0 to f")]
    Digest(String, String),
}

#[derive(Deserialize)]
struct Material {
    #[serde(default)]
    uri: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// What `text` says.
pub fn read(text: &str) -> Result<Provenance, Error> {
    let mut found = Vec::new();
    predicates(serde_json::from_str(text)?, None, 0, &mut found);
    if found.is_empty() {
        return Err(Error::None);
    }
    let mut provenance = Provenance::default();
    for (predicate, platform) in found {
        provenance.add(&predicate, platform.as_ref())?;
    }
    Ok(provenance)
}

/// All provenances in `value`, with the platforms that they are wrapped for.
fn predicates(
    value: Value,
    platform: Option<Platform>,
    depth: u32,
    found: &mut Vec<(Map<String, Value>, Option<Platform>)>,
) {
    if depth > DEEPEST {
        return;
    }
    match value {
        Value::Object(object) => {
            let is_predicate = object.get("materials").is_some_and(Value::is_array)
                || object.get("buildDefinition").is_some_and(Value::is_object);
            if is_predicate {
                found.push((object, platform));
                return;
            }
            for (name, value) in object {
                let name = name
                    .strip_prefix("buildx.build.provenance/")
                    .unwrap_or(&name);
                let own = match name.contains('/') {
                    true => name.parse().ok(),
                    false => None,
                };
                predicates(value, own.or_else(|| platform.clone()), depth + 1, found);
            }
        }
        Value::Array(values) => {
            for value in values {
                predicates(value, platform.clone(), depth + 1, found);
            }
        }
        _ => {}
    }
}

/// What is at the end of `path`.
fn at<'v>(object: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let mut value = object.get(*first)?;
    for name in rest {
        value = value.get(name)?;
    }
    Some(value)
}

impl Provenance {
    fn add(
        &mut self,
        predicate: &Map<String, Value>,
        platform: Option<&Platform>,
    ) -> Result<(), Error> {
        let materials = predicate.get("materials");
        let resolved = at(predicate, &["buildDefinition", "resolvedDependencies"]);
        for list in [materials, resolved].into_iter().flatten() {
            for material in Vec::<Material>::deserialize(list)? {
                self.material(material, platform)?;
            }
        }
        let arguments = [
            &["invocation", "parameters", "args"][..],
            &["buildDefinition", "externalParameters", "request", "args"],
        ];
        let epochs = arguments.into_iter().filter_map(|path| {
            let text = at(predicate, path)?.get("build-arg:SOURCE_DATE_EPOCH")?;
            text.as_str()?.parse::<i64>().ok()
        });
        for epoch in epochs {
            let other = *self.epoch.get_or_insert(epoch);
            if other != epoch {
                let name = "SOURCE_DATE_EPOCH".to_owned();
                return Err(Error::Ambiguous(name, other.to_string(), epoch.to_string()));
            }
        }
        Ok(())
    }

    fn material(
        &mut self,
        Material { uri, digest }: Material,
        wrapped: Option<&Platform>,
    ) -> Result<(), Error> {
        let sha256 = digest.get("sha256").map(|hex| {
            let none = |_| Error::Digest(login::redacted(&uri), hex.clone());
            Digest::from_hex(hex).map_err(none)
        });
        let sha256 = sha256.transpose()?;
        if let (Some(package), Some(digest)) = (uri.strip_prefix("pkg:docker/"), sha256)
            && let Some((name, platform)) = image(package)
        {
            let key = (name, platform.or_else(|| wrapped.cloned()));
            return put(&mut self.images, key, digest, &uri);
        }
        let commit = ["sha1", "gitCommit"]
            .iter()
            .find_map(|kind| digest.get(*kind));
        // With SHA-256 a commit has as many digits as a file; then the name tells them apart.
        let is_repository = uri
            .split('#')
            .next()
            .is_some_and(|url| url.ends_with(".git"));
        let commit = commit.or(digest.get("sha256").filter(|_| is_repository));
        let (url, _) = login::split(&uri);
        match (commit, sha256) {
            (Some(commit), _) if is_commit(commit) => {
                let url = url.strip_prefix("git+").unwrap_or(&url);
                let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
                let name = fragment.split(':').next().unwrap_or_default();
                let key = (url.to_owned(), short(name).to_owned());
                put(&mut self.commits, key, commit.clone(), &uri)
            }
            (None, Some(digest)) if url.starts_with("http://") || url.starts_with("https://") => {
                put(&mut self.files, url, digest, &uri)
            }
            _ => {
                self.others.push(login::redacted(&uri));
                Ok(())
            }
        }
    }

    /// What the name of an image meant.
    pub fn image(&self, reference: &Reference, platform: &Platform) -> Option<Digest> {
        if reference.digest.is_some() {
            return None;
        }
        let name = reference.to_string();
        let of = |platform| self.images.get(&(name.clone(), platform));
        of(Some(platform.clone())).or_else(|| of(None)).copied()
    }

    /// What the ref of a repository named.
    pub fn commit(&self, url: &str, name: Option<&str>) -> Option<&str> {
        let name = short(name.unwrap_or_default());
        let key = (url.to_owned(), name.to_owned());
        self.commits.get(&key).map(String::as_str)
    }

    /// What a file of an HTTP server was.
    pub fn file(&self, url: &str) -> Option<Digest> {
        self.files.get(url).copied()
    }

    /// Everything that it names and that is none of these: names of images, refs of repositories
    /// as [`super::git_name`] has them, URLs.
    pub fn besides(&self, images: &[&str], refs: &[&str], urls: &[&str]) -> Vec<String> {
        // The recipe may say the digest itself.
        let names: Vec<_> = images
            .iter()
            .map(|name| name.split('@').next().unwrap_or(name))
            .collect();
        let images = self.images.keys().filter(|(name, _)| {
            let repository = name.rsplit_once(':').map_or(&**name, |(name, _)| name);
            !names.contains(&&**name) && !names.contains(&repository)
        });
        let images: BTreeSet<_> = images.map(|(name, _)| name.clone()).collect();
        let refs: Vec<_> = refs.iter().map(|name| git_parts(name)).collect();
        let commits = self.commits.keys().filter(|(url, name)| {
            let mut refs = refs.iter();
            !refs.any(|(known, of)| known == url && short(of.unwrap_or_default()) == name)
        });
        let commits = commits.map(|(url, name)| format!("{url}#{name}"));
        let files = self.files.keys().filter(|url| !urls.contains(&&***url));
        let images = images.into_iter();
        images
            .chain(commits)
            .chain(files.cloned())
            .chain(self.others.iter().cloned())
            .collect()
    }
}

fn put<K: Ord, V: ToString + PartialEq>(
    all: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    uri: &str,
) -> Result<(), Error> {
    match all.get(&key) {
        Some(other) if *other != value => Err(Error::Ambiguous(
            login::redacted(uri),
            other.to_string(),
            value.to_string(),
        )),
        _ => {
            all.insert(key, value);
            Ok(())
        }
    }
}

/// `NAME@TAG?platform=…` of a package URL (purl-spec, type `docker`).
fn image(package: &str) -> Option<(String, Option<Platform>)> {
    let (package, qualifiers) = package.split_once('?').unwrap_or((package, ""));
    let (name, tag) = match package.rsplit_once('@') {
        Some((name, tag)) => (name, Some(decoded(tag))),
        None => (package, None),
    };
    let name = decoded(name);
    let text = match tag {
        Some(tag) if tag.starts_with("sha256:") => format!("{name}@{tag}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name,
    };
    let reference: Reference = text.parse().ok()?;
    let mut qualifiers = qualifiers
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let platform = qualifiers.find(|(key, _)| *key == "platform");
    let platform = platform.and_then(|(_, value)| decoded(value).parse().ok());
    Some((reference.to_string(), platform))
}

/// A ref as people write it.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    name.strip_prefix("refs/tags/").unwrap_or(name)
}

fn is_commit(text: &str) -> bool {
    let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn materials() -> Value {
        json!([
            { "uri": "pkg:docker/alpine@3.20?platform=linux%2Famd64",
              "digest": { "sha256": Digest::of(b"alpine").hex() } },
            { "uri": "pkg:docker/localhost%3A5000/a/b@v1",
              "digest": { "sha256": Digest::of(b"b").hex() } },
            { "uri": "https://a.test/c.git#refs/heads/main:folder", "digest": { "sha1": COMMIT } },
            { "uri": "https://user:secret@a.test/file",
              "digest": { "sha256": Digest::of(b"file").hex() } },
            { "uri": "pkg:oci/layout", "digest": { "sha256": Digest::of(b"o").hex() } },
        ])
    }

    fn v02() -> Value {
        let args = json!({ "build-arg:SOURCE_DATE_EPOCH": "1000000000" });
        json!({ "buildType": "https://mobyproject.org/buildkit@v1", "materials": materials(),
                "invocation": { "parameters": { "args": args } } })
    }

    fn v1() -> Value {
        let args = json!({ "build-arg:SOURCE_DATE_EPOCH": "1000000000" });
        json!({ "buildDefinition": { "resolvedDependencies": materials(),
                "externalParameters": { "request": { "args": args } } }, "runDetails": {} })
    }

    fn amd64() -> Platform {
        Platform::new("linux", "amd64", None)
    }

    #[test]
    fn every_wrapping_says_the_same() {
        let amd64 = "linux/amd64";
        for predicate in [v02(), v1()] {
            for text in [
                predicate.clone(),
                json!({ "_type": "https://in-toto.io/Statement/v0.1", "predicate": predicate }),
                json!({ "buildx.build.provenance": predicate, "containerimage.digest": "x" }),
                json!({ "buildx.build.provenance/linux/amd64": predicate }),
                json!({ "SLSA": predicate }),
                json!({ amd64: { "SLSA": predicate } }),
                json!([predicate, predicate]),
            ] {
                let read = read(&text.to_string()).unwrap();
                assert_eq!(read.epoch, Some(1_000_000_000));
                let image = |name: &str| read.image(&name.parse().unwrap(), &self::amd64());
                assert_eq!(image("alpine:3.20"), Some(Digest::of(b"alpine")));
                assert_eq!(image("localhost:5000/a/b:v1"), Some(Digest::of(b"b")));
                assert_eq!(image("alpine:3.19"), None);
                let url = "https://a.test/c.git";
                assert_eq!(read.commit(url, Some("main")), Some(COMMIT));
                assert_eq!(read.commit(url, None), None);
                assert_eq!(read.file("https://a.test/file"), Some(Digest::of(b"file")));
            }
        }
    }

    #[test]
    fn a_platform_has_what_was_its_own() {
        let arm64 = Platform::new("linux", "arm64", None);
        let read = read(&v02().to_string()).unwrap();
        let alpine: Reference = "alpine:3.20".parse().unwrap();
        assert_eq!(read.image(&alpine, &arm64), None);
        let pinned = Reference {
            digest: Some(Digest::of(b"own")),
            ..alpine
        };
        assert_eq!(read.image(&pinned, &amd64()), None);
    }

    #[test]
    fn what_nobody_asks_for_is_known() {
        let read = read(&v1().to_string()).unwrap();
        let pinned = format!("docker.io/library/alpine@{}", Digest::of(b"alpine"));
        let besides = read.besides(
            &[&pinned],
            &["https://a.test/c.git#main+submodules"],
            &["https://a.test/other"],
        );
        assert_eq!(
            besides,
            [
                "localhost:5000/a/b:v1",
                "https://a.test/file",
                "pkg:oci/layout"
            ]
        );
    }

    #[test]
    fn what_is_no_provenance_or_says_two_things_is_refused() {
        for text in ["{}", "[]", "1", r#"{"containerimage.digest": "a"}"#] {
            assert!(matches!(read(text), Err(Error::None)), "{text}");
        }
        assert!(matches!(read("{"), Err(Error::Json(_))));
        let mut other = v02();
        other["materials"][3]["digest"]["sha256"] = json!(Digest::of(b"other").hex());
        let error = read(&json!([v02(), other]).to_string())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a.test/file") && !error.contains("secret"),
            "{error}"
        );
        let mut other = v02();
        other["materials"][3]["digest"]["sha256"] = json!("zz");
        assert!(matches!(read(&other.to_string()), Err(Error::Digest(..))));
        // Commits that are none are no answers.
        let text = v02().to_string().replace(COMMIT, "--upload-pack=x");
        assert_eq!(
            read(&text)
                .unwrap()
                .commit("https://a.test/c.git", Some("main")),
            None
        );
    }
}
