//! A comparison as text for a terminal, as counts, and as a page for a browser.
//!
//! In: [`crate::compare::Report`]. Out: text. Names and contents come from images: whatever could
//! move a cursor, turn the direction of a line or end an element stands there escaped.

mod html;
mod stat;
mod text;

pub use html::html;
pub use stat::stat;
pub use text::text;

use crate::canon::{Digest, EntryPath};
use crate::compare::{Aspect, EntryChange, LayerState, Report, Side};
use crate::ui::{printable, table};

/// A value on one line.
fn line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// A path on one line.
fn path(path: &EntryPath) -> String {
    line(&format!("/{}", path.lossy()))
}

/// How many things of a kind: `1 path`, `2 paths`.
fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// What differs, in numbers; none where nothing does.
fn summary(report: &Report) -> Option<String> {
    let changed = |layer: &&crate::compare::LayerChange| layer.state != LayerState::Same;
    let layers = report.layers.iter().filter(changed).count();
    let of = |change: &str| {
        let entries = report.entries.iter();
        entries.filter(|entry| entry.change() == change).count()
    };
    let mut parts = Vec::new();
    if !report.fields.is_empty() {
        parts.push(count(report.fields.len(), "field"));
    }
    if layers > 0 {
        let of = report.layers.len();
        parts.push(format!("{layers} of {}", count(of, "layer")));
    }
    if !report.entries.is_empty() {
        let (added, removed, changed) = (of("added"), of("removed"), of("changed"));
        let paths = count(report.entries.len(), "path");
        parts.push(format!(
            "{paths} ({added} added, {removed} removed, {changed} changed)"
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// One of the two, on a line.
fn side(side: &Side) -> String {
    let digest = side.digest.map(|digest| digest.to_string());
    let parts = [
        Some(line(&side.name)),
        digest,
        side.platform.as_deref().map(line),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// `mode 0644 → 0755`, sizes as people read them.
fn aspect(aspect: &Aspect) -> String {
    let value = |value: &Option<String>| {
        let shown = value.as_deref().map(|value| shown(&aspect.what, value));
        shown.unwrap_or_else(|| "none".to_owned())
    };
    format!(
        "{} {} → {}",
        line(&aspect.what),
        value(&aspect.before),
        value(&aspect.after)
    )
}

/// A value as people read it.
fn shown(what: &str, value: &str) -> String {
    if let Ok(digest) = value.parse::<Digest>().or_else(|_| Digest::from_hex(value)) {
        return digest.short();
    }
    match (what, value.parse::<u64>()) {
        ("size", Ok(bytes)) if bytes >= 1000 => format!("{value} ({})", table::size(bytes)),
        _ if value.is_empty() => "\"\"".to_owned(),
        _ => line(value),
    }
}

/// What there is to say of an entry that only one has, on a line.
fn alone(entry: &EntryChange) -> String {
    let Some(object) = entry.before.as_ref().or(entry.after.as_ref()) else {
        return String::new();
    };
    let told = |name: &str| !matches!(name, "mtime" | "sha256");
    let facts = object.facts().into_iter().filter(|(name, _)| told(name));
    let facts = facts.map(|(name, value)| match &name[..] {
        "type" | "mode" => value,
        "size" => table::size(value.parse().unwrap_or_default()),
        "target" => format!("→ {}", line(&value)),
        _ => format!("{} {}", line(&name), line(&value)),
    });
    // Nobody needs to be told of root.
    let facts = facts.filter(|fact| !matches!(&fact[..], "uid 0" | "gid 0"));
    facts.collect::<Vec<_>>().join(", ")
}

/// Entries to be told one by one, and those that are told together.
enum Told<'a> {
    Entry(&'a EntryChange),
    /// An entry that only one has, and how many are below it.
    Subtree(&'a EntryChange, usize),
}

/// Entries in their order, what is below an added or removed directory told with it.
fn told(entries: &[EntryChange], most_below: usize) -> Vec<Told<'_>> {
    let mut told = Vec::new();
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        at += 1;
        let change = entry.change();
        if change == "changed" || !is_directory(entry) {
            told.push(Told::Entry(entry));
            continue;
        }
        let below = entries[at..].iter();
        let below = below.take_while(|other| {
            other.change() == change && other.path.below(&entry.path).is_some()
        });
        match below.count() {
            count if count > most_below => {
                at += count;
                told.push(Told::Subtree(entry, count));
            }
            _ => told.push(Told::Entry(entry)),
        }
    }
    told
}

fn is_directory(entry: &EntryChange) -> bool {
    let objects = [&entry.before, &entry.after];
    objects
        .into_iter()
        .flatten()
        .all(|object| object.type_name() == "directory")
}

/// The names of what differs in an entry of which nothing but metadata does.
fn metadata_alone(entry: &EntryChange) -> Option<String> {
    let is_changed = entry.change() == "changed" && entry.content.is_none();
    let aspects = entry.aspects();
    let is_metadata =
        |aspect: &Aspect| matches!(&aspect.what[..], "mode" | "uid" | "gid" | "mtime");
    (is_changed && aspects.iter().all(is_metadata)).then(|| {
        let names: Vec<_> = aspects.iter().map(|aspect| &aspect.what[..]).collect();
        names.join(", ")
    })
}
