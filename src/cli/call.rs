//! `cairn build --check`, `--call` and `--explain`: a recipe is looked at, and nothing is built.
//!
//! In: arguments. Out: what was found, on standard output: for people, or for programs in the
//! shapes of BuildKit (`frontend/subrequests`: lint, outline, targets) and of SARIF.
//!
//! No registry is asked: of base images is known what the store has. What needs to know more is
//! left to the build.

use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments::{Build, Look};
use super::check::{self, Warnings};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::flags::{Format, call::What};
use super::recipe::{self, Recipe};
use super::{commands, print};
use crate::build::bases::{Known, config};
use crate::canon::{Problem, Source, base64, problem};
use crate::frontend::dockerfile::check::{RULES, page, report};
use crate::frontend::dockerfile::outline::{self, Outline, Required, Target};
use crate::frontend::dockerfile::syntax::{Dockerfile, Span};
use crate::frontend::dockerfile::{self, Bases};
use crate::frontend::{Options, suggest};
use crate::inputs::BaseImage;
use crate::plan;
use crate::step::run::CommandSettings;
use crate::store::Store;
use crate::ui::progress::Mode;
use crate::ui::table::Table;

/// Most findings that people are shown.
const MOST_SHOWN: usize = 200;

/// What is asked for in place of a build.
pub struct Asked {
    what: What,
    format: Format,
    ignores_status: bool,
}

impl Asked {
    /// What the arguments ask for; none where it is a build.
    pub fn of(look: &Look) -> Result<Option<Asked>, Failure> {
        let call = look.call.unwrap_or_default();
        let is_check = look.check.unwrap_or(false);
        let what = if is_check { What::Check } else { call.what };
        let format = look.format.or(call.format);
        let hint = "leave it out, or add `--check`";
        match (what, format) {
            (What::Build, Some(_)) => Err(Failure::usage("a build has no format", hint)),
            (What::Build, None) => Ok(None),
            (What::Outline | What::Targets, Some(Format::Sarif)) => Err(Failure::usage(
                "SARIF is for what `--check` finds",
                "write `--format json`",
            )),
            _ => Ok(Some(Asked {
                what,
                format: format.unwrap_or_default(),
                ignores_status: call.ignores_status,
            })),
        }
    }
}

/// The page about a rule.
pub fn explain(rule: &str) -> Result<(), Failure> {
    match page(rule) {
        Some(page) => print::to_stdout(page),
        None => {
            let names = RULES.iter().map(|rule| rule.name);
            let hint = suggest::hint(rule, names, "some of the rules are").unwrap_or_default();
            Err(Failure::usage(format!("there is no rule `{rule}`"), &hint))
        }
    }
}

/// Tells what is asked for.
pub fn run(asked: &Asked, arguments: &Build, environment: &Environment) -> Result<(), Failure> {
    let events = || environment.events(Mode::Quiet);
    // Secrets are for whoever has the context, if anybody.
    let commands = match arguments.recipe.is_fetched() {
        true => commands::settings(
            &arguments.commands,
            &arguments.recipe.dockerfile,
            environment,
            &events(),
        )?,
        false => CommandSettings::default(),
    };
    let recipe = match recipe::read(&arguments.recipe, environment, &commands, events) {
        Ok(recipe) => recipe,
        Err(failure) => return Err(unread(asked, failure)),
    };
    check::judge_argument(&recipe)?;
    match (asked.what, recipe.dockerfile()) {
        (What::Check, _) => self::check(asked, &recipe, environment),
        (_, None) => Err(Failure::usage(
            format!("`{}` is no Dockerfile", recipe.source.name()),
            "`--call` tells of Dockerfiles; `cairn plan` shows what any recipe does",
        )),
        (What::Targets, Some(file)) => targets(asked, &recipe, file),
        (_, Some(file)) => {
            let outline = outline::outline(file, &recipe.options);
            let outline =
                outline.map_err(|problems| Failure::recipe(problems, recipe.source.clone()))?;
            tell_outline(asked, &recipe.source, &outline)
        }
    }
}

/// A recipe that can't be read: for programs in the report, too.
fn unread(asked: &Asked, failure: Failure) -> Failure {
    if let (What::Check, Some((problems, source))) = (asked.what, failure.problems())
        && let Err(other) = report(asked, &Warnings::default(), problems, source)
    {
        return other;
    }
    failure
}

