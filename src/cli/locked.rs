//! The lock of a recipe, as a build uses it.
//!
//! In: a recipe, what the arguments say of its lock. Out: [`Pins`], the epoch, and what there is to
//! be said of names that nothing pins.

use std::path::{Path, PathBuf};

use super::arguments::Locking;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::recipe::Recipe;
use crate::build::questions::Question;
use crate::build::{self, Settings};
use crate::canon::{Epoch, Problem, Source};
use crate::inputs::Pins;
use crate::inputs::pins::{ADD, Unheld};
use crate::lock::{self, Lock};
use crate::plan::{Plan, StepId};
use crate::ui::shortened;

/// Names that one message tells.
const TOLD: usize = 5;
/// Most characters of one name.
const LONGEST: usize = 72;

/// Where the lock of `recipe` is.
pub fn path(
    recipe: &Recipe,
    named: Option<&Path>,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    let named = named.map(|path| environment.absolute(path));
    named.or_else(|| recipe.lock.clone()).ok_or_else(|| {
        Failure::usage(
            "a recipe that is no file has no place for a lock",
            "name one with `--lockfile`",
        )
    })
}

/// The lock at `path`, if there is one.
pub fn read(path: &Path) -> Result<Option<Lock>, Failure> {
    let shown = shown(path);
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("can't read `{}`: {error}", path.display());
            let problem = Problem::new(message).hint("name a file with `--lockfile`");
            return Err(Failure::message(Code::Unavailable, problem));
        }
    };
    let source = Source::new(&shown, bytes, lock::LARGEST)
        .map_err(|problem| Failure::message(Code::Unavailable, *problem))?;
    let lock = lock::read::read(&source).map_err(|error| {
        let code = match error.kind {
            lock::read::Kind::Unreadable => Code::Unavailable,
            lock::read::Kind::Changed => Code::DigestMismatch,
        };
        Failure::at(code, error.problem, source)
    })?;
    Ok(Some(lock))
}

/// Refuses the lock of another recipe.
pub fn check_recipe(lock: &Lock, path: &Path, recipe: &Recipe) -> Result<(), Failure> {
    let (own, shown) = (name_of(recipe), shown(path));
    if lock.recipe != own {
        let message = format!(
            "`{shown}` is the lock of `{}`, and this is `{own}`",
            lock.recipe
        );
        let problem = Problem::new(message)
            .hint("name its own with `--lockfile FILE`; `cairn lock --lockfile FILE` makes it");
        return Err(Failure::message(Code::Unavailable, problem));
    }
    Ok(())
}

/// The file name of a recipe.
pub fn name_of(recipe: &Recipe) -> String {
    let name = recipe.source().name();
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

/// The file name of a lock.
pub fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// What a build holds names to.
pub fn pins(
    recipe: &Recipe,
    locking: &Locking,
    environment: &Environment,
) -> Result<Pins, Failure> {
    let named = locking.lockfile.as_deref();
    let path = match (named, &recipe.lock) {
        (None, None) => None,
        _ => Some(path(recipe, named, environment)?),
    };
    let lock = path.as_deref().map(read).transpose()?.flatten();
    if let (Some(lock), Some(path)) = (&lock, &path) {
        check_recipe(lock, path, recipe)?;
    }
    if let (Some(named), None) = (named, &lock) {
        let problem = Problem::new(format!("there is no lock `{}`", named.display()));
        let problem = problem.hint("`cairn lock` with the same arguments makes it");
        return Err(Failure::message(Code::Unavailable, problem));
    }
    let unheld = match locking.locked {
        true => Unheld::Refused,
        false => Unheld::Looked,
    };
    let pins = Pins::new(lock, unheld, locking.offline);
    Ok(match &path {
        Some(path) => pins.called(shown(path)),
        None => pins,
    })
}

/// The build's timestamp: what is given, else the lock's.
pub fn epoch(recipe: &Recipe, pins: &Pins, environment: &Environment) -> Result<Epoch, Failure> {
    let given = environment.epoch(recipe.epoch())?;
    let held = pins.held().and_then(|lock| lock.epoch.as_ref());
    let held = held.and_then(|held| held.seconds.to_string().parse::<Epoch>().ok());
    match (given, held) {
        (Some(given), Some(held)) if given != held && pins.unheld() == Unheld::Refused => {
            let message = format!(
                "SOURCE_DATE_EPOCH is {}, and the lock says {}",
                given.seconds(),
                held.seconds()
            );
            let problem = Problem::new(message).hint("unset it, or run `cairn lock` with it");
            Err(Failure::message(Code::Unavailable, problem))
        }
        (given, held) => Ok(given.or(held).unwrap_or_default()),
    }
}

/// Those of `asked` that nothing pins.
fn loose<'a>(asked: &'a [Question], settings: &Settings) -> Vec<&'a Question> {
    let none = Lock::default();
    let lock = settings.pins.held().unwrap_or(&none);
    let loose = asked
        .iter()
        .filter(|question| !question.is_held(lock) && !question.is_pinned());
    loose.collect()
}

