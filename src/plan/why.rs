//! Why a step has another key than it had: which of all that its key is made of changed.
//!
//! In: what two keys were made of ([`Made`]); the steps of two plans ([`Place`]). Out: the
//! [`Change`]s between them, in the order in which people look for them; which step of the one
//! plan is which of the other. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Operation, Step};
use crate::canon::{Digest, StepKey, TreeDigest, json};

/// What a step's key was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// What the key is the digest of ([`super::key::preimage`]).
    pub of: Value,
    /// What gave each of its inputs, in their order.
    pub inputs: Vec<Given>,
}

/// What gave an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// The step's name, for people.
    pub name: String,
    /// The key of the step by which it is what it is, where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<StepKey>,
    /// Whether it is layers, not files.
    pub is_layers: bool,
    /// The tables of the files, where nothing else keeps them: of those that a command mounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trees: Vec<TreeDigest>,
}

/// Something that a key is made of, and that is otherwise now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What, for people: `the command`, ``the variable `CC` ``.
    pub what: String,
    /// What it was; none where it wasn't there.
    pub was: Option<String>,
    /// What it is; none where it isn't there any more.
    pub is: Option<String>,
    /// Which of the inputs it is, if it is one.
    pub input: Option<usize>,
}

/// Longest value that is shown, in characters.
const LONGEST: usize = 80;

/// What is otherwise in `is`: first what the step itself says and what goes for all steps, then its
/// inputs, which may follow from that.
pub fn changes(was: &Made, is: &Made) -> Vec<Change> {
    let mut changes = Vec::new();
    let step = |made: &Made| made.of["step"].as_object().cloned().unwrap_or_default();
    members(&step(was), &step(is), &mut changes);
    let mut other = |name: &str, what: &str| {
        push(what, was.of.get(name), is.of.get(name), &mut changes);
    };
    other("without", "the normalisers that are turned off");
    other("strict", "the order of processes (`--strict`)");
    other("epoch", "the epoch (SOURCE_DATE_EPOCH)");
    other(
        "surroundings",
        "what this version of cairn lets commands see",
    );
    other("format", "the format");
    let fetched = "what the lock or the policy says of what it fetches";
    other("fetched", fetched);
    inputs(was, is, &mut changes);
    changes
}

fn push(what: &str, was: Option<&Value>, is: Option<&Value>, changes: &mut Vec<Change>) {
    if was != is {
        changes.push(Change {
            what: what.to_owned(),
            was: was.map(shown),
            is: is.map(shown),
            input: None,
        });
    }
}

fn inputs(was: &Made, is: &Made, changes: &mut Vec<Change>) {
    let digest = |made: &Made, at: usize| made.of["inputs"].get(at).map(shown);
    for at in 0..was.inputs.len().max(is.inputs.len()) {
        let (before, now) = (digest(was, at), digest(is, at));
        if before == now {
            continue;
        }
        let given = is.inputs.get(at).or(was.inputs.get(at));
        let Some(Given {
            name, is_layers, ..
        }) = given
        else {
            continue;
        };
        let what = match (at, is_layers) {
            (0, true) => format!("the layers below, of `{name}`"),
            (_, true) => format!("the layers of `{name}`"),
            (_, false) => format!("the files of `{name}`"),
        };
        changes.push(Change {
            what,
            was: before,
            is: now,
            input: Some(at),
        });
    }
}

/// The members of a step.
fn members(was: &Map<String, Value>, is: &Map<String, Value>, changes: &mut Vec<Change>) {
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (was, is) = (was.get(name), is.get(name));
        if was == is {
            continue;
        }
        let what = match name.as_str() {
            "operation" => "what the step does",
            "arguments" => "the command",
            "env" => "the variable",
            "workdir" => "the working directory",
            "mounts" => "the mount at",
            "hosts" => "the host",
            "hostname" => "the host name",
            "ulimits" => "the limit",
            "shm_size" => "the size of /dev/shm",
            "to" => "the destination",
            "solved" => "the package",
            "content" => "the content",
            other => other,
        };
        let known = what.starts_with("the ") || what.starts_with("what ");
        let what = match known {
            true => what.to_owned(),
            false => format!("the {}", what.replace('_', " ")),
        };
        if !items(&what, was, is, changes) {
            push(&what, was, is, changes);
        }
    }
}

