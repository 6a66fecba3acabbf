//! `cairn plan` and `cairn schema`.

use super::arguments::{Locking, Plan};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::recipe::Recipe;
use super::{locked, print, recipe};
use crate::frontend::toml;
use crate::inputs::base::Bases;
use crate::layer::codec::Expansion;
use crate::plan::print as plan_print;
use crate::step::run::CommandSettings;
use crate::ui::progress::Mode;

/// Prints the plan.
pub fn run(arguments: Plan, environment: &Environment) -> Result<(), Failure> {
    let events = || environment.events(Mode::Auto);
    let recipe = recipe::read(
        &arguments.recipe,
        environment,
        &CommandSettings::default(),
        events,
    )?;
    let plan = planned(recipe, environment)?;
    if arguments.json {
        let json = plan_print::json(&plan).map_err(|error| Failure::new(Code::Failed, error))?;
        return print::json(&json);
    }
    let text = if arguments.graph {
        plan_print::dot(&plan)
    } else {
        plan_print::tree(&plan)
    };
    print::to_stdout(&text)
}

/// The plan of a recipe; only a Dockerfile that begins with images needs the store and registries.
pub(super) fn planned(
    recipe: Recipe,
    environment: &Environment,
) -> Result<crate::plan::Plan, Failure> {
    let recipe = match recipe.plan_alone() {
        Ok(plan) => return plan,
        Err(recipe) => *recipe,
    };
    let events = environment.events(Mode::Quiet);
    let (store, registries) = (environment.store()?, environment.registries(&events, false));
    let pins = locked::pins(&recipe, &Locking::default(), environment)?;
    let (folder, policy) = (recipe.folder.clone(), recipe.policy.clone());
    let bases = Bases {
        store: &store,
        registries: &registries,
        folder: &folder,
        pull: false,
        limit: Expansion::default(),
        pins: &pins,
        policy: &policy,
        events: &events,
    };
    Ok(recipe.plan(&bases)?.plan)
}

/// Prints the JSON Schema of cairn.toml.
pub fn schema() -> Result<(), Failure> {
    print::json(&toml::schema())
}
