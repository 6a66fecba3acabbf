//! What is otherwise in an image than its case says.

use std::collections::BTreeMap;

use cairn::canon::Digest;
use serde_json::{Map, Value, json};

use super::case::{Case, Expected, Row, octal, owner};
use super::image::{Image, Object, What};

/// What Docker gives an image `FROM scratch`.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Every difference, a line or more each; none if all is as it must be.
pub fn differences(case: &Case, base: &Image, got: &Image) -> Vec<String> {
    let mut found = config(case, base, got);
    found.extend(files(case, base, got));
    let expected: std::collections::BTreeSet<_> = case.links.iter().cloned().collect();
    // Names that the base links are not the case's matter.
    let got: std::collections::BTreeSet<_> = got.links.difference(&base.links).cloned().collect();
    if got != expected {
        found.push(format!("links are {got:?}\n     not {expected:?}"));
    }
    found
}

/// A member that is empty says as little as one that isn't there. `ArgsEscaped` is an old mark of
/// Windows images that says nothing elsewhere.
fn plain(config: &Map<String, Value>) -> Map<String, Value> {
    let mut plain = config.clone();
    plain.remove("ArgsEscaped");
    plain.retain(|_, value| {
        !(value.is_null() || *value == json!([]) || *value == json!({}) || *value == json!(""))
    });
    plain
}

fn config(case: &Case, base: &Image, got: &Image) -> Vec<String> {
    let mut expected = base.config.clone();
    for (name, value) in [("Env", json!([PATH])), ("WorkingDir", json!("/"))] {
        expected.entry(name).or_insert(value);
    }
    for (name, value) in &case.config {
        let mut value = value.clone();
        let values = value.as_array_mut().filter(|_| name == "Env");
        if let Some(values) = values {
            let has_path = values
                .iter()
                .any(|value| value.as_str().unwrap().starts_with("PATH="));
            if !has_path {
                values.insert(0, json!(PATH));
            }
        }
        expected.insert(name.clone(), value);
    }
    let (expected, got) = (plain(&expected), plain(&got.config));
    let names: std::collections::BTreeSet<_> = expected.keys().chain(got.keys()).collect();
    let differs = names
        .into_iter()
        .filter(|name| expected.get(*name) != got.get(*name));
    let shown = |value: Option<&Value>| value.map_or("(none)".to_owned(), Value::to_string);
    differs
        .map(|name| {
            let (got, expected) = (shown(got.get(name)), shown(expected.get(name)));
            format!("config {name} is {got}\n     not {expected}")
        })
        .collect()
}

fn files(case: &Case, base: &Image, got: &Image) -> Vec<String> {
    let mut found = Vec::new();
    let mut expected: BTreeMap<&str, (bool, Option<&Expected>)> = BTreeMap::new();
    for (path, row) in &case.files {
        let is_folder = path.ends_with('/');
        let path = path.trim_end_matches('/');
        expected.insert(path, (is_folder, Some(row)));
    }
    // The folders above are the usual ones unless they are named.
    for path in case.files.keys() {
        let mut above = path.trim_end_matches('/');
        while let Some((parent, _)) = above.rsplit_once('/') {
            if !base.files.contains_key(parent) {
                expected.entry(parent).or_insert((true, None));
            }
            above = parent;
        }
    }
    for (path, (is_folder, row)) in &expected {
        match got.files.get(*path) {
            None => found.push(format!("`{path}` is missing")),
            Some(object) => {
                let differences = object_differences(object, *is_folder, *row);
                found.extend(differences.map(|what| format!("`{path}` {what}")));
            }
        }
    }
    for (path, object) in &got.files {
        let is_new = base.files.get(path).is_none_or(|old| !old.is_as(object));
        if is_new && !expected.contains_key(path.as_str()) {
            found.push(format!("`{path}` is there: {}", shown(object)));
        }
    }
    for path in base
        .files
        .keys()
        .filter(|path| !got.files.contains_key(*path))
    {
        if !case.removed.contains(path) {
            found.push(format!("`{path}` is gone"));
        }
    }
    for path in case
        .removed
        .iter()
        .filter(|path| got.files.contains_key(*path))
    {
        found.push(format!("`{path}` is not gone"));
    }
    found
}

fn shown(object: &Object) -> String {
    let Object { mode, owner, .. } = object;
    format!("{:?} {mode:04o} {owner:?}", object.what)
}

fn object_differences(
    got: &Object,
    is_folder: bool,
    expected: Option<&Expected>,
) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let text;
    let usual = Row {
        any: true,
        ..Row::default()
    };
    let row = match expected {
        None => &usual,
        Some(Expected::Table(row)) => row,
        Some(Expected::Text(content)) => {
            text = Row {
                text: Some(content.clone()),
                ..Row::default()
            };
            &text
        }
    };
    match (&got.what, &row.link) {
        (What::Directory, None) if is_folder => {}
        (What::Link(target), Some(link)) if target == link => {}
        (What::File { digest, text }, None) if !is_folder => {
            found.extend(content_difference(digest, text, row));
        }
        _ => found.push(format!("is {}", shown(got))),
    }
    let default = match &got.what {
        What::Directory => "0755",
        What::Link(_) => "0777",
        _ => "0644",
    };
    let mode = octal(row.mode.as_deref().unwrap_or(default));
    if got.mode != mode {
        found.push(format!("has mode {:04o}, not {mode:04o}", got.mode));
    }
    let owned = owner(row.owner.as_deref().unwrap_or("0:0"));
    if got.owner != owned {
        found.push(format!("belongs to {:?}, not to {owned:?}", got.owner));
    }
    if row.mtime.is_some_and(|mtime| mtime != got.mtime) {
        found.push(format!("is of {}, not of {:?}", got.mtime, row.mtime));
    }
    if got.xattrs != row.xattrs {
        found.push(format!("has {:?}, not {:?}", got.xattrs, row.xattrs));
    }
    found.into_iter()
}

fn content_difference(digest: &Digest, text: &str, row: &Row) -> Option<String> {
    let is_as = match row {
        Row { any: true, .. } => true,
        Row {
            sha256: Some(sha256),
            ..
        } => digest.to_string() == format!("sha256:{sha256}"),
        Row {
            has: Some(part), ..
        } => text.contains(part.as_str()),
        _ => *digest == Digest::of(row.text.as_deref().unwrap_or("").as_bytes()),
    };
    let expected = row.text.as_ref().or(row.has.as_ref());
    (!is_as).then(|| format!("holds {text:?}\n     not {expected:?}"))
}