/// Lists whose items have names are told item by item; whether these are such.
fn items(what: &str, was: Option<&Value>, is: Option<&Value>, changes: &mut Vec<Change>) -> bool {
    let named = |list: Option<&Value>| -> Option<Vec<(String, Value)>> {
        match list {
            None => Some(Vec::new()),
            Some(list) => list.as_array()?.iter().map(named).collect(),
        }
    };
    let (Some(was), Some(is)) = (named(was), named(is)) else {
        return false;
    };
    let before = changes.len();
    let of = |list: &[(String, Value)], name: &str| -> Vec<Value> {
        let same = list.iter().filter(|(other, _)| other == name);
        same.map(|(_, value)| value.clone()).collect()
    };
    let mut names: Vec<&str> = was
        .iter()
        .chain(&is)
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (was, is) = (of(&was, name), of(&is, name));
        for at in 0..was.len().max(is.len()) {
            push(
                &format!("{what} `{name}`"),
                was.get(at),
                is.get(at),
                changes,
            );
        }
    }
    if changes.len() == before {
        let names = |list: &[(String, Value)]| {
            let names: Vec<_> = list.iter().map(|(name, _)| name.as_str()).collect();
            Some(Value::String(names.join(", ")))
        };
        push(
            &format!("the order of what is {what}"),
            names(&was).as_ref(),
            names(&is).as_ref(),
            changes,
        );
    }
    true
}

/// An item's name, and what else it says.
fn named(item: &Value) -> Option<(String, Value)> {
    if let Some([Value::String(name), value]) = item.as_array().map(Vec::as_slice) {
        return Some((name.clone(), value.clone()));
    }
    let mut rest = item.as_object()?.clone();
    let name = ["name", "target"].into_iter().find_map(|name| {
        let name = rest.remove(name)?;
        name.as_str().map(str::to_owned)
    })?;
    Some((name, Value::Object(rest)))
}

/// A value as one line.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            // What a shell is given is what people wrote.
            match &items[..] {
                [shell, "-c", script] if shell.ends_with("sh") => (*script).to_owned(),
                items => items.join(" "),
            }
        }
        other => {
            let text = json::to_vec(other).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    let text = text.replace('\n', "\\n");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What of a step tells it from others from build to build, while its inputs change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its stage.
    pub stage: Option<String>,
    /// Its name.
    pub name: String,
    /// What it does: the operation's name in JSON.
    pub kind: String,
    /// All that it does.
    pub operation: Digest,
}

impl Place {
    /// That of a step.
    pub fn of(step: &Step) -> Result<Place, json::Error> {
        Ok(Place {
            stage: step.stage.clone(),
            name: step.name.clone(),
            kind: kind(&step.operation),
            operation: Digest::of(&json::to_vec(&step.operation)?),
        })
    }

    /// How many words of the names are the same, from the front and from the back.
    fn likeness(&self, other: &Place) -> usize {
        let words = |place: &Place| -> Vec<String> {
            place.name.split_whitespace().map(str::to_owned).collect()
        };
        let (a, b) = (words(self), words(other));
        let front = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let back = a.iter().rev().zip(b.iter().rev());
        let back = back.take_while(|(a, b)| a == b).count();
        (front + back).min(a.len().min(b.len()))
    }
}

fn kind(operation: &Operation) -> String {
    let members = operation.members().unwrap_or_default();
    let kind = members.get("operation").and_then(Value::as_str);
    kind.unwrap_or_default().to_owned()
}

