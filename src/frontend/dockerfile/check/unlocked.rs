//! Installs that don't keep to the lock file of the package manager's own.
//!
//! In: the commands of a `RUN`, the recipe's text. Out: findings. [`super::package`] tells of those
//! that name what they install. What a variable or an earlier command may have set counts as set.

use super::commands::Placed;
use super::rule::UNLOCKED_INSTALL;
use super::shell::{Command, Shell};
use super::{Finding, find};

/// The word that a finding is about, and the way out.
type Found<'a> = (&'a Shell, &'static str);

pub(super) fn run(placed: &Placed<'_>, recipe: &str, findings: &mut Vec<Finding>) {
    for command in &placed.commands {
        if let Some((word, hint)) = unlocked(command, recipe) {
            let program = command.program();
            let message = format!("`{program}` may install otherwise than its lock file says");
            find(
                findings,
                UNLOCKED_INSTALL,
                &placed.span(word),
                message,
                hint,
            );
        }
    }
}

fn unlocked<'c>(command: &'c Command, recipe: &str) -> Option<Found<'c>> {
    let has = |flags: &[&str]| flags.iter().any(|flag| command.has(flag));
    let says = |words: &[&str]| words.iter().any(|word| recipe.contains(word));
    // A toolchain of cargo's stands before the verb.
    let mut operands = command
        .operands()
        .filter(|word| !word.text.starts_with('+'));
    let first = operands.next();
    let verb = first.map_or("", |word| &word.text);
    let word = first.or(command.words.first())?;
    match (command.program(), verb) {
        ("pip" | "pip3", "install") => pip(command, recipe),
        ("python" | "python3", "pip") if command.has("-m") => {
            let is_install = operands.next().is_some_and(|word| word.text == "install");
            is_install.then(|| pip(command, recipe))?
        }
        ("uv", "pip") => {
            let is_install = operands.next().is_some_and(|word| word.text == "install");
            is_install.then(|| pip(command, recipe))?
        }
        ("uv", "sync") => {
            let is_locked = has(&["--locked", "--frozen"]) || says(&["UV_LOCKED", "UV_FROZEN"]);
            (!is_locked).then_some((word, "write `uv sync --locked`"))
        }
        ("pipenv", "install") => {
            let is_named = operands.next().is_some();
            let is_locked =
                has(&["--deploy", "--ignore-pipfile"]) || says(&["PIPENV_IGNORE_PIPFILE"]);
            (!is_named && !is_locked).then_some((word, "use `pipenv sync`"))
        }
        ("bundle" | "bundler", "" | "install") => {
            let is_other = first.is_none() && has(&["--version", "-v", "--help", "-h"]);
            let is_set = says(&["BUNDLE_FROZEN", "BUNDLE_DEPLOYMENT"])
                || says(&["bundle config", "bundler config", ".bundle"])
                    && says(&["frozen", "deployment"]);
            let is_locked = is_set || has(&["--deployment", "--frozen", "--local"]);
            let hint = "set `BUNDLE_FROZEN=true`: then it fails where Gemfile.lock says otherwise";
            (!is_locked && !is_other).then_some((word, hint))
        }
        ("cargo", "build" | "b") => cargo(command, word),
        ("cargo", "install") if command.has("--path") => cargo(command, word),
        _ => None,
    }
}

fn cargo<'c>(command: &Command, word: &'c Shell) -> Option<Found<'c>> {
    let flags = ["--locked", "--frozen", "--offline", "--help", "-h"];
    let is_locked = flags.iter().any(|flag| command.has(flag));
    let hint = "write `--locked`: then it fails where Cargo.lock would have to change";
    (!is_locked).then_some((word, hint))
}

/// An install of what a file of requirements says.
fn pip<'c>(command: &'c Command, recipe: &str) -> Option<Found<'c>> {
    let flags = ["--require-hashes", "--no-index"];
    let is_kept = flags.iter().any(|flag| command.has(flag))
        || ["PIP_REQUIRE_HASHES", "UV_REQUIRE_HASHES", "PIP_NO_INDEX"]
            .iter()
            .any(|name| recipe.contains(name));
    let arguments = command.arguments();
    let file = arguments.iter().enumerate().find_map(|(at, word)| {
        let text = word.text.as_str();
        let joined = text.strip_prefix("--requirement=");
        let joined = joined.or(text.strip_prefix("-r").filter(|rest| !rest.is_empty()));
        let apart = matches!(text, "-r" | "--requirement").then(|| arguments.get(at + 1));
        match (joined, apart) {
            (Some(name), _) => Some((word, name)),
            (None, Some(Some(next))) => Some((next, next.text.as_str())),
            _ => None,
        }
    });
    let (word, name) = file?;
    let is_lock = name
        .rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("pylock."));
    let hint = "write `--require-hashes`: then every file has to be the one that was meant";
    (!is_kept && !is_lock).then_some((word, hint))
}
