//! The architecture as a test: which room may name which, and what every file must have.
//!
//! Plain text search, no parser: comments are dropped, then what follows each `crate::` is
//! compared with the table.

use std::collections::BTreeMap;
use std::path::Path;

/// Each room and those that it may name, all of them earlier rows, so that there is no cycle.
const TABLE: &str = "
    canon:
    normal: canon
    plan: canon
    layer: canon
    sandbox: canon layer
    image: canon layer
    compare: canon normal layer image
    lock: canon
    policy: canon lock
    packages: canon
    frontend: canon plan packages
    store: canon layer image
    registry: canon image store
    proxy: canon sandbox lock policy store
    inputs: canon plan layer image lock policy packages store registry
    step: canon normal plan layer sandbox image lock policy packages store proxy inputs
    keep: canon layer image lock store inputs step
    build: canon normal plan frontend layer sandbox image lock policy packages store registry proxy inputs step
    export: canon plan layer image store registry inputs
    verify: canon sandbox
    ui: canon layer compare
    cli: canon normal plan layer sandbox image compare lock policy packages frontend store registry inputs step keep build export verify ui
";

/// Most lines of one file, tests included.
const LONGEST: usize = 500;

type Table<'a> = BTreeMap<&'a str, Vec<&'a str>>;

fn table(text: &str) -> Table<'_> {
    let mut table = Table::new();
    for (room, named) in text.lines().filter_map(|row| row.trim().split_once(':')) {
        let named: Vec<_> = named.split_whitespace().collect();
        for name in &named {
            assert!(
                table.contains_key(name),
                "`{room}` names `{name}`, a later row"
            );
        }
        table.insert(room, named);
    }
    table
}

/// `text` without what follows `//` on a line.
fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first names after each `path::`: one, or those between braces.
fn names_after<'a>(path: &str, code: &'a str) -> Vec<&'a str> {
    let is_end = |c: char| !c.is_alphanumeric() && c != '_';
    let name = |text: &'a str| text.trim_start().split(is_end).next().unwrap_or("");
    let mut names = Vec::new();
    for (at, _) in code.match_indices(path) {
        let before = code[..at].chars().next_back();
        let rest = code[at + path.len()..].trim_start();
        if before.is_some_and(|c| !is_end(c)) {
            continue;
        }
        let Some(inside) = rest.strip_prefix('{') else {
            names.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = 0;
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' | ',' if depth == 0 => {
                    names.push(name(&inside[item..at]));
                    item = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What is wrong with the file `path` (below `src/`) that holds `text`.
fn problems(table: &Table<'_>, path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push("doesn't open with `//!`".to_owned());
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        problems.push(format!("has {lines} lines, {LONGEST} is the most"));
    }
    let Some((room, file)) = path.split_once('/') else {
        return problems;
    };
    let Some(may_name) = table.get(room) else {
        problems.push(format!("`{room}` has no row in the table"));
        return problems;
    };
    let code = without_comments(text);
    if code.contains("super::super") {
        problems.push("says `super::super`".to_owned());
    }
    let mut named = names_after("crate::", &code);
    if file == "mod.rs" {
        let beside = names_after("super::", &code);
        named.extend(beside.iter().filter(|name| table.contains_key(*name)));
    }
    for name in named {
        if name != room && !may_name.contains(&name) {
            problems.push(format!("names `{name}`, which `{room}` may not"));
        }
    }
    problems
}

/// Every `.rs` file below `folder`, with its path from there.
#[expect(clippy::disallowed_methods, reason = "sorted by the map")]
fn sources(folder: &Path) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let below = self::sources(&path).into_iter();
            sources.extend(below.map(|(path, text)| (format!("{name}/{path}"), text)));
        } else if name.ends_with(".rs") {
            sources.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
    sources
}

#[test]
fn rooms_name_only_those_that_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = table(TABLE);
    let sources = sources(&root.join("src"));
    let rooms = sources.keys().filter_map(|path| path.split_once('/'));
    let rooms: std::collections::BTreeSet<_> = rooms.map(|(room, _)| room).collect();
    assert_eq!(rooms, table.keys().copied().collect());
    let all: Vec<_> = sources
        .iter()
        .flat_map(|(path, text)| {
            let problems = problems(&table, path, text).into_iter();
            problems.map(move |problem| format!("src/{path} {problem}"))
        })
        .collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn lib_rs_lists_the_rooms_in_the_tables_order() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let lib = lib.unwrap();
    let listed = lib.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let listed: Vec<_> = listed.map(|room| room.trim_end_matches(';')).collect();
    let rows = TABLE.lines().filter_map(|row| row.trim().split_once(':'));
    assert_eq!(listed, rows.map(|(room, _)| room).collect::<Vec<_>>());
}

#[test]
fn tests_and_benches_are_documented_and_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests", "benches"].map(|name| root.join(name)) {
        let sources = match folder.is_dir() {
            true => sources(&folder),
            false => BTreeMap::new(),
        };
        for (path, text) in sources {
            assert!(text.starts_with("//!"), "{path} doesn't open with `//!`");
            assert!(text.lines().count() <= LONGEST, "{path} is too long");
        }
    }
}

#[test]
fn bad_text_is_told() {
    let table = table(TABLE);
    let told = |path: &str, code: &str| problems(&table, path, &format!("//! Doc.\n{code}\n"));
    for code in [
        "",
        "use crate::canon::{Digest, path::{self, EntryPath}};",
        "use crate::layer::Tree; // crate::store::Store",
        "/// As [`crate::store`] has it.\nuse super::tree;",
        "use crate::{canon::Digest, layer::{Tree, tar}};",
        "use mycrate::store;",
    ] {
        assert_eq!(told("layer/tar.rs", code), [""; 0], "{code}");
    }
    for code in [
        "use crate::store::Store;",
        "fn f() { crate::store::open() }",
        "use crate::{canon::{Digest, path::{self}}, store};",
        "use crate::{\n    store,\n    canon,\n};",
        "macro_rules! m { () => { $crate::store::open() } }",
        "use super::super::store;",
    ] {
        assert_eq!(told("layer/tar.rs", code).len(), 1, "{code}");
    }
    assert_eq!(told("layer/mod.rs", "use super::store::Store;").len(), 1);
    assert_eq!(told("layer/mod.rs", "use super::tree::Tree;"), [""; 0]);
    assert_eq!(told("attic/mod.rs", "").len(), 1);
    assert_eq!(told("layer/tar.rs", &"\n".repeat(LONGEST)).len(), 1);
    assert_eq!(problems(&table, "layer/tar.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(problems(&table, "main.rs", "fn main() {}\n").len(), 1);
}

#[test]
#[should_panic(expected = "a later row")]
fn a_cycle_is_refused() {
    table("canon: plan\nplan: canon");
}
