//! Findings for programs.
//!
//! In: findings, what breaks the recipe, the file. Out: JSON: in the shape of `docker build --call=check,format=json`
//! ([`docker`]), and SARIF 2.1.0 ([`sarif`], OASIS sarif-v2.1.0).

use serde_json::{Value, json};

use super::{Finding, Level, RULES};
use crate::canon::source::Place;
use crate::canon::{Problem, Source, base64};
use crate::frontend::dockerfile::syntax::Span;

fn places(span: &Span, source: &Source) -> (Place, Place) {
    let start = source.position(span.start);
    let end = source.position(span.end.max(span.start));
    (start, end)
}

/// As BuildKit's `pb.Location`, with lines from 1 and characters from 0.
fn location(span: &Span, source: &Source) -> Value {
    let (start, end) = places(span, source);
    json!({
        "sourceIndex": 0,
        "ranges": [{
            "start": { "line": start.line, "character": start.column - 1 },
            "end": { "line": end.line, "character": end.column - 1 },
        }],
    })
}

/// As SARIF's locations.
fn region(span: &Span, source: &Source) -> Value {
    let (start, end) = places(span, source);
    json!([{
        "physicalLocation": {
            "artifactLocation": { "uri": uri(source.name()) },
            "region": {
                "startLine": start.line,
                "startColumn": start.column,
                "endLine": end.line,
                "endColumn": end.column,
            },
        },
    }])
}

/// A message and its way out on one line.
fn sentence(message: &str, hint: Option<&String>) -> String {
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    }
}

/// As Docker's own report has it: warnings with their lines, and the file. `level` and `hint` are
/// cairn's. Of what breaks the recipe Docker tells one thing, and so does this.
pub fn docker(findings: &[Finding], problems: &[Problem], source: &Source) -> Value {
    let warnings = findings.iter().map(|finding| {
        let mut warning = json!({
            "ruleName": finding.rule.name,
            "description": finding.rule.description,
            "detail": finding.message,
            "level": level(finding.rule.level),
            "location": location(&finding.span, source),
        });
        if let Some(url) = finding.rule.url() {
            warning["url"] = url.into();
        }
        if let Some(hint) = &finding.hint {
            warning["hint"] = hint.clone().into();
        }
        warning
    });
    let mut report = json!({
        "warnings": warnings.collect::<Vec<_>>(),
        "sources": [{
            "fileName": source.name(),
            "language": language(source),
            "data": base64(source.text().as_bytes()),
        }],
    });
    if let Some(first) = problems.first() {
        let span = first.span.clone().unwrap_or(0..0);
        report["buildError"] = json!({
            "message": sentence(&first.message, first.hint.as_ref()),
            "location": location(&span, source),
        });
    }
    report
}

fn language(source: &Source) -> &'static str {
    match source.name().ends_with(".toml") {
        true => "TOML",
        false => "Dockerfile",
    }
}

/// The rule of what breaks a recipe, in SARIF, where every result has one.
const BROKEN: &str = "InvalidRecipe";

/// A SARIF log of one run.
pub fn sarif(findings: &[Finding], problems: &[Problem], source: &Source) -> Value {
    let rules = RULES.iter().map(|rule| {
        let mut value = json!({
            "id": rule.name,
            "shortDescription": { "text": rule.description },
            "help": { "text": rule.page, "markdown": rule.page },
            "defaultConfiguration": { "level": level(rule.level), "enabled": !rule.is_experimental },
        });
        if let Some(url) = rule.url() {
            value["helpUri"] = url.into();
        }
        value
    });
    let broken = json!({
        "id": BROKEN,
        "shortDescription": { "text": "the recipe can be built" },
        "defaultConfiguration": { "level": "error", "enabled": true },
    });
    let results = findings.iter().map(|finding| {
        let index = RULES.iter().position(|rule| rule.name == finding.rule.name);
        json!({
            "ruleId": finding.rule.name,
            "ruleIndex": index,
            "level": level(finding.rule.level),
            "message": { "text": sentence(&finding.message, finding.hint.as_ref()) },
            "locations": region(&finding.span, source),
        })
    });
    let errors = problems.iter().map(|problem| {
        let span = problem.span.clone().unwrap_or(0..0);
        json!({
            "ruleId": BROKEN,
            "ruleIndex": RULES.len(),
            "level": "error",
            "message": { "text": sentence(&problem.message, problem.hint.as_ref()) },
            "locations": region(&span, source),
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cairn",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.chain([broken]).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": errors.chain(results).collect::<Vec<_>>(),
        }],
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warning => "warning",
    }
}

/// A path as a URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_have_no_strange_bytes() {
        assert_eq!(super::uri("a b/ü"), "a%20b/%C3%BC");
    }
}
