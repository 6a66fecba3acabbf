//! Package managers, and whether they are told which version.
//!
//! In: the commands of a `RUN`. Out: findings, one for each command that takes what is newest.

use super::commands::Placed;
use super::rule::*;
use super::shell::{Command, Shell};
use super::{Finding, find};

/// A finding's rule, the word it is about, and the way out.
type Found<'a> = (&'static Rule, &'a Shell, &'static str);

pub(super) fn run(placed: &Placed<'_>, findings: &mut Vec<Finding>) {
    // A snapshot that anything in the instruction names is good for all of it.
    let has_snapshot = placed.text.contains("snapshot");
    for command in &placed.commands {
        let Some((rule, word, hint)) = unpinned(command, has_snapshot) else {
            continue;
        };
        let program = command.program();
        let message = match rule == SYSTEM_UPGRADE {
            true => format!("`{program}` brings everything to what is newest today"),
            false => format!("`{program}` takes `{}` as it is today", word.text),
        };
        find(findings, rule, &placed.span(word), message, hint);
    }
}

fn unpinned(command: &Command, has_snapshot: bool) -> Option<Found<'_>> {
    let program = command.program();
    let mut operands = command.operands();
    match program {
        "apt-get" | "apt" | "aptitude" => {
            let verb = operands.next()?;
            match &verb.text[..] {
                "upgrade" | "dist-upgrade" | "full-upgrade" | "safe-upgrade" => Some(upgrade(verb)),
                "install" if !has_snapshot => {
                    let word = operands.find(|word| is_name(word) && !word.text.contains('='))?;
                    let hint = "take packages from the archive of one day (a snapshot), or write `NAME=VERSION`";
                    Some((UNPINNED_APT, word, hint))
                }
                _ => None,
            }
        }
        "apk" => {
            let verb = operands.next()?;
            match &verb.text[..] {
                "upgrade" => Some(upgrade(verb)),
                "add" => {
                    // What only serves the build in a virtual package is installed all the same.
                    let after = after_value(command, &["-t", "--virtual", "-X", "--repository"]);
                    let mut names = operands.filter(|word| is_name(word));
                    let word = names.find(|word| {
                        after.binary_search(&word.at).is_err() && !word.text.contains(['=', '~'])
                    })?;
                    Some((UNPINNED_APK, word, "write `NAME=VERSION`"))
                }
                _ => None,
            }
        }
        "dnf" | "yum" | "microdnf" | "tdnf" | "zypper" => {
            let verb = operands.next()?;
            match &verb.text[..] {
                "upgrade" | "update" | "dist-upgrade" | "dup" | "up" => Some(upgrade(verb)),
                "install" | "in" => {
                    let has_version = |word: &&Shell| {
                        let mut parts = word.text.split('-').skip(1);
                        parts.any(|part| part.starts_with(|c: char| c.is_ascii_digit()))
                            || word.text.contains("://")
                    };
                    let mut names = operands.filter(|word| is_name(word));
                    let word = names.find(|word| !has_version(word))?;
                    Some((UNPINNED_RPM, word, "write `NAME-VERSION`"))
                }
                _ => None,
            }
        }
        "pip" | "pip3" | "pipx" | "uv" => pip(command, 0),
        "python" | "python3" if command.has("-m") => {
            let pip_at = operands.position(|word| word.text == "pip")?;
            pip(command, pip_at + 1)
        }
        "npm" | "pnpm" => {
            let verb = operands.next()?;
            let is_install = matches!(&verb.text[..], "install" | "i" | "add");
            if !is_install || command.has("--frozen-lockfile") {
                return None;
            }
            match operands.find(|word| is_name(word)) {
                Some(word) if is_path(word) || has_at(word) => None,
                Some(word) => Some((UNPINNED_NPM, word, "write `NAME@VERSION`")),
                None if program == "npm" => Some((
                    UNPINNED_NPM,
                    verb,
                    "use `npm ci`, which keeps to package-lock.json",
                )),
                None => Some((UNPINNED_NPM, verb, "use `pnpm install --frozen-lockfile`")),
            }
        }
        "yarn" => {
            let verb = operands.next();
            let is_frozen = command.has("--frozen-lockfile") || command.has("--immutable");
            match verb.map(|verb| &verb.text[..]) {
                None | Some("install") if !is_frozen => {
                    let word = verb.or(command.words.first())?;
                    Some((UNPINNED_NPM, word, "use `yarn install --immutable`"))
                }
                Some("add" | "global") => {
                    let mut names = operands.filter(|word| word.text != "add");
                    let word = names.find(|word| !has_at(word) && !is_path(word))?;
                    Some((UNPINNED_NPM, word, "write `NAME@VERSION`"))
                }
                _ => None,
            }
        }
        "gem" => {
            let verb = operands.next()?;
            let has_version = command.has("-v") || command.has("--version");
            let word = operands.next()?;
            let is_open = verb.text == "install" && !has_version;
            (is_open && !word.text.contains(':') && !word.text.ends_with(".gem")).then_some((
                UNPINNED_GEM,
                word,
                "write `gem install NAME -v VERSION`",
            ))
        }
        "go" => {
            let verb = operands.next()?;
            let is_install = matches!(&verb.text[..], "install" | "get");
            let word = operands.find(|word| is_install && word.text.contains('.'))?;
            let version = word.text.split_once('@').map(|(_, version)| version);
            let is_module = !word.text.starts_with('.') && word.text.contains('/');
            let is_open = match version {
                Some(version) => matches!(version, "latest" | "upgrade" | "main" | "master"),
                None => is_module,
            };
            is_open.then_some((UNPINNED_GO, word, "write `MODULE@VERSION`"))
        }
        "cargo" => {
            let verb = operands.next()?;
            if verb.text != "install" || command.has("--path") {
                return None;
            }
            let has_version = ["--version", "--vers", "--rev"]
                .iter()
                .any(|flag| command.has(flag));
            let word = operands.find(|word| is_name(word))?;
            let is_pinned = (has_version || word.text.contains('@')) && command.has("--locked");
            let hint = "write `cargo install --locked NAME@VERSION`";
            (!is_pinned).then_some((UNPINNED_CARGO, word, hint))
        }
        "composer" => {
            let verb = operands.next()?;
            let hint = "use `composer install`, which keeps to composer.lock";
            match &verb.text[..] {
                "update" | "upgrade" => Some((UNPINNED_COMPOSER, verb, hint)),
                "require" => {
                    let word = operands.find(|word| !word.text.contains([':', '=']))?;
                    Some((UNPINNED_COMPOSER, word, "write `NAME:VERSION`"))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn upgrade(verb: &Shell) -> Found<'_> {
    let hint = "name a newer base image instead";
    (SYSTEM_UPGRADE, verb, hint)
}

/// `pip install`, behind `skip` operands.
fn pip(command: &Command, skip: usize) -> Option<Found<'_>> {
    let mut operands = command.operands().skip(skip);
    let mut verb = operands.next()?;
    if verb.text == "pip" {
        verb = operands.next()?;
    }
    let is_constrained = ["-c", "--constraint", "--require-hashes"];
    if verb.text != "install" || is_constrained.iter().any(|flag| command.has(flag)) {
        return None;
    }
    let values = [
        "-r",
        "--requirement",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-t",
        "--target",
        "--prefix",
        "--root",
        "-e",
        "--editable",
        "-f",
        "--find-links",
        "--trusted-host",
        "--python",
        "--cache-dir",
    ];
    let after = after_value(command, &values);
    let is_open = |word: &&Shell| {
        let is_file = is_path(word) || word.text.ends_with(".whl") || word.text.ends_with(".gz");
        is_name(word)
            && after.binary_search(&word.at).is_err()
            && !is_file
            && !word.text.contains("==")
            && !word.text.contains(" @ ")
    };
    let word = operands.find(is_open)?;
    Some((
        UNPINNED_PIP,
        word,
        "write `NAME==VERSION`, or `-r` with a file that has hashes",
    ))
}

/// Places of the words that are values of these flags, in order.
fn after_value(command: &Command, flags: &[&str]) -> Vec<usize> {
    let pairs = command.words.windows(2);
    let values = pairs.filter(|pair| flags.contains(&&pair[0].text[..]));
    values.map(|pair| pair[1].at).collect()
}

/// Whether a word may be a package's name: no variable, redirection or file.
fn is_name(word: &Shell) -> bool {
    let redirection = word.text.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_redirection = redirection.starts_with(['>', '<']);
    !word.text.contains('$') && !is_redirection && !is_path(word) && !word.text.is_empty()
}

fn is_path(word: &Shell) -> bool {
    let text = &word.text;
    text.starts_with(['.', '/', '~']) || text.contains("://")
}

/// Whether an npm package has a version that is one: `name@1.2`, `@scope/name@1.2`.
fn has_at(word: &Shell) -> bool {
    let name = word.text.strip_prefix('@').unwrap_or(&word.text);
    let version = name.split_once('@').map(|(_, version)| version);
    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}
