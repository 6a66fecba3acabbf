//! How much differs, by directory.
//!
//! In: a report. Out: a table; of many directories those above them.

use std::collections::BTreeMap;

use super::{line, side, summary};
use crate::canon::EntryPath;
use crate::compare::{EntryChange, Object, Report};
use crate::ui::table::Table;

/// Most rows.
const MOST_ROWS: usize = 40;
/// Deepest directories that have a row of their own.
const DEEPEST: usize = 8;

/// Added, removed, changed, and bytes more than before.
type Counts = ([usize; 3], i128);

/// The table.
pub fn stat(report: &Report) -> String {
    let rows = (1..=DEEPEST)
        .rev()
        .map(|depth| rows(&report.entries, depth));
    let mut rows = rows.skip_while(|rows| rows.len() > MOST_ROWS);
    let rows = rows
        .next()
        .unwrap_or_else(|| self::rows(&report.entries, 1));
    let mut text = format!("A  {}\nB  {}\n", side(&report.before), side(&report.after));
    text.push_str(report.verdict.words());
    if let Some(summary) = summary(report) {
        text.push_str(&format!(": {summary}"));
    }
    text.push('\n');
    if rows.is_empty() {
        return text;
    }
    let head = ["DIRECTORY", "ADDED", "REMOVED", "CHANGED", "BYTES"];
    let mut table = Table::new(&head).right(1).right(2).right(3).right(4);
    for (directory, (counts, bytes)) in rows {
        let [added, removed, changed] = counts.map(|count| count.to_string());
        let directory = line(&format!("/{}", EntryPath::lossy(&directory)));
        table.row([directory, added, removed, changed, format!("{bytes:+}")]);
    }
    text.push('\n');
    text + &table.render()
}

fn rows(entries: &[EntryChange], depth: usize) -> BTreeMap<EntryPath, Counts> {
    let mut rows: BTreeMap<EntryPath, Counts> = BTreeMap::new();
    for entry in entries {
        let above: Vec<_> = entry.path.ancestors().take(depth + 1).collect();
        let directory = above.last().cloned().unwrap_or_default();
        let (counts, bytes) = rows.entry(directory).or_default();
        let at = match entry.change() {
            "added" => 0,
            "removed" => 1,
            _ => 2,
        };
        counts[at] += 1;
        *bytes += size(&entry.after) - size(&entry.before);
    }
    rows
}

fn size(object: &Option<Object>) -> i128 {
    object.as_ref().map_or(0, |object| object.size().into())
}
