//! `--progress` and `--quiet`.
//!
//! In: what buildx takes there. Out: the [`Mode`] that progress is shown in.

use clap::{Args, ValueEnum};

use super::exit::Failure;
use super::flags::switch;
use crate::ui::progress::Mode;

/// How progress is shown.
#[derive(Debug, Args)]
pub struct Progress {
    /// How progress is shown [default: $BUILDKIT_PROGRESS, else auto]
    #[arg(long, value_enum, value_name = "MODE")]
    progress: Option<ProgressMode>,
    /// Show nothing but errors, and warnings that aren't about how the recipe is written
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = switch, value_name = "BOOL")]
    quiet: Option<bool>,
}

impl Progress {
    /// Takes what the environment says, where no argument does.
    pub fn or_default(&mut self, default: &str) -> Result<(), Failure> {
        if self.progress.is_none() && !default.is_empty() {
            let mode = ProgressMode::from_str(default, false);
            self.progress = Some(mode.map_err(|_| {
                Failure::usage(
                    format!("BUILDKIT_PROGRESS: there is no way `{default}` to show progress"),
                    "unset it, or set it to auto, tty, plain, quiet or rawjson",
                )
            })?);
        }
        Ok(())
    }

    pub fn mode(&self) -> Mode {
        let is_quiet = self.quiet.unwrap_or(false);
        match self.progress.unwrap_or_default() {
            ProgressMode::Json | ProgressMode::Rawjson if is_quiet => Mode::QuietJson,
            _ if is_quiet => Mode::Quiet,
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
