//! Each rule: what it finds, and what it leaves alone.

mod purity;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::canon::Source;
use crate::canon::pattern::ignore;
use crate::frontend::dockerfile::{LARGEST, parse};

fn source(text: &str) -> Source {
    Source::new("Dockerfile", text.into(), LARGEST).unwrap()
}

fn findings(text: &str, input: CheckInput<'_>) -> Vec<Finding> {
    let file = parse(&source(text)).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
    check(&file, &CheckInput { text, ..input })
}

/// Rules and what they point at.
fn found<'a>(text: &'a str, input: CheckInput<'_>) -> Vec<(&'static str, &'a str)> {
    let findings = findings(text, input).into_iter();
    let each = findings.map(|finding| (finding.rule.name, &text[finding.span]));
    each.collect()
}

/// What the rule points at in each text; the others are left out.
fn must_find(rule: &str, rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let found = found(text, CheckInput::default()).into_iter();
        let found: Vec<_> = found.filter(|(name, _)| *name == rule).collect();
        let found: Vec<_> = found.iter().map(|(_, at)| *at).collect();
        assert_eq!(found, *expected, "{rule}: {text}");
    }
}

/// The same, of one RUN each.
fn must_find_in_run(rule: &str, rows: &[(&str, &[&str])]) {
    for (command, expected) in rows {
        must_find(rule, &[(&format!("FROM scratch\nRUN {command}"), expected)]);
    }
}

#[test]
fn every_rule_has_a_page_of_its_own() {
    let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    assert!(RULES.iter().filter(|rule| rule.is_dockers).count() >= 22);
    for rule in RULES {
        assert!(rule.page.starts_with(&format!("# {}\n", rule.name)));
        assert!(rule.page.contains("\nGood:\n"), "{}", rule.name);
        assert_eq!(page(&rule.name.to_lowercase()), Some(rule.page));
        assert_eq!(rule.url().is_some(), rule.is_dockers);
    }
    assert_eq!(page("NoSuchRule"), None);
    let url = |name: &str| {
        let mut rules = RULES.iter();
        rules.find(|rule| rule.name == name).unwrap().url().unwrap()
    };
    assert!(url("JSONArgsRecommended").ends_with("/json-args-recommended/"));
    assert!(
        url("FromPlatformFlagConstDisallowed").ends_with("/from-platform-flag-const-disallowed/")
    );
}

/// What is bad in a page is found, and what is good is not.
#[test]
fn pages_are_right() {
    let rules = ignore::parse(b"*.md").unwrap();
    for rule in RULES {
        let part = |title: &str| {
            let (_, rest) = rule.page.split_once(&format!("\n{title}:\n"))?;
            let lines = rest.lines().skip(1);
            let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
            let lines: Vec<_> = lines
                .map(|line| line.strip_prefix("    ").unwrap_or(""))
                .collect();
            let text = lines.join("\n");
            // Parts that need more than the text to judge them are left to other tests.
            let has_from = text.to_uppercase().contains("FROM ");
            Some(match has_from {
                true => text,
                false => format!("FROM scratch\n{text}"),
            })
        };
        let judged = |text: &str| {
            let settings = Settings::parse("experimental=all").unwrap();
            let is_ignored = rule.name == "CopyIgnoredFile" && !text.contains("!README");
            let input = CheckInput {
                ignore: is_ignored.then_some(&rules),
                settings: Some(&settings),
                ..CheckInput::default()
            };
            let found = findings(text, input);
            found.iter().any(|finding| finding.rule == *rule)
        };
        let known = ["InvalidBaseImagePlatform", "GitFolderCopied"];
        if known.contains(&rule.name) {
            continue;
        }
        if let Some(bad) = part("Bad") {
            assert!(judged(&bad), "{} does not find {bad}", rule.name);
        }
        if let Some(good) = part("Good") {
            assert!(!judged(&good), "{} finds {good}", rule.name);
        }
    }
}

