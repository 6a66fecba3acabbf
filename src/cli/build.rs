//! `cairn build`.

use super::arguments::Build;
use super::environment::Environment;
use super::exit::Failure;
use super::exported::{Export, metadata, put};
use super::recipe::{self, Planned};
use super::wanted::Wanted;
use super::{call, commands, inputs, interrupt, locked, print};
use crate::build::{Settings, build};
use crate::export::engine::Engine;
use crate::layer::codec::Expansion;
use crate::ui::progress::Mode;

/// Builds, names and exports.
pub fn run(mut arguments: Build, environment: &Environment) -> Result<(), Failure> {
    arguments.foreign.refuse()?;
    if let Some(rule) = &arguments.look.explain {
        return call::explain(rule);
    }
    if let Some(asked) = call::Asked::of(&arguments.look)? {
        return call::run(&asked, &arguments, environment);
    }
    let wanted = Wanted::read(&arguments)?;
    arguments
        .recipe
        .annotation
        .extend(wanted.annotations.clone());
    // What is drawn again and again can't share the terminal with a shell.
    let mode = match (arguments.progress.mode(), arguments.commands.debug_shell) {
        (Mode::Auto | Mode::Tty, true) => Mode::Plain,
        (mode, _) => mode,
    };
    // Fetching a context may take its time.
    interrupt::install(mode, environment.start);
    let fetching = || environment.events(mode);
    let commands = commands::settings(
        &arguments.commands,
        &arguments.recipe.dockerfile,
        environment,
        &fetching(),
    )?;
    let recipe = recipe::read(&arguments.recipe, environment, &commands, fetching)?;
    wanted.judge(&arguments, recipe.images(), environment)?;
    let events = environment.events(mode);
    let on_failure = commands::debug_shell(&arguments.commands, &events)?;
    let engine = match wanted.load {
        true => Some(Engine::find(
            recipe.images() > 1,
            environment.for_programs(),
            &events,
        )?),
        false => None,
    };
    let pins = locked::pins(&recipe, &arguments.locking, environment)?;
    let mut settings = Settings {
        index_annotations: arguments.recipe.index_annotations(),
        codec: wanted.codec,
        expansion: Expansion {
            factor: arguments.max_expansion,
        },
        pull: arguments.pull.unwrap_or(false),
        no_cache: arguments.no_cache.unwrap_or(false),
        no_cache_filter: arguments.commands.no_cache_filter.clone(),
        on_failure,
        ..recipe.settings(environment, commands, pins, events)?
    };
    let Planned {
        plan,
        source,
        known,
        kept,
        warnings,
        remarks,
    } = recipe.plan(&settings.bases())?;
    for remark in remarks {
        settings.events.warn(remark);
    }
    let source = warnings.judge(source)?;
    locked::tell(&plan, &settings)?;
    settings.known = known;
    let built = build(&plan, &settings)
        .map_err(|error| Failure::build(error, source.clone()).or_is(&warnings.slips()))?;
    wanted.name(&settings.store, &built.descriptor)?;
    if let Some(lock) = settings.pins.held() {
        inputs::remember(&built.descriptor.digest, lock, &settings.store)?;
    }
    wanted.judge_layers(&built, &settings.store)?;
    let export = Export {
        built: &built,
        wanted: &wanted,
        settings: &settings,
        environment,
    };
    for output in &wanted.outputs {
        export.write(output)?;
    }
    if let Some(engine) = &engine {
        export.load(engine)?;
    }
    let id = match &built.images[..] {
        [only] => only.config,
        _ => built.descriptor.digest,
    };
    if let Some(path) = &arguments.iidfile {
        put(&environment.absolute(path), &id.to_string())?;
    }
    if let Some(path) = &arguments.metadata_file {
        put(
            &environment.absolute(path),
            &metadata(&built, &wanted.names)?,
        )?;
    }
    drop(kept);
    if mode.is_json() {
        warnings.tell(&source, &settings.events);
    }
    // The summary belongs before the result.
    drop(settings);
    let text = warnings.text(&source, environment.colour);
    // As docker has it, who wants quiet wants no advice.
    if !mode.is_json() && mode != Mode::Quiet && !text.is_empty() {
        print::to_stderr(&text);
    }
    let line = format!("{}\n", built.descriptor.digest);
    if wanted.uses_stdout() {
        print::to_stderr(&line);
        return Ok(());
    }
    print::to_stdout(&line)
}
