//! What must hold of any bytes that somebody calls a recipe.
//!
//! In: bytes. Out: nothing; a panic where something doesn't hold: that all places lie in the text,
//! that every message can be drawn, that what comes out is not out of proportion. For the fuzz
//! targets, and for tests/it/mutations.rs.

#![allow(dead_code, reason = "every target uses one of them")]

use std::ops::Range;

use cairn::canon::pattern::ignore as ignore_file;
use cairn::canon::{EntryPath, Platform, Problem, Source};
use cairn::frontend::dockerfile::check::{self, CheckInput, Settings, report};
use cairn::frontend::dockerfile::{self, BaseConfig, Bases, outline, syntax::Dockerfile};
use cairn::frontend::{Options, toml as recipe};
use cairn::plan::{Plan, print};
use cairn::ui::diagnostic::{self, Remark, Severity};

/// Most rounds of questions about base images: a trigger may ask for another.
const MOST_ROUNDS: usize = 20;

fn source(name: &str, bytes: &[u8], largest: usize) -> Option<Source> {
    Source::new(name, bytes.to_vec(), largest).ok()
}

fn options() -> Options {
    let mut options = Options::new(Platform::new("linux", "amd64", None));
    let value = |text: &str| text.to_owned();
    options.build_args.insert(value("VERSION"), value("1 2"));
    options
}

/// A Dockerfile: tree, plan, checks, outline and whatever is said about them.
pub fn dockerfile(bytes: &[u8]) {
    let Some(source) = source("Dockerfile", bytes, dockerfile::LARGEST) else {
        return;
    };
    let _ = dockerfile::trigger(source.text());
    let file = match dockerfile::parse(&source) {
        Ok(file) => file,
        Err(problems) => return told(&problems, &source),
    };
    let options = options();
    match planned(&file, &options) {
        Ok(plan) => in_proportion(&plan, source.text()),
        Err(problems) => told(&problems, &source),
    }
    checked(&file, &source);
    let _ = outline::targets(&file);
    if let Err(problems) = outline::outline(&file, &options) {
        told(&problems, &source);
    }
}

/// A cairn.toml.
pub fn toml(bytes: &[u8]) {
    let Some(source) = source("cairn.toml", bytes, recipe::LARGEST) else {
        return;
    };
    match recipe::plan(&source, &options()) {
        Ok(plan) => in_proportion(&plan, source.text()),
        Err(problems) => told(&problems, &source),
    }
}

/// A .dockerignore.
pub fn ignore(bytes: &[u8]) {
    let Ok(rules) = ignore_file::parse(bytes) else {
        return;
    };
    for path in [
        "a",
        "src/main.rs",
        "a/b/c/d/e",
        "node_modules/x/.git",
        ".hidden",
    ] {
        let path = EntryPath::new(path.as_bytes()).unwrap();
        let verdict = rules.verdict_alone(&path);
        let _ = rules.explain(verdict);
        let _ = rules.may_differ_below(&path, verdict);
    }
}

/// The plan, with base images that set variables and have something done above them.
fn planned(file: &Dockerfile, options: &Options) -> Result<Plan, Vec<Problem>> {
    let mut known = Bases::new();
    for _ in 0..MOST_ROUNDS {
        let asked = dockerfile::bases(file, options, &known)?;
        if asked.is_empty() {
            break;
        }
        for (question, _) in asked {
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let config = BaseConfig {
                env: vec![pair("PATH", "/bin"), pair("HOME", "/root")],
                workdir: Some("/work".to_owned()),
                on_build: vec!["COPY a ${HOME}/".to_owned()],
                ..BaseConfig::default()
            };
            known.insert(question, config);
        }
    }
    dockerfile::plan(file, options, &known)
}

fn checked(file: &Dockerfile, source: &Source) {
    let settings = Settings::parse("experimental=all");
    let rules = ignore_file::parse(b"*.md\n!README.md\n");
    let input = CheckInput {
        text: source.text(),
        ignore: rules.as_ref().ok(),
        ..CheckInput::default()
    };
    let mut findings = check::check(file, &input);
    let settings = settings.unwrap_or_default();
    let all = CheckInput {
        settings: Some(&settings),
        ..input
    };
    findings.extend(check::check(file, &all));
    let remark = |finding: &check::Finding| {
        inside(&finding.span, source.text());
        Remark {
            severity: Severity::Warning,
            rule: Some(finding.rule.name),
            problem: Problem::new(&finding.message).at(finding.span.clone()),
        }
    };
    let remarks: Vec<_> = findings.iter().map(remark).collect();
    drawn(&diagnostic::remarks(&remarks, source, 20, true));
    findings.truncate(100);
    let _ = report::docker(&findings, &[], source);
    let _ = report::sarif(&findings, &[], source);
}

fn in_proportion(plan: &Plan, text: &str) {
    assert!(
        plan.steps.len() <= 10 + text.len(),
        "{} steps",
        plan.steps.len()
    );
    for step in &plan.steps {
        inside(&step.span, text);
    }
    let _ = (print::tree(plan), print::dot(plan), print::json(plan));
}

fn inside(span: &Range<usize>, text: &str) {
    assert!(
        text.get(span.clone()).is_some(),
        "{span:?} is not in the text"
    );
}

fn told(problems: &[Problem], source: &Source) {
    assert!(!problems.is_empty(), "it fails, and nothing is wrong");
    for problem in problems {
        let others = problem.others.iter().map(|(span, _)| span);
        for span in problem.span.iter().chain(others) {
            inside(span, source.text());
        }
        assert!(!problem.message.is_empty());
    }
    drawn(&diagnostic::problems(problems, source, false));
    let _ = (
        report::docker(&[], problems, source),
        report::sarif(&[], problems, source),
    );
}

/// Whatever a recipe holds, it moves no cursor and rings no bell.
fn drawn(text: &str) {
    let colours = text.replace("\u{1b}[", "");
    assert!(
        !colours.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
}
