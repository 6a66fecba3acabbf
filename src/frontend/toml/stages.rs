//! The stages of a recipe and how they hang together.
//!
//! In: [`Recipe`]. Out: [`Draft`], whose stages need each other without a cycle, or problems.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::check::{Checker, Owner};
use super::draft::{Draft, Files, Layers, Stage};
use super::field::{At, Field, Keyed, List, TextOr};
use super::recipe::{Base, Recipe};
use super::step::Verb;
use super::{lower_config, lower_step, value};
use crate::canon::{Platform, Problem};
use crate::plan::Operation;

/// Most steps of a recipe, those of all stages together.
pub const MOST_STEPS: usize = 10_000;
/// Most stages of a recipe.
pub const MOST_STAGES: usize = 256;
/// Most platforms of a recipe.
pub const MOST_PLATFORMS: usize = 32;

/// Understands a recipe, for a caller who brings contexts of these names.
pub fn draft<'a>(
    recipe: &Recipe,
    contexts: impl Iterator<Item = &'a String>,
) -> (Draft, Vec<Problem>) {
    let mut checker = Checker {
        contexts: contexts.cloned().collect(),
        ..Checker::default()
    };
    let mut draft = Draft {
        platforms: platforms(&mut checker, recipe),
        contexts: context_folders(&mut checker, recipe),
        ..Draft::default()
    };
    checker.contexts.extend(draft.contexts.keys().cloned());
    checker
        .contexts
        .insert(crate::plan::name::OWN_CONTEXT.to_owned());
    for (place, (name, _)) in recipe.stages.members().iter().enumerate() {
        if place == MOST_STAGES {
            let message = format!("a recipe has at most {MOST_STAGES} stages");
            checker.fault(name.span.clone(), message, "");
        }
        checker.read(name, value::name);
        checker.stages.insert(name.value.clone(), place);
    }
    let mut count = 0;
    for (name, stage) in recipe.stages.members() {
        let lowered = stage.given().map(|stage| {
            let owner = Owner {
                name: &name.value,
                span: name.span.clone(),
            };
            if let Some(config) = stage.config.given() {
                lower_config::no_platform(&mut checker, config);
            }
            Stage {
                base: base(&mut checker, &owner, &stage.from),
                steps: steps(&mut checker, &mut count, &stage.steps),
                config: config(&mut checker, &stage.config),
                ..Stage::default()
            }
        });
        draft.stages.push(Stage {
            name: Some(name.value.clone()),
            ..lowered.unwrap_or_default()
        });
    }
    let owner = Owner {
        name: "the recipe",
        span: 0..0,
    };
    draft.stages.push(Stage {
        name: None,
        base: base(&mut checker, &owner, &recipe.from),
        steps: steps(&mut checker, &mut count, &recipe.steps),
        config: config(&mut checker, &recipe.config),
    });
    if let Some(config) = recipe.config.given() {
        draft.config_platform = lower_config::platform(&mut checker, config);
    }
    cycles(&mut checker, &draft.stages);
    (draft, checker.problems)
}

fn platforms(checker: &mut Checker, recipe: &Recipe) -> Vec<Platform> {
    let mut platforms: BTreeMap<Platform, Range<usize>> = BTreeMap::new();
    let mut in_order = Vec::new();
    let Some(list) = recipe.platforms.given() else {
        return in_order;
    };
    let hint = "leave it out to build for the platform of the machine";
    if list.value.0.is_empty() {
        checker.fault(list.span.clone(), "`platforms` is empty", hint);
    }
    if list.value.0.len() > MOST_PLATFORMS {
        let message = format!("a recipe has at most {MOST_PLATFORMS} platforms");
        checker.fault(list.span.clone(), message, "");
    }
    for at in &list.value.0 {
        let platform: Platform = match at.value.parse() {
            Ok(platform) => platform,
            Err(error) => {
                checker.fault(at.span.clone(), error.message, &error.hint);
                continue;
            }
        };
        if let Some(first) = platforms.get(&platform) {
            let problem = Problem::new(format!("the platform `{platform}` is there twice"));
            let problem = problem
                .at(at.span.clone())
                .other(first.clone(), "the first");
            checker.say(problem.hint("leave one out"));
            continue;
        }
        platforms.insert(platform.clone(), at.span.clone());
        in_order.push(platform);
    }
    in_order
}

fn context_folders(checker: &mut Checker, recipe: &Recipe) -> BTreeMap<String, String> {
    let mut folders = BTreeMap::new();
    for (name, folder) in recipe.contexts.members() {
        checker.read(name, value::name);
        if name.value == crate::plan::name::OWN_CONTEXT {
            let message = "`context` is the build's own context, and can't be another";
            checker.fault(name.span.clone(), message, "choose another name");
        }
        let folder = checker.optional(folder, value::relative);
        folders.insert(name.value.clone(), folder.unwrap_or_default());
    }
    folders
}

