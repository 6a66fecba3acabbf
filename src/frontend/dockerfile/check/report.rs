//! Findings for programs.
//!
//! In: findings, and the file. Out: JSON: in the shape of `docker build --call=check,format=json`
//! ([`docker`]), and SARIF 2.1.0 ([`sarif`], OASIS sarif-v2.1.0).

use serde_json::{Value, json};

use super::{Finding, Level, RULES};
use crate::canon::Source;
use crate::canon::source::Place;

fn places(finding: &Finding, source: &Source) -> (Place, Place) {
    let start = source.position(finding.span.start);
    let end = source.position(finding.span.end.max(finding.span.start));
    (start, end)
}

/// As Docker's own report has it: warnings with their lines, and the file. `level` and `hint` are
/// cairn's.
pub fn docker(findings: &[Finding], source: &Source) -> Value {
    let warnings = findings.iter().map(|finding| {
        let (start, end) = places(finding, source);
        let mut warning = json!({
            "ruleName": finding.rule.name,
            "description": finding.rule.description,
            "detail": finding.message,
            "level": level(finding.rule.level),
            "location": {
                "sourceIndex": 0,
                "ranges": [{
                    "start": { "line": start.line, "character": start.column - 1 },
                    "end": { "line": end.line, "character": end.column - 1 },
                }],
            },
        });
        if let Some(url) = finding.rule.url() {
            warning["url"] = url.into();
        }
        if let Some(hint) = &finding.hint {
            warning["hint"] = hint.clone().into();
        }
        warning
    });
    json!({
        "warnings": warnings.collect::<Vec<_>>(),
        "sources": [{
            "fileName": source.name(),
            "language": "Dockerfile",
            "data": base64(source.text().as_bytes()),
        }],
    })
}

/// A SARIF log of one run.
pub fn sarif(findings: &[Finding], source: &Source) -> Value {
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
    let results = findings.iter().map(|finding| {
        let (start, end) = places(finding, source);
        let index = RULES.iter().position(|rule| rule.name == finding.rule.name);
        let text = match &finding.hint {
            Some(hint) => format!("{}; {hint}", finding.message),
            None => finding.message.clone(),
        };
        json!({
            "ruleId": finding.rule.name,
            "ruleIndex": index,
            "level": level(finding.rule.level),
            "message": { "text": text },
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(source.name()) },
                    "region": {
                        "startLine": start.line,
                        "startColumn": start.column,
                        "endLine": end.line,
                        "endColumn": end.column,
                    },
                },
            }],
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cairn",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
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

/// RFC 4648, as Go's JSON writes bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) & 63;
            let is_there = at <= group.len() as u32;
            let letter = LETTERS.get(index as usize).filter(|_| is_there);
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(text.as_bytes()), expected);
        }
        assert_eq!(super::uri("a b/ü"), "a%20b/%C3%BC");
    }
}
