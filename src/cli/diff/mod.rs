//! `cairn diff`.
//!
//! In: two operands. Out: what differs between them, on standard output or in a file. The exit code
//! is that of diff(1): 0 identical, 1 not, 2 trouble.

mod content;
pub mod operand;

use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;

use super::arguments::diff::{Diff, Format};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{interrupt, print};
use crate::canon::{EntryPath, Problem};
use crate::compare::{self, Aspect, EntryChange, Facts, LayerChange, Report, Verdict};
use crate::layer::codec::Expansion;
use crate::ui::difference;
use crate::ui::progress::Mode;
use operand::{Image, Operand};

/// Compares.
pub fn run(arguments: &Diff, environment: &Environment) -> Result<(), Failure> {
    interrupt::install(Mode::Auto, environment.start);
    let told = report(arguments, environment).and_then(|report| {
        tell(&report, arguments, environment)?;
        Ok(report.verdict)
    });
    match told {
        Ok(Verdict::Identical) => Ok(()),
        // What differs is told already.
        Ok(_) => Err(Failure::drawn(Code::Failed, |_| String::new())),
        Err(mut failure) => {
            failure.code = Code::Usage;
            Err(failure)
        }
    }
}

pub fn report(arguments: &Diff, environment: &Environment) -> Result<Report, Failure> {
    if arguments.stat && arguments.format != Format::Text {
        let format = "`--stat` counts for people, and is text";
        return Err(Failure::usage(format, "leave `--format` out"));
    }
    let paths = arguments.paths.iter().map(|path| {
        EntryPath::new(path.as_os_str().as_bytes()).map_err(|error| {
            let message = format!("`{}` is no path of an image: {error}", path.display());
            Failure::usage(message, "give it as it is from the image's root: `usr/lib`")
        })
    });
    let paths = paths.collect::<Result<Vec<_>, Failure>>()?;
    let store = environment.store()?;
    let limit = Expansion {
        factor: arguments.max_expansion,
    };
    let events = environment.events(Mode::Auto);
    let finder = operand::Finder {
        environment,
        store: &store,
        events: &events,
        platform: arguments.platform.as_ref(),
        limit,
    };
    let (before, after) = finder.both(&arguments.before, &arguments.after)?;
    let (mut fields, mut layers) = (Vec::new(), Vec::new());
    if let (Some(first), Some(second)) = (before.image(), after.image())
        && paths.is_empty()
    {
        (fields, layers) = (documents(first, second), aligned(first, second));
    }
    let is_same = before.side.digest.is_some() && before.side.digest == after.side.digest;
    let mut entries = Vec::new();
    if !is_same {
        let [first, second] = operand::rootfs(&before, &after, &store, limit)?;
        let is_nowhere =
            |path: &&EntryPath| first.get(path).is_none() && second.get(path).is_none();
        if let Some(path) = paths.iter().find(is_nowhere) {
            let problem = Problem::new(format!("neither has `{path}`"));
            let problem = problem
                .hint("links on the way are not followed: `usr/lib`, where `lib` leads there");
            return Err(Failure::message(Code::Unavailable, problem));
        }
        entries = compare::entries(&first, &second, &paths);
        if !arguments.stat {
            open(
                &mut entries,
                &before,
                &after,
                [&first, &second],
                (&store, limit),
            )?;
        }
    }
    drop(events);
    let are_folders = before.is_folder() && after.is_folder();
    let verdict = Verdict::of(Facts {
        // Of what was asked for nothing differs; nor do folders, of which nothing else is asked.
        bytes: is_same || (entries.is_empty() && (!paths.is_empty() || are_folders)),
        entries: entries.is_empty(),
    });
    Ok(Report {
        schema: 1,
        verdict,
        before: before.side,
        after: after.side,
        paths,
        fields,
        layers,
        entries,
    })
}

fn open(
    entries: &mut [EntryChange],
    before: &Operand,
    after: &Operand,
    [first, second]: [&crate::layer::Rootfs; 2],
    (store, limit): (&crate::store::Store, Expansion),
) -> Result<(), Failure> {
    let changes = &*entries;
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            content::collect(after, second, changes, compare::Which::After, store, limit)
        });
        let one = content::collect(before, first, changes, compare::Which::Before, store, limit);
        (one, other.join())
    });
    let other = other.map_err(|_| unreadable(std::io::Error::other("a thread ended early")))?;
    let collected = content::Collected([one?, other?]);
    compare::contents(entries, &collected).map_err(unreadable)
}

fn unreadable(error: std::io::Error) -> Failure {
    let problem = Problem::new(format!(
        "what was set aside to compare can't be read: {error}"
    ));
    Failure::message(Code::Failed, problem)
}

fn documents(before: &Image, after: &Image) -> Vec<Aspect> {
    let mut fields = Vec::new();
    if let (Some(first), Some(second)) = (&before.index, &after.index) {
        fields.extend(compare::document("index", first, second));
    }
    fields.extend(compare::manifest(&before.manifest, &after.manifest));
    let without_layers = |config: &Value| {
        let mut config = config.clone();
        if let Some(rootfs) = config.get_mut("rootfs").and_then(Value::as_object_mut) {
            rootfs.remove("diff_ids");
        }
        config
    };
    let (first, second) = (
        without_layers(&before.config),
        without_layers(&after.config),
    );
    fields.extend(compare::document("config", &first, &second));
    fields
}

fn aligned(before: &Image, after: &Image) -> Vec<LayerChange> {
    fn of(image: &Image) -> Vec<(crate::canon::DiffId, &crate::image::Descriptor)> {
        let layers = image.base.stack.layers().iter();
        layers
            .map(|layer| (layer.diff_id, &layer.descriptor))
            .collect()
    }
    compare::layers(&of(before), &of(after))
}

fn tell(report: &Report, arguments: &Diff, environment: &Environment) -> Result<(), Failure> {
    let colour = environment.colours_stdout && arguments.output.is_none();
    let text = match arguments.format {
        Format::Text if arguments.stat => difference::stat(report),
        Format::Text => difference::text(report, colour),
        Format::Html => difference::html(report),
        Format::Json => {
            let bytes = crate::canon::json::to_vec(report);
            let bytes = bytes.map_err(|error| Failure::new(Code::Failed, error))?;
            String::from_utf8_lossy(&bytes).into_owned() + "\n"
        }
    };
    match &arguments.output {
        None => print::to_stdout(&text),
        Some(output) => {
            let output = environment.absolute(output);
            std::fs::write(&output, text).map_err(|error| {
                let message = format!("can't write `{}`: {error}", output.display());
                Failure::message(Code::Failed, Problem::new(message))
            })
        }
    }
}
