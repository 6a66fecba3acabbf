//! `cairn completions` and `cairn man`.

use clap::CommandFactory;

use super::arguments::Arguments;
use super::exit::{Code, Failure};
use super::print;

/// Prints completions.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cairn", &mut out);
    print::to_stdout(&String::from_utf8_lossy(&out))
}

/// Prints the manual page, each command's section after the other.
pub fn man() -> Result<(), Failure> {
    let mut out = Vec::new();
    let mut command = Arguments::command();
    command.build();
    let failed = |error| Failure::new(Code::Failed, error);
    clap_mangen::Man::new(command.clone())
        .render(&mut out)
        .map_err(failed)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        clap_mangen::Man::new(subcommand.clone())
            .render(&mut out)
            .map_err(failed)?;
    }
    print::to_stdout(&String::from_utf8_lossy(&out))
}