/// What of `plan` nothing pins, for people; nothing where all is.
pub fn not_pinned(plan: &Plan, settings: &Settings) -> Result<String, Failure> {
    let asked = asked(plan, settings)?;
    Ok(listed(&loose(&asked, settings)))
}

/// Says what of `plan` nothing pins; an error where it has to be pinned.
pub fn tell(plan: &Plan, settings: &Settings) -> Result<(), Failure> {
    let asked = asked(plan, settings)?;
    let none = Lock::default();
    let lock = settings.pins.held();
    let loose = loose(&asked, settings);
    if loose.is_empty() {
        return Ok(());
    }
    let names = listed(&loose);
    let holds_any = asked
        .iter()
        .any(|question| question.is_held(lock.unwrap_or(&none)));
    if lock.is_some() && !holds_any {
        let file = settings.pins.file_name();
        let problem = Problem::new(format!("`{file}` holds nothing that this recipe asks for"));
        let problem = problem.hint("where it was made for other build arguments, hosts or platforms, give the same; else `cairn lock` makes this recipe's");
        return Err(Failure::message(Code::Unavailable, problem));
    }
    let is_known = |question: &&Question| lock.is_some_and(|lock| question.is_known(lock));
    let way_out = match loose.iter().copied().any(|question| is_known(&question)) {
        true => {
            "it holds a step of that name for other build arguments, hosts, base or platform: give the same, or `cairn lock` with these"
        }
        false => ADD,
    };
    let Settings { pins, events, .. } = settings;
    match (pins.unheld(), lock) {
        (Unheld::Refused, _) => {
            let error = pins.not_held(names, way_out);
            return Err(Failure::new(Code::Unavailable, error));
        }
        (_, Some(_)) => events.note(format!("not in the lock: {names} (`cairn lock` adds it)")),
        (_, None) => events.note(format!("not pinned: {names} (`cairn lock` pins it)")),
    }
    Ok(())
}

/// What `plan` asks, and which step.
pub fn questions(plan: &Plan, settings: &Settings) -> Result<Vec<(StepId, Question)>, Failure> {
    let asked = build::questions(plan, settings);
    asked.map_err(|error| Failure::new(error.kind().into(), error))
}

/// What `plan` asks.
pub fn asked(plan: &Plan, settings: &Settings) -> Result<Vec<Question>, Failure> {
    let asked = questions(plan, settings)?.into_iter();
    Ok(asked.map(|(_, question)| question).collect())
}

/// The names of questions, and for commands what is meant.
pub fn listed(questions: &[&Question]) -> String {
    let names = questions.iter().take(TOLD).map(|question| {
        let name = shortened(question.name(), LONGEST);
        match question {
            Question::Command(..) => format!("what `{name}` fetches"),
            _ => format!("`{name}`"),
        }
    });
    let mut names: Vec<_> = names.collect();
    let more = questions.len().saturating_sub(TOLD);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
