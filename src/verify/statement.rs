//! A rebuilder's statement: an in-toto Statement (in-toto attestation framework, v1) about an image.
//!
//! In: what a rebuild showed. Out: its canonical JSON (RFC 8785), and back. It holds no time and no
//! host: who makes the same rebuild says the same.
//!
//! ```text
//! {"_type":"https://in-toto.io/Statement/v1",
//!  "predicate":{"builder":"cairn 0.1.0","format":1,"materials":[{"digest":{"sha256":"…"},"name":"cairn.lock"}],
//!               "notVaried":{},"parameters":{"strict":["true"]},"passes":[],"rebuilder":"ci-1","rebuilt":{"sha256":"…"},"varied":["cores"],
//!               "verdict":"IDENTICAL"},
//!  "predicateType":"urn:cairn:rebuild:1",
//!  "subject":[{"digest":{"sha256":"…"},"name":"example.com/app:1"}]}
//! ```
//!
//! It is not signed: whoever takes it from others takes it over a way that he trusts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Variation, Verdict};
use crate::canon::{Digest, json};

/// The `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What a statement about a rebuild says.
pub const PREDICATE_TYPE: &str = "urn:cairn:rebuild:1";
/// Bytes of the largest statement that is read.
pub const LARGEST: usize = 1 << 20;

/// Why something is no statement about a rebuild.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON of that form.
    #[error("it is no in-toto statement about a rebuild: {0}")]
    Form(String),
    /// It can't be written.
    #[error(transparent)]
    Json(#[from] json::Error),
}

/// What a rebuild was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// What it is: a file's name, or the step that took it.
    pub name: String,
    /// Of a file's bytes, an image's manifest, the table of a step's files.
    pub digest: Digest,
}

/// What a rebuild showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// How far it agrees.
    pub verdict: Verdict,
    /// The passes after which it does, where the verdict is of these.
    pub passes: Vec<String>,
    /// What came out: the digest of its manifest or index.
    pub rebuilt: Option<Digest>,
    /// What was otherwise.
    pub varied: BTreeSet<Variation>,
    /// What was to be otherwise and couldn't, and why.
    pub not_varied: BTreeMap<Variation, String>,
    /// The recipe, its lock, which names all that is fetched; images, and files of the context.
    pub materials: Vec<Material>,
    /// What was said beside the recipe of what is built: values by the flags of `cairn build`.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// The format of cairn's bytes.
    pub format: u32,
    /// What rebuilt it, with its version.
    pub builder: String,
    /// Who, by a name that others know.
    pub rebuilder: Option<String>,
}

/// A statement about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What the image is called.
    pub name: String,
    /// The digest of its manifest or index.
    pub subject: Digest,
    /// What is said.
    pub rebuild: Rebuild,
}

#[derive(Serialize, Deserialize)]
struct DigestSet {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    digest: DigestSet,
}

#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Named>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    verdict: Verdict,
    passes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilt: Option<DigestSet>,
    varied: BTreeSet<Variation>,
    not_varied: BTreeMap<Variation, String>,
    materials: Vec<Named>,
    #[serde(default)]
    parameters: BTreeMap<String, Vec<String>>,
    format: u32,
    builder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilder: Option<String>,
}

fn set(digest: &Digest) -> DigestSet {
    DigestSet {
        sha256: digest.hex(),
    }
}

fn digest(set: &DigestSet) -> Result<Digest, Error> {
    Digest::from_hex(&set.sha256).map_err(|error| Error::Form(error.to_string()))
}

