//! What the solver chooses, by small archives.

use super::*;
use crate::packages::relation;

/// An archive in short: `name version; Field: value; …`, one package a line.
fn archive(lines: &str) -> String {
    let package = |line: &str| {
        let mut parts = line.split(';').map(str::trim);
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        let fields: String = parts.map(|field| format!("{field}\n")).collect();
        format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}\n")
    };
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| package(line.trim())).collect()
}

fn question(wanted: &str) -> Question {
    let wanted = wanted.split(", ").filter(|text| !text.is_empty());
    Question {
        wanted: wanted.map(|text| relation::wanted(text).unwrap()).collect(),
        architecture: "amd64".to_owned(),
        ..Question::default()
    }
}

fn solved_over(
    installed: &str,
    lines: &str,
    question: &Question,
) -> Result<Vec<String>, Unsolvable> {
    let (text, status) = (archive(lines), archive(installed));
    let status = status.replace("Architecture", "Status: install ok installed\nArchitecture");
    let mut index = Index::default();
    assert_eq!(index.add_archive(&text, 0), 0);
    index.add_installed(&status);
    let chosen = solve(&index, question)?;
    let shown = chosen.into_iter().filter_map(|number| index.get(number));
    let mut shown: Vec<_> = shown
        .map(|one| format!("{} {}", one.name, one.version))
        .collect();
    shown.sort();
    Ok(shown)
}

fn solved(lines: &str, wanted: &str) -> Result<Vec<String>, Unsolvable> {
    solved_over("", lines, &question(wanted))
}

const ARCHIVE: &str = "
    app 1; Depends: lib (>= 2), mail-agent | postfix
    app 2; Depends: lib (>= 2), mail-agent | postfix, virtual
    exim 1; Provides: mail-agent
    postfix 1; Provides: mail-agent
    lib 1
    lib 2
    lib 3; Breaks: old (<< 2)
    old 1
    prov-b 1; Provides: virtual (= 2)
    prov-a 1; Provides: virtual
    needs-version 1; Depends: virtual (>= 2)
    z-hater 1; Conflicts: virtual; Provides: virtual
    alone 1; Depends: nothing
    dep 1; Depends: alone
    rec 1; Recommends: old | lib, alone, nothing
    base 1; Essential: yes; Depends: lib
    apt 1
    req 1; Priority: required
";

#[test]
fn the_newest_and_the_first_are_chosen() {
    let expected = ["app 2", "exim 1", "lib 3", "prov-a 1"];
    assert_eq!(solved(ARCHIVE, "app").unwrap(), expected);
    assert_eq!(
        solved(ARCHIVE, "app (<< 2)").unwrap(),
        ["app 1", "exim 1", "lib 3"]
    );
}

#[test]
fn what_is_chosen_already_comes_before_the_first() {
    let expected = ["app 1", "lib 3", "postfix 1"];
    assert_eq!(solved(ARCHIVE, "app=1, postfix").unwrap(), expected);
    let over = solved_over(
        "prov-b 1; Provides: virtual (= 2)",
        ARCHIVE,
        &question("app"),
    );
    assert_eq!(over.unwrap(), ["app 2", "exim 1", "lib 3"]);
}

#[test]
fn what_is_broken_is_not_chosen() {
    assert_eq!(
        solved(ARCHIVE, "app=1, old").unwrap(),
        ["app 1", "exim 1", "lib 2", "old 1"]
    );
    assert_eq!(
        solved(ARCHIVE, "needs-version").unwrap(),
        ["needs-version 1", "prov-b 1"]
    );
    assert_eq!(solved(ARCHIVE, "z-hater").unwrap(), ["z-hater 1"]);
    assert!(matches!(
        solved(ARCHIVE, "z-hater, prov-a"),
        Err(Unsolvable::Conflict(_))
    ));
}

#[test]
fn what_is_installed_stays_unless_it_is_asked_for() {
    let over = |wanted| solved_over("lib 2", ARCHIVE, &question(wanted)).unwrap();
    assert_eq!(over("app=1"), ["app 1", "exim 1"]);
    assert_eq!(over("lib"), ["lib 3"]);
    assert_eq!(over("lib=2"), [""; 0]);
    let removed = solved_over("old 1", ARCHIVE, &question("lib"));
    assert_eq!(removed.unwrap(), ["lib 2"]);
    // Nothing that is broken already stands in the way.
    let broken = solved_over("alone 1; Depends: nothing", ARCHIVE, &question("dep"));
    assert_eq!(broken.unwrap(), ["dep 1"]);
}

#[test]
fn base_sets_and_recommended_ones_are_added() {
    let essential = Question {
        essential: true,
        ..question("")
    };
    assert_eq!(
        solved_over("", ARCHIVE, &essential).unwrap(),
        ["base 1", "lib 3"]
    );
    let required = Question {
        required: true,
        ..essential
    };
    let expected = ["apt 1", "base 1", "lib 3", "req 1"];
    assert_eq!(solved_over("", ARCHIVE, &required).unwrap(), expected);
    let recommends = Question {
        recommends: true,
        ..question("rec")
    };
    assert_eq!(
        solved_over("", ARCHIVE, &recommends).unwrap(),
        ["old 1", "rec 1"]
    );
    let preferred = Question {
        preferred: vec!["postfix".into()],
        ..question("app=1")
    };
    let expected = ["app 1", "lib 3", "postfix 1"];
    assert_eq!(solved_over("", ARCHIVE, &preferred).unwrap(), expected);
}

#[test]
fn errors_say_what_needs_what() {
    let told = |wanted| solved(ARCHIVE, wanted).unwrap_err();
    assert_eq!(told("aqq"), Unsolvable::Unknown("aqq".into()));
    let told_version = told("lib (>= 4)").to_string();
    assert!(told_version.contains("`lib (>= 4)`") && told_version.contains("1, 2, 3"));
    let told_virtual = told("virtual").to_string();
    assert!(
        told_virtual.contains("prov-a, prov-b, z-hater"),
        "{told_virtual}"
    );
    let chain = told("dep").to_string();
    for name in ["dep", "alone", "nothing"] {
        assert!(chain.contains(name), "{chain}");
    }
    let conflict = told("app, old, lib=3").to_string();
    for name in ["old", "lib"] {
        assert!(conflict.contains(name), "{conflict}");
    }
}
