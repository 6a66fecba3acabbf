//! Values of a config as people read and write them: commands as in a shell, a line for each
//! variable and label, durations with their unit.
//!
//! In: a member's name and its JSON value. Out: lines, each a name and a text.

use serde_json::Value;

/// The lines that tell a member; none where it says nothing.
pub fn lines(name: &str, value: &Value) -> Vec<(String, String)> {
    let line = |text: String| vec![(name.to_owned(), text)];
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) if name.eq_ignore_ascii_case("env") => {
            let each = items.iter().map(|item| (name.to_owned(), variable(item)));
            each.collect()
        }
        Value::Array(items) => line(joined(items.iter().map(item))),
        Value::Object(members) if members.values().all(is_empty_object) => {
            line(joined(members.keys().cloned()))
        }
        Value::Object(members) if members.values().all(Value::is_string) => {
            let each = members.iter().map(|(key, value)| {
                let value = value.as_str().unwrap_or_default();
                (name.to_owned(), format!("{key}={value}"))
            });
            each.collect()
        }
        Value::Object(members) => {
            let below = members
                .iter()
                .flat_map(|(key, value)| lines(&format!("{name}.{key}"), value));
            below.collect()
        }
        Value::Number(number) if name.to_lowercase().ends_with(".retries") => match number.as_u64()
        {
            Some(0) => Vec::new(),
            _ => line(number.to_string()),
        },
        Value::Number(number) => match number.as_u64() {
            Some(0) => Vec::new(),
            Some(nanoseconds) => line(duration(nanoseconds)),
            None => line(number.to_string()),
        },
        Value::String(text) => line(text.clone()),
        Value::Bool(is_so) => line(is_so.to_string()),
    }
}

fn is_empty_object(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// `NAME=value`, which a plan has as a pair.
fn variable(value: &Value) -> String {
    match value.as_array().map(Vec::as_slice) {
        Some([name, value]) => format!("{}={}", item(name), item(value)),
        _ => item(value),
    }
}

/// One of a list; of what a plan unsets, its name in a recipe.
fn item(value: &Value) -> String {
    let part = |key: &str| value.get(key);
    match (value, part("all"), part("member")) {
        (Value::String(text), ..) => text.clone(),
        (_, Some(Value::String(field)), _) => field.clone(),
        (_, _, Some(Value::Array(parts))) => {
            let parts: Vec<_> = parts.iter().map(item).collect();
            parts.join(".")
        }
        _ => value.to_string(),
    }
}

/// Words as a POSIX shell would take them apart again.
fn joined(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.map(|word| quoted(&word)).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@%+=:,./_-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// In the largest unit that needs no fraction.
fn duration(nanoseconds: u64) -> String {
    for (unit, size) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ] {
        if nanoseconds.is_multiple_of(size) {
            return format!("{}{unit}", nanoseconds / size);
        }
    }
    format!("{nanoseconds}ns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_told_as_people_write_them() {
        for (name, value, expected) in [
            ("cmd", json!(["--port", "8080"]), &["cmd --port 8080"][..]),
            (
                "Cmd",
                json!(["a b", "it's", ""]),
                &[r"Cmd 'a b' 'it'\''s' ''"],
            ),
            ("Env", json!(["A=1", "B=x y"]), &["Env A=1", "Env B=x y"]),
            (
                "env",
                json!([["A", "1"], ["B", ""]]),
                &["env A=1", "env B="],
            ),
            (
                "Volumes",
                json!({ "/a": {}, "/b c": {} }),
                &["Volumes /a '/b c'"],
            ),
            (
                "labels",
                json!({ "a": "b c", "d": "" }),
                &["labels a=b c", "labels d="],
            ),
            (
                "Healthcheck",
                json!({ "Test": ["CMD", "x"], "Interval": 90_000_000_000_u64, "Retries": 3, "Timeout": 0 }),
                &[
                    "Healthcheck.Interval 90s",
                    "Healthcheck.Retries 3",
                    "Healthcheck.Test CMD x",
                ],
            ),
            (
                "unset",
                json!([{ "member": ["env", "DEBUG"] }, { "all": "cmd" }]),
                &["unset env.DEBUG cmd"],
            ),
            ("user", json!("www-data"), &["user www-data"]),
            ("x", Value::Null, &[]),
        ] {
            let told = lines(name, &value);
            let told: Vec<_> = told
                .iter()
                .map(|(name, text)| format!("{name} {text}"))
                .collect();
            assert_eq!(told, expected, "{value}");
        }
    }

    #[test]
    fn durations_have_the_largest_whole_unit() {
        for (nanoseconds, text) in [
            (30_000_000_000, "30s"),
            (120_000_000_000, "2m"),
            (7_200_000_000_000, "2h"),
            (1_500_000_000, "1500ms"),
            (1, "1ns"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }
}
