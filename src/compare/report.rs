//! A comparison as values, and as JSON.
//!
//! In: what the rest of the room finds. Out: [`Report`], whose JSON is this, version 1, every list
//! in a fixed order (paths as layers have them, members and sections as the first of the two has
//! them, then those of the second):
//! - `schema`: 1. `verdict`: `identical`, `same-content` or `different`.
//! - `before`, `after`: `name` as it was given, `what` it is (`image`, `layer`, `folder`, `file`),
//!   `digest` of the bytes that name it, and of an image its `platform`.
//! - `paths`: what the comparison was narrowed to; none is everything.
//! - `fields`: what differs in documents, each an *aspect*: `what` and the values `before` and
//!   `after`, text both, left out on the side that has none.
//! - `layers`: all of them, from the bottom: `state` (`same`, `recompressed`, `changed`, `removed`,
//!   `added`), `before` and `after` with `number` from 0, `diffId`, `digest`, `size`, `mediaType`.
//! - `entries`: what differs: `path` (bytes outside printable ASCII and `%` as `%XX`), `change`
//!   (`added`, `removed`, `changed`), `aspects`, and of files whose content was opened `content`, a
//!   *finding*: `kind`, `name` where it is a part of another, `details`, `inside`; `pass` names the
//!   normaliser after which nothing would differ but metadata.
//! - A detail is `{"field": aspect}`, `{"lines": {before, after, lines}}` with the numbers of the
//!   first line, and each line after its sign (`+`, `-`, space), `{"bytes": {offset, before,
//!   after}}` with the first bytes from there in hexadecimal, or `{"note": text}`.

use serde::{Serialize, Serializer};

use super::kind::Kind as ContentKind;
use super::verdict::Verdict;
use crate::canon::{DiffId, Digest, EntryPath, Epoch, path};
use crate::image::Descriptor;
use crate::layer::{Kind, Meta};

/// What differs between two things.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of the JSON: 1.
    pub schema: u32,
    /// How much they are alike.
    pub verdict: Verdict,
    /// The first.
    pub before: Side,
    /// The second.
    pub after: Side,
    /// What the comparison was narrowed to; none is everything.
    pub paths: Vec<EntryPath>,
    /// What differs in the documents of two images.
    pub fields: Vec<Aspect>,
    /// The layers of two images, aligned.
    pub layers: Vec<LayerChange>,
    /// What differs in the file systems.
    pub entries: Vec<EntryChange>,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// As it was given.
    pub name: String,
    /// What it is.
    pub what: What,
    /// Of the bytes that name it, where some do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// An image: documents and layers.
    Image,
    /// A tar that is a layer.
    Layer,
    /// A folder of this machine.
    Folder,
    /// One file.
    File,
}

/// One thing that differs; none where that side has no such thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// Which: `mode`, `config.Env.PATH`, …
    pub what: String,
    /// The first's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The second's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Aspect {
    /// An aspect, where the values differ.
    pub fn new(
        what: impl Into<String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Option<Aspect> {
        (before != after).then(|| Aspect {
            what: what.into(),
            before,
            after,
        })
    }
}

/// A layer that both have or that one has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerChange {
    /// How they are alike.
    pub state: LayerState,
    /// The first's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<LayerSide>,
    /// The second's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<LayerSide>,
}

/// A layer of one of the two.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerSide {
    /// From the bottom, from 0.
    pub number: usize,
    /// Of its tar.
    pub diff_id: DiffId,
    /// Of its blob.
    pub digest: Digest,
    /// Of its blob, in bytes.
    pub size: u64,
    /// Of its blob.
    pub media_type: String,
}

impl LayerSide {
    pub(super) fn new(number: usize, diff_id: DiffId, blob: &Descriptor) -> LayerSide {
        LayerSide {
            number,
            diff_id,
            digest: blob.digest,
            size: blob.size,
            media_type: blob.media_type.clone(),
        }
    }
}

/// How two layers are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerState {
    /// The same blob.
    Same,
    /// The same tar in another blob.
    Recompressed,
    /// Another tar in the same place.
    Changed,
    /// Only the first has it.
    Removed,
    /// Only the second has it.
    Added,
}

impl LayerState {
    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            LayerState::Same => "same",
            LayerState::Recompressed => "recompressed",
            LayerState::Changed => "changed",
            LayerState::Removed => "removed",
            LayerState::Added => "added",
        }
    }
}

/// A path at which two file systems differ.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryChange {
    /// Where.
    pub path: EntryPath,
    /// What the first has there.
    pub before: Option<Object>,
    /// What the second has there.
    pub after: Option<Object>,
    /// What differs in their content, where that was looked into.
    pub content: Option<Finding>,
    /// The normaliser after which both are the same file, or neither is there, where there is one.
    pub pass: Option<&'static str>,
}

