//! `cairn explain`.
//!
//! In: what is asked. Out: text on standard output: here what rules and normalisers do, in [`image`] what
//! an image has from where, in [`why`] why steps ran.

mod image;
mod why;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::arguments::{Explain, Explained};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{log, print};
use crate::build::ignore_file::{self, IgnoreFile, Place};
use crate::canon::{EntryPath, Problem};
use crate::normal;
use crate::store::RecordKind;
use crate::ui::table::Table;

/// Tells what is asked.
pub fn run(arguments: &Explain, environment: &Environment) -> Result<(), Failure> {
    let Explained {
        ignore, normalised, ..
    } = &arguments.asked;
    if let Some(step) = &arguments.asked.why {
        return why::run(step, environment);
    }
    if let Some(asked) = image::Asked::of(&arguments.asked) {
        return image::run(&asked, &arguments.context, environment);
    }
    match (ignore, normalised) {
        (Some(path), _) => ignored(path, arguments, environment),
        (None, Some(key)) => self::normalised(key, environment),
        (None, None) => normalisers(),
    }
}

/// Tells which normalisers there are.
fn normalisers() -> Result<(), Failure> {
    let mut text = String::new();
    for normaliser in normal::TABLE {
        let _ = writeln!(text, "{} ({})", normaliser.name, normaliser.kind());
        let _ = writeln!(text, "    {}", normaliser.about);
        for path in normaliser.paths() {
            let _ = writeln!(text, "    {path}");
        }
    }
    print::to_stdout(&text)
}

/// Tells what the normalisers did to what the command of that key left.
fn normalised(key: &str, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store_to_read()?;
    let key = log::find(
        &store,
        key,
        store.last_commands().iter().map(|last| last.key),
    )?;
    let done: Option<Vec<normal::Done>> = store.record(RecordKind::Step, &key.0, normal::RECORD);
    let done = done.unwrap_or_default();
    if done.is_empty() {
        print::to_stderr("nothing that it left was changed");
        return Ok(());
    }
    let mut table = Table::new(&["PATH", "WAS", "BY"]);
    for normal::Done {
        path,
        normaliser,
        action,
    } in done
    {
        table.row([path, action.to_string(), normaliser]);
    }
    print::to_stdout(&table.render())
}

/// Tells which rule keeps a path of the context in or out.
fn ignored(asked: &Path, arguments: &Explain, environment: &Environment) -> Result<(), Failure> {
    let context = environment.absolute(&arguments.context);
    let usage = |message: String| {
        let hint = "name it as it is from the context: `cairn explain --ignore src/a.txt`";
        Failure::usage(message, hint)
    };
    let relative = match asked.is_absolute() {
        true => asked.strip_prefix(&context).map_err(|_| {
            let context = context.display();
            usage(format!(
                "`{}` is not in the context `{context}`",
                asked.display()
            ))
        })?,
        false => asked,
    };
    let path = EntryPath::new(relative.as_os_str().as_bytes())
        .map_err(|error| usage(format!("`{}`: {error}", asked.display())))?;
    if !context.is_dir() {
        let problem = Problem::new(format!("there is no folder `{}`", context.display()));
        return Err(Failure::message(Code::Unavailable, problem));
    }
    let on_disk = context.join(OsStr::from_bytes(path.as_bytes()));
    if let Err(error) = on_disk.symlink_metadata()
        && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    {
        // The rules are told nevertheless: it may be made before the build.
        print::to_stderr(&format!(
            "note: there is no `{path}` in the context; this is what the rules say of such a path"
        ));
    }
    let own = own_file(arguments, environment);
    let file = own.map_or(IgnoreFile::OfContext, IgnoreFile::OfRecipe);
    let place = Place {
        folder: &context,
        file: &file,
    };
    let read = ignore_file::read(place);
    let found =
        read.map_err(|error| Failure::message(Code::Failed, Problem::new(error.to_string())))?;
    let Some((name, rules)) = found else {
        return print::to_stdout(&format!("in: `{path}`; there is no .dockerignore\n"));
    };
    let verdict = rules.verdict_alone(&path);
    let mut text = match verdict.matches() {
        true => format!("out: `{path}`"),
        false => format!("in: `{path}`"),
    };
    let _ = match rules.explain(verdict) {
        Some(rule) => writeln!(text, ", by line {} of {name}: `{}`", rule.line, rule.text),
        None => writeln!(text, ", as no rule of {name} matches it"),
    };
    print::to_stdout(&text)
}

/// The rules beside the recipe: those of the one that is named, else of the Dockerfile.
fn own_file(arguments: &Explain, environment: &Environment) -> Option<PathBuf> {
    let recipe = match &arguments.file {
        Some(file) => environment.absolute(file),
        None => environment.absolute(&arguments.context).join("Dockerfile"),
    };
    let mut own = recipe.into_os_string();
    own.push(".dockerignore");
    let own = PathBuf::from(own);
    own.symlink_metadata().is_ok().then_some(own)
}
