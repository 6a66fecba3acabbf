//! The command line: arguments to one call each.
//!
//! In: arguments, the environment, the working directory: this room alone reads them. Out: the
//! result on standard output, everything else on standard error, an exit code (`exit::Code`).

mod apt;
mod arguments;
mod build;
mod caches;
mod call;
mod check;
mod commands;
mod convert;
mod csv;
mod diff;
mod doctor;
mod environment;
mod exit;
mod explain;
mod exported;
mod fetched;
mod flags;
mod foreign;
mod images;
mod inputs;
mod inspect;
mod interrupt;
mod lock;
mod locked;
mod log;
mod moved;
mod no_recipe;
mod opened;
mod output;
mod plan;
mod policies;
mod print;
mod progress;
mod recipe;
mod serve;
mod shell;
mod transfer;
mod verify;
mod wanted;
mod writable;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use environment::Environment;
use exit::Failure;

/// Runs the program.
pub fn run() -> ExitCode {
    let mut arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let is_failure = error.use_stderr();
            // Where nobody reads the usage, nobody is to be told.
            let _ = error.print();
            return if is_failure {
                exit::Code::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let environment = Environment::read(&arguments.global);
    let default = environment.variable("BUILDKIT_PROGRESS");
    let known = arguments
        .command
        .default_progress(default.as_deref().unwrap_or_default());
    let mode = arguments.command.mode();
    match known.and_then(|()| dispatch(arguments, &environment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.text(environment.colour && !mode.is_json());
            // What a check found is told already.
            if !text.is_empty() {
                print::last_words(mode, environment.start, failure.code, &text);
            }
            failure.code.into()
        }
    }
}

fn dispatch(arguments: Arguments, environment: &Environment) -> Result<(), Failure> {
    match arguments.command {
        Command::Build(arguments) => build::run(*arguments, environment),
        Command::Lock(arguments) => lock::run(*arguments, environment),
        Command::Plan(arguments) => plan::run(*arguments, environment),
        Command::Convert(arguments) => convert::run(*arguments, environment),
        Command::Explain(arguments) => explain::run(&arguments, environment),
        Command::Log(arguments) => log::run(&arguments, environment),
        Command::Caches(arguments) => caches::run(&arguments, environment),
        Command::Doctor(arguments) => doctor::run(&arguments, environment),
        Command::Push(arguments) => transfer::push(&arguments, environment),
        Command::Pull(arguments) => transfer::pull(&arguments, environment),
        Command::Images(arguments) => images::list(&arguments, environment),
        Command::Inspect(arguments) => inspect::run(&arguments, environment),
        Command::Diff(arguments) => diff::run(&arguments, environment),
        Command::Verify(arguments) => verify::run(*arguments, environment),
        Command::Tag(arguments) => images::tag(&arguments, environment),
        Command::Rm(arguments) => images::remove(&arguments, environment),
        Command::Serve(arguments) => serve::run(&arguments, environment),
        Command::Schema => plan::schema(),
        Command::Completions(arguments) => shell::completions(arguments.shell),
        Command::Man => shell::man(),
    }
}
