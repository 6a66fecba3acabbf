//! The `cairn` program: returns the exit code of [`cairn::cli::run`].

fn main() -> std::process::ExitCode {
    cairn::cli::run()
}
