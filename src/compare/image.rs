//! Two documents, field by field.
//!
//! In: JSON. Out: every field that differs, by its path, in the order of names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::report::Aspect;

/// Most fields that are told of two documents; both are at most 4 MiB.
const MOST_FIELDS: usize = 10_000;
/// How deep members are told one by one.
const DEEPEST: u32 = 32;

/// What differs in two image configs, or any other two documents, each field named below `name`.
pub fn document(name: &str, before: &Value, after: &Value) -> Vec<Aspect> {
    let mut aspects = Vec::new();
    value(name, Some(before), Some(after), DEEPEST, &mut aspects);
    aspects
}

/// What differs in two manifests, but for their layers, which are told by themselves.
pub fn manifest(before: &Value, after: &Value) -> Vec<Aspect> {
    let without_layers = |manifest: &Value| {
        let mut manifest = manifest.clone();
        if let Some(members) = manifest.as_object_mut() {
            members.remove("layers");
        }
        manifest
    };
    document("manifest", &without_layers(before), &without_layers(after))
}

fn value(
    name: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    depth: u32,
    aspects: &mut Vec<Aspect>,
) {
    if before == after || aspects.len() >= MOST_FIELDS {
        return;
    }
    match (before, after) {
        (Some(Value::Object(first)), Some(Value::Object(second))) if depth > 0 => {
            let keys: BTreeSet<_> = first.keys().chain(second.keys()).collect();
            for key in keys {
                let name = joined(name, key);
                value(&name, first.get(key), second.get(key), depth - 1, aspects);
            }
        }
        (Some(Value::Array(first)), Some(Value::Array(second)))
            if depth > 0 && are_variables(first) && are_variables(second) =>
        {
            let (first, second) = (variables(first), variables(second));
            let keys: BTreeSet<_> = first.keys().chain(second.keys()).collect();
            let found = aspects.len();
            for key in keys {
                let text = |of: &BTreeMap<&str, &str>| of.get(*key).map(|&text| text.to_owned());
                aspects.extend(Aspect::new(joined(name, key), text(&first), text(&second)));
            }
            // The same variables in another order, or one of them twice.
            if aspects.len() == found {
                aspects.extend(Aspect::new(name, before.map(text), after.map(text)));
            }
        }
        (Some(Value::Array(first)), Some(Value::Array(second)))
            if depth > 0 && !are_words(first, second) =>
        {
            items(name, first, second, depth - 1, aspects);
        }
        _ => aspects.extend(Aspect::new(name, before.map(text), after.map(text))),
    }
}

/// Lists item by item, what stands equal at both ends left out.
fn items(name: &str, before: &[Value], after: &[Value], depth: u32, aspects: &mut Vec<Aspect>) {
    let head = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other);
    let head = head.count();
    let (first, second) = (&before[head..], &after[head..]);
    let tail = first.iter().rev().zip(second.iter().rev());
    let tail = tail.take_while(|(one, other)| one == other).count();
    let longest = first.len().max(second.len()) - tail;
    for at in 0..longest {
        let one = first[..first.len() - tail].get(at);
        let other = second[..second.len() - tail].get(at);
        value(
            &format!("{name}[{}]", head + at),
            one,
            other,
            depth,
            aspects,
        );
    }
}

/// A command or the like, which is told as a whole.
fn are_words(before: &[Value], after: &[Value]) -> bool {
    before.iter().chain(after).all(Value::is_string)
}

fn are_variables(items: &[Value]) -> bool {
    let is_variable = |item: &Value| {
        let name = item.as_str().and_then(|text| text.split_once('='));
        name.is_some_and(|(name, _)| !name.is_empty() && !name.contains([' ', '/', '-']))
    };
    !items.is_empty() && items.iter().all(is_variable)
}

fn variables(items: &[Value]) -> BTreeMap<&str, &str> {
    let items = items.iter().filter_map(Value::as_str);
    items.filter_map(|text| text.split_once('=')).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn joined(name: &str, key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let key = match !key.is_empty() && key.chars().all(is_plain) {
        true => key.to_owned(),
        false => format!("[{key:?}]"),
    };
    match name.is_empty() || key.starts_with('[') {
        true => format!("{name}{key}"),
        false => format!("{name}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_told_by_their_paths() {
        let before = json!({
            "config": { "Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Labels": { "a.b/c": "1" } },
            "history": [{ "created_by": "one" }, { "created_by": "two" }],
            "os": "linux",
        });
        let after = json!({
            "config": { "Env": ["PATH=/bin", "A=2", "B="], "Cmd": ["sh", "-c"], "Labels": { "a.b/c": "2" } },
            "history": [{ "created_by": "one" }, { "created_by": "new", "empty_layer": true }, { "created_by": "two" }],
            "os": "linux",
        });
        let told: Vec<_> = document("config", &before, &after)
            .into_iter()
            .map(|aspect| {
                let side = |side: Option<String>| side.unwrap_or_else(|| "none".to_owned());
                format!(
                    "{}: {} → {}",
                    aspect.what,
                    side(aspect.before),
                    side(aspect.after)
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"config.config.Cmd: ["sh"] → ["sh","-c"]"#,
                "config.config.Env.A: 1 → 2",
                "config.config.Env.B: none → ",
                r#"config.config.Labels["a.b/c"]: 1 → 2"#,
                r#"config.history[1]: none → {"created_by":"new","empty_layer":true}"#,
            ]
        );
        assert_eq!(document("", &before, &before), []);
    }

    #[test]
    fn another_order_of_variables_is_told() {
        let told = document("Env", &json!(["A=1", "B=2"]), &json!(["B=2", "A=1"]));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].before.as_deref(), Some(r#"["A=1","B=2"]"#));
    }
}
