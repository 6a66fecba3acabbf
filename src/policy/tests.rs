//! Policies: what they say of inputs, what they are refused for, and what is written of a lock.

use super::*;
use crate::canon::{Digest, Platform};
use crate::lock::{Commit, Image, Lock, OfPlatform};

fn policy(rules: &str) -> Policy {
    read::read(&format!("{{\"rules\": [{rules}]}}"), "policy.json").unwrap()
}

fn allow(identifier: &str) -> String {
    format!(r#"{{"action": "ALLOW", "selector": {{"identifier": "{identifier}"}}}}"#)
}

fn deny(identifier: &str) -> String {
    format!(r#"{{"action": "DENY", "selector": {{"identifier": "{identifier}"}}}}"#)
}

fn convert(from: &str, match_type: &str, to: &str) -> String {
    format!(
        r#"{{"action": "CONVERT", "selector": {{"identifier": "{from}", "matchType": "{match_type}"}},
            "updates": {{"identifier": "{to}"}}}}"#
    )
}

/// What becomes of `identifier`: nothing where it is refused.
fn after(policy: &Policy, identifier: &str) -> Option<String> {
    match policy.decide(identifier) {
        Decision::Allowed => Some(identifier.to_owned()),
        Decision::Converted(input) => Some(input.identifier),
        Decision::Refused(_) => None,
    }
}

const ALPINE: &str = "docker-image://docker.io/library/alpine:3.20";
const DEBIAN: &str = "docker-image://docker.io/library/debian:12";

#[test]
fn the_last_rule_that_allows_or_denies_wins() {
    for (rules, alpine, debian) in [
        (vec![], true, true),
        (vec![deny("*")], false, false),
        (vec![deny("*"), allow(ALPINE)], true, false),
        (vec![allow(ALPINE), deny("docker-image://*")], false, false),
        (vec![deny(ALPINE), allow(ALPINE), deny(ALPINE)], false, true),
        (vec![deny("*alpine*"), allow("https://*")], false, true),
        (vec![deny("alpine")], true, true),
        // A star is the only sign that isn't itself.
        (
            vec![deny("docker-image://docker.io/library/alpine:3?20")],
            true,
            true,
        ),
        (
            vec![deny("docker-image://docker.io/library/alpine:3.2*0")],
            false,
            true,
        ),
    ] {
        let policy = policy(&rules.join(","));
        assert_eq!(after(&policy, ALPINE).is_some(), alpine, "{rules:?}");
        assert_eq!(after(&policy, DEBIAN).is_some(), debian, "{rules:?}");
    }
}

#[test]
fn whoever_fetches_for_a_command_can_ask_from_any_thread() {
    fn shared<T: Send + Sync + 'static>(policy: T) -> std::sync::Arc<T> {
        std::sync::Arc::new(policy)
    }
    let policy = shared(policy(&deny("https://*")));
    let other = policy.clone();
    let asked = std::thread::spawn(move || other.decide("https://a.test/x"));
    assert!(matches!(asked.join().unwrap(), Decision::Refused(_)));
    assert_eq!(policy.decide("http://a.test/x"), Decision::Allowed);
}

