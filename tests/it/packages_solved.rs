//! What is chosen of Debian's packages, beside what apt-get chooses.
//!
//! In: the indexes that this machine's apt has of bookworm. Both are asked for the same over
//! nothing, and without what is recommended.

use std::collections::BTreeSet;

use cairn::packages::{Index, Question, relation, solve};

use crate::support::programs::program;
use crate::support::{require, run, temp};

/// What is asked for: from one package to systems of hundreds.
const WANTED: &[&str] = &[
    "build-essential",
    "postgresql",
    "default-jdk-headless",
    "emacs-nox vim",
    "chromium",
    "nodejs npm",
    "ruby-full",
    "texlive-latex-base",
    "gnome-core",
];

/// The index of bookworm's `main` that this machine has.
fn index() -> Option<String> {
    let mut targets = program("apt-get", &["indextargets", "--format", "$(FILENAME)"]);
    targets.args([
        "Created-By: Packages",
        "Codename: bookworm",
        "Component: main",
    ]);
    let files = run(targets.arg("Architecture: amd64"));
    let file = files.lines().next()?;
    Some(run(&mut program(
        "/usr/lib/apt/apt-helper",
        &["cat-file", file],
    )))
}

#[test]
fn the_same_packages_are_chosen_as_by_apt_get() {
    if !require("apt-get") {
        return;
    }
    let Some(text) = index() else {
        return;
    };
    let mut packages = Index::default();
    assert_eq!(packages.add_archive(&text, 0), 0);
    let folder = temp();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(path("lists/partial")).unwrap();
    std::fs::create_dir_all(path("repo")).unwrap();
    std::fs::write(path("status"), "").unwrap();
    std::fs::write(path("repo/Packages"), &text).unwrap();
    let source = format!("deb [trusted=yes arch=amd64] file:{} ./\n", path("repo"));
    std::fs::write(path("sources.list"), source).unwrap();
    let options = [
        format!("Dir::Etc::SourceList={}", path("sources.list")),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", path("lists")),
        format!("Dir::State::Status={}", path("status")),
        format!("Dir::Cache={}", path("cache")),
        "APT::Architecture=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "APT::Install-Recommends=false".to_owned(),
    ];
    let apt = |arguments: &[&str]| {
        let mut apt = program("apt-get", &["-qq"]);
        for option in &options {
            apt.args(["-o", option]);
        }
        run(apt.args(arguments))
    };
    std::fs::create_dir_all(path("cache/archives/partial")).unwrap();
    apt(&["update"]);
    let mut differ = Vec::new();
    for wanted in WANTED {
        let names: Vec<&str> = wanted.split(' ').collect();
        let simulated = apt(&[&["-s", "install"][..], &names].concat());
        let theirs: BTreeSet<String> = simulated
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
            .map(str::to_owned)
            .collect();
        let question = Question {
            wanted: names
                .iter()
                .map(|name| relation::wanted(name).unwrap())
                .collect(),
            architecture: "amd64".to_owned(),
            ..Question::default()
        };
        let chosen = solve(&packages, &question).unwrap();
        let again = solve(&packages, &question).unwrap();
        assert_eq!(chosen, again, "{wanted}");
        let name = |&number: &usize| packages.get(number).unwrap().name.to_owned();
        let ours: BTreeSet<String> = chosen.iter().map(name).collect();
        assert!(theirs.len() > 2, "{simulated}");
        if ours != theirs {
            let more: Vec<_> = ours.difference(&theirs).cloned().collect();
            let less: Vec<_> = theirs.difference(&ours).cloned().collect();
            differ.push(format!("{wanted} ({}): +{more:?} -{less:?}", theirs.len()));
        }
    }
    assert_eq!(differ, [""; 0], "{}", differ.join("\n"));
}
