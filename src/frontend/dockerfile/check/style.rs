//! How things are written: case, forms, names, what is there twice.
//!
//! In: a tree. Out: findings of Docker's rules that need to know no variables.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::*;
use super::{CheckInput, Finding, find, parents};
use crate::frontend::dockerfile::syntax::*;

pub(super) fn check(file: &Dockerfile, input: &CheckInput<'_>, findings: &mut Vec<Finding>) {
    casing(file, findings);
    names(file, findings);
    continuations(file, findings);
    descriptions(file, findings);
    let parents = parents(file);
    // Of each stage so far: whether it has a shell, and an absolute working directory.
    let mut known: Vec<(bool, bool)> = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        let base = input.bases.and_then(|bases| bases.get(&at));
        let parent = parents[at].and_then(|parent| known.get(parent));
        let (mut has_shell, mut has_workdir) = match parent {
            Some(parent) => *parent,
            None => (base.is_some_and(|base| base.has_shell), false),
        };
        if let Some((actual, expected)) = base.and_then(|base| base.platforms.as_ref())
            && (&actual.os, &actual.architecture) != (&expected.os, &expected.architecture)
        {
            let image = &stage.from.kind.image;
            let message = format!("`{}` is for {actual}, not for {expected}", image.raw);
            let hint = format!("name an image that is for {expected}, too");
            find(
                findings,
                INVALID_BASE_IMAGE_PLATFORM,
                &image.span,
                message,
                hint,
            );
        }
        let mut last: BTreeMap<&str, &Span> = BTreeMap::new();
        for node in &stage.instructions {
            match &node.kind {
                Kind::Shell(_) => has_shell = true,
                Kind::Workdir(path) => {
                    let is_absolute = path.raw.trim_matches(['"', '\'']).starts_with(['/', '$']);
                    if !is_absolute && !has_workdir {
                        let message = format!("`{}` depends on the base's WORKDIR", path.raw);
                        let hint = format!("write `WORKDIR /{}`", path.raw);
                        find(findings, WORKDIR_RELATIVE_PATH, &path.span, message, hint);
                    }
                    has_workdir = true;
                }
                Kind::Maintainer(author) => {
                    let hint = format!(
                        "write `LABEL org.opencontainers.image.authors=\"{}\"`",
                        author.value
                    );
                    let message = "MAINTAINER is deprecated".to_owned();
                    find(findings, MAINTAINER_DEPRECATED, &node.span, message, hint);
                }
                Kind::Env(pairs) => legacy("ENV", node, pairs, findings),
                Kind::Label(pairs) => legacy("LABEL", node, pairs, findings),
                Kind::Expose(ports) => expose(ports, findings),
                _ => {}
            }
            let (name, command) = match &node.kind {
                Kind::Cmd(command) => ("CMD", Some(command)),
                Kind::Entrypoint(command) => ("ENTRYPOINT", Some(command)),
                Kind::Healthcheck(_) => ("HEALTHCHECK", None),
                _ => continue,
            };
            if let (Some(CommandLine::Shell(text)), false) = (command, has_shell) {
                let message = format!("signals do not reach what {name} starts through a shell");
                let hint = format!("write it as an array: `{name} [\"program\", \"argument\"]`");
                let span = if text.value.is_empty() {
                    &node.span
                } else {
                    &text.span
                };
                find(findings, JSON_ARGS_RECOMMENDED, span, message, hint);
            }
            if let Some(before) = last.insert(name, &node.span) {
                let message = format!("another {name} of the stage takes this one's place");
                find(
                    findings,
                    MULTIPLE_INSTRUCTIONS_DISALLOWED,
                    before,
                    message,
                    "leave it out",
                );
            }
        }
        known.push((has_shell, has_workdir));
    }
}

/// Every instruction of a stage, `FROM` first, by name and place.
fn keywords(file: &Dockerfile) -> impl Iterator<Item = &Spanned<String>> {
    file.stages.iter().flat_map(|stage| {
        let others = stage.instructions.iter().map(|node| &node.keyword);
        std::iter::once(&stage.from.keyword).chain(others)
    })
}

fn is_lower(text: &str) -> bool {
    text == text.to_lowercase()
}

fn is_upper(text: &str) -> bool {
    text == text.to_uppercase()
}

fn casing(file: &Dockerfile, findings: &mut Vec<Finding>) {
    let lower = keywords(file).filter(|word| is_lower(&word.value)).count();
    let upper = keywords(file).filter(|word| is_upper(&word.value)).count();
    for word in keywords(file) {
        let (is_right, case, right) = match lower > upper {
            true => (is_lower(&word.value), "lower", word.value.to_lowercase()),
            false => (is_upper(&word.value), "upper", word.value.to_uppercase()),
        };
        if !is_right {
            let message = format!("`{}` is not in {case} case, as most are", word.value);
            let hint = format!("write `{right}`");
            find(
                findings,
                CONSISTENT_INSTRUCTION_CASING,
                &word.span,
                message,
                hint,
            );
        }
    }
    for stage in &file.stages {
        let Some(name) = &stage.from.kind.name else {
            continue;
        };
        let (from, keyword) = (&stage.from.keyword.value, &name.keyword);
        let right = match (is_lower(from), is_upper(from)) {
            (true, _) => keyword.value.to_lowercase(),
            (_, true) => keyword.value.to_uppercase(),
            _ => continue,
        };
        if right != keyword.value {
            let message = format!("`{}` is not in the case of `{from}`", keyword.value);
            let hint = format!("write `{right}`");
            find(findings, FROM_AS_CASING, &keyword.span, message, hint);
        }
    }
}

