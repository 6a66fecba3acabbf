//! What is copied from the build's context.
//!
//! In: a tree, the rules of the ignore file. Out: findings of files that are copied and left out
//! at once, and of a repository that is copied with its history.

use super::rule::*;
use super::{CheckInput, Finding, find};
use crate::canon::EntryPath;
use crate::frontend::dockerfile::syntax::*;

pub(super) fn check(file: &Dockerfile, input: &CheckInput<'_>, findings: &mut Vec<Finding>) {
    let nodes = file.stages.iter().flat_map(|stage| &stage.instructions);
    for node in nodes {
        let (name, transfer) = match &node.kind {
            Kind::Copy(copy) if copy.from.is_none() => ("COPY", &copy.transfer),
            Kind::Add(add) => ("ADD", &add.transfer),
            _ => continue,
        };
        for source in &transfer.sources {
            let TransferSource::Path(word) = source else {
                continue;
            };
            let is_remote = super::download::is_url(&word.raw) || word.raw.starts_with("git@");
            if word.raw.contains('$') || is_remote {
                continue;
            }
            let raw = word.raw.trim_matches(['"', '\'']);
            let Ok(path) = EntryPath::new(raw.as_bytes()) else {
                continue;
            };
            if let Some(rules) = input.ignore
                && !path.is_root()
                && rules.verdict_alone(&path).matches()
            {
                let verdict = rules.verdict_alone(&path);
                let message = format!("{name} asks for `{raw}`, which the ignore file leaves out");
                let hint = match rules.explain(verdict) {
                    Some(rule) => format!("its line {} says `{}`", rule.line, rule.text),
                    None => String::new(),
                };
                find(findings, COPY_IGNORED_FILE, &word.span, message, hint);
            }
            let git = EntryPath::new(b".git").ok();
            let is_left_out = |path: &EntryPath| {
                let rules = input.ignore;
                rules.is_some_and(|rules| rules.verdict_alone(path).matches())
            };
            let excludes = transfer
                .exclude
                .iter()
                .any(|word| word.raw.contains(".git"));
            if path.is_root() && !excludes && git.is_some_and(|git| !is_left_out(&git)) {
                let message = "all of the context is copied, a `.git` in it, too".to_owned();
                let hint = "add a line `.git` to `.dockerignore`: no two clones have the same one";
                find(findings, GIT_FOLDER_COPIED, &word.span, message, hint);
            }
        }
    }
}
