//! What cairn stands on: licences that go with Apache-2.0, from the registry, without network.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Licences that a dependency may choose from (SPDX), each compatible with Apache-2.0.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// What is built on this machine: of other platforms' crates nothing was fetched.
fn packages() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .args(["--filter-platform", host.unwrap()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether an SPDX expression can be met: `OR` needs one side, `AND` both; parentheses as usual.
fn is_met(expression: &str) -> bool {
    let expression = expression.trim();
    let split = |word: &str| -> Option<(String, String)> {
        let mut depth = 0;
        let tokens: Vec<_> = expression.split_whitespace().collect();
        for (at, token) in tokens.iter().enumerate() {
            if depth == 0 && *token == word {
                return Some((tokens[..at].join(" "), tokens[at + 1..].join(" ")));
            }
            depth += token.matches('(').count();
            depth -= token.matches(')').count();
        }
        None
    };
    if let Some((left, right)) = split("OR") {
        return is_met(&left) || is_met(&right);
    }
    if let Some((left, right)) = split("AND") {
        return is_met(&left) && is_met(&right);
    }
    let inner = expression
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    match inner {
        Some(inner) => is_met(inner),
        None => ALLOWED.contains(&expression),
    }
}

#[test]
fn licences_go_with_ours() {
    let refused: Vec<_> = packages()
        .iter()
        .filter(|package| {
            let licence = package["license"].as_str().unwrap_or("none");
            // Crates from before SPDX expressions write `MIT/Apache-2.0`.
            !is_met(&licence.replace('/', " OR "))
        })
        .map(|package| format!("{} {}", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    assert!(is_met("MIT OR GPL-3.0"));
    assert!(is_met("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(!is_met("MIT AND GPL-3.0"));
    assert!(!is_met("GPL-3.0"));
}

#[test]
fn everything_comes_from_the_registry() {
    let elsewhere: Vec<_> = packages()
        .iter()
        .filter(|package| package["name"] != "cairn")
        .filter(|package| {
            let source = package["source"].as_str().unwrap_or("a folder");
            !source.starts_with("registry+")
        })
        .map(|package| package["name"].to_string())
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn what_makes_bytes_is_pinned_to_the_last_digit() {
    let packages = packages();
    let own = packages
        .iter()
        .find(|package| package["name"] == "cairn")
        .unwrap();
    let pinned: BTreeSet<_> = own["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["req"].as_str().unwrap().starts_with('='))
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        pinned,
        [
            "fastcdc",
            "flate2",
            "zlib-rs",
            "zstd",
            "zstd-safe",
            "zstd-sys"
        ]
        .into()
    );
}
