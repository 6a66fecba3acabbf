//! What the recipe says about its checks, and about its language.
//!
//! In: `# check=…` and `# syntax=…` of a tree. Out: findings of settings that nobody understands,
//! of rules that there aren't, and of languages that aren't Docker's.

use super::rule::*;
use super::{Finding, Settings, find};
use crate::canon::Reference;
use crate::frontend::dockerfile::syntax::*;
use crate::frontend::suggest;

pub(super) fn check(file: &Dockerfile, findings: &mut Vec<Finding>) {
    let directive = file.directives.check.iter();
    let above = super::nodes(file).flat_map(|(_, comments)| comments);
    let above = above.filter_map(super::settings::value);
    for value in directive.cloned().chain(above) {
        let message = match Settings::parse(&value.value) {
            Ok(_) => {
                names(&value, findings);
                continue;
            }
            Err(error) => format!("{error}, so that all of them are passed over"),
        };
        let hint = "write `# check=skip=RULE,RULE`, and maybe `;error=true`";
        find(
            findings,
            INVALID_CHECK_DIRECTIVE,
            &value.span,
            message,
            hint,
        );
    }
}

/// A language that another program would read.
pub(super) fn syntax(file: &Dockerfile, findings: &mut Vec<Finding>) {
    let Some(syntax) = &file.directives.syntax else {
        return;
    };
    // What follows the image are words for it.
    let image = syntax.value.split_whitespace().next().unwrap_or_default();
    let is_dockers = image.parse::<Reference>().is_ok_and(|image| {
        // Mirrors have it below a name of their own.
        let mut parts = image.repository.rsplit('/');
        matches!(parts.next(), Some("dockerfile" | "dockerfile-upstream"))
            && parts.next() == Some("docker")
    });
    if !is_dockers && !image.is_empty() {
        let message = format!("cairn reads this file itself, and not by `{image}`");
        let hint = "what that image adds to Docker's language isn't done: leave the line out, or build elsewhere what needs it";
        find(findings, FOREIGN_SYNTAX, &syntax.span, message, hint);
    }
}

/// The rules that `value` names.
fn names(value: &Spanned<String>, findings: &mut Vec<Finding>) {
    let text = super::settings::without_reason(&value.value);
    let mut start = 0;
    let is_end = |c: char| matches!(c, ';' | ',' | '=');
    for part in text.split_inclusive(is_end) {
        let (begin, end) = (start, start + part.len());
        start = end;
        let name = part.trim_end_matches(is_end);
        // What has `=` behind it is a key, and after `error=` stands no name.
        let key = text[..begin].rsplit(';').next().unwrap_or("");
        if part.ends_with('=') || key.trim_start().starts_with("error") {
            continue;
        }
        let trimmed = name.trim();
        let is_known = RULES
            .iter()
            .any(|rule| rule.name.eq_ignore_ascii_case(trimmed));
        if trimmed.is_empty() || trimmed == "all" || is_known {
            continue;
        }
        let offset = begin + name.len() - name.trim_start().len();
        let from = value.span.start + offset;
        let message = format!("there is no rule `{trimmed}`");
        let rules = RULES.iter().map(|rule| rule.name);
        let hint = suggest::hint(trimmed, rules, "some of the rules are").unwrap_or_default();
        let span = from..from + trimmed.len();
        find(findings, INVALID_CHECK_DIRECTIVE, &span, message, hint);
    }
}
