//! `cairn push` and `cairn pull`.

use super::arguments::{Pull, Push};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::wanted::reference;
use super::{images, inputs, interrupt, print};
use crate::canon::Problem;

/// Sends an image to a registry.
pub fn push(arguments: &Push, environment: &Environment) -> Result<(), Failure> {
    interrupt::install(arguments.progress.mode(), environment.start);
    let store = environment.store()?;
    let descriptor = images::find(&store, &arguments.image)?;
    let target = reference(arguments.target.as_ref().unwrap_or(&arguments.image))?;
    let events = environment.events(arguments.progress.mode());
    let registries = environment.registries(&events, false);
    let known = store
        .images()?
        .into_iter()
        .filter(|image| image.descriptor.digest == descriptor.digest);
    let mount_from: Vec<_> = known.filter_map(|image| image.reference).collect();
    let digest = registries
        .client()?
        .push(&store, &descriptor, &target, &mount_from)?;
    if arguments.inputs {
        inputs::attach(&descriptor, &target, registries.client()?, &store)?;
    }
    drop((registries, events));
    print::to_stdout(&format!("{digest}\n"))
}

/// Fetches an image from a registry, and keeps it under the name that was asked for.
pub fn pull(arguments: &Pull, environment: &Environment) -> Result<(), Failure> {
    interrupt::install(arguments.progress.mode(), environment.start);
    if arguments.inputs {
        return inputs::pull(arguments, environment);
    }
    let store = environment.store()?;
    let name = reference(&arguments.reference)?;
    let events = environment.events(arguments.progress.mode());
    let registries = environment.registries(&events, false);
    let platform = arguments
        .platform
        .clone()
        .unwrap_or_else(|| environment.platform());
    let platform = (!arguments.all_platforms).then_some(&platform);
    let descriptor = registries.client()?.pull(&store, &name, platform)?;
    if inputs::is_artifact(&descriptor, &store) {
        let problem = Problem::new(format!(
            "`{name}` holds the inputs of a lock, and is no image"
        ));
        let problem = problem.hint(format!("`cairn pull --inputs {name}` takes it for that"));
        return Err(Failure::message(Code::Failed, problem));
    }
    store.name_image(Some(&name), &descriptor)?;
    drop((registries, events));
    print::to_stdout(&format!("{}\n", descriptor.digest))
}
