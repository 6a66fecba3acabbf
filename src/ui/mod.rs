//! Events and errors as lines on a terminal.
//!
//! In: [`crate::canon::event::Event`], [`crate::canon::Problem`], errors with their causes. Out:
//! text for standard error, coloured or plain as `cli` decides; standard output belongs to `cli`.

pub mod diagnostic;
pub mod progress;
pub mod table;

use std::fmt::Write as _;

/// Text without control characters, but for tabs and line ends: names come from recipes and archives, and
/// must not move a terminal's cursor or colour its lines.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