/// For programs: everything that was found.
fn report(
    asked: &Asked,
    warnings: &Warnings,
    problems: &[Problem],
    source: &Source,
) -> Result<(), Failure> {
    match asked.format {
        Format::Text => Ok(()),
        Format::Json => print::json(&report::docker(&warnings.findings, problems, source)),
        Format::Sarif => print::json(&report::sarif(&warnings.findings, problems, source)),
    }
}

fn check(asked: &Asked, recipe: &Recipe, environment: &Environment) -> Result<(), Failure> {
    let (known, problems) = match recipe.dockerfile() {
        Some(file) => planned(recipe, file, environment),
        // It was planned when it was read.
        None => (Known::new(), Vec::new()),
    };
    let warnings = Warnings::of_all(recipe, &known);
    let source = &recipe.source;
    report(asked, &warnings, &problems, source)?;
    if asked.format == Format::Text {
        let colour = environment.colours_stdout;
        let mut text = warnings.drawn(source, MOST_SHOWN, colour);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!(
            "check of {}: {} found\n",
            source.name(),
            warnings.count()
        ));
        print::to_stdout(&text)?;
    }
    if !problems.is_empty() {
        return Err(Failure::recipe(problems, source.clone()));
    }
    match warnings.warnings() > 0 && !asked.ignores_status {
        // It is told already.
        true => Err(Failure::drawn(Code::Failed, |_| String::new())),
        false => Ok(()),
    }
}

/// Most stages that are looked at besides those that the target needs.
const MOST_STAGES: usize = 50;

/// What the store knows of base images, and what is wrong with the plan as far as that goes: with
/// all stages, if no target is named.
fn planned(recipe: &Recipe, file: &Dockerfile, environment: &Environment) -> (Known, Vec<Problem>) {
    let store = environment.store_to_read().ok();
    let (mut known, mut problems) = (Known::new(), Vec::new());
    for options in std::iter::once(recipe.options.clone()).chain(others(recipe, file)) {
        let (base, wrong) = plan_of(&options, recipe, file, store.as_ref());
        known.extend(base);
        problems.extend(wrong);
    }
    problem::sort(&mut problems);
    (known, problems)
}

/// The stages that no target needs, each as one.
fn others(recipe: &Recipe, file: &Dockerfile) -> Vec<Options> {
    let facts = dockerfile::stages(file, &recipe.options, &Bases::new());
    let facts = facts.unwrap_or_default().into_iter().enumerate();
    let is_asked = recipe.options.target.is_none();
    let unneeded = facts.filter(|(_, facts)| is_asked && !facts.is_needed);
    let of = |(place, _): (usize, _)| Options {
        target: Some(place.to_string()),
        ..recipe.options.clone()
    };
    unneeded.map(of).take(MOST_STAGES).collect()
}

fn plan_of(
    options: &Options,
    recipe: &Recipe,
    file: &Dockerfile,
    store: Option<&Store>,
) -> (Known, Vec<Problem>) {
    let (mut configs, mut known, mut is_guess) = (Bases::new(), Known::new(), false);
    let problems = loop {
        match dockerfile::bases(file, options, &configs) {
            Ok(asked) if asked.is_empty() => {
                break dockerfile::plan(file, options, &configs)
                    .err()
                    .unwrap_or_default();
            }
            Ok(asked) => {
                for (question, _) in asked {
                    let image = store.and_then(|store| stored(store, &question));
                    is_guess |= image.is_none();
                    let base = image.as_ref().map(|image| config(&image.config));
                    configs.insert(question.clone(), base.unwrap_or_default());
                    let key = (question.source, question.platform);
                    known.extend(image.map(|image| (key, Arc::new(image))));
                }
            }
            Err(problems) => break problems,
        }
    };
    // Whether the variables of an unknown base are set, nobody can tell.
    let text = recipe.source.text();
    let is_sure = |problem: &Problem| {
        let place = problem.span.clone().and_then(|span| text.get(span));
        !is_guess || !place.is_some_and(|place| place.contains('$'))
    };
    (known, problems.into_iter().filter(is_sure).collect())
}

fn stored(store: &Store, question: &dockerfile::BaseQuestion) -> Option<BaseImage> {
    let plan::Source::Registry(reference) = &question.source else {
        return None;
    };
    let descriptor = store.image(reference).ok().flatten()?;
    BaseImage::read(store, &descriptor, &question.platform).ok()
}

