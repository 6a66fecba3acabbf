//! `cairn explain` of an image: which step made a file, what is in a layer, what makes it so big.
//!
//! In: an image, whose layers' tables the store has or makes. Out: tables on standard output.

use std::path::Path;

use crate::canon::{EntryPath, Problem};
use crate::cli::arguments::Explained;
use crate::cli::diff::operand::Finder;
use crate::cli::environment::Environment;
use crate::cli::exit::{Code, Failure};
use crate::cli::print;
use crate::image::ImageConfig;
use crate::image::account::{self, Change};
use crate::inputs::layers;
use crate::layer::codec::Expansion;
use crate::layer::{Kind, Meta};
use crate::ui::progress::Mode;
use crate::ui::table::{Table, size};
use crate::ui::{printable, shortened};

/// Largest files that are shown.
const LARGEST: usize = 15;
/// Most characters of a step in a table.
const LONGEST: usize = 100;

/// What is asked of an image.
pub enum Asked<'a> {
    Path(&'a str),
    Layer(usize),
    Size,
}

impl Asked<'_> {
    /// None where something else is asked.
    pub fn of(asked: &Explained) -> Option<Asked<'_>> {
        match (&asked.path, asked.layer, asked.size) {
            (Some(path), ..) => Some(Asked::Path(path)),
            (None, Some(number), _) => Some(Asked::Layer(number)),
            (None, None, true) => Some(Asked::Size),
            (None, None, false) => None,
        }
    }
}

/// Tells.
pub fn run(asked: &Asked<'_>, image: &Path, environment: &Environment) -> Result<(), Failure> {
    let name = image.to_string_lossy();
    let no_image = || {
        Failure::usage(
            format!("`{name}` is no image"),
            "name one of `cairn images`: `cairn explain --path /etc/hosts app:1`",
        )
    };
    if name == "." {
        return Err(no_image());
    }
    let store = environment.store()?;
    let events = environment.events(Mode::Quiet);
    let limit = Expansion::default();
    let finder = Finder {
        environment,
        store: &store,
        events: &events,
        platform: None,
        limit,
    };
    let found = finder.find(&name)?;
    let base = &found.image().ok_or_else(no_image)?.base;
    let read = |error: layers::Error| Failure::new(Code::Failed, error);
    let layers = base.stack.layers().iter();
    let tables = layers.map(|layer| layer.table(&store, limit).map_err(read));
    let tables = tables.collect::<Result<Vec<_>, _>>()?;
    let tables: Vec<account::Table<'_>> = tables
        .iter()
        .map(|table| (&table.tree, &table.opaque[..]))
        .collect();
    let steps = steps(&base.config, tables.len());
    let text = match asked {
        Asked::Path(path) => touched(&tables, path, &steps)?,
        Asked::Layer(number) => content(&tables, *number, &steps)?,
        Asked::Size => sizes(&tables, &steps),
    };
    print::to_stdout(&text)
}

/// What made each layer, by the image's history.
fn steps(config: &ImageConfig, layers: usize) -> Vec<String> {
    let history = config.history.iter().flatten();
    let made = history.filter(|step| !step.empty_layer);
    let steps = made.map(|step| step.created_by.clone().unwrap_or_else(|| "?".to_owned()));
    let rest = std::iter::repeat_n("?".to_owned(), layers);
    let steps = steps.chain(rest).take(layers);
    steps.map(|step| printable(&step)).collect()
}

fn touched(tables: &[account::Table<'_>], text: &str, steps: &[String]) -> Result<String, Failure> {
    if text.trim_matches('/').is_empty() {
        return Err(Failure::usage(
            format!("`{text}` is all of the image"),
            "name something in it; `--layer 0` shows what is in a layer",
        ));
    }
    let path = EntryPath::new(text.as_bytes()).map_err(|error| {
        let hint = "give it as it is from the image's root: `/usr/bin/env`";
        Failure::usage(format!("`{text}` is no path of an image: {error}"), hint)
    })?;
    let touches = account::touches(tables, &path);
    if touches.is_empty() {
        let problem = Problem::new(format!("no layer of the image has `{path}`"));
        return Err(Failure::message(Code::Unavailable, problem));
    }
    let mut table = Table::new(&["LAYER", "WHAT", "IS SINCE", "STEP"]).right(0);
    for touch in touches {
        let what = match touch.change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Removed => "removed",
        };
        let since = touch.node.map(|node| facts(&node.kind, &node.meta));
        table.row([
            touch.layer.to_string(),
            what.to_owned(),
            since.unwrap_or_else(|| "gone".to_owned()),
            shortened(&steps[touch.layer], LONGEST),
        ]);
    }
    Ok(table.render())
}

fn content(
    tables: &[account::Table<'_>],
    number: usize,
    steps: &[String],
) -> Result<String, Failure> {
    let Some((tree, opaque)) = tables.get(number) else {
        return Err(Failure::usage(
            format!("the image has {} layers", tables.len()),
            "the lowest is `--layer 0`",
        ));
    };
    let mut text = format!("{}\n", steps[number]);
    for path in *opaque {
        text.push_str(&format!("{path}  all below it gone\n"));
    }
    for entry in tree.entries() {
        let facts = facts(&entry.kind, &entry.meta);
        text.push_str(&format!("{}  {facts}\n", entry.path));
    }
    Ok(text)
}

fn sizes(tables: &[account::Table<'_>], steps: &[String]) -> String {
    let mut table = Table::new(&["LAYER", "FILES", "SIZE", "HIDDEN", "STEP"])
        .right(0)
        .right(1)
        .right(2)
        .right(3);
    for (number, weight) in account::weights(tables).iter().enumerate() {
        table.row([
            number.to_string(),
            weight.files.to_string(),
            size(weight.bytes),
            size(weight.hidden),
            shortened(&steps[number], LONGEST),
        ]);
    }
    let mut files = Table::new(&["LAYER", "SIZE", "FILE"]).right(0).right(1);
    for (layer, entry, bytes) in account::largest(tables, LARGEST) {
        files.row([layer.to_string(), size(bytes), entry.path.to_string()]);
    }
    format!("{}\n{}", table.render(), files.render())
}

fn facts(kind: &Kind, meta: &Meta) -> String {
    let what = match kind {
        Kind::File { size: bytes, .. } => size(*bytes),
        Kind::Directory => "directory".to_owned(),
        Kind::Symlink(target) => format!("→ {}", printable(&String::from_utf8_lossy(target))),
        Kind::Hardlink(first) => format!("the same file as {first}"),
        Kind::CharacterDevice(_) | Kind::BlockDevice(_) => "device".to_owned(),
        Kind::Fifo => "pipe".to_owned(),
        Kind::Whiteout => return "gone".to_owned(),
    };
    format!("{what}, {:04o}, {}:{}", meta.mode, meta.uid, meta.gid)
}
