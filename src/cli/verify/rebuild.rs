//! The rebuild: a process of its own.
//!
//! In: the arguments of `cairn verify`, a folder. Out: an image in the folder's store, and [`Made`]
//! beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::scratch::Scratch;
use super::vary;
use super::{Made, parameters, put};
use crate::build::{Settings, build};
use crate::canon::{Digest, Problem};
use crate::cli::arguments::Locking;
use crate::cli::arguments::verify::Verify;
use crate::cli::diff::operand::Operand;
use crate::cli::environment::Environment;
use crate::cli::exit::{Code, Failure};
use crate::cli::recipe::{self, Planned};
use crate::cli::{commands, interrupt, locked};
use crate::layer::Codec;
use crate::sandbox::Wanted;
use crate::verify::{Material, Variation};

/// What the process leaves in its folder.
const MADE: &str = "made.json";
/// How the image's layers are compressed, which the process is told there.
const CODEC: &str = "codec";
const CODECS: [Codec; 3] = [Codec::None, Codec::Gzip, Codec::Zstd];

/// Has the process run, and gives what it made; the code that it ended with where it made nothing, and said
/// why.
pub fn start(
    scratch: &Scratch,
    image: &Operand,
    environment: &Environment,
    varied: &BTreeSet<Variation>,
) -> Result<Result<Made, i32>, Failure> {
    let folder = scratch.folder();
    put(&folder.join(CODEC), codec(image).name().as_bytes())?;
    let failed = |error: std::io::Error| {
        let problem = Problem::new(format!("the rebuild can't be started: {error}"));
        Failure::message(Code::Failed, problem)
    };
    let mut process = Command::new("/proc/self/exe");
    process
        .args(environment.arguments())
        .arg("--inside")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if varied.contains(&Variation::Locale) {
        process.envs(vary::locale());
    }
    let status = process.status().map_err(failed)?;
    match status.code() {
        Some(0) => {}
        // The image's inputs or commands failed, which was said.
        Some(code @ (1 | 3 | 4)) => return Ok(Err(code)),
        _ => {
            return Err(failed(std::io::Error::other(format!(
                "it ended with {status}"
            ))));
        }
    }
    let made = std::fs::read(folder.join(MADE)).map_err(failed)?;
    let made = serde_json::from_slice(&made);
    made.map(Ok)
        .map_err(|error| Failure::new(Code::Failed, error))
}

fn codec(image: &Operand) -> Codec {
    let layers = image.image().map(|image| &image.manifest["layers"]);
    let last = layers.and_then(|layers| layers.as_array()?.last()?["mediaType"].as_str());
    // Those below it are the base's, as they were.
    match last {
        Some(kind) if kind.ends_with("zstd") => Codec::Zstd,
        Some(kind) if kind.ends_with(".tar") => Codec::None,
        _ => Codec::Gzip,
    }
}

/// Rebuilds, in the process that [`start`] began.
pub fn inside(
    mut arguments: Verify,
    environment: &Environment,
    folder: &Path,
) -> Result<(), Failure> {
    let varied = arguments.variations();
    let mut otherwise = vary::apply(&varied, &mut arguments, environment, folder)?;
    let mode = arguments.progress.mode();
    interrupt::install(mode, environment.start);
    // Nobody waits for what is built once who began it is gone.
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    tied.map_err(|error| Failure::new(Code::Failed, error))?;
    let own = environment.with_store(folder.join("store"));
    let fetching = || own.events(mode);
    let mut commands = commands::settings(
        &arguments.commands,
        &arguments.recipe.dockerfile,
        &own,
        &fetching(),
    )?;
    commands.trace = arguments.explain;
    if varied.contains(&Variation::Uid) {
        commands.session.identity = Wanted::Single;
    }
    let mut recipe = recipe::read(&arguments.recipe, &own, &commands, fetching)?;
    let lock = lock(&arguments, &recipe, &own)?;
    if let Some(context) = &otherwise.context {
        move_to(context, &mut arguments, environment);
        recipe = recipe::read(&arguments.recipe, &own, &commands, fetching)?;
    }
    let locking = Locking {
        // Why it differs can be said of what is fetched anew, too; that it doesn't proves nothing then.
        locked: !arguments.explain,
        offline: arguments.locking.offline,
        lockfile: lock.clone(),
    };
    let mut materials = vec![Material {
        name: locked::name_of(&recipe),
        digest: Digest::of(recipe.source().text().as_bytes()),
    }];
    if let Some(lock) = &lock
        && let Ok(bytes) = std::fs::read(lock)
    {
        let (name, digest) = (locked::shown(lock), Digest::of(&bytes));
        materials.push(Material { name, digest });
    }
    let pins = locked::pins(&recipe, &locking, &own)?;
    let told = std::fs::read_to_string(folder.join(CODEC)).unwrap_or_default();
    let codec = CODECS.into_iter().find(|codec| codec.name() == told);
    let mut settings = Settings {
        codec: codec.unwrap_or_default(),
        no_cache_filter: arguments.commands.no_cache_filter.clone(),
        index_annotations: arguments.recipe.index_annotations(),
        ..recipe.settings(&own, commands, pins, own.events(mode))?
    };
    if varied.contains(&Variation::Cores) {
        settings.threads = 1;
    }
    let Planned {
        plan,
        source,
        known,
        kept,
        ..
    } = recipe.plan(&settings.bases())?;
    settings.known = known;
    let not_locked = locked::not_pinned(&plan, &settings)?;
    let built = build(&plan, &settings).map_err(|error| Failure::build(error, source))?;
    drop(kept);
    materials.extend(settings.policy.digest().map(|digest| Material {
        name: "source policy".to_owned(),
        digest: *digest,
    }));
    let taken: BTreeSet<_> = built.materials.into_iter().collect();
    materials.extend(taken.into_iter().map(|it| Material {
        name: it.name,
        digest: it.digest,
    }));
    let made = Made {
        image: built.descriptor,
        not_varied: std::mem::take(&mut otherwise.not),
        materials,
        parameters: parameters::of(&arguments, settings.epoch, &plan),
        not_locked,
    };
    let bytes = serde_json::to_vec(&made);
    let bytes = bytes.map_err(|error| Failure::new(Code::Failed, error))?;
    put(&folder.join(MADE), &bytes)
}

/// The recipe's lock, if it has one.
fn lock(
    arguments: &Verify,
    recipe: &recipe::Recipe,
    environment: &Environment,
) -> Result<Option<PathBuf>, Failure> {
    let named = arguments.locking.lockfile.as_deref();
    if named.is_none() && recipe.lock.is_none() {
        return Ok(None);
    }
    let path = locked::path(recipe, named, environment)?;
    Ok((named.is_some() || path.exists()).then_some(path))
}

/// Takes the context, and a recipe that lies in it, from where it was copied to.
fn move_to(context: &Path, arguments: &mut Verify, environment: &Environment) {
    let before = environment.absolute(Path::new(&arguments.recipe.context));
    if let Some(file) = &arguments.recipe.file {
        let file = environment.absolute(file);
        let moved = file.strip_prefix(&before).map(|rest| context.join(rest));
        arguments.recipe.file = Some(moved.unwrap_or(file));
    }
    arguments.recipe.context = context.to_string_lossy().into_owned();
}
