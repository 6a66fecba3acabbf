//! What whoever writes a recipe reads when something is wrong with it: the whole text, as
//! `frontend` finds it and `ui` draws it. And that no text makes either panic.

mod config;
mod hostile;
mod keys;
mod stages;
mod types;
mod values;

use cairn::canon::Source;
use cairn::frontend::{Options, toml};
use cairn::ui::diagnostic;

/// Everything that is wrong with `recipe`, drawn without colour.
fn errors(recipe: &str) -> String {
    let source = match Source::new("cairn.toml", recipe.into(), toml::LARGEST) {
        Ok(source) => source,
        Err(problem) => return diagnostic::problem(&problem, None, false),
    };
    let options = Options::new("linux/amd64".parse().unwrap());
    match toml::plan(&source, &options) {
        Ok(_) => "no error".to_owned(),
        Err(problems) => diagnostic::problems(&problems, &source, false),
    }
}
