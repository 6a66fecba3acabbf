//! Output to where it belongs.
//!
//! In: text. Out: standard output for results, standard error for everything else. A reader that
//! went away is no error.

use std::io::{ErrorKind, Write};
use std::time::Instant;

use super::exit::{Code, Failure};
use crate::canon::Problem;
use crate::ui::progress::{self, Mode};

/// A result.
pub fn to_stdout(text: &str) -> Result<(), Failure> {
    bytes_to_stdout(text.as_bytes())
}

/// A result that need not be text.
pub fn bytes_to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let problem = Problem::new(format!("can't write to standard output: {error}"));
            Err(Failure::message(Code::Failed, problem))
        }
        _ => Ok(()),
    }
}

/// Anything else.
pub fn to_stderr(text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // There is nowhere left to say that this failed.
    let _ = write!(std::io::stderr(), "{text}{end}");
}

/// Why the run fails, as its progress is shown.
pub fn last_words(mode: Mode, start: Instant, code: Code, text: &str) {
    to_stderr(&progress::last_words(mode, start, code as u8, text));
}

/// A value as JSON for people and programs: indented.
pub fn json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::new(Code::Failed, error))?;
    to_stdout(&(text + "\n"))
}
