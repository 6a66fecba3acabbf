//! The agent: cairn executed anew, inside the session's user namespace.
//!
//! In: the hidden first argument `__agent`. Out: an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

/// The first argument that makes the program the agent.
pub const ARGUMENT: &str = "__agent";

/// Serves a session if the arguments (the program's name first) say so; else none. To be called
/// before anything starts a thread.
pub fn serve_if_asked(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let asked = arguments.skip(1).map(|argument| argument == ARGUMENT);
    let is_asked = asked.take(1).next().unwrap_or(false);
    is_asked.then_some(ExitCode::FAILURE)
}