#[test]
fn style() {
    must_find(
        "StageNameCasing",
        &[("FROM a AS B", &["B"]), ("FROM a AS b", &[])],
    );
    must_find(
        "FromAsCasing",
        &[
            ("FROM a as b", &["as"]),
            ("from a AS b", &["AS"]),
            ("from a as b", &[]),
            ("From a as b", &[]),
            ("FROM a As b", &["As"]),
        ],
    );
    must_find(
        "NoEmptyContinuation",
        &[
            ("FROM a\nRUN b \\\n\n\n c", &["\n"]),
            ("FROM a\nRUN b \\\n# x\n c", &[]),
        ],
    );
    must_find(
        "ConsistentInstructionCasing",
        &[
            ("FROM a\nrun b\nRUN c", &["run"]),
            ("from a\nrun b\nRUN c", &["RUN"]),
            ("FROM a\nRun b", &["Run"]),
            ("FROM a\nrun b", &["run"]),
        ],
    );
    must_find(
        "DuplicateStageName",
        &[("FROM a AS b\nFROM a AS B", &["B"])],
    );
    must_find(
        "ReservedStageName",
        &[(
            "FROM a AS context\nFROM a AS scratch",
            &["context", "scratch"],
        )],
    );
    must_find(
        "JSONArgsRecommended",
        &[
            ("FROM a\nCMD b c", &["b c"]),
            ("FROM a\nENTRYPOINT b", &["b"]),
            ("FROM a\nCMD [\"b\"]\nHEALTHCHECK CMD b", &[]),
            ("FROM a AS b\nSHELL [\"x\"]\nCMD c\nFROM b\nCMD d", &[]),
            ("FROM a AS b\nFROM c\nSHELL [\"x\"]\nFROM b\nCMD d", &["d"]),
        ],
    );
    must_find(
        "WorkdirRelativePath",
        &[
            ("FROM a\nWORKDIR b", &["b"]),
            ("FROM a\nWORKDIR /b\nWORKDIR c", &[]),
            ("FROM a\nWORKDIR $b", &[]),
            ("FROM a AS b\nWORKDIR /c\nFROM b\nWORKDIR d", &[]),
        ],
    );
    must_find(
        "MultipleInstructionsDisallowed",
        &[
            (
                "FROM a\nCMD [\"b\"]\nCMD [\"c\"]\nFROM d\nCMD [\"e\"]",
                &["CMD [\"b\"]"],
            ),
            (
                "FROM a\nHEALTHCHECK NONE\nHEALTHCHECK NONE",
                &["HEALTHCHECK NONE"],
            ),
            ("FROM a\nRUN b\nRUN c", &[]),
        ],
    );
    must_find(
        "LegacyKeyValueFormat",
        &[
            ("FROM a\nENV b c\nLABEL d e", &["ENV b c", "LABEL d e"]),
            ("FROM a\nENV b=c", &[]),
        ],
    );
    must_find(
        "ExposeProtoCasing",
        &[("FROM a\nEXPOSE 80/TCP 81/udp 82/$X", &["80/TCP"])],
    );
    must_find(
        "ExposeInvalidFormat",
        &[(
            "FROM a\nEXPOSE 127.0.0.1:80:80 5000:80 81 80-90/udp",
            &["127.0.0.1:80:80", "5000:80"],
        )],
    );
}

#[test]
fn variables() {
    must_find(
        "UndefinedVar",
        &[
            ("FROM scratch\nENV a=$b", &["$b"]),
            ("FROM scratch\nENV a=1 c=$a", &["$a"]),
            ("FROM scratch\nARG b\nENV a=$b PATH=/x:$PATH", &[]),
            ("FROM scratch\nENV a=${b:-c}", &[]),
            ("FROM scratch\nRUN echo $b", &[]),
            ("FROM scratch\nCOPY a $b", &["$b"]),
            ("FROM scratch\nCOPY <<E /x\n$b\nE", &["<<E"]),
            ("FROM scratch\nCOPY <<'E' /x\n$b\nE", &[]),
            ("FROM x\nENV a=$LANG", &[]),
            ("FROM x\nARG VERSION=1\nENV a=$VERSOIN", &["$VERSOIN"]),
            ("ARG b=1\nFROM x\nENV a=$b", &["$b"]),
            ("ARG b=1\nFROM x\nARG b\nENV a=$b", &[]),
            ("FROM scratch AS s\nENV b=1\nFROM s\nENV a=$b", &[]),
            ("FROM scratch\nENV a=$TARGETARCH", &["$TARGETARCH"]),
            ("FROM scratch\nENV a=$HTTP_PROXY", &[]),
        ],
    );
    let bases = BTreeMap::from([(
        0,
        Base {
            variables: ["LANG".to_owned()].into(),
            ..Base::default()
        },
    )]);
    let input = CheckInput {
        bases: Some(&bases),
        settings: None,
        ..CheckInput::default()
    };
    let text = "FROM x\nENV a=$LANG b=$OTHER";
    assert!(found(text, input).contains(&("UndefinedVar", "$OTHER")));
    assert!(!found(text, input).contains(&("UndefinedVar", "$LANG")));

    must_find(
        "UndefinedArgInFrom",
        &[
            ("ARG a=b\nFROM $a$c", &["$a$c"]),
            ("FROM --platform=$BUILDPLATFORM a", &[]),
            ("FROM --platform=$BULIDPLATFORM a", &["$BULIDPLATFORM"]),
        ],
    );
    must_find(
        "InvalidDefaultArgInFrom",
        &[
            ("ARG a\nFROM $a", &["$a"]),
            ("ARG a\nFROM b:$a", &["b:$a"]),
            ("ARG a=c\nFROM b:$a", &[]),
            ("ARG a\nFROM b:${a:-c}", &[]),
            ("ARG a\nFROM b$a", &[]),
        ],
    );
    must_find(
        "RedundantTargetPlatform",
        &[
            (
                "FROM --platform=${TARGETPLATFORM} a",
                &["${TARGETPLATFORM}"],
            ),
            ("FROM --platform=linux/$TARGETARCH a", &[]),
        ],
    );
    must_find(
        "FromPlatformFlagConstDisallowed",
        &[
            ("FROM --platform=linux/amd64 a", &["linux/amd64"]),
            ("FROM --platform=linux/amd64 a AS x-amd64", &[]),
            ("FROM --platform=$BUILDPLATFORM a", &[]),
        ],
    );
    must_find(
        "SecretsUsedInArgOrEnv",
        &[
            (
                "ARG TOKEN\nFROM a\nENV API_KEY=1 monkey=2 PUBLIC_KEY=3",
                &["TOKEN", "API_KEY"],
            ),
            (
                "FROM a\nARG db_Password GIT_AUTH_X AUTHOR",
                &["db_Password", "GIT_AUTH_X"],
            ),
        ],
    );
}

