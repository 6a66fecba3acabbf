//! `cairn lock`.

use std::collections::BTreeSet;
use std::path::Path;

use super::arguments;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::exported::put;
use super::locked::{self, asked, listed, questions};
use super::recipe::{self, Planned};
use super::wanted::reference;
use super::{commands, inputs, interrupt, moved, policies, print, writable};
use crate::build::questions::Question;
use crate::build::{Settings, resolve};
use crate::canon::Problem;
use crate::inputs::Pins;
use crate::inputs::pins::Unheld;
use crate::lock::difference::difference;
use crate::lock::provenance::{self, Provenance};
use crate::lock::{Asked, EpochFrom, Lock, LockedEpoch, OfPlatform, PackageSet, Record, write};
use crate::plan::{Plan, StepId};
use crate::policy;

/// What is done with a lock.
enum Doing {
    /// What is missing is added.
    Add,
    /// These names move, or all.
    Update(Vec<String>),
    /// It is said what would move.
    Diff(Vec<String>),
    /// It is said what is missing.
    Check,
}

/// Makes, changes or checks the lock.
pub fn run(arguments: arguments::Lock, environment: &Environment) -> Result<(), Failure> {
    let doing = match (arguments.update, arguments.diff, arguments.check) {
        (names, true, _) => Doing::Diff(names.unwrap_or_default()),
        (Some(names), ..) => Doing::Update(names),
        (None, _, true) => Doing::Check,
        (None, ..) => Doing::Add,
    };
    let mode = arguments.progress.mode();
    interrupt::install(mode, environment.start);
    let events = || environment.events(mode);
    let commands = commands::settings(
        &arguments.commands,
        &arguments.recipe.dockerfile,
        environment,
        &events(),
    )?;
    let recipe = recipe::read(&arguments.recipe, environment, &commands, events)?;
    let path = locked::path(&recipe, arguments.lockfile.as_deref(), environment)?;
    if !matches!(doing, Doing::Check | Doing::Diff(_)) {
        writable::file(&path)?;
    }
    let (named, command) = match &arguments.lockfile {
        Some(file) => {
            let file = file.display();
            (file.to_string(), format!("cairn lock --lockfile {file}"))
        }
        None => (locked::shown(&path), "cairn lock".to_owned()),
    };
    let is_anew = matches!(&doing, Doing::Update(names) if names.is_empty());
    let before = match locked::read(&path) {
        // What is made anew may be broken.
        Err(_) if is_anew => None,
        before => before?,
    };
    if let Some(before) = &before {
        locked::check_recipe(before, &path, &recipe)?;
    }
    if let (Doing::Check | Doing::Diff(_), None) = (&doing, &before) {
        let problem = Problem::new(format!("there is no lock `{named}`"));
        let problem = problem.hint(format!("`{command}` makes one"));
        return Err(Failure::message(Code::Failed, problem));
    }
    let mut before = before.unwrap_or_default();
    let provenance = match &arguments.import_provenance {
        Some(file) => provenance(file, environment)?,
        None => Provenance::default(),
    };
    if let (None, Some(seconds)) = (&before.epoch, provenance.epoch) {
        let from = EpochFrom::Given;
        before.epoch = Some(LockedEpoch { seconds, from });
    }
    let held = match &doing {
        Doing::Add | Doing::Check => before.clone(),
        Doing::Update(names) | Doing::Diff(names) => without(&before, names)?,
    };
    let epoch_is_given = environment.epoch(recipe.epoch())?.is_some();
    let is_whole = recipe.options().target.is_none();
    let name = locked::name_of(&recipe);
    let unheld = match doing {
        Doing::Check => Unheld::Looked,
        _ => Unheld::Recorded {
            instant: environment.now(),
        },
    };
    let pins = Pins::new(Some(held), unheld, false).proposing(provenance);
    let pins = pins.called(locked::shown(&path));
    let mut settings = Settings {
        no_cache_filter: arguments.commands.no_cache_filter.clone(),
        ..recipe.settings(environment, commands, pins, events())?
    };
    let Planned {
        plan,
        source,
        known,
        kept,
        ..
    } = recipe.plan(&settings.bases())?;
    settings.known = known;
    if matches!(doing, Doing::Check) {
        return check(&plan, &before, &settings, [&named, &command]);
    }
    tell_besides(&plan, &settings)?;
    let is_kept = arguments.vendor.is_some() || arguments.push.is_some();
    let missing = missing(&plan, &settings, is_kept)?;
    resolve(&plan, &settings, &missing).map_err(|error| Failure::build(error, source))?;
    drop(kept);
    let mut after = after(&plan, &before, &settings, is_whole)?;
    keep_same(&before, &mut after);
    after.recipe = name;
    after.epoch = Some(LockedEpoch {
        seconds: settings.epoch.seconds(),
        from: match (epoch_is_given, &before.epoch) {
            (true, _) => EpochFrom::Given,
            (false, Some(epoch)) => epoch.from,
            (false, None) => EpochFrom::Default,
        },
    });
    let difference = difference(&before, &after);
    let words = moved::words(&difference, &settings);
    if let Doing::Diff(_) = doing {
        // The summary belongs before the result.
        drop(settings);
        return print::to_stdout(&words);
    }
    let text = write::write(&after).map_err(|error| Failure::new(Code::Failed, error))?;
    if !std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        put(&path, &text)?;
    }
    if let Some(folder) = &arguments.vendor {
        let folder = environment.absolute(folder);
        inputs::vendor(&after, &folder, &settings.store)?;
    }
    if let Some(target) = &arguments.push {
        let target = reference(target)?;
        let made = inputs::make(&after, None, &settings.store)?;
        let client = settings.registries.client()?;
        client.push(&settings.store, &made, &target, &[])?;
    }
    if words.is_empty() {
        let said = match doing {
            Doing::Update(_) => "nothing moved",
            _ => "nothing was missing",
        };
        settings.events.note(said);
    }
    drop(settings);
    print::to_stderr(&words);
    match &arguments.write_policy {
        Some(file) => write_policy(&after, file, environment),
        None => Ok(()),
    }
}