/// As `pb.Location` of BuildKit.
fn location(span: &Span, source: &Source) -> Value {
    let line = |at: usize| json!({ "line": source.position(at).line });
    json!({ "ranges": [{ "start": line(span.start), "end": line(span.end) }] })
}

/// An object without what is null.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    there
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn data(source: &Source) -> Value {
    json!([base64::encode(source.text().as_bytes())])
}

fn targets(asked: &Asked, recipe: &Recipe, file: &Dockerfile) -> Result<(), Failure> {
    let (targets, source) = (outline::targets(file), &recipe.source);
    if asked.format == Format::Json {
        let targets = targets.iter().map(|target| {
            object([
                ("name", json!(target.name)),
                (
                    "default",
                    if target.is_default {
                        true.into()
                    } else {
                        Value::Null
                    },
                ),
                ("description", json!(target.description)),
                ("base", json!(target.base)),
                ("platform", json!(target.platform)),
                ("location", location(&target.span, source)),
            ])
        });
        let targets: Vec<_> = targets.collect();
        return print::json(&json!({ "targets": targets, "sources": data(source) }));
    }
    let mut table = Table::new(&["TARGET", "DESCRIPTION"]);
    let name = |target: &Target| match (&target.name, target.is_default) {
        (Some(name), true) => format!("{name} (default)"),
        (Some(name), false) => name.clone(),
        (None, true) => "(default)".to_owned(),
        (None, false) => String::new(),
    };
    for target in targets
        .iter()
        .filter(|target| target.name.is_some() || target.is_default)
    {
        table.row([name(target), target.description.clone().unwrap_or_default()]);
    }
    print::to_stdout(&table.render())
}

fn tell_outline(asked: &Asked, source: &Source, outline: &Outline) -> Result<(), Failure> {
    if asked.format == Format::Json {
        return print::json(&outline_json(source, outline));
    }
    let mut text = format!("TARGET: {}\n", outline.name.as_deref().unwrap_or("default"));
    if let Some(description) = &outline.description {
        text.push_str(&format!("DESCRIPTION: {description}\n"));
    }
    let mut add = |table: Table, is_empty: bool| {
        if !is_empty {
            text.push('\n');
            text.push_str(&table.render());
        }
    };
    let mut table = Table::new(&["BUILD ARG", "VALUE", "DESCRIPTION"]);
    for argument in &outline.arguments {
        let (value, description) = (argument.value.clone(), argument.description.clone());
        table.row([
            argument.name.clone(),
            value.unwrap_or_default(),
            description.unwrap_or_default(),
        ]);
    }
    add(table, outline.arguments.is_empty());
    for (title, rows) in [("SECRET", &outline.secrets), ("SSH", &outline.agents)] {
        let mut table = Table::new(&[title, "REQUIRED"]);
        for row in rows {
            let required = if row.required { "true" } else { "" };
            table.row([row.name.clone(), required.to_owned()]);
        }
        add(table, rows.is_empty());
    }
    let mut table = Table::new(&["CACHE MOUNT"]);
    outline
        .caches
        .iter()
        .for_each(|(name, _)| table.row([name.clone()]));
    add(table, outline.caches.is_empty());
    print::to_stdout(&text)
}

fn outline_json(source: &Source, outline: &Outline) -> Value {
    let list = |values: Vec<Value>| match values.is_empty() {
        true => Value::Null,
        false => Value::Array(values),
    };
    let arguments = outline.arguments.iter().map(|argument| {
        object([
            ("name", json!(argument.name)),
            ("description", json!(argument.description)),
            ("value", json!(argument.value)),
            ("location", location(&argument.span, source)),
        ])
    });
    let required = |rows: &[Required]| {
        let rows = rows.iter().map(|row| {
            object([
                ("name", json!(row.name)),
                (
                    "required",
                    if row.required {
                        true.into()
                    } else {
                        Value::Null
                    },
                ),
                ("location", location(&row.span, source)),
            ])
        });
        list(rows.collect())
    };
    let caches = outline
        .caches
        .iter()
        .map(|(name, span)| object([("ID", json!(name)), ("location", location(span, source))]));
    object([
        ("name", json!(outline.name)),
        ("description", json!(outline.description)),
        ("args", list(arguments.collect())),
        ("secrets", required(&outline.secrets)),
        ("ssh", required(&outline.agents)),
        ("cache", list(caches.collect())),
        ("sources", data(source)),
    ])
}