/// An object of a merged file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Neither hard link nor whiteout.
    pub kind: Kind,
    /// Its metadata.
    pub meta: Meta,
    /// The first of its names, where it has several and is at a later one.
    pub first_name: Option<EntryPath>,
}

impl Object {
    /// What kind of thing it is, as one word.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::File { .. } => "file",
            Kind::Directory => "directory",
            Kind::Symlink(_) => "symlink",
            Kind::Hardlink(_) => "hard link",
            Kind::CharacterDevice(_) => "character device",
            Kind::BlockDevice(_) => "block device",
            Kind::Fifo => "fifo",
            Kind::Whiteout => "whiteout",
        }
    }

    /// Bytes of its content.
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// Everything that can be said of it, in the order in which it is told.
    pub fn facts(&self) -> Vec<(String, String)> {
        let Object {
            kind,
            meta,
            first_name,
        } = self;
        let mut facts = vec![("type".to_owned(), self.type_name().to_owned())];
        let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
        fact("mode", format!("{:04o}", meta.mode));
        fact("uid", meta.uid.to_string());
        fact("gid", meta.gid.to_string());
        fact("mtime", time(meta.mtime));
        match kind {
            Kind::File { size, digest } => {
                fact("size", size.to_string());
                fact("sha256", digest.hex());
            }
            Kind::Symlink(target) => fact("target", path::escape(target)),
            Kind::CharacterDevice(device) | Kind::BlockDevice(device) => {
                fact("device", format!("{}:{}", device.major, device.minor));
            }
            _ => {}
        }
        if let Some(first) = first_name {
            fact("linked to", path::escape(first.as_bytes()));
        }
        for (name, value) in meta.xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
            fact(
                &format!("xattr {}", path::escape(name)),
                path::escape(value),
            );
        }
        facts
    }
}

/// Whole seconds as people read them, where a date can say them.
fn time(seconds: i64) -> String {
    let text = seconds.to_string();
    let date = text.parse::<Epoch>().map(|epoch| epoch.to_string());
    date.unwrap_or(text)
}

impl EntryChange {
    /// `added`, `removed` or `changed`.
    pub fn change(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        }
    }

    /// What differs; of what only one side has, all that can be said of it.
    pub fn aspects(&self) -> Vec<Aspect> {
        let facts = |object: &Option<Object>| object.as_ref().map(Object::facts);
        let before = facts(&self.before).unwrap_or_default();
        let mut after = facts(&self.after).unwrap_or_default();
        let mut aspects = Vec::new();
        for (what, value) in before {
            let at = after.iter().position(|(other, _)| *other == what);
            let other = at.map(|at| after.remove(at).1);
            aspects.extend(Aspect::new(what, Some(value), other));
        }
        aspects.extend(after.into_iter().map(|(what, value)| Aspect {
            what,
            before: None,
            after: Some(value),
        }));
        aspects
    }
}

impl Serialize for EntryChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            path: &'a EntryPath,
            change: &'a str,
            aspects: Vec<Aspect>,
            #[serde(skip_serializing_if = "Option::is_none")]
            content: Option<&'a Finding>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pass: Option<&'static str>,
        }
        let row = Row {
            path: &self.path,
            change: self.change(),
            aspects: self.aspects(),
            content: self.content.as_ref(),
            pass: self.pass,
        };
        row.serialize(serializer)
    }
}

/// What differs between two contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What both of them are.
    pub kind: ContentKind,
    /// Which part of what it is inside of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What differs in itself.
    pub details: Vec<Detail>,
    /// What differs in its parts.
    pub inside: Vec<Finding>,
}

/// One difference of two contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// A field, a member, a symbol.
    Field(Aspect),
    /// Lines of text that differ, and those around them.
    Lines {
        /// Number of the first line in the first text, from 1.
        before: usize,
        /// The same in the second.
        after: usize,
        /// The lines.
        lines: Vec<Line>,
    },
    /// Bytes that differ.
    Bytes {
        /// Of the first that does.
        offset: u64,
        /// Some from there on, in hexadecimal; none at the content's end.
        before: String,
        /// The same of the second.
        after: String,
    },
    /// Something to know about the comparison.
    Note(String),
}

/// A line of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which text has it.
    pub sign: Sign,
    /// Without its end.
    pub text: String,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{}", self.sign.character(), self.text))
    }
}

/// Which text has a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Both.
    Both,
    /// The first.
    Before,
    /// The second.
    After,
}

impl Sign {
    /// As unified diffs have it.
    pub fn character(self) -> char {
        match self {
            Sign::Both => ' ',
            Sign::Before => '-',
            Sign::After => '+',
        }
    }
}
