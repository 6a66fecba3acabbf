//! The source policy that the arguments or the environment name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::environment::Environment;
use super::exit::{Code, Failure};
use crate::canon::Problem;
use crate::policy::{Policy, Refusal, read};

/// As buildx has it.
const VARIABLE: &str = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";

/// The policy in the file `named`, else in the one that the environment names; without either,
/// everything may be had.
pub fn read(named: Option<&Path>, environment: &Environment) -> Result<Policy, Failure> {
    let variable = environment.variable(VARIABLE);
    let variable = variable.filter(|path| !path.is_empty());
    let Some(path) = named.or(variable.as_deref().map(Path::new)) else {
        return Ok(Policy::default());
    };
    let shown = path.display().to_string();
    let hint = match named {
        Some(_) => "`--source-policy-file` takes the JSON of a BuildKit source policy".to_owned(),
        None => format!("{VARIABLE} names it: the JSON of a BuildKit source policy"),
    };
    let failed = |reason: String| {
        let problem = Problem::new(format!("can't use the source policy `{shown}`: {reason}"));
        Failure::message(Code::Unavailable, problem.hint(&hint))
    };
    let text = text(&environment.absolute(path), read::LARGEST).map_err(failed)?;
    read::read(&text, &shown).map_err(failed)
}

/// The text of a file of at most `largest` bytes, or why it can't be had.
pub fn text(path: &Path, largest: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    let most = largest as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() > largest {
        return Err(format!("it is larger than {largest} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}

/// A refusal where no recipe is at hand yet.
pub fn refused(refusal: Refusal) -> Failure {
    Failure::new(Code::Unavailable, refusal)
}
