//! `cairn diff`: what differs between images, layers, folders and files.

mod hostile;
mod images;
mod kinds;
mod pages;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{cairn, run, temp};

/// A folder to make things in, and a store.
struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Case {
        Case(temp())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// Puts files below a folder.
    fn write(&self, folder: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = self.at(folder);
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    /// Builds `FROM scratch`, the files, and `more` lines, as an image of that name.
    fn image(&self, name: &str, files: &[(&str, &[u8])], more: &str) -> String {
        let folder = self.write(name, files);
        let recipe = format!("FROM scratch\nCOPY --exclude=Dockerfile . /\n{more}");
        std::fs::write(folder.join("Dockerfile"), recipe).unwrap();
        self.build(name, &[])
    }

    /// Builds the folder of that name once more, and gives the digest.
    fn build(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = cairn(&self.at("store"));
        command.args(["build", "-q", "-t", name]).args(arguments);
        run(command.arg(self.at(name))).trim().to_owned()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = cairn(&self.at("store"));
        command.current_dir(self.0.path());
        command.arg("diff").args(arguments).output().unwrap()
    }

    /// What is printed, with that exit code.
    #[track_caller]
    fn diff(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert_eq!(said.contains("error: "), code == 2, "{said}");
        match code {
            2 => said,
            _ => String::from_utf8(output.stdout).unwrap(),
        }
    }

    /// The report as JSON, with that exit code.
    #[track_caller]
    fn report(&self, code: i32, arguments: &[&str]) -> Value {
        let arguments = [&["--format", "json"], arguments].concat();
        serde_json::from_str(&self.diff(code, &arguments)).unwrap()
    }

    /// What is found in the content of two files that differ.
    #[track_caller]
    fn finding(&self, before: &Path, after: &Path) -> Value {
        let [before, after] = [before, after].map(|path| path.to_str().unwrap());
        self.report(1, &[before, after])["entries"][0]["content"].clone()
    }
}

/// The entry at `path`.
#[track_caller]
fn entry<'a>(report: &'a Value, path: &str) -> &'a Value {
    let entries = report["entries"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["path"] == path);
    found.unwrap_or_else(|| panic!("{path} is not told: {report:#}"))
}

/// `WHAT: BEFORE → AFTER` of aspects, none as `-`.
fn aspects(list: &Value) -> Vec<String> {
    let one = |aspect: &Value| {
        let side = |name: &str| aspect[name].as_str().unwrap_or("-").to_owned();
        format!("{}: {} → {}", side("what"), side("before"), side("after"))
    };
    list.as_array().unwrap().iter().map(one).collect()
}

/// The fields among the details of a finding, as [`aspects`] tells them.
fn fields(finding: &Value) -> Vec<String> {
    let details = finding["details"].as_array().unwrap().iter();
    let fields: Vec<_> = details
        .map(|detail| &detail["field"])
        .filter(|field| !field.is_null())
        .cloned()
        .collect();
    aspects(&Value::Array(fields))
}

/// The lines that differ, wherever they stand in a finding.
fn changed_lines(finding: &Value) -> Vec<String> {
    let details = finding["details"].as_array().unwrap().iter();
    let lines = details.flat_map(|detail| {
        detail["lines"]["lines"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    });
    let lines = lines.map(|line| line.as_str().unwrap().to_owned());
    lines.filter(|line| !line.starts_with(' ')).collect()
}

/// The part of a finding that goes by that name.
#[track_caller]
fn part<'a>(finding: &'a Value, name: &str) -> &'a Value {
    let parts = finding["inside"].as_array().unwrap();
    let found = parts.iter().find(|part| part["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is no part of {finding:#}"))
}

/// The names of a finding's parts.
fn parts(finding: &Value) -> Vec<&str> {
    let parts = finding["inside"].as_array().unwrap().iter();
    parts.map(|part| part["name"].as_str().unwrap()).collect()
}

/// All notes of a finding and its parts.
fn notes(finding: &Value) -> Vec<String> {
    let details = finding["details"].as_array().unwrap().iter();
    let own = details.filter_map(|detail| detail["note"].as_str().map(str::to_owned));
    let inside = finding["inside"].as_array().unwrap().iter().flat_map(notes);
    own.chain(inside).collect()
}