#[test]
fn the_context() {
    let rules = ignore::parse(b"*.md\nnode_modules\n!README.md").unwrap();
    let ignore = CheckInput {
        ignore: Some(&rules),
        ..CheckInput::default()
    };
    for (text, expected) in [
        (
            "FROM scratch\nCOPY a.md /",
            &[("CopyIgnoredFile", "a.md")][..],
        ),
        (
            "FROM scratch\nADD ./node_modules/x b /",
            &[("CopyIgnoredFile", "./node_modules/x")],
        ),
        ("FROM scratch\nCOPY README.md b /", &[]),
        ("FROM scratch AS s\nFROM scratch\nCOPY --from=s a.md /", &[]),
        ("FROM scratch\nCOPY . /", &[("GitFolderCopied", ".")]),
        ("FROM scratch\nCOPY --exclude=.git . /", &[]),
    ] {
        assert_eq!(found(text, ignore), expected, "{text}");
    }
    let rules = ignore::parse(b".git").unwrap();
    let input = CheckInput {
        ignore: Some(&rules),
        ..CheckInput::default()
    };
    assert_eq!(found("FROM scratch\nCOPY . /", input), []);
}

#[test]
fn what_the_recipe_skips_is_left_out() {
    for (text, expected) in [
        ("# check=skip=UnpinnedBase\nFROM a", &[][..]),
        ("# check=skip=all\nFROM a AS B", &[]),
        (
            "# check=skip=unpinnedbase,StageNameCasing\nFROM a AS B",
            &[],
        ),
        (
            "FROM a\n# check=skip=UnpinnedApk // it is fine\nRUN apk add b\nRUN apk add c",
            &["UnpinnedBase", "UnpinnedApk"],
        ),
        (
            "# text\n\n# check=skip=all\nFROM a\nFROM b",
            &["UnpinnedBase"],
        ),
        (
            "# check=experimental=all\n# x\nARG a\nFROM scratch",
            &["InvalidDefinitionDescription"],
        ),
        ("# x\nARG a\nFROM scratch", &[]),
    ] {
        let found = found(text, CheckInput::default());
        let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, expected, "{text}");
    }
    let settings = Settings::parse("skip=all").unwrap();
    let input = CheckInput {
        settings: Some(&settings),
        ..CheckInput::default()
    };
    assert_eq!(found("FROM a", input), []);
}

#[test]
fn settings_that_mean_nothing_are_told() {
    must_find(
        "InvalidCheckDirective",
        &[
            ("# check=skip\nFROM scratch", &["skip"]),
            ("# check=error=maybe\nFROM scratch", &["error=maybe"]),
            (
                "# check=skip=UndefinedVar, UndefinedVra;error=true\nFROM scratch",
                &["UndefinedVra"],
            ),
            (
                "# check=skip=UndefinedVar,UnpinnedBase;error=1;experimental=all\nFROM scratch",
                &[],
            ),
            (
                "#  Check = skip=Nonsense // why\nFROM scratch",
                &["Nonsense"],
            ),
            ("# check=skip=all\nFROM scratch", &[]),
            (
                "FROM scratch\n# check=skip=Ä=b;ß // why\nENV a=b",
                &["skip=Ä=b;ß // why"],
            ),
            ("FROM scratch\n# a check=of nothing\nENV a=b", &[]),
        ],
    );
}

#[test]
fn reports_have_places() {
    let text = "FROM scratch\nENV ä b\n";
    let findings = findings(text, CheckInput::default());
    let value = report::docker(&findings, &[], &source(text));
    assert_eq!(value["warnings"][0]["ruleName"], "LegacyKeyValueFormat");
    let range = &value["warnings"][0]["location"]["ranges"][0];
    assert_eq!(range["start"]["line"], 2);
    assert_eq!(range["end"]["character"], 7);
    assert_eq!(
        value["sources"][0]["data"],
        "RlJPTSBzY3JhdGNoCkVOViDDpCBiCg=="
    );
    let value = report::sarif(&findings, &[], &source(text));
    let result = &value["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "LegacyKeyValueFormat");
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    let rules = &value["runs"][0]["tool"]["driver"]["rules"];
    assert_eq!(rules[index]["id"], "LegacyKeyValueFormat");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 2);
    assert_eq!(region["endColumn"], 8);
}
