//! Why a rebuild came out otherwise: for each path that differs the step that it began in, the program
//! that wrote it there, what varies in it, and what mends that.
//!
//! In: the stores of the rebuild and of the caller, what differs. Out: text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::build::past::{self, PastStep};
use crate::build::result;
use crate::canon::EntryPath;
use crate::compare::{EntryChange, Object, Report};
use crate::layer::{Entry, Kind, Tree};
use crate::sandbox::{Asked, Trace};
use crate::store::Store;
use crate::ui::{printable, shortened};
use crate::verify::cause;

/// Reasons that are told, and paths of one.
const SHOWN: usize = 20;
const TOGETHER: usize = 5;
/// Longest command that is shown, in characters.
const LONGEST: usize = 72;

/// A step of the rebuild.
struct Step {
    past: PastStep,
    /// What it made there.
    tree: Tree,
    /// Whether the caller's store has another result of the same inputs.
    is_otherwise: bool,
    /// Whether the caller's store has any.
    is_known: bool,
}

/// Why, for people; `rebuilt` is the rebuild's own store.
pub fn text(report: &Report, rebuilt: &Store, own: &Store, was_traced: bool) -> String {
    let steps = steps(rebuilt, own);
    let mut text = "why\n".to_owned();
    if let Some(first) = steps.iter().find(|step| step.is_otherwise) {
        let (name, key) = (
            shortened(&first.past.place.name, LONGEST),
            first.past.key.0.short(),
        );
        let _ = writeln!(
            text,
            "  the first step that came out otherwise by the same inputs is {key}, `{name}`"
        );
    }
    // Paths of which the same is to be said stand together, where the first of them does.
    let mut traces = BTreeMap::new();
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for change in &report.entries {
        let sign = match change.change() {
            "added" => '+',
            "removed" => '-',
            _ => '~',
        };
        let path = format!("{sign} {}", change.path);
        let why = of_path(change, &steps, rebuilt, &mut traces);
        match said.iter_mut().find(|(other, _)| *other == why) {
            Some((_, paths)) => paths.push(path),
            None => said.push((why, vec![path])),
        }
    }
    for (why, paths) in said.iter().take(SHOWN) {
        for path in paths.iter().take(TOGETHER) {
            let _ = writeln!(text, "  {path}");
        }
        if let Some(more @ 1..) = paths.len().checked_sub(TOGETHER) {
            let _ = writeln!(text, "  and {more} more");
        }
        text.push_str(why);
    }
    if said.len() > SHOWN {
        let more: usize = said.iter().skip(SHOWN).map(|(_, paths)| paths.len()).sum();
        let _ = writeln!(text, "  and {more} paths more");
    }
    if !was_traced {
        text.push_str("hint: `--explain` says which programs wrote what differs, and what they asked for that varies\n");
    }
    printable(&text)
}

fn steps(rebuilt: &Store, own: &Store) -> Vec<Step> {
    let steps = past::last(rebuilt).into_iter().map(|past| {
        let tree = result(rebuilt, &past.key);
        let known = result(own, &past.key);
        Step {
            is_otherwise: known.is_some_and(|known| Some(known) != tree),
            is_known: known.is_some(),
            tree: tree
                .and_then(|tree| rebuilt.tree(&tree))
                .unwrap_or_default(),
            past,
        }
    });
    steps.collect()
}

fn of_path(
    change: &EntryChange,
    steps: &[Step],
    rebuilt: &Store,
    traces: &mut BTreeMap<usize, Option<Trace>>,
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "      {name:<8} {value}");
    };
    let Some((number, path)) = origin(change, steps) else {
        line(
            "step",
            "none of the recipe: it is the base's, or the rebuild doesn't have it",
        );
        return text;
    };
    let step = &steps[number];
    let inputs = match (step.is_otherwise, step.is_known) {
        (true, _) => "by the same inputs something else",
        (false, true) => {
            "the newest result here of the same inputs is the same: the image is of another"
        }
        (false, false) => "whether by the same inputs isn't known here",
    };
    let key = step.past.key.0.short();
    let name = shortened(&step.past.place.name, LONGEST);
    line("step", &format!("{key}, `{name}`: {inputs}"));
    if path != change.path {
        line("there", &path.to_string());
    }
    // What a step is given decides all that it does, its chance, too.
    let first = steps[..number].iter().find(|step| step.is_otherwise);
    if let (false, Some(first)) = (step.is_known, first) {
        let first = first.past.key.0.short();
        line(
            "varies",
            &format!("what it was given, as {first} came out otherwise"),
        );
        line("mend", &format!("mend {first} first"));
        return text;
    }
    if step.past.place.kind != "run" {
        line("varies", "what the step was given");
        line(
            "mend",
            "build from the same files, or lock what has no digest: `cairn lock`",
        );
        return text;
    }
    let trace = traces
        .entry(number)
        .or_insert_with(|| past::trace(rebuilt, &step.past.key));
    let Some(trace) = trace else {
        if let Some(row) = cause::of_file(&path) {
            line("varies", row.name);
            line("mend", row.mend);
        }
        return text;
    };
    // What is replayed is the same each time.
    let made = past::remembered(rebuilt, &step.past.key);
    let is_replayed = made.is_some_and(|it| it.made.of.get("fetched").is_some());
    let blame = trace.blame(&path, |asked| asked != Asked::Network || !is_replayed);
    let Some(blame) = blame else {
        let why = match trace.is_cut {
            true => "nobody of those that are kept: its programs did more than that",
            false => "nobody was seen to write it",
        };
        line("writer", why);
        return text;
    };
    let command =
        |program: usize| format!("`{}`", shortened(&trace.programs[program].command, LONGEST));
    let which = |asked| format!(", which {}", cause::asked(asked));
    let (own, other) = match blame.source {
        Some((program, asked)) if program == blame.writer => (which(asked), None),
        other => (String::new(), other),
    };
    line("writer", &format!("{}{own}", command(blame.writer)));
    if let Some((program, asked)) = other {
        line("from", &format!("{}{}", command(program), which(asked)));
    }
    let row = cause::row(
        &path,
        blame.source.map(|(_, asked)| asked),
        blame.has_several,
    );
    line("varies", row.name);
    line("mend", row.mend);
    text
}

/// The step that first made what the rebuild has there, and the path that it made it at.
fn origin(change: &EntryChange, steps: &[Step]) -> Option<(usize, EntryPath)> {
    let after = change.after.as_ref();
    let is_content = change.before.as_ref().map(|it| &it.kind) != after.map(|it| &it.kind);
    let name = |path: &EntryPath| path.components().next_back().map(<[u8]>::to_vec);
    let is_it = |entry: &Entry, after: &Object| {
        // Of the same content many files may be, empty ones most of all.
        let is_sure = is_content && !matches!(entry.kind, Kind::File { size: 0, .. });
        let is_like = entry.meta == after.meta && name(&entry.path) == name(&change.path);
        entry.kind == after.kind && (is_sure && matches!(entry.kind, Kind::File { .. }) || is_like)
    };
    for (number, step) in steps.iter().enumerate() {
        let Some(after) = after else { break };
        let mut same = step.tree.entries().iter().filter(|it| is_it(it, after));
        let first = same.next();
        let at_path = first
            .into_iter()
            .chain(same)
            .find(|it| it.path == change.path);
        if let Some(entry) = at_path.or(first) {
            return Some((number, entry.path.clone()));
        }
    }
    let has = |step: &Step| step.tree.entries().iter().any(|it| it.path == change.path);
    let number = steps.iter().rposition(has)?;
    Some((number, change.path.clone()))
}
