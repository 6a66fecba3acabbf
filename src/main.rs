//! The `cairn` program: returns the exit code of [`cairn::cli::run`], or that of the sandbox's
//! agent when a session starts it.

use cairn::sandbox::agent;

fn main() -> std::process::ExitCode {
    agent::serve_if_asked(std::env::args_os()).unwrap_or_else(cairn::cli::run)
}
