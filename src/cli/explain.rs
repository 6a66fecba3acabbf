//! `cairn explain`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::arguments::Explain;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::print;
use crate::build::ignore_file::{self, IgnoreFile, Place};
use crate::canon::{EntryPath, Problem};

/// Tells which rule keeps a path of the context in or out.
pub fn run(arguments: &Explain, environment: &Environment) -> Result<(), Failure> {
    let context = environment.absolute(&arguments.context);
    let usage = |message: String| {
        let hint = "name it as it is from the context: `cairn explain --ignore src/a.txt`";
        Failure::usage(message, hint)
    };
    let asked = &arguments.ignore;
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
