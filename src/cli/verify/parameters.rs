//! What the command line says of what is built.
//!
//! In: the arguments of `cairn verify`, and what they and the environment come to. Out: values by their flags, as
//! a statement has them: whoever rebuilds has to say the same. No logins, and of variables whose names tell of a
//! secret no values: statements are for others.

use std::collections::BTreeMap;

use clap::ValueEnum as _;

use crate::canon::{Epoch, login};
use crate::cli::arguments::verify::Verify;
use crate::cli::flags::Annotation;
use crate::frontend::NamedContext;
use crate::frontend::dockerfile::check::names_secret;
use crate::normal::Without;
use crate::plan::Plan;
use crate::plan::command::Ulimit;

/// Those that were given, and the epoch and platforms of the plan.
pub fn of(arguments: &Verify, epoch: Epoch, plan: &Plan) -> BTreeMap<String, Vec<String>> {
    let Verify {
        recipe, commands, ..
    } = arguments;
    let dockerfile = &recipe.dockerfile;
    let without = commands.no_normalise.iter().flat_map(Without::names);
    let network = dockerfile.network.and_then(|it| it.to_possible_value());
    let network = network.map(|value| value.get_name().to_owned());
    let given = [
        ("target", texts(&recipe.target)),
        ("platform", texts(plan.images.iter().map(|it| &it.platform))),
        ("source-date-epoch", texts([epoch.seconds()])),
        (
            "build-context",
            recipe.build_context.iter().map(of_context).collect(),
        ),
        ("label", recipe.label.iter().map(pair).collect()),
        (
            "annotation",
            recipe.annotation.iter().map(annotation).collect(),
        ),
        (
            "build-arg",
            dockerfile.build_arg.iter().map(argument).collect(),
        ),
        ("add-host", dockerfile.add_host.iter().map(pair).collect()),
        ("ulimit", dockerfile.ulimit.iter().map(limit).collect()),
        ("shm-size", texts(dockerfile.shm_size)),
        ("network", texts(&network)),
        ("no-normalise", texts(without)),
        ("strict", texts(commands.strict.then_some(true))),
    ];
    let given = given.into_iter().filter(|(_, values)| !values.is_empty());
    given
        .map(|(flag, values)| {
            let values = values.iter().map(|value| login::redacted(value));
            (flag.to_owned(), values.collect())
        })
        .collect()
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let values = values.into_iter();
    values.map(|value| value.to_string()).collect()
}

fn pair((name, value): &(String, String)) -> String {
    format!("{name}={value}")
}

/// Of what lies here the name alone: where it is is this machine's, and what was taken of it is told as
/// materials.
fn of_context((name, value): &(String, String)) -> String {
    match NamedContext::parse(value) {
        Ok(NamedContext::Folder(_) | NamedContext::Layout { .. }) => name.clone(),
        _ => format!("{name}={value}"),
    }
}

fn argument((name, value): &(String, Option<String>)) -> String {
    match value {
        Some(value) if !names_secret(name) => format!("{name}={value}"),
        _ => name.clone(),
    }
}

fn annotation(it: &Annotation) -> String {
    let place = match (it.of_manifests, it.of_index) {
        (true, true) => "manifest,index:",
        (false, true) => "index:",
        _ => "",
    };
    format!("{place}{}={}", it.key, it.value)
}

fn limit(it: &Ulimit) -> String {
    let number = |limit: Option<u64>| limit.map_or("-1".to_owned(), |limit| limit.to_string());
    format!("{}={}:{}", it.name, number(it.soft), number(it.hard))
}
