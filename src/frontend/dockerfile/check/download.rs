//! Downloads, and whether anybody looks at what came.
//!
//! In: the commands of a `RUN`, the sources of an `ADD`. Out: findings.

use super::commands::Placed;
use super::rule::*;
use super::{Finding, find};
use crate::canon::login::redacted;
use crate::frontend::dockerfile::syntax::*;

/// What runs what it reads.
const INTERPRETERS: [&str; 11] = [
    "sh", "bash", "dash", "ash", "zsh", "ksh", "python", "python3", "perl", "ruby", "node",
];

/// What compares a file with what it should be.
const VERIFIERS: [&str; 13] = [
    "sha256sum",
    "sha512sum",
    "sha384sum",
    "sha1sum",
    "shasum",
    "b2sum",
    "md5sum",
    "gpg",
    "gpgv",
    "gpg2",
    "cosign",
    "minisign",
    "openssl",
];

pub(super) fn is_url(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("ftp://")
}

/// Whether Docker takes it for a Git repository: a scheme of Git's, or a name that ends so.
fn is_git(text: &str) -> bool {
    let path = text.split(['#', '?']).next().unwrap_or(text);
    let schemes = ["git://", "ssh://", "git@", "git+"];
    schemes.iter().any(|scheme| text.starts_with(scheme)) || is_url(text) && path.ends_with(".git")
}

/// Whether a Git URL names a commit by all of its digits.
fn has_commit(text: &str) -> bool {
    let is_commit = |text: &str| {
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let query = before.split_once('?').map_or("", |(_, query)| query);
    let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
    let named = |key: &str| matches!(key, "ref" | "commit" | "checksum");
    is_commit(fragment.split(':').next().unwrap_or(""))
        || values.any(|(key, value)| named(key) && is_commit(value))
}

pub(super) fn add(add: &Add, findings: &mut Vec<Finding>) {
    for source in &add.transfer.sources {
        let TransferSource::Path(word) = source else {
            continue;
        };
        if is_git(&word.raw) {
            if !has_commit(&word.raw) && add.checksum.is_none() && !word.raw.contains('$') {
                let message = format!("`{}` names no commit", redacted(&word.raw));
                let hint = "write `URL#COMMIT` with all of the commit's digits, or `--checksum`";
                find(findings, UNPINNED_GIT, &word.span, message, hint);
            }
        } else if is_url(&word.raw) && add.checksum.is_none() {
            let message = format!("`{}` has no checksum", redacted(&word.raw));
            let hint = "write `ADD --checksum=sha256:…`";
            find(findings, UNVERIFIED_ADD, &word.span, message, hint);
        }
    }
}

pub(super) fn run(placed: &Placed<'_>, findings: &mut Vec<Finding>) {
    let is_verified = placed
        .commands
        .iter()
        .any(|command| VERIFIERS.contains(&command.program()))
        || placed.text.contains("sha256")
        || placed.text.contains("sha512");
    let commands = &placed.commands;
    let is_commit =
        |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let last_checkout = commands.iter().rposition(|command| {
        command.program() == "git" && command.operands().any(|word| is_commit(&word.text))
    });
    // Of each command whether what it prints is run, from the last up.
    let mut prints_to_interpreter = vec![false; commands.len()];
    for at in (1..commands.len()).rev() {
        let next = &commands[at];
        let is_run = INTERPRETERS.contains(&next.program()) || prints_to_interpreter[at];
        prints_to_interpreter[at - 1] = next.is_piped && is_run;
    }
    for (at, command) in commands.iter().enumerate() {
        let Some(word) = command.words.first() else {
            continue;
        };
        let program = command.program();
        let is_download = matches!(program, "curl" | "wget" | "aria2c" | "fetch");
        if is_download {
            // `sh -c "$(curl …)"` runs it, too.
            let inside = at
                .checked_sub(1)
                .and_then(|before| placed.commands.get(before));
            let is_run = prints_to_interpreter[at]
                || inside.is_some_and(|before| {
                    let last = before.words.last();
                    INTERPRETERS.contains(&before.program())
                        && last.is_some_and(|word| word.text.ends_with('$'))
                });
            if is_run {
                let message = format!("what `{program}` fetches is run unseen");
                let hint = "fetch it with `ADD --checksum=sha256:…`, and run that";
                find(findings, PIPED_DOWNLOAD, &placed.span(word), message, hint);
            } else if !is_verified && fetches(command) {
                let message = format!("what `{program}` fetches is compared with nothing");
                let hint =
                    "use `ADD --checksum=sha256:…`, or `sha256sum -c` in the same instruction";
                find(
                    findings,
                    UNVERIFIED_DOWNLOAD,
                    &placed.span(word),
                    message,
                    hint,
                );
            }
        }
        let mut operands = command.operands();
        let verb = operands.next().map(|word| &word.text[..]);
        let clones = program == "git" && verb == Some("clone");
        let checks_out = last_checkout.is_some_and(|checkout| checkout > at);
        if clones && !checks_out {
            let message = "`git clone` takes what is there today".to_owned();
            let hint = "use `ADD URL#COMMIT`, or `git checkout` all digits of a commit";
            find(findings, UNPINNED_GIT, &placed.span(word), message, hint);
        }
    }
}

/// Whether it asks for more than a header, of a server that is not the machine itself.
fn fetches(command: &super::shell::Command) -> bool {
    let only_asks = ["-I", "--head", "--spider", "--version", "-V", "--help"];
    let is_local = |text: &str| text.contains("localhost") || text.contains("127.0.0.1");
    let has_source = command.operands().any(|word| {
        !is_local(&word.text) && (word.text.contains("://") || word.text.contains('$'))
    });
    has_source && !only_asks.iter().any(|flag| command.has(flag))
}