fn base(
    checker: &mut Checker,
    owner: &Owner<'_>,
    field: &Field<At<TextOr<Base>>>,
) -> Option<(Layers, Range<usize>)> {
    if field.is_absent() {
        let message = match owner.name {
            "the recipe" => "the recipe lacks `from`".to_owned(),
            stage => format!("stage `{stage}` lacks `from`"),
        };
        let hint = "`from = \"scratch\"` begins with an empty image";
        checker.fault(owner.span.clone(), message, hint);
    }
    let At { span, value } = field.given()?;
    let layers = match value {
        TextOr::Text(text) if text == "scratch" => Some(Layers::Scratch),
        TextOr::Text(text) if checker.stages.contains_key(text) => {
            let message = format!("`{text}` is a stage, and text names an image");
            let hint = format!("write `{{ stage = \"{text}\" }}`, or `{{ image = \"{text}\" }}`");
            checker.fault(span.clone(), message, &hint);
            None
        }
        TextOr::Text(text) => {
            let at = At {
                span: span.clone(),
                value: text.clone(),
            };
            lower_step::image(checker, &at).map(Layers::Image)
        }
        TextOr::Other(base) => lower_step::base(checker, base, span),
    };
    Some((layers?, span.clone()))
}

fn steps(
    checker: &mut Checker,
    count: &mut usize,
    field: &Field<List<Keyed<Verb>>>,
) -> Vec<super::draft::Step> {
    let mut steps = Vec::new();
    let mut known = BTreeMap::new();
    for verb in field.items() {
        *count += 1;
        if *count > MOST_STEPS {
            let message = format!("a recipe has at most {MOST_STEPS} steps");
            let hint = "a `copy` of a folder replaces many steps";
            checker.fault(verb.span.clone(), message, hint);
            break;
        }
        let Some(step) = lower_step::lower(checker, verb) else {
            continue;
        };
        let work = (step.operation.clone(), step.files.clone());
        match known.get(&work) {
            // A command may well be run again.
            Some(_) if matches!(step.operation, Operation::Run(_)) => {}
            Some(first) => {
                let problem = Problem::new("the same step is there twice").at(step.span.clone());
                let problem = problem.other(Range::clone(first), "the first");
                checker.say(problem.hint("leave one out"));
            }
            None => drop(known.insert(work, step.span.clone())),
        }
        steps.push(step);
    }
    steps
}

fn config(
    checker: &mut Checker,
    field: &Field<super::config::Config>,
) -> crate::plan::ConfigChange {
    match field.given() {
        Some(config) => lower_config::lower(checker, config),
        None => crate::plan::ConfigChange::default(),
    }
}

/// The stages that a stage needs, by their places, each with where that is said.
pub fn needs(stage: &Stage) -> impl Iterator<Item = (usize, &Range<usize>)> {
    let base = stage.base.iter().map(|(layers, span)| (layers, span));
    let files = stage.steps.iter();
    let files = files.flat_map(|step| step.files.iter().map(|files| (files, &step.span)));
    let copied = files.filter_map(|(files, span)| match files {
        Files::Of(layers, _) | Files::Whole(layers) => Some((layers, span)),
        Files::Source(_) => None,
    });
    base.chain(copied)
        .filter_map(|(layers, span)| match layers {
            Layers::Stage(place) => Some((*place, span)),
            Layers::Scratch | Layers::Image(_) => None,
        })
}

/// Says every cycle that a walk along the needs runs into.
fn cycles(checker: &mut Checker, stages: &[Stage]) {
    let mut done = BTreeSet::new();
    for start in 0..stages.len() {
        let mut path: Vec<(usize, Range<usize>)> = Vec::new();
        walk(checker, stages, start, &mut path, &mut done);
    }
}

/// `path` holds the stages on the way to `stage`, each with where it says what it needs next. No
/// deeper than there are stages.
fn walk(
    checker: &mut Checker,
    stages: &[Stage],
    stage: usize,
    path: &mut Vec<(usize, Range<usize>)>,
    done: &mut BTreeSet<usize>,
) {
    if let Some(begin) = path.iter().position(|(on_path, _)| *on_path == stage) {
        say_cycle(checker, stages, &path[begin..]);
        return;
    }
    if done.contains(&stage) || path.len() > MOST_STAGES {
        return;
    }
    let mut seen = BTreeSet::new();
    for (needed, span) in needs(&stages[stage]) {
        if !seen.insert(needed) {
            continue;
        }
        path.push((stage, span.clone()));
        walk(checker, stages, needed, path, done);
        path.pop();
    }
    done.insert(stage);
}

fn say_cycle(checker: &mut Checker, stages: &[Stage], cycle: &[(usize, Range<usize>)]) {
    let name = |place: usize| format!("`{}`", stages[place].name.as_deref().unwrap_or_default());
    let next = |at: usize| name(cycle[(at + 1) % cycle.len()].0);
    let names: Vec<_> = cycle.iter().map(|(place, _)| name(*place)).collect();
    let message = match names.as_slice() {
        [only] => format!("stage {only} needs itself"),
        _ => format!(
            "stages need each other: {} → {}",
            names.join(" → "),
            names[0]
        ),
    };
    let mut problem = Problem::new(message);
    for (at, (place, span)) in cycle.iter().enumerate() {
        let label = format!("{} needs {}", name(*place), next(at));
        problem = match at {
            0 => problem.at(span.clone()).label(label),
            _ => problem.other(span.clone(), label),
        };
    }
    checker.say(problem.hint(match names.len() {
        1 => "begin it with an image or another stage",
        _ => "move what they share to a stage of its own",
    }));
}
