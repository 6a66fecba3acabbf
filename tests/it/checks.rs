//! `cairn build --check`, `--call` and `--explain`: what is told, to whom, and how it ends.

use std::process::Output;

use serde_json::Value;

use crate::support::recipes::entries;
use crate::support::rude::{Reply, Rude};
use crate::support::{cairn, temp};

const WARNED: &str = "ARG WHO=me\nFROM scratch AS Upper\n# upper is below\nFROM upper AS lower\n\
     ARG WHO\nRUN --mount=type=secret,id=t,required --mount=type=ssh x\nENV A b\n";
const CLEAN: &str = "FROM scratch\nENV A=b\n";

/// What `build` says about `text` with these arguments; nothing else is in its folder after it.
#[track_caller]
fn look(text: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = temp();
    std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
    let mut command = cairn(&folder.path().join("store"));
    command
        .current_dir(folder.path())
        .arg("build")
        .args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(
        entries(folder.path()).len(),
        1,
        "{arguments:?} left something"
    );
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn json(text: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, out, said) = look(text, arguments);
    let value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{said}"));
    (code, value)
}

#[test]
fn a_warning_fails_a_check_and_no_warning_does_not() {
    for arguments in [&["--check"][..], &["--call=check"], &["--call", "lint"]] {
        let (code, out, said) = look(WARNED, arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert_eq!(said, "");
        for part in ["warning[StageNameCasing]", "Dockerfile:2:17", "2 warnings"] {
            assert!(out.contains(part), "{part}: {out}");
        }
        let (code, out, said) = look(CLEAN, arguments);
        assert_eq!((code, &said[..]), (Some(0), ""));
        assert_eq!(out, "check of Dockerfile: nothing found\n");
    }
    let (code, ..) = look(WARNED, &["--call=check,ignorestatus=true"]);
    assert_eq!(code, Some(0));
    // What is only worth knowing fails nothing.
    let (code, out, _) = look("FROM some/image:1\n", &["--check"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("note[UnpinnedBase]") && out.contains("1 note found"));
    // The argument stands in for the directive.
    let argument = "BUILDKIT_DOCKERFILE_CHECK=skip=all";
    assert_eq!(
        look(WARNED, &["--check", "--build-arg", argument]).0,
        Some(0)
    );
    let argument = "BUILDKIT_DOCKERFILE_CHECK=all";
    assert_eq!(
        look(WARNED, &["--check", "--build-arg", argument]).0,
        Some(2)
    );
}

#[test]
fn a_check_tells_what_breaks_the_recipe() {
    let (code, out, said) = look("FROM scratch AS A\nCPOY a b\n", &["--check"]);
    assert_eq!((code, &out[..]), (Some(1), ""));
    assert!(said.contains("Dockerfile:2:1") && said.contains("did you mean `COPY`?"));
    // Also what only the plan shows, below an image that nobody has.
    let text = "FROM some/image:1 AS A\nCOPY --chmod=999 a /\nENV x=${HOME:?}\n";
    let (code, out, said) = look(text, &["--check"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("StageNameCasing"), "{out}");
    assert!(
        said.contains("Dockerfile:2:14") && !said.contains("HOME"),
        "{said}"
    );
    let (code, value) = json(text, &["--check", "--format=json"]);
    assert_eq!(code, Some(1));
    let start = &value["buildError"]["location"]["ranges"][0]["start"];
    assert_eq!(start["line"], 2);
    // And what stands in a stage that nothing needs, unless a target is named.
    let text = "FROM scratch AS a\nCOPY --chmod=999 a /\nFROM scratch AS b\nENV a=b\n";
    assert_eq!(look(text, &["--check"]).0, Some(1));
    assert_eq!(look(text, &["--check", "--target=b"]).0, Some(0));
    let (code, value) = json("FROM\n", &["--check", "--format=sarif"]);
    assert_eq!(code, Some(1));
    assert_eq!(value["runs"][0]["results"][0]["level"], "error");
}

#[test]
fn an_image_that_was_meant_for_a_stage_is_told() {
    let text = "FROM scratch AS build\nFROM biuld\n";
    let (code, out, _) = look(text, &["--check"]);
    assert_eq!(code, Some(1));
    assert!(
        out.contains("MisspeltStage") && out.contains("did you mean `build`?"),
        "{out}"
    );
}

#[test]
fn a_build_that_lacks_an_image_names_the_stage_that_was_meant() {
    let (home, folder) = (temp(), temp());
    let server = Rude::new(|_, _| Reply::new(404, ""));
    let config = home.path().join("registries.conf");
    let location = &server.address;
    let text = format!(
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{location}\"\ninsecure = true\n"
    );
    std::fs::write(&config, text).unwrap();
    for line in [
        "FROM bulider",
        "FROM scratch\nCOPY --from=bulider /a /",
        "FROM scratch\nRUN --mount=target=/m,from=bulider a",
    ] {
        let text = format!("FROM scratch AS builder\nENV a=b\n{line}\n");
        std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
        let mut command = cairn(home.path());
        command.args(["build", "-q"]).arg(folder.path());
        command.env("CONTAINERS_REGISTRIES_CONF", &config);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("did you mean `builder`?"), "{line}: {said}");
    }
}

#[test]
fn programs_are_told_as_docker_tells_them() {
    let (code, value) = json(WARNED, &["--call=check,format=json"]);
    assert_eq!(code, Some(1));
    let warning = &value["warnings"][0];
    assert_eq!(warning["ruleName"], "StageNameCasing");
    let url = "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/";
    assert_eq!(warning["url"], url);
    assert_eq!(warning["location"]["ranges"][0]["start"]["line"], 2);
    assert_eq!(value["sources"][0]["fileName"], "Dockerfile");
    assert!(value.get("buildError").is_none());

    let (code, value) = json(WARNED, &["--call=targets,format=json"]);
    assert_eq!(code, Some(0));
    assert_eq!(value["targets"][0]["name"], "Upper");
    assert_eq!(value["targets"][1]["default"], true);
    assert_eq!(value["targets"][1]["base"], "upper");
    let (_, out, _) = look(WARNED, &["--call=targets"]);
    assert_eq!(
        out,
        "TARGET           DESCRIPTION\nUpper\nlower (default)\n"
    );

    let (code, value) = json(WARNED, &["--call=outline", "--format=json"]);
    assert_eq!(code, Some(0));
    assert_eq!(value["name"], "lower");
    assert_eq!(value["args"][0]["name"], "WHO");
    assert_eq!(value["args"][0]["value"], "me");
    assert_eq!(value["secrets"][0]["name"], "t");
    assert_eq!(value["secrets"][0]["required"], true);
    assert_eq!(value["ssh"][0]["name"], "default");
    let (_, value) = json(WARNED, &["--call=outline,format=json", "--target=upper"]);
    assert!(value.get("secrets").is_none());
    let (_, out, _) = look(WARNED, &["--call=outline"]);
    assert!(
        out.starts_with("TARGET: lower\n\nBUILD ARG  VALUE"),
        "{out}"
    );
}

#[test]
fn every_rule_that_is_told_has_a_page() {
    let (_, value) = json(WARNED, &["--check", "--format=sarif"]);
    assert_eq!(value["version"], "2.1.0");
    let results = value["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = result["ruleId"].as_str().unwrap();
        let (code, out, _) = look(WARNED, &["--check", "--explain", rule]);
        assert_eq!(code, Some(0));
        assert!(out.starts_with(&format!("# {rule}\n")));
    }
    let (code, out, said) = look(WARNED, &["--explain=UndefinedVra"]);
    assert_eq!((code, &out[..]), (Some(2), ""));
    assert!(said.contains("did you mean `UndefinedVar`?"));
}

#[test]
fn recipes_in_toml_are_checked_too() {
    let folder = temp();
    let file = folder.path().join("cairn.toml");
    let check = |text: &str, argument: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = cairn(&folder.path().join("store"));
        command.args(["build", argument]).arg(folder.path());
        command.output().unwrap()
    };
    let output = check("from = \"scratch\"\n", "--check");
    assert_eq!(output.status.code(), Some(0));
    let output = check("from = \"scratch\"\n[confg]\n", "--check");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("did you mean `config`?"), "{said}");
    let output = check("from = \"scratch\"\n[confg]\n", "--call=check,format=json");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        value["buildError"]["location"]["ranges"][0]["start"]["line"],
        2
    );
    let output = check("from = \"scratch\"\n", "--call=outline");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_build_tells_whose_language_it_does_not_read() {
    let folder = temp();
    let build = |recipe: &str, progress: &str| {
        std::fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let mut command = cairn(&folder.path().join("store"));
        command.args(["build", progress]).arg(folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let foreign = "# syntax=a.test/mine:1\nFROM scratch\nENV A=b\n";
    let said = build(foreign, "--progress=plain");
    assert_eq!(said.matches("a.test/mine:1`").count(), 1, "{said}");
    assert!(
        said.contains("note[ForeignSyntax]") && said.contains("Dockerfile:1:10"),
        "{said}"
    );
    // As docker has it, who wants quiet wants no advice.
    assert_eq!(build(foreign, "-q"), "");
    let own = "# syntax=docker/dockerfile:1\nFROM scratch\nENV A=b\n";
    let said = build(own, "--progress=plain");
    assert!(!said.contains("note["), "{said}");
}
