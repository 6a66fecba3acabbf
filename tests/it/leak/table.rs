//! The leak table, in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::known::{self, KNOWN};

const LEFT: &str = "\
# What a command can still learn

| what | ways that told | such as | to close it |
| --- | --- | --- | --- |
";

const ALL: &str = "
# All ways

| way | varies outside | varies in a step |
| --- | --- | --- |
";

/// What is left by what it tells; then a line for each way: whether it varied without cairn, and in which
/// probes of a build.
pub fn table(
    ways: &BTreeSet<&str>,
    outside: &BTreeSet<&str>,
    inside: &BTreeMap<&str, Vec<&str>>,
    shows_all: bool,
) -> String {
    let mut table = LEFT.to_owned();
    for leak in KNOWN {
        let is_its = |way: &&&str| known::of(way).is_some_and(|it| std::ptr::eq(it, leak));
        let of_it: Vec<_> = inside.keys().filter(is_its).collect();
        let Some(first) = of_it.first() else { continue };
        let (tells, cost) = (leak.tells, leak.cost);
        let _ = writeln!(table, "| {tells} | {} | {first} | {cost} |", of_it.len());
    }
    for way in inside.keys().filter(|way| known::of(way).is_none()) {
        let _ = writeln!(table, "| not known | 1 | {way} | |");
    }
    table += ALL;
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
        let within = match inside.get(way) {
            None if !ways.contains(way) => "not there".to_owned(),
            None => "no".to_owned(),
            Some(programs) => programs.join(", "),
        };
        let way = way.replace('|', "\\|");
        let _ = writeln!(table, "| {way} | {without} | {within} |");
    }
    table
}
