//! A verdict for people.
//!
//! In: statements, differences, an agreement. Out: text. The first line begins with the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};

use crate::compare::Report;
use crate::ui::{difference, printable};
use crate::verify::{Agreement, Statement};

/// Lines of differences that are shown.
const SHOWN: usize = 40;

/// The passes after which nothing differs in the file systems; none where something still does.
pub fn passes(report: &Report) -> Option<Vec<String>> {
    let mut passes = BTreeSet::new();
    for change in &report.entries {
        let is_alone = change.before.is_none() || change.after.is_none();
        if is_alone {
            passes.insert(change.pass?.to_owned());
            continue;
        }
        let aspects = change.aspects();
        if aspects.is_empty() {
            return None;
        }
        for aspect in aspects {
            let pass = match aspect.what.as_str() {
                "mtime" => "times",
                "size" | "sha256" => change.pass?,
                _ => return None,
            };
            passes.insert(pass.to_owned());
        }
    }
    Some(passes.into_iter().collect())
}

/// The way out where an input is missing.
pub const MISSING: &str = "hint: `cairn pull --inputs` brings what a lock names; of a recipe that has no lock `--explain` says why
it isn't the same each time
";

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

/// What a rebuild showed, and why.
pub fn text(statement: &Statement, report: Option<&Report>, why: &str) -> String {
    let it = &statement.rebuild;
    let mut text = format!("{}\n", it.verdict);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<11}{value}");
        }
    };
    line("image", &statement.subject.to_string());
    line(
        "rebuilt",
        &it.rebuilt
            .map(|digest| digest.to_string())
            .unwrap_or_default(),
    );
    line("passes", &it.passes.join(", "));
    line("varied", &list(&it.varied));
    for (variation, why) in &it.not_varied {
        line("not varied", &format!("{variation}: {why}"));
    }
    if let (Some(report), Some(rebuilt)) = (report, &it.rebuilt) {
        let differences = difference::text(report, false);
        let mut lines = differences.lines();
        text.push('\n');
        for line in lines.by_ref().take(SHOWN) {
            text.push_str(line);
            text.push('\n');
        }
        let more = lines.count();
        if more > 0 {
            let _ = writeln!(text, "and {more} lines more");
        }
        let _ = writeln!(
            text,
            "hint: `cairn diff {} {rebuilt}` shows all of it, and `cairn rm {rebuilt}` forgets it",
            statement.name
        );
        if !why.is_empty() {
            let _ = write!(text, "\n{why}");
        }
    } else {
        text.push_str(why);
    }
    text
}

/// Whether enough rebuilders agree.
pub fn agreement(agreement: &Agreement) -> String {
    let mut text = match agreement.is_enough {
        true => "ENOUGH\n".to_owned(),
        false => "NOT-ENOUGH\n".to_owned(),
    };
    if !agreement.agree.is_empty() {
        let _ = writeln!(
            text,
            "identical  {}",
            printable(&agreement.agree.join(", "))
        );
    }
    for (name, verdict) in &agreement.disagree {
        let verdict = verdict.map_or_else(|| "contradicts itself".to_owned(), |it| it.to_string());
        let _ = writeln!(text, "not so     {}: {verdict}", printable(name));
    }
    if agreement.ignored > 0 {
        let count = agreement.ignored;
        let _ = writeln!(
            text,
            "ignored    {count} statements of another image, or of nobody"
        );
    }
    text
}

/// The same for programs.
pub fn agreement_json(agreement: &Agreement) -> serde_json::Value {
    let others = agreement.disagree.iter();
    let others: BTreeMap<_, _> = others.map(|(name, verdict)| (name, verdict)).collect();
    serde_json::json!({
        "isEnough": agreement.is_enough,
        "identical": agreement.agree,
        "others": others,
        "ignored": agreement.ignored,
    })
}