#[test]
fn what_is_converted_is_judged_anew() {
    let chain = [
        convert(DEBIAN, "EXACT", ALPINE),
        convert(
            "docker-image://docker.io/*",
            "WILDCARD",
            "docker-image://mirror.test/${1}",
        ),
    ];
    let mirrored = Some("docker-image://mirror.test/library/alpine:3.20".to_owned());
    assert_eq!(after(&policy(&chain.join(",")), DEBIAN), mirrored);
    // A denial counts for what it was made, not for what it was.
    let rules = [deny(DEBIAN), convert(DEBIAN, "EXACT", ALPINE)];
    assert_eq!(
        after(&policy(&rules.join(",")), DEBIAN),
        Some(ALPINE.to_owned())
    );
    let rules = [deny(ALPINE), convert(DEBIAN, "EXACT", ALPINE)];
    let Decision::Refused(refusal) = policy(&rules.join(",")).decide(DEBIAN) else {
        panic!("it is allowed");
    };
    let text = refusal.to_string();
    for part in ["`policy.json`", "rule 1", ALPINE, DEBIAN] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn conversions_without_end_are_refused() {
    let rules = [
        convert(DEBIAN, "EXACT", ALPINE),
        convert(ALPINE, "EXACT", DEBIAN),
    ];
    let decision = policy(&rules.join(",")).decide(DEBIAN);
    assert!(matches!(decision, Decision::Refused(Refusal::Loop { .. })));
    // Twenty in a row are fine.
    let names: Vec<_> = (0..=20)
        .map(|number| format!("https://a.test/{number}"))
        .collect();
    let rules: Vec<_> = names
        .windows(2)
        .map(|pair| convert(&pair[0], "EXACT", &pair[1]))
        .collect();
    assert_eq!(
        after(&policy(&rules.join(",")), &names[0]),
        names.last().cloned()
    );
}

#[test]
fn patterns_hand_over_what_they_stand_for() {
    for (from, match_type, to, given, expected) in [
        (
            "https://a.test/*/x/*",
            "WILDCARD",
            "https://b.test/${2}/${1}",
            "https://a.test/1/x/2",
            "https://b.test/2/1",
        ),
        (
            "https://a.test/*",
            "WILDCARD",
            "https://b.test/$1",
            "https://a.test/1",
            "https://b.test/1",
        ),
        (
            "https://(.*?)/(.*)",
            "REGEX",
            "https://m.test/$1/${2}?b",
            "https://a.test/c",
            "https://m.test/a.test/c?b",
        ),
        // A regular expression changes no more than it finds.
        (
            "a\\\\.test",
            "REGEX",
            "b.test",
            "https://a.test/a",
            "https://b.test/a",
        ),
        // Exactly that means no pattern, and no place in the other.
        (
            "https://a.test/*",
            "EXACT",
            "https://b.test/",
            "https://a.test/1",
            "https://a.test/1",
        ),
        (
            "https://a.test/*",
            "EXACT",
            "https://b.test/${1}",
            "https://a.test/*",
            "https://b.test/${1}",
        ),
    ] {
        let rule = convert(from, match_type, to);
        // Once: the result may match again.
        let policy = policy(&[rule, deny("nothing")].join(","));
        let Round::Converted(input, 0) = policy.round(&Input::new(given)) else {
            assert_eq!(given, expected, "{from}");
            continue;
        };
        assert_eq!(input.identifier, expected, "{from}");
    }
}

#[test]
fn constraints_look_at_attributes() {
    let rule = |condition: &str, value: &str| {
        policy(&format!(
            r#"{{"action": 1, "selector": {{"identifier": "*", "constraints":
                [{{"key": "http.checksum", "value": "{value}", "condition": {condition}}}]}}}}"#
        ))
    };
    let digest = Digest::of(b"a");
    let file = |sha256| File {
        url: "https://a.test/".to_owned(),
        sha256,
    };
    let is_had = |policy: &Policy, sha256| policy.file(&file(sha256), "a").is_ok();
    for (condition, value, without, with) in [
        ("\"EQUAL\"", "", false, true),
        ("0", &*digest.to_string(), true, false),
        ("\"NOTEQUAL\"", &*digest.to_string(), false, true),
        ("2", "^sha256:", true, false),
    ] {
        let policy = rule(condition, value);
        assert_eq!(is_had(&policy, None), without, "{condition}");
        assert_eq!(is_had(&policy, Some(digest)), with, "{condition}");
    }
}

