//! `--progress` and `--quiet`.
//!
//! In: what buildx takes there. Out: the [`Mode`] that progress is shown in.

use clap::{Args, ValueEnum};

use crate::ui::progress::Mode;

/// How progress is shown.
#[derive(Debug, Args)]
pub struct Progress {
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    progress: ProgressMode,
    /// Show nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

impl Progress {
    pub fn mode(&self) -> Mode {
        match self.progress {
            ProgressMode::Json | ProgressMode::Rawjson if self.quiet => Mode::QuietJson,
            _ if self.quiet => Mode::Quiet,
            ProgressMode::Auto => Mode::Auto,
            ProgressMode::Tty => Mode::Tty,
            ProgressMode::Plain => Mode::Plain,
            ProgressMode::Quiet | ProgressMode::None => Mode::Quiet,
            ProgressMode::Json | ProgressMode::Rawjson => Mode::Json,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ProgressMode {
    /// `tty` on a terminal, else `plain`
    #[default]
    Auto,
    /// Lines that are drawn again and again
    Tty,
    /// A line for each thing that happens
    Plain,
    /// Warnings alone
    Quiet,
    /// JSON, an object a line
    Json,
    #[value(hide = true)]
    None,
    #[value(hide = true)]
    Rawjson,
}