/// For each of `now` which of `before` it is, if it is one: first the steps that say the same, in
/// their order; then those of the same kind and stage between the same neighbours, the likest first.
pub fn pair(before: &[Place], now: &[Place]) -> Vec<Option<usize>> {
    let mut pairs: Vec<Option<usize>> = vec![None; now.len()];
    let mut free = vec![true; before.len()];
    for (at, place) in now.iter().enumerate() {
        let mut same = (0..before.len()).filter(|&old| {
            let other = &before[old];
            free[old] && other.operation == place.operation && other.stage == place.stage
        });
        if let Some(old) = same.next() {
            (pairs[at], free[old]) = (Some(old), false);
        }
    }
    let mut like = Vec::new();
    for (at, place) in now.iter().enumerate() {
        for (old, other) in before.iter().enumerate() {
            let is_like = other.kind == place.kind && other.stage == place.stage;
            if is_like && free[old] && pairs[at].is_none() {
                like.push((std::cmp::Reverse(place.likeness(other)), at, old));
            }
        }
    }
    like.sort_unstable();
    for (_, at, old) in like {
        let below = pairs[..at].iter().flatten().max();
        let above = pairs[at..].iter().flatten().min();
        let is_between = below.is_none_or(|&it| it < old) && above.is_none_or(|&it| old < it);
        if pairs[at].is_none() && free[old] && is_between {
            (pairs[at], free[old]) = (Some(old), false);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(of: Value) -> Made {
        let given = |name: &str, is_layers| Given {
            name: name.to_owned(),
            key: None,
            is_layers,
            trees: Vec::new(),
        };
        Made {
            of,
            inputs: vec![given("image debian", true), given("read src", false)],
        }
    }

    fn told(was: Value, is: Value) -> Vec<String> {
        let changes = changes(&made(was), &made(is)).into_iter();
        let told = changes.map(|it| {
            let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            format!("{}: {} → {}", it.what, text(it.was), text(it.is))
        });
        told.collect()
    }

    #[test]
    fn each_thing_that_a_key_is_made_of_is_named() {
        let all = || {
            json!({
                "epoch": 1, "format": 1, "surroundings": 5, "fetched": "sha256:aa",
                "without": ["gzip"], "inputs": ["sha256:b0", "sha256:b1"],
                "step": {
                    "operation": "run", "arguments": ["/bin/sh", "-c", "make"],
                    "env": [["PATH", "/bin"], ["CC", "gcc"]], "workdir": "src",
                    "mounts": [{"target": "m", "type": "tmpfs"}], "user": "0",
                    "network": "none", "hosts": [["a", "1.2.3.4"]], "shm_size": 7,
                    "solved": [{"name": "curl", "version": "1"}],
                },
            })
        };
        assert_eq!(told(all(), all()), [""; 0]);
        for (path, value, expected) in [
            (
                "/step/arguments/2",
                json!("make all"),
                "the command: make → make all",
            ),
            (
                "/step/env/1/1",
                json!("clang"),
                "the variable `CC`: gcc → clang",
            ),
            ("/step/env/1/0", json!("CXX"), "the variable `CC`: gcc → -"),
            (
                "/step/workdir",
                json!("lib"),
                "the working directory: src → lib",
            ),
            (
                "/step/mounts/0/type",
                json!("bind"),
                "the mount at `m`: {\"type\":\"tmpfs\"} → {\"type\":\"bind\"}",
            ),
            ("/step/user", json!("1"), "the user: 0 → 1"),
            ("/step/network", json!("host"), "the network: none → host"),
            (
                "/step/hosts/0/1",
                json!("::1"),
                "the host `a`: 1.2.3.4 → ::1",
            ),
            ("/step/shm_size", json!(8), "the size of /dev/shm: 7 → 8"),
            (
                "/step/solved/0/version",
                json!("2"),
                "the package `curl`: {\"version\":\"1\"} → {\"version\":\"2\"}",
            ),
            (
                "/inputs/0",
                json!("sha256:c0"),
                "the layers below, of `image debian`: sha256:b0 → sha256:c0",
            ),
            (
                "/inputs/1",
                json!("sha256:c1"),
                "the files of `read src`: sha256:b1 → sha256:c1",
            ),
            (
                "/fetched",
                json!("sha256:ab"),
                "what the lock or the policy says of what it fetches: sha256:aa → sha256:ab",
            ),
            (
                "/without/0",
                json!("all"),
                "the normalisers that are turned off: gzip → all",
            ),
            ("/epoch", json!(2), "the epoch (SOURCE_DATE_EPOCH): 1 → 2"),
            (
                "/surroundings",
                json!(6),
                "what this version of cairn lets commands see: 5 → 6",
            ),
            ("/format", json!(2), "the format: 1 → 2"),
        ] {
            let mut other = all();
            *other.pointer_mut(path).unwrap() = value;
            assert_eq!(
                told(all(), other).first().map(String::as_str),
                Some(expected),
                "{path}"
            );
        }
        let mut other = all();
        let env = other.pointer_mut("/step/env").unwrap();
        env.as_array_mut().unwrap().reverse();
        assert_eq!(
            told(all(), other),
            ["the order of what is the variable: PATH, CC → CC, PATH"]
        );
    }

    fn place(name: &str, stage: &str) -> Place {
        Place {
            stage: Some(stage.to_owned()),
            name: name.to_owned(),
            kind: name.split(' ').next().unwrap().to_owned(),
            operation: Digest::of(name.as_bytes()),
        }
    }

    #[test]
    fn steps_are_found_again_whatever_was_put_between_them() {
        let pairs = |before: &[&str], now: &[&str]| {
            let places = |names: &[&str]| -> Vec<Place> {
                names.iter().map(|name| place(name, "s")).collect()
            };
            pair(&places(before), &places(now))
        };
        let before = ["copy a", "run make", "run make", "copy b"];
        assert_eq!(
            pairs(&before, &before),
            [Some(0), Some(1), Some(2), Some(3)]
        );
        // One more, one less, one changed.
        let now = ["copy a", "run new", "run make", "run make", "copy b"];
        assert_eq!(
            pairs(&before, &now),
            [Some(0), None, Some(1), Some(2), Some(3)]
        );
        assert_eq!(pairs(&before, &["copy a", "copy b"]), [Some(0), Some(3)]);
        let now = ["copy a", "run make all", "run make", "copy b"];
        assert_eq!(pairs(&before, &now)[1..3], [None, Some(1)]);
        let now = ["copy a", "run make", "run make all", "copy c"];
        assert_eq!(pairs(&before, &now), [Some(0), Some(1), Some(2), Some(3)]);
        // The likest of several.
        let before = ["run apt-get install gcc", "run pip install x"];
        let now = [
            "run id",
            "run apt-get install gcc make",
            "run pip install y",
        ];
        assert_eq!(pairs(&before, &now), [None, Some(0), Some(1)]);
        assert_eq!(pair(&[place("run a", "s")], &[place("run b", "t")]), [None]);
        assert_eq!(pairs(&[], &["run a"]), [None]);
    }
}
