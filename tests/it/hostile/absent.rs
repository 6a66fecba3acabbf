//! Files that aren't there: the message says why, as far as can be told.

use std::os::unix::fs::symlink;

use super::layout::{Layout, MANIFEST};
use super::{Case, FAILED, UNAVAILABLE};
use crate::support::recipes::entries;

fn copying(path: &str) -> Case {
    Case::new(&format!(
        "[[steps]]\ncopy = {{ paths = [\"{path}\"], to = \"/app/\" }}\n"
    ))
}

#[test]
fn a_name_that_is_like_one_that_is_there_is_told() {
    let case = copying("src/mian.rs");
    std::fs::create_dir(case.context("src")).unwrap();
    for name in ["main.rs", "other", "lib.rs"] {
        std::fs::write(case.context("src").join(name), "").unwrap();
    }
    let hint = "did you mean `main.rs`?";
    case.must_fail(UNAVAILABLE, &["there is no `src/mian.rs`", hint]);
    std::fs::remove_file(case.context("src/main.rs")).unwrap();
    case.must_fail(UNAVAILABLE, &["`/src` holds `lib.rs`, `other`"]);
    std::fs::remove_dir_all(case.context("src")).unwrap();
    std::fs::create_dir(case.context("scr")).unwrap();
    case.must_fail(UNAVAILABLE, &["did you mean `scr`?"]);
}

#[test]
fn of_a_stage_too() {
    let case = Case::new(
        "[stages.made]\nfrom = \"scratch\"\n[[stages.made.steps]]\n\
         file = { path = \"/opt/tool\", content = \"\" }\n\
         [[steps]]\ncopy = { from = { stage = \"made\" }, paths = [\"/opt/tol\"], to = \"/\" }\n",
    );
    let hint = "did you mean `tool`?";
    case.must_fail(UNAVAILABLE, &["there is no `opt/tol`", hint]);
}

#[test]
fn the_line_that_leaves_a_file_out_is_told() {
    for (file, rules, line) in [
        (".cairnignore", "# no logs\n*.txt\n*.log\n", 3),
        (".dockerignore", "folder/\n\n!folder/b.log\nfolder/**\n", 4),
        (".dockerignore", "folder\n!other\n", 1),
    ] {
        let case = copying("folder/a.log");
        std::fs::create_dir(case.context("folder")).unwrap();
        std::fs::write(case.context("folder/a.log"), "").unwrap();
        let rules = rules.replace("*.log", "**/*.log");
        std::fs::write(case.context(file), rules).unwrap();
        let hint = format!("line {line} of `{file}` leaves `/folder/a.log` out");
        case.must_fail(UNAVAILABLE, &[&hint]);
    }
}

#[test]
fn a_link_that_leads_out_is_told() {
    let case = copying("etc/secret");
    std::fs::write(case.path("secret"), "").unwrap();
    symlink("..", case.context("etc")).unwrap();
    // The context is as a root: `..` of it is itself.
    case.must_fail(UNAVAILABLE, &["there is no `etc/secret`"]);
    std::fs::remove_file(case.context("etc")).unwrap();
    symlink("../../elsewhere", case.context("etc")).unwrap();
    case.must_fail(
        UNAVAILABLE,
        &[
            "`/etc` is a symbolic link to `../../elsewhere`",
            "there is no `/elsewhere`",
        ],
    );
}

#[test]
fn an_ignore_file_that_leads_nowhere_is_no_missing_one() {
    for name in [".cairnignore", ".dockerignore"] {
        let case = copying(".");
        std::fs::write(case.context("file"), "").unwrap();
        symlink("gone", case.context(name)).unwrap();
        case.must_fail(FAILED, &[name, "make it a readable file"]);
        std::fs::write(case.context("gone"), "").unwrap();
        case.must_build();
    }
}

#[test]
fn of_several_images_of_a_layout_one_is_to_be_named() {
    let case = Case::recipe("from = { oci = \"layout\" }\nplatforms = [\"linux/amd64\"]\n");
    let layout = Layout(&case);
    let mut members = Vec::new();
    for name in ["one", "two"] {
        let config = layout.config(&[]);
        let mut image = layout.manifest(&config, &[]);
        image["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": name });
        image["digest"] = layout.put(MANIFEST, name.as_bytes())["digest"].clone();
        members.push(image);
    }
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": members });
    std::fs::write(case.path("layout/index.json"), index.to_string()).unwrap();
    case.must_fail(
        UNAVAILABLE,
        &["`one`, `two`", "`name = \"…\"` beside `oci`"],
    );
    assert_eq!(entries(&case.path("store/blobs/sha256")).len(), 0);
    std::fs::remove_dir_all(case.path("layout")).unwrap();
    case.must_fail(UNAVAILABLE, &["layout`", "from the recipe's folder"]);
}
