//! `cairn explain --why`: why steps of a build ran.
//!
//! In: what the store remembers of the last build, and of the one before. Out: for each step that ran
//! which of what its key is made of changed, from what to what, on standard output.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::build::past::{self, PastStep, Remembered};
use crate::build::result;
use crate::canon::event::Outcome;
use crate::canon::{Problem, StepKey};
use crate::cli::environment::Environment;
use crate::cli::exit::{Code, Failure};
use crate::cli::log::{self, FEWEST};
use crate::cli::print;
use crate::layer::{Entry, Kind, Tree};
use crate::plan::why::{Change, Made};
use crate::store::Store;
use crate::ui::printable;

/// Files that are named of an input.
const SHOWN: usize = 10;

/// Tells of the steps that ran in the last build; of one alone, and those that it ran for, where one
/// is asked for: by its key, or by a part of its name.
pub fn run(asked: &str, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store_to_read()?;
    let steps = past::last(&store);
    if !asked.is_empty() {
        let key = find(&store, &steps, asked)?;
        return print::to_stdout(&printable(&one(&store, &steps, key)));
    }
    if steps.is_empty() {
        print::to_stderr("no build has come to a step yet");
        return Ok(());
    }
    let mut text = String::new();
    for step in steps.iter().filter(|step| step.why.is_some()) {
        tell(&store, step, &mut text);
    }
    let cached = steps.iter().filter(|step| step.why.is_none()).count();
    if cached > 0 {
        let s = if cached == 1 { " was" } else { "s were" };
        let _ = writeln!(text, "{cached} step{s} cached");
    }
    print::to_stdout(&printable(&text))
}

/// The key of the step that is asked for.
fn find(store: &Store, steps: &[PastStep], asked: &str) -> Result<StepKey, Failure> {
    let named: Vec<_> = steps
        .iter()
        .filter(|step| step.place.name.contains(asked))
        .collect();
    match &named[..] {
        [step] => return Ok(step.key),
        [] => {}
        several => {
            let names = several.iter().take(5).map(|step| {
                let key = step.key.0.short();
                format!("{key} (`{}`)", printable(&step.place.name))
            });
            let names: Vec<_> = names.collect();
            return Err(Failure::usage(
                format!("`{asked}` is in the names of {} steps", several.len()),
                &format!("say more of it, or its key: {}", names.join(", ")),
            ));
        }
    }
    let hex = asked.strip_prefix("sha256:").unwrap_or(asked);
    if hex.len() < FEWEST || !hex.chars().all(|digit| digit.is_ascii_hexdigit()) {
        let problem = Problem::new(format!("the last build had no step `{asked}`"));
        let hint = "`cairn explain --why` tells of all that ran";
        return Err(Failure::message(Code::Unavailable, problem.hint(hint)));
    }
    log::find(store, asked, steps.iter().map(|step| step.key))
}

/// A step, and those below it that it ran for.
fn one(store: &Store, steps: &[PastStep], key: StepKey) -> String {
    let mut text = String::new();
    let mut next = Some(key);
    while let Some(key) = next.take() {
        let listed = steps.iter().find(|step| step.key == key);
        let Some(remembered) = past::remembered(store, &key) else {
            if text.is_empty() {
                text.push_str("nothing is kept of what its key is made of\n");
            }
            break;
        };
        if let Some(step) = listed.filter(|step| step.why.is_none()) {
            let _ = writeln!(text, "{}\n  was cached in the last build", step.place.name);
            break;
        }
        let before = listed.map_or(remembered.before, |step| step.before);
        let changes = told(store, &key, &remembered, before, &mut text);
        // Of several inputs the first: below others there are other layers.
        let giver = changes.iter().find_map(|change| change.input);
        let giver = giver.and_then(|input| remembered.made.inputs.get(input));
        next = giver
            .and_then(|giver| giver.key)
            .filter(|next| *next != key);
    }
    text
}

fn tell(store: &Store, step: &PastStep, text: &mut String) {
    let Some(remembered) = past::remembered(store, &step.key) else {
        let _ = writeln!(
            text,
            "{}\n  nothing is kept of what its key is made of",
            step.place.name
        );
        return;
    };
    told(store, &step.key, &remembered, step.before, text);
    if step.outcome == Outcome::Failed {
        text.push_str("  it failed\n");
    }
}

