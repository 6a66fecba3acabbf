//! `cairn plan` and `cairn schema`.

use super::arguments::Plan;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{print, recipe};
use crate::frontend::toml;
use crate::plan::print as plan_print;
use crate::ui::progress::Mode;

/// Prints the plan.
pub fn run(arguments: Plan, environment: &Environment) -> Result<(), Failure> {
    let understood = recipe::understand(&arguments.recipe, environment, || {
        environment.events(Mode::Auto)
    })?;
    if arguments.json {
        let json = plan_print::json(&understood.plan)
            .map_err(|error| Failure::new(Code::Failed, error))?;
        return print::json(&json);
    }
    let text = if arguments.graph {
        plan_print::dot(&understood.plan)
    } else {
        plan_print::tree(&understood.plan)
    };
    print::to_stdout(&text)
}

/// Prints the JSON Schema of cairn.toml.
pub fn schema() -> Result<(), Failure> {
    print::json(&toml::schema())
}
