//! Events and errors as lines on a terminal.
//!
//! In: [`crate::canon::event::Event`], [`crate::canon::Problem`], errors with their causes, and
//! comparisons. Out: text, coloured or plain as `cli` decides; where it goes is `cli`'s matter.

pub mod diagnostic;
pub mod difference;
pub mod progress;
pub mod table;

use std::fmt::Write as _;

/// Text without control characters, but for tabs and line ends, and without those that turn the
/// direction of what follows: names come from recipes and archives, and must not move a terminal's
/// cursor, colour its lines, or show them in another order.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let is_control = character.is_control() && !matches!(character, '\n' | '\t');
        if is_control || turns_direction(character) {
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Text as one line of so many characters at most, and an ellipsis where there are more.
pub fn shortened(text: &str, most: usize) -> String {
    let line = text.replace('\n', "\\n");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Unicode's explicit directional formatting characters (UAX #9, section 2), and the separators of
/// lines and paragraphs.
fn turns_direction(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_one_short_line() {
        assert_eq!(shortened("a\nb", 4), "a\\nb");
        assert_eq!(shortened("äöüß", 4), "äöüß");
        assert_eq!(shortened("äöüßa", 4), "äöüß…");
    }
}
