//! Digests that no change of cairn may change: those of every recipe, in gzip and zstd.
//!
//! They stand in testdata/golden/digests.txt, a line each: recipe, compression, digest.

use std::collections::BTreeMap;

use crate::support::recipes::{checkout, digests, names, testdata};
use crate::support::{cairn, temp};

/// What to do about a difference.
const RULE: &str = "The bytes of an old recipe may only change with a new format: see \
    src/canon/format.rs. If this cairn writes another format than the last release did, or the \
    recipe itself is new or was changed, put these lines into testdata/golden/digests.txt:";

fn built() -> BTreeMap<(String, &'static str), String> {
    let (checkout, store) = (checkout(), temp());
    let zstd = |name: &str| {
        let mut command = cairn(store.path());
        command.args(["build", "--compression=zstd"]);
        command.args(&checkout.arguments(name)[1..]);
        crate::support::run(&mut command).trim_end().to_owned()
    };
    let gzip = digests().iter();
    let gzip = gzip.map(|(name, digest)| ((name.clone(), "gzip"), digest.clone()));
    let zstd = names().into_iter().map(|name| {
        let digest = zstd(&name);
        ((name, "zstd"), digest)
    });
    gzip.chain(zstd).collect()
}

#[test]
fn golden_digests_stay() {
    let path = testdata().join("golden/digests.txt");
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = golden.lines().filter(|line| !line.starts_with('#'));
    let mut golden: Vec<&str> = lines.collect();
    let built: Vec<String> = built()
        .into_iter()
        .map(|((name, codec), digest)| format!("{name} {codec} {digest}"))
        .collect();
    let new: Vec<&str> = built
        .iter()
        .map(String::as_str)
        .filter(|line| !golden.contains(line))
        .collect();
    assert!(new.is_empty(), "{RULE}\n{}", new.join("\n"));
    golden.retain(|line| !built.iter().any(|built| built == line));
    assert!(golden.is_empty(), "no recipe gives these: {golden:?}");
}

#[test]
fn the_readme_shows_the_digest_of_the_quickstart() {
    let path = testdata().join("../README.md");
    // Until there is one, there is nothing to compare with.
    let Ok(readme) = std::fs::read_to_string(path) else {
        return;
    };
    let digest = &digests()["quickstart"];
    assert!(
        readme.contains(digest.as_str()),
        "README.md has to show the digest of testdata/quickstart, {digest}"
    );
}

#[test]
fn recipes_that_differ_have_digests_that_differ() {
    let mut all: Vec<_> = digests().values().collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), names().len());
}