/// Tells why a step ran, and gives what changed.
fn told(
    store: &Store,
    key: &StepKey,
    remembered: &Remembered,
    before: Option<StepKey>,
    text: &mut String,
) -> Vec<Change> {
    let Remembered {
        made, name, why, ..
    } = remembered;
    let _ = writeln!(text, "{name}");
    let why = why.as_deref().unwrap_or("for a reason that nobody kept");
    let Some(before) = before else {
        text.push_str("  is new: the build before had no such step\n");
        return Vec::new();
    };
    if before == *key {
        let _ = writeln!(text, "  ran {why}; its key is what it was");
        return Vec::new();
    }
    let Some(changes) = past::changes(store, &before, made) else {
        text.push_str("  nothing is kept of what its key was made of before\n");
        return Vec::new();
    };
    let was = past::remembered(store, &before).map(|it| it.made);
    for change in &changes {
        let _ = writeln!(text, "  {}", change.what);
        let none = || "(none)".to_owned();
        let _ = writeln!(text, "    was  {}", change.was.clone().unwrap_or_else(none));
        let _ = writeln!(text, "    is   {}", change.is.clone().unwrap_or_else(none));
        if let (Some(input), Some(was)) = (change.input, &was) {
            files(store, (&before, was), (key, made), input, text);
        }
    }
    changes
}

/// Names the files of an input that differ.
fn files(
    store: &Store,
    (before, was): (&StepKey, &Made),
    (key, is): (&StepKey, &Made),
    input: usize,
    text: &mut String,
) {
    if is.inputs.get(input).is_none_or(|given| given.is_layers) {
        return;
    }
    let trees = |made: &Made| -> Vec<Tree> {
        let given = made.inputs.get(input);
        let trees = given.into_iter().flat_map(|given| &given.trees);
        trees.filter_map(|tree| store.tree(tree)).collect()
    };
    let (mut old, mut new) = (trees(was), trees(is));
    if old.is_empty() && new.is_empty() {
        // Those that a step placed are in its layer.
        let made = |key| result(store, key).and_then(|tree| store.tree(&tree));
        match (made(before), made(key)) {
            (Some(was), Some(is)) => (old, new) = (vec![was], vec![is]),
            _ => return,
        }
    }
    let lines: Vec<String> = differences(&old, &new);
    for line in lines.iter().take(SHOWN) {
        let _ = writeln!(text, "      {line}");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(SHOWN) {
        let _ = writeln!(text, "      and {more} more");
    }
}

/// A line for each path that differs, in order.
fn differences(old: &[Tree], new: &[Tree]) -> Vec<String> {
    fn entries(trees: &[Tree]) -> Vec<&Entry> {
        let entries = trees.iter().flat_map(Tree::entries);
        // A directory's time tells nothing more than what is in it.
        let mut all: Vec<_> = entries
            .filter(|entry| !matches!(entry.kind, Kind::Directory))
            .collect();
        all.sort_by(|a, b| a.order(b));
        all
    }
    let (old, new) = (entries(old), entries(new));
    let (mut before, mut after) = (old.iter().peekable(), new.iter().peekable());
    let mut lines = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return lines,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(was), Some(is)) => was.order(is),
        };
        match order {
            Ordering::Less => lines.extend(before.next().map(|was| format!("- {}", was.path))),
            Ordering::Greater => lines.extend(after.next().map(|is| format!("+ {}", is.path))),
            Ordering::Equal => {
                let pair = before.next().zip(after.next());
                lines.extend(pair.and_then(|(was, is)| changed(was, is)));
            }
        }
    }
}

fn changed(was: &Entry, is: &Entry) -> Option<String> {
    let path = &is.path;
    match (&was.kind, &is.kind) {
        (Kind::File { digest: was, .. }, Kind::File { digest: is, .. }) if was != is => {
            Some(format!("~ {path}  {} → {}", was.short(), is.short()))
        }
        (one, other) if one != other => Some(format!("~ {path}  is something else")),
        _ if was.meta != is.meta => {
            let (was, is) = (&was.meta, &is.meta);
            if (was.mode, was.uid, was.gid) == (is.mode, is.uid, is.gid) {
                return Some(format!("~ {path}  its time or attributes"));
            }
            Some(format!(
                "~ {path}  {:04o} {}:{} → {:04o} {}:{}",
                was.mode, was.uid, was.gid, is.mode, is.uid, is.gid
            ))
        }
        _ => None,
    }
}
