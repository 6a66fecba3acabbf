//! `cairn caches`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::arguments::Caches;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::print;
use crate::canon::Problem;
use crate::sandbox::{Session, SessionSettings};
use crate::store::Kept;
use crate::ui::table::{self, Table};

/// Lists the caches of commands, or removes some.
pub fn run(arguments: &Caches, environment: &Environment) -> Result<(), Failure> {
    if arguments.remove_all || !arguments.remove.is_empty() {
        return remove(arguments, environment);
    }
    let caches = environment.store_to_read()?.caches();
    if arguments.json {
        let rows = caches
            .iter()
            .map(|cache| json!({ "id": cache.id, "size": cache.size }));
        return print::json(&rows.collect::<Vec<_>>());
    }
    if caches.is_empty() {
        print::to_stderr("no command keeps a cache (`RUN --mount=type=cache`)");
        return Ok(());
    }
    let mut table = Table::new(&["ID", "SIZE"]).right(1);
    for cache in caches {
        let size = cache.size.map_or_else(|| "?".to_owned(), table::size);
        table.row([cache.id, size]);
    }
    print::to_stdout(&table.render())
}

fn remove(arguments: &Caches, environment: &Environment) -> Result<(), Failure> {
    let wanted: BTreeSet<&str> = arguments.remove.iter().map(String::as_str).collect();
    let is_wanted = |cache: &Kept| arguments.remove_all || wanted.contains(cache.id.as_str());
    let mut caches = environment.store()?.caches();
    let unknown = wanted
        .iter()
        .find(|id| caches.iter().all(|cache| cache.id != **id));
    if let Some(id) = unknown {
        let problem = Problem::new(format!("there is no cache `{}`", id.escape_debug()));
        let problem = problem.hint("`cairn caches` lists them");
        return Err(Failure::message(Code::Unavailable, problem));
    }
    caches.retain(is_wanted);
    // Its files may be of users whom only the sandbox may act for.
    let session = Session::open(&SessionSettings::default());
    let session = session.map_err(|error| Failure::new(Code::Failed, error))?;
    for cache in caches {
        let files = |folder: &Path| {
            let removed = session.remove(&environment.absolute(folder));
            removed.map_err(|error| Failure::new(Code::Failed, error))
        };
        if !cache.remove(files)? {
            let problem =
                Problem::new(format!("the cache `{}` is in use", cache.id.escape_debug()));
            let problem = problem.hint("wait for the build that uses it");
            return Err(Failure::message(Code::Failed, problem));
        }
    }
    Ok(())
}
