//! `cairn log`.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};

use super::arguments::Log;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::print;
use crate::canon::event::Outcome;
use crate::canon::{Problem, StepKey};
use crate::store::{Store, io_error};
use crate::ui::table::Table;

/// Fewest digits that name a key.
pub(super) const FEWEST: usize = 4;
/// Digits of a key that are shown.
const SHOWN: usize = 12;

/// Shows what a command wrote, or lists the commands of the last build.
pub fn run(arguments: &Log, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store_to_read()?;
    match &arguments.key {
        None => list(&store),
        Some(key) => show(&store, &find(&store, key, [])?),
    }
}

fn list(store: &Store) -> Result<(), Failure> {
    let rows = store.last_commands();
    if rows.is_empty() {
        print::to_stderr("no build has run a command yet, or the last one had none");
        return Ok(());
    }
    let mut table = Table::new(&["KEY", "RESULT", "COMMAND"]);
    for row in rows {
        let how = match row.outcome {
            Some(Outcome::Done) => "done",
            Some(Outcome::Cached) => "cached",
            Some(Outcome::Failed) => "failed",
            None => "unfinished",
        };
        let key = row.key.0.hex()[..SHOWN].to_owned();
        table.row([key, how.to_owned(), row.name]);
    }
    print::to_stdout(&table.render())
}

/// The one key that has a log, or is one of `others`, and begins so.
pub(super) fn find(
    store: &Store,
    text: &str,
    others: impl IntoIterator<Item = StepKey>,
) -> Result<StepKey, Failure> {
    let wanted = text.strip_prefix("sha256:").unwrap_or(text);
    let wanted = wanted.to_ascii_lowercase();
    let is_hex = wanted.chars().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || wanted.len() < FEWEST {
        return Err(Failure::usage(
            format!("`{text}` names no step: that takes {FEWEST} hexadecimal digits or more"),
            "`cairn log` lists the steps of the last build",
        ));
    }
    let mut keys = store.logs();
    let others = others.into_iter().filter(|key| !keys.contains(key));
    let others: Vec<_> = others.collect();
    keys.extend(others);
    let found: Vec<_> = keys
        .into_iter()
        .filter(|key| key.0.hex().starts_with(&wanted))
        .collect();
    match &found[..] {
        [key] => Ok(*key),
        [] => {
            let problem = Problem::new(format!("there is no log of a step `{text}`"));
            let hint = "`cairn log` lists the steps of the last build";
            Err(Failure::message(Code::Unavailable, problem.hint(hint)))
        }
        several => {
            let longest = several
                .iter()
                .take(5)
                .map(|key| key.0.hex()[..16].to_owned());
            let hint = format!("say more of it: {}", longest.collect::<Vec<_>>().join(", "));
            Err(Failure::usage(
                format!("`{text}` begins the keys of {} steps", several.len()),
                &hint,
            ))
        }
    }
}

/// As the command wrote it; on a terminal without what would steer that.
fn show(store: &Store, key: &StepKey) -> Result<(), Failure> {
    let path = store.log_path(key);
    let mut log = BufReader::new(File::open(&path).map_err(io_error("read", &path))?);
    let is_terminal = std::io::stdout().is_terminal();
    let mut piece = Vec::new();
    loop {
        piece.clear();
        // A line that doesn't end comes in parts.
        let read = log.by_ref().take(1 << 20).read_until(b'\n', &mut piece);
        if read.map_err(io_error("read", &path))? == 0 {
            return Ok(());
        }
        match is_terminal {
            true => print::to_stdout(&crate::ui::printable(&String::from_utf8_lossy(&piece)))?,
            false => print::bytes_to_stdout(&piece)?,
        }
    }
}