fn names(file: &Dockerfile, findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for stage in &file.stages {
        let Some(name) = &stage.from.kind.name else {
            continue;
        };
        if name.written != name.value {
            let message = format!("the stage's name `{}` is not in lower case", name.written);
            let hint = format!("write `{}`", name.value);
            find(findings, STAGE_NAME_CASING, &name.span, message, hint);
        }
        if matches!(&name.value[..], "scratch" | "context") {
            let message = format!("`{}` means something else already", name.value);
            find(
                findings,
                RESERVED_STAGE_NAME,
                &name.span,
                message,
                "call it otherwise",
            );
        }
        if !seen.insert(&name.value) {
            let message = format!("there is another stage `{}`", name.value);
            find(
                findings,
                DUPLICATE_STAGE_NAME,
                &name.span,
                message,
                "call it otherwise",
            );
        }
    }
}

/// One finding an instruction is enough.
fn continuations(file: &Dockerfile, findings: &mut Vec<Finding>) {
    let mut last = None;
    for blank in &file.empty_continuations {
        let spans = super::nodes(file).map(|(span, _)| span);
        let node = spans.into_iter().find(|span| span.contains(&blank.start));
        let begins = node.map(|node| node.start);
        if begins.is_some() && begins == last {
            continue;
        }
        last = begins;
        find(
            findings,
            NO_EMPTY_CONTINUATION,
            blank,
            "a blank line stands inside of an instruction".to_owned(),
            "leave it out, or write `#`",
        );
    }
}

fn descriptions(file: &Dockerfile, findings: &mut Vec<Finding>) {
    let mut check = |names: &[&str], comments: &[Spanned<String>], what: &str| {
        let (Some(first), Some(comment)) = (names.first(), comments.last()) else {
            return;
        };
        let begins = comment.value.split(' ').next().unwrap_or("");
        if !names.contains(&begins) {
            let message = format!("the comment above {what} does not begin with `{first}`");
            let hint = format!("write `# {first} …`, or a blank line below it");
            find(
                findings,
                INVALID_DEFINITION_DESCRIPTION,
                &comment.span,
                message,
                hint,
            );
        }
    };
    let mut arguments = |arguments: &[Argument], comments: &[Spanned<String>]| {
        let names: Vec<_> = arguments
            .iter()
            .map(|argument| &argument.name.raw[..])
            .collect();
        check(&names, comments, "ARG");
    };
    for node in &file.globals {
        arguments(&node.kind, &node.comments);
    }
    for node in file.stages.iter().flat_map(|stage| &stage.instructions) {
        if let Kind::Arg(written) = &node.kind {
            arguments(written, &node.comments);
        }
    }
    for stage in &file.stages {
        if let Some(name) = &stage.from.kind.name {
            check(&[&name.value], &stage.from.comments, "FROM");
        }
    }
}

fn legacy(name: &str, node: &Instruction, pairs: &[Pair], findings: &mut Vec<Finding>) {
    if let Some(pair) = pairs.iter().find(|pair| pair.is_legacy) {
        let message = format!("{name} is written in the old form, without `=`");
        let value = &pair.value.raw;
        let quoted = match value.contains(char::is_whitespace) && !value.starts_with(['"', '\'']) {
            true => format!("\"{value}\""),
            false => value.clone(),
        };
        let hint = format!("write `{name} {}={quoted}`", pair.key.raw);
        find(findings, LEGACY_KEY_VALUE_FORMAT, &node.span, message, hint);
    }
}

fn expose(ports: &[Word], findings: &mut Vec<Finding>) {
    for port in ports {
        let (number, protocol) = port.raw.split_once('/').unwrap_or((&port.raw, ""));
        if !port.raw.contains('$') && protocol != protocol.to_lowercase() {
            let message = format!("the protocol of `{}` is not in lower case", port.raw);
            let hint = format!("write `{number}/{}`", protocol.to_lowercase());
            find(findings, EXPOSE_PROTO_CASING, &port.span, message, hint);
        }
        if !number.contains('$') && number.contains(':') {
            let message = format!("`{}` is more than a port", port.raw);
            let own = number.rsplit(':').next().unwrap_or(number);
            let hint = format!("write `{own}`; who runs the image chooses address and port");
            find(findings, EXPOSE_INVALID_FORMAT, &port.span, message, hint);
        }
    }
}
