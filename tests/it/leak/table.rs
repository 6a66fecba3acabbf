//! The leak table, in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::known;

const HEAD: &str = "\
| way | varies outside | varies in a step | what it tells, and what closing it costs |
| --- | --- | --- | --- |
";

/// A line for each way: whether it varied without cairn, and in which probes of a build.
pub fn table(
    ways: &BTreeSet<&str>,
    outside: &BTreeSet<&str>,
    inside: &BTreeMap<&str, Vec<&str>>,
    shows_all: bool,
) -> String {
    let mut table = HEAD.to_owned();
    for way in ways
        .iter()
        .copied()
        .chain(outside.difference(ways).copied())
    {
        let is_varying = outside.contains(way) || inside.contains_key(way);
        if !is_varying && !shows_all {
            continue;
        }
        let without = match outside.contains(way) {
            true => "yes",
            false => "no",
        };
        let (within, why) = match (inside.get(way), known::of(way)) {
            (None, _) if !ways.contains(way) => ("not there".to_owned(), String::new()),
            (None, _) => ("no".to_owned(), String::new()),
            (Some(programs), leak) => {
                let why = leak.map(|leak| format!("{}; {}", leak.tells, leak.cost));
                (programs.join(", "), why.unwrap_or("unknown".to_owned()))
            }
        };
        let way = way.replace('|', "\\|");
        let _ = writeln!(table, "| {way} | {without} | {within} | {why} |");
    }
    table
}