#[test]
fn what_cairn_cannot_do_is_refused_by_name() {
    for (text, part) in [
        ("[]", "no JSON object"),
        (r#"{"rule": []}"#, "`rule`"),
        (r#"{"version": 2}"#, "version 2"),
        (r#"{"rules": [{"action": "DENY"}]}"#, "selector"),
        (
            r#"{"rules": [{"action": "WARN", "selector": {"identifier": "a"}}]}"#,
            "`WARN`",
        ),
        (
            r#"{"rules": [{"action": 3, "selector": {"identifier": "a"}}]}"#,
            "`3`",
        ),
        (r#"{"rules": [{"selector": {"identifier": ""}}]}"#, "rule 1"),
        (
            r#"{"rules": [{"selector": {"identifier": "a", "mode": 1}}]}"#,
            "`mode`",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "a**"}}]}"#,
            "two stars",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "(", "matchType": "REGEX"}}]}"#,
            "`(`",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "(a{1000}){1000}", "match_type": 2}}]}"#,
            "too large",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "a"}, "updates": {"identifier": "b"}}]}"#,
            "`updates`",
        ),
        (
            r#"{"rules": [{"action": 2, "selector": {"identifier": "a"}}]}"#,
            "`updates`",
        ),
        (
            r#"{"rules": [{"action": 2, "selector": {"identifier": "a"}, "updates": {}}]}"#,
            "nothing",
        ),
        (
            r#"{"rules": [{"action": 2, "selector": {"identifier": "a"}, "updates": {"attrs": {"http.perm": "0600"}}}]}"#,
            "`http.perm`",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "a", "constraints": [{"key": "local.session"}]}}]}"#,
            "`local.session`",
        ),
    ] {
        let error = read::read(text, "policy.json").unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn nothing_takes_the_place_of_what_it_cannot() {
    let to = |from: &str, to: &str| policy(&convert(from, "REGEX", to));
    let image = |policy: &Policy| policy.image(&"alpine:3.20".parse().unwrap());
    assert_eq!(
        image(&to("alpine:.*", "busybox")).unwrap().to_string(),
        "docker.io/library/busybox:latest"
    );
    for other in ["https://a.test/", "docker-image://A b", "docker-image://"] {
        assert!(image(&to(".*alpine.*", other)).is_err(), "{other}");
    }
    let file = |policy: &Policy| {
        let url = "https://a.test/x".to_owned();
        policy.file(&File { url, sha256: None }, "x")
    };
    assert!(file(&to("a.test", "b.test")).is_ok());
    for other in [
        "git://a.test/x",
        "file:///etc/passwd",
        "https://",
        "https://u:p@a.test/",
        "https:///x",
    ] {
        let refusal = file(&to(".*a.test/x", other)).unwrap_err().to_string();
        assert!(!refusal.contains("u:p"), "{refusal}");
    }
    assert!(
        to("context", "other")
            .permits(&Input::local("context"))
            .is_err()
    );
    assert!(
        to("context", "other")
            .permits(&Input::local("main"))
            .is_ok()
    );
}

#[test]
fn repositories_go_by_host_and_path() {
    let of = |url: &str, name: Option<&str>| Repository {
        url: url.to_owned(),
        name: name.map(str::to_owned),
        checksum: None,
    };
    for (url, name, folder, expected) in [
        (
            "https://a.test/b/c.git",
            Some("main"),
            None,
            "git://a.test/b/c.git#main",
        ),
        (
            "https://a.test:8080/c.git/",
            None,
            None,
            "git://a.test:8080/c.git",
        ),
        (
            "git@a.test:b/c.git",
            Some("v1"),
            Some("d"),
            "git://a.test/b/c.git#v1:d",
        ),
        (
            "ssh://git@a.test/b//c",
            None,
            Some("d"),
            "git://a.test/b/c#:d",
        ),
    ] {
        let input = Input::repository(&of(url, name), folder, false);
        assert_eq!(input.identifier, expected);
    }
    let main = of("https://a.test/c.git", Some("main"));
    let to = |updates: &str| {
        policy(&format!(
            r#"{{"action": "CONVERT", "selector": {{"identifier": "git://a.test/c.git#main"}}, "updates": {updates}}}"#
        ))
        .repository(&main, None, false)
    };
    let other = to(r#"{"identifier": "git://a.test/c.git#v2"}"#).unwrap();
    assert_eq!(other, of("https://a.test/c.git", Some("v2")));
    let other = to(r#"{"attrs": {"git.fullurl": "https://b.test/c.git"}}"#).unwrap();
    assert_eq!(other, of("https://b.test/c.git", Some("main")));
    let other = to(r#"{"attrs": {"git.checksum": "0123abcd"}}"#).unwrap();
    assert_eq!(other.checksum.as_deref(), Some("0123abcd"));
    for refused in [
        // BuildKit would take the old one.
        r#"{"identifier": "git://b.test/c.git#main"}"#,
        r#"{"identifier": "git://a.test/c.git#--upload-pack=x"}"#,
        r#"{"identifier": "git://a.test/c.git#main:folder"}"#,
        r#"{"identifier": "https://a.test/c.git#v2"}"#,
        r#"{"attrs": {"git.fullurl": "ext::sh -c id"}}"#,
        r#"{"attrs": {"git.checksum": "main"}}"#,
    ] {
        assert!(to(refused).is_err(), "{refused}");
    }
}

#[test]
fn what_a_name_means_is_judged_by_the_rules_about_that() {
    let digest = Digest::of(b"bad");
    let name = "alpine:3.20".parse().unwrap();
    let means = |rules: &[String]| policy(&rules.join(",")).resolved_image(&name, digest);
    // By name it was allowed.
    assert_eq!(means(&[deny("*"), allow(ALPINE)]), Ok(()));
    let bad = format!("*@{digest}");
    assert!(means(&[deny(&bad)]).is_err());
    assert_eq!(means(&[deny(&bad), allow("*@sha256:*")]), Ok(()));
    assert!(means(&[convert(&bad, "WILDCARD", ALPINE)]).is_err());
}

#[test]
fn a_lock_gives_the_policy_that_says_the_same() {
    let digest = Digest::of(b"image");
    let image = Image {
        index: Some(digest),
        manifest: Digest::of(b"manifest"),
    };
    let mut lock = Lock::default();
    for platform in ["linux/amd64", "linux/arm64"] {
        let platform: Platform = platform.parse().unwrap();
        let of = OfPlatform {
            images: [("docker.io/library/alpine:3.20".to_owned(), image)].into(),
            ..OfPlatform::default()
        };
        lock.platforms.insert(platform, of);
    }
    let commit = "0123456789012345678901234567890123456789";
    let of = Commit {
        commit: commit.to_owned(),
        named: None,
        tree: digest,
    };
    lock.git.insert(
        "https://a.test/c.git#main+submodules".to_owned(),
        of.clone(),
    );
    lock.git.insert("git@a.test:d#HEAD+git-dir".to_owned(), of);
    for url in ["https://a.test/x?a=b", "https://a.test/$1*"] {
        let file = crate::lock::File {
            sha256: digest,
            size: 1,
            modified: None,
        };
        lock.http.insert(url.to_owned(), file);
    }
    let text = write::write(&lock).unwrap();
    assert_eq!(text, write::write(&lock.clone()).unwrap());
    let policy = read::read(&text, "policy.json").unwrap();
    for (from, to) in [
        (ALPINE.to_owned(), format!("{ALPINE}@{digest}")),
        (DEBIAN.to_owned(), DEBIAN.to_owned()),
        (
            "git://a.test/c.git#main".to_owned(),
            format!("git://a.test/c.git#{commit}"),
        ),
        (
            "git://a.test/c.git#main:a/b".to_owned(),
            format!("git://a.test/c.git#{commit}:a/b"),
        ),
        (
            "git://a.test/c.git#main2".to_owned(),
            "git://a.test/c.git#main2".to_owned(),
        ),
        (
            "git://a.test/d".to_owned(),
            format!("git://a.test/d#{commit}"),
        ),
        (
            "git://a.test/d#:a".to_owned(),
            format!("git://a.test/d#{commit}:a"),
        ),
    ] {
        assert_eq!(after(&policy, &from), Some(to));
    }
    for url in lock.http.keys() {
        let file = File {
            url: url.clone(),
            sha256: None,
        };
        let pinned = policy.file(&file, "x").unwrap();
        assert_eq!(
            pinned,
            File {
                sha256: Some(digest),
                ..file
            }
        );
    }
    // A platform of which the name means something else can't be said.
    let other = Image {
        index: None,
        manifest: Digest::of(b"other"),
    };
    let mut platforms = lock.platforms.values_mut();
    let of = platforms.next().unwrap();
    of.images
        .insert("docker.io/library/alpine:3.20".to_owned(), other);
    assert!(matches!(
        write::write(&lock),
        Err(write::Error::Ambiguous { .. })
    ));
}
