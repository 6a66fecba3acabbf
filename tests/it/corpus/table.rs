//! What came of each project, as a table in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::known;

/// What came of one project.
pub struct Row {
    pub name: String,
    pub is_identical: bool,
    pub differences: Vec<String>,
    /// The normalisers that had something to do.
    pub passes: BTreeSet<String>,
    /// Why its check failed.
    pub failed: Option<String>,
    /// Of the recording, the first and the second build.
    pub seconds: Vec<u64>,
    /// Of a build without measures.
    pub without: Option<u64>,
}

/// The most paths that a cell names.
const PATHS: usize = 12;

impl Row {
    pub fn word(&self) -> &'static str {
        match (self.is_identical, &self.failed) {
            (true, None) => "identical",
            (false, None) => "differs",
            (true, Some(_)) => "identical, and doesn't work",
            (false, Some(_)) => "differs, and doesn't work",
        }
    }

    /// What nobody has given a reason for.
    pub fn problem(&self) -> Option<String> {
        let mut problems = Vec::new();
        if !self.is_identical && known::reason(&self.name).is_none() {
            problems.push(format!("it differs:\n{}", self.differences.join("\n")));
        }
        problems.extend(self.failed.clone());
        match problems.is_empty() {
            true => None,
            false => Some(problems.join("\n")),
        }
    }

    pub fn line(&self) -> String {
        let identical = match self.is_identical {
            true => "yes",
            false => known::reason(&self.name).unwrap_or("no"),
        };
        let mut paths: Vec<_> = self.differences.iter().take(PATHS).cloned().collect();
        if self.differences.len() > PATHS {
            paths.push(format!("and {} more", self.differences.len() - PATHS));
        }
        let paths = paths.join("<br>").replace('|', "\\|");
        let check = match &self.failed {
            None => "passes",
            Some(_) => "fails",
        };
        let seconds: Vec<_> = self.seconds.iter().map(u64::to_string).collect();
        let passes: Vec<_> = self.passes.iter().map(String::as_str).collect();
        let without = self.without.map(|seconds| seconds.to_string());
        format!(
            "| {} | {identical} | {paths} | {check} | {} | {} | {} |",
            self.name,
            passes.join(", "),
            seconds.join(" | "),
            without.unwrap_or_default()
        )
    }
}

/// The line of a project that wasn't built.
pub fn without_image(name: &str) -> String {
    let why = known::reason(name).unwrap_or("no image");
    format!("| {name} | {why} | | | | | | | |")
}

const HEAD: &str = "\
| Dockerfile | identical | what differs (layer, path, how) | check | passes | lock, s | build, s | elsewhere, s | without measures, s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// The rows so far, of earlier runs, too, and of others beside this one.
pub struct Table(PathBuf);

impl Table {
    pub fn at(path: &Path) -> Table {
        Table(path.to_owned())
    }

    /// Puts a line in the place of an earlier one, and writes the table.
    pub fn put(&self, name: &str, line: String) {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let rows = text.lines().skip(2).filter_map(|line| {
            let name = line.strip_prefix("| ")?.split(' ').next()?;
            Some((name.to_owned(), line.to_owned()))
        });
        let mut rows: BTreeMap<_, _> = rows.collect();
        rows.insert(name.to_owned(), line);
        let lines: Vec<_> = rows.into_values().collect();
        std::fs::write(&self.0, format!("{HEAD}{}\n", lines.join("\n"))).unwrap();
    }
}