impl Statement {
    /// Its canonical JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let it = &self.rebuild;
        let named = |name: &str, digest: &Digest| Named {
            name: name.to_owned(),
            digest: set(digest),
        };
        let materials = it.materials.iter();
        let written = Written {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![named(&self.name, &self.subject)],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                verdict: it.verdict,
                passes: it.passes.clone(),
                rebuilt: it.rebuilt.as_ref().map(set),
                varied: it.varied.clone(),
                not_varied: it.not_varied.clone(),
                materials: materials.map(|it| named(&it.name, &it.digest)).collect(),
                parameters: it.parameters.clone(),
                format: it.format,
                builder: it.builder.clone(),
                rebuilder: it.rebuilder.clone(),
            },
        };
        Ok(json::to_vec(&written)?)
    }

    /// From JSON that somebody else wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Statement, Error> {
        let form = |why: &str| Error::Form(why.to_owned());
        if bytes.len() > LARGEST {
            return Err(form("it is larger than 1 MiB"));
        }
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| Error::Form(error.to_string()))?;
        if written.kind != STATEMENT_TYPE {
            return Err(form("its `_type` is another"));
        }
        if written.predicate_type != PREDICATE_TYPE {
            return Err(form("its `predicateType` is another"));
        }
        let [subject] = &written.subject[..] else {
            return Err(form("it is not about one image"));
        };
        let it = written.predicate;
        let is_same = it.rebuilt.as_ref().map(|it| &it.sha256) == Some(&subject.digest.sha256);
        if it.verdict == Verdict::Identical && !is_same {
            return Err(form("it calls a rebuild identical that is another"));
        }
        let material = |named: &Named| {
            Ok::<_, Error>(Material {
                name: named.name.clone(),
                digest: digest(&named.digest)?,
            })
        };
        Ok(Statement {
            name: subject.name.clone(),
            subject: digest(&subject.digest)?,
            rebuild: Rebuild {
                verdict: it.verdict,
                passes: it.passes,
                rebuilt: it.rebuilt.as_ref().map(digest).transpose()?,
                varied: it.varied,
                not_varied: it.not_varied,
                materials: it
                    .materials
                    .iter()
                    .map(material)
                    .collect::<Result<_, _>>()?,
                parameters: it.parameters,
                format: it.format,
                builder: it.builder,
                rebuilder: it.rebuilder,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn statement(rebuilder: Option<&str>, verdict: Verdict) -> Statement {
        Statement {
            name: "example.com/app:1".to_owned(),
            subject: Digest::of(b"image"),
            rebuild: Rebuild {
                verdict,
                passes: Vec::new(),
                rebuilt: Some(Digest::of(b"image")),
                varied: [Variation::Cores, Variation::Time].into(),
                not_varied: [(Variation::Hostname, "only root may".to_owned())].into(),
                materials: vec![Material {
                    name: "cairn.lock".to_owned(),
                    digest: Digest::of(b"lock"),
                }],
                parameters: [("strict".to_owned(), vec!["true".to_owned()])].into(),
                format: 1,
                builder: "cairn 0.1.0".to_owned(),
                rebuilder: rebuilder.map(str::to_owned),
            },
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        for verdict in [Verdict::Identical, Verdict::CannotRebuild] {
            let one = statement(Some("a"), verdict);
            let bytes = one.to_json().unwrap();
            assert_eq!(Statement::from_json(&bytes).unwrap(), one);
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["_type"], STATEMENT_TYPE);
            assert_eq!(value["subject"][0]["digest"]["sha256"], one.subject.hex());
            assert_eq!(value["predicate"]["verdict"], verdict.to_string());
            assert_eq!(value["predicate"]["varied"][0], "time");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let bytes = statement(None, Verdict::Identical).to_json().unwrap();
        let good: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for (pointer, other) in [
            (
                "/_type",
                serde_json::json!("https://in-toto.io/Statement/v0.1"),
            ),
            (
                "/predicateType",
                serde_json::json!("https://slsa.dev/provenance/v1"),
            ),
            ("/subject", serde_json::json!([])),
            ("/subject/0/digest/sha256", serde_json::json!("ABC")),
            ("/predicate/verdict", serde_json::json!("FINE")),
            (
                "/predicate/rebuilt/sha256",
                serde_json::json!("00".repeat(32)),
            ),
            ("/predicate/varied", serde_json::json!(["moon"])),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = other;
            let bytes = serde_json::to_vec(&bad).unwrap();
            assert!(Statement::from_json(&bytes).is_err(), "{pointer}");
        }
        assert!(Statement::from_json(b"").is_err());
        let large = vec![b' '; LARGEST + 1];
        assert!(
            Statement::from_json(&large)
                .unwrap_err()
                .to_string()
                .contains("1 MiB")
        );
    }
}
