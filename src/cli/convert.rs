//! `cairn convert`.

use std::path::{Path, PathBuf};

use super::arguments::Convert;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{plan, print, recipe};
use crate::canon::Problem;
use crate::frontend::toml;
use crate::step::run::CommandSettings;
use crate::ui::progress::Mode;

/// Writes the `cairn.toml` that has the plan of a Dockerfile.
pub fn run(arguments: Convert, environment: &Environment) -> Result<(), Failure> {
    let mut read = arguments.recipe;
    // `cairn convert Dockerfile`: the recipe, in its folder.
    let named = PathBuf::from(&read.context);
    if read.file.is_none() && environment.absolute(&named).is_file() {
        let folder = named.parent().filter(|folder| *folder != Path::new(""));
        read.context = folder.map_or_else(|| ".".to_owned(), |folder| folder.display().to_string());
        read.file = Some(named);
    }
    let events = || environment.events(Mode::Auto);
    let recipe = recipe::read(&read, environment, &CommandSettings::default(), events)?;
    let (source, options) = (recipe.source().clone(), recipe.options().clone());
    let plan = plan::planned(recipe, environment)?;
    let text =
        toml::write(&plan, &options).map_err(|problems| Failure::recipe(problems, source))?;
    match arguments.output {
        None => print::to_stdout(&text),
        Some(output) => {
            let output = environment.absolute(&output);
            std::fs::write(&output, text).map_err(|error| {
                let message = format!("can't write `{}`: {error}", output.display());
                Failure::message(Code::Failed, Problem::new(message))
            })
        }
    }
}
