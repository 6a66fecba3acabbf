//! Bad input ends in one clear message with a way out, and leaves nothing behind.

mod absent;
mod archive;
mod changes;
mod codes;
mod commands;
mod context;
mod crowd;
mod disk;
mod ending;
mod layout;
mod nested;
mod running;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::recipes::entries;
use crate::support::{cairn, temp};

/// Exit codes as `cairn --help` has them.
const FAILED: i32 = 1;
const UNAVAILABLE: i32 = 3;
const MISMATCH: i32 = 4;

/// A recipe, a context, a store, and a folder for outputs.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    /// A recipe for `scratch` with these steps.
    fn new(steps: &str) -> Case {
        Case::recipe(&format!(
            "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n{steps}"
        ))
    }

    /// Any recipe.
    fn recipe(text: &str) -> Case {
        let case = Case { folder: temp() };
        for folder in ["context", "out"] {
            std::fs::create_dir(case.path(folder)).unwrap();
        }
        std::fs::write(case.path("cairn.toml"), text).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn context(&self, name: &str) -> PathBuf {
        self.path("context").join(name)
    }

    /// A build to an archive.
    fn command(&self) -> Command {
        let mut command = cairn(&self.path("store"));
        command.args(self.arguments());
        command
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let output = format!("--output=type=oci,dest={}", path("out/image.tar"));
        let words = ["build".to_owned(), "--quiet".to_owned(), "-f".to_owned()];
        let words = words.into_iter();
        words
            .chain([path("cairn.toml"), output, path("context")])
            .collect()
    }

    /// Builds; the archive.
    #[track_caller]
    fn must_build(&self) -> Vec<u8> {
        crate::support::run(&mut self.command());
        std::fs::read(self.path("out/image.tar")).unwrap()
    }

    /// The entries of the archive's only layer, as GNU tar lists them.
    #[track_caller]
    fn must_list(&self) -> String {
        crate::support::run(self.command().arg("-o").arg(format!(
            "type=tar,dest={}",
            self.path("out/files.tar").display()
        )));
        let mut list = Command::new("tar");
        list.env("LC_ALL", "C")
            .arg("-tvf")
            .arg(self.path("out/files.tar"));
        crate::support::run(&mut list)
    }

    /// Builds, which must fail with that code, and a message that holds these.
    #[track_caller]
    fn must_fail(&self, code: i32, fragments: &[&str]) -> String {
        self.must_end(&mut self.command(), code, fragments)
    }

    #[track_caller]
    fn must_end(&self, command: &mut Command, code: i32, fragments: &[&str]) -> String {
        let text = must_be_clear(&command.output().unwrap(), code, fragments);
        self.must_be_clean();
        text
    }

    /// That nothing unfinished is left.
    #[track_caller]
    fn must_be_clean(&self) {
        must_be_empty(&self.path("out"));
        if self.path("store/tmp").is_dir() {
            must_be_empty(&self.path("store/tmp"));
        }
    }
}

#[track_caller]
fn must_be_empty(folder: &Path) {
    assert_eq!(entries(folder), Vec::<PathBuf>::new());
}

/// That a run failed with that code and said why in one message, with a way out, and nothing that
/// a terminal obeys.
#[track_caller]
fn must_be_clear(output: &Output, code: i32, fragments: &[&str]) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{:?} {text}",
        output.status.signal()
    );
    assert!(output.stdout.is_empty());
    let count = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .count();
    assert_eq!(count, 1, "{text}");
    assert!(text.contains("hint: "), "no way out: {text}");
    for fragment in fragments {
        assert!(text.contains(fragment), "`{fragment}` is not in: {text}");
    }
    let is_harmless = |c: char| !c.is_control() || c == '\n';
    assert!(text.chars().all(is_harmless), "{text:?}");
    text
}