/// Reads a provenance.
fn provenance(file: &Path, environment: &Environment) -> Result<Provenance, Failure> {
    let failed = |reason: String| {
        let shown = file.display();
        Failure::new(
            Code::Unavailable,
            NoProvenance(format!("`{shown}`: {reason}")),
        )
    };
    let text = policies::text(&environment.absolute(file), provenance::LARGEST).map_err(failed)?;
    provenance::read(&text).map_err(|error| failed(error.to_string()))
}

/// A provenance that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use the provenance {0}")]
struct NoProvenance(String);

/// Says what the provenance names that the recipe doesn't ask for.
fn tell_besides(plan: &Plan, settings: &Settings) -> Result<(), Failure> {
    let asked = asked(plan, settings)?;
    let (mut images, mut refs, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    for question in &asked {
        match question {
            Question::Image(..) => images.push(question.name()),
            Question::Git(name) => refs.push(name.as_str()),
            Question::Http(url, _) => urls.push(url.as_str()),
            Question::Command(..) | Question::Packages(..) => {}
        }
    }
    let besides = settings.pins.proposed().besides(&images, &refs, &urls);
    for name in besides {
        let message = format!("the provenance names `{name}`, and the recipe doesn't ask for it");
        settings.events.warn(message);
    }
    Ok(())
}

/// Writes the source policy that says to BuildKit what the lock says; `-` is standard output.
fn write_policy(lock: &Lock, file: &Path, environment: &Environment) -> Result<(), Failure> {
    let text = policy::write::write(lock).map_err(|error| Failure::new(Code::Failed, error))?;
    match file.as_os_str() == "-" {
        true => print::to_stdout(&text),
        false => put(&environment.absolute(file), &text),
    }
}

/// The steps that ask what the lock doesn't hold; also those whose answers are to be brought into
/// the store, where `all` are.
fn missing(plan: &Plan, settings: &Settings, all: bool) -> Result<Vec<StepId>, Failure> {
    let none = Lock::default();
    let held = settings.pins.held().unwrap_or(&none);
    let asked = questions(plan, settings)?;
    let is_wanted = |question: &Question| match question {
        Question::Command(..) => !question.is_held(held),
        _ => all || !question.is_held(held),
    };
    let missing = asked
        .into_iter()
        .filter(|(_, question)| is_wanted(question));
    Ok(missing.map(|(step, _)| step).collect())
}

/// The lock without what is to be looked up anew: what `names` mean, or everything.
fn without(lock: &Lock, names: &[String]) -> Result<Lock, Failure> {
    if names.is_empty() {
        return Ok(Lock {
            recipe: lock.recipe.clone(),
            epoch: lock.epoch.clone(),
            ..Lock::default()
        });
    }
    let mut kept = lock.clone();
    for name in names {
        if name.is_empty() {
            let hint = "name what is to move, or give no name for everything";
            return Err(Failure::usage("`--update` was given an empty name", hint));
        }
        let all = all_names(lock);
        let exact = all.iter().any(|known| is_named(known, name));
        let is_meant = |known: &str| match exact {
            true => is_named(known, name),
            false => known.contains(name.as_str()),
        };
        if !all.iter().any(|known| is_meant(known)) {
            let known: Vec<_> = all.iter().map(|name| format!("`{name}`")).collect();
            return Err(Failure::usage(
                format!("the lock holds nothing of the name `{name}`"),
                &format!(
                    "it holds {}; a context stands before: `cairn lock PATH --update NAME`",
                    known.join(", ")
                ),
            ));
        }
        kept.git.retain(|known, _| !is_meant(known));
        kept.http.retain(|known, _| !is_meant(known));
        for of in kept.platforms.values_mut() {
            of.images.retain(|known, _| !is_meant(known));
            of.packages.retain(|asked| !is_meant(&asked.by.step));
            of.commands.retain(|asked| !is_meant(&asked.by.step));
        }
    }
    Ok(kept)
}

fn all_names(lock: &Lock) -> BTreeSet<String> {
    let steps = |of: &OfPlatform| {
        let packages = of.packages.iter().map(|asked| asked.by.step.clone());
        let commands = of.commands.iter().map(|asked| asked.by.step.clone());
        let images = of.images.keys().cloned();
        images.chain(packages).chain(commands).collect::<Vec<_>>()
    };
    let names = lock.git.keys().chain(lock.http.keys()).cloned();
    names
        .chain(lock.platforms.values().flat_map(steps))
        .collect()
}

/// Whether `name` is what people write for `known`: all of it, or an image without what Docker
/// adds to its name.
fn is_named(known: &str, name: &str) -> bool {
    let familiar = known.strip_prefix("docker.io/").unwrap_or(known);
    let familiar = familiar.strip_prefix("library/").unwrap_or(familiar);
    let bare = familiar.split(['@', ':']).next().unwrap_or(familiar);
    [known, familiar, bare].contains(&name)
}

/// The lock after everything was looked up: what the plan asks, and what is another platform's or
/// target's.
fn after(plan: &Plan, before: &Lock, settings: &Settings, is_whole: bool) -> Result<Lock, Failure> {
    let mut after = match is_whole {
        true => Lock {
            platforms: before.platforms.clone(),
            ..Lock::default()
        },
        false => before.clone(),
    };
    let asked = questions(plan, settings)?;
    let platforms: BTreeSet<_> = asked
        .iter()
        .filter_map(|(_, question)| match question {
            Question::Image(platform, _)
            | Question::Packages(platform, _)
            | Question::Command(platform, _) => Some(platform),
            Question::Git(_) | Question::Http(..) => None,
        })
        .collect();
    if is_whole {
        after
            .platforms
            .retain(|platform, _| !platforms.contains(platform));
    }
    let none = Lock::default();
    let found = settings.pins.found();
    let held = settings.pins.held().unwrap_or(&none);
    for (_, question) in &asked {
        for from in [held, &found] {
            question.take(from, &mut after);
        }
    }
    Ok(after)
}

/// Has steps that were answered the same as before keep their answer: nothing has moved then, and
/// their clock doesn't either.
fn keep_same(before: &Lock, after: &mut Lock) {
    for (platform, of) in &mut after.platforms {
        if let Some(old) = before.platforms.get(platform) {
            keep(&old.commands, &mut of.commands, Record::is_same);
            keep(&old.packages, &mut of.packages, PackageSet::is_same);
        }
    }
}

fn keep<T: Clone>(old: &[Asked<T>], new: &mut [Asked<T>], is_same: impl Fn(&T, &T) -> bool) {
    for asked in new {
        let mut old = old.iter();
        let same = |old: &&Asked<T>| old.by == asked.by && is_same(&old.answer, &asked.answer);
        if let Some(old) = old.find(same) {
            asked.answer = old.answer.clone();
        }
    }
}

/// Fails where the lock, which is at `named` and made by `command`, isn't what the recipe asks for.
fn check(
    plan: &Plan,
    lock: &Lock,
    settings: &Settings,
    [named, command]: [&str; 2],
) -> Result<(), Failure> {
    let asked = asked(plan, settings)?;
    let held = lock.epoch.as_ref().map(|epoch| epoch.seconds);
    if held.is_some_and(|held| held != settings.epoch.seconds()) {
        let problem = Problem::new(format!(
            "`{named}` is stale: SOURCE_DATE_EPOCH is {}, and it says {}",
            settings.epoch.seconds(),
            held.unwrap_or_default()
        ));
        let problem = problem.hint(format!("unset it, or run `{command}` with it"));
        return Err(Failure::message(Code::Failed, problem));
    }
    let missing: Vec<_> = asked
        .iter()
        .filter(|question| !question.is_held(lock))
        // A digest in the recipe needs no lock that says it again; but none that says another.
        .filter(|question| !question.is_pinned() || question.is_contradicted(lock))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("`{named}` is stale: it lacks {}", listed(&missing));
    let problem = Problem::new(message).hint(format!("`{command}` adds what is missing"));
    Err(Failure::message(Code::Failed, problem))
}
