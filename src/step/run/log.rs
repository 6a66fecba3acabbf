//! What a command writes: lines for whoever watches, and all of it on disk.
//!
//! In: bytes as they come. Out: lines, a log, the last lines for an error. What secrets hold never
//! comes out ([`Mask`]).

use std::collections::VecDeque;
use std::io::{self, Write};

use super::mask::Mask;
use crate::sandbox::Stream;

/// Longest line that is passed on as one, in bytes.
const LONGEST_LINE: usize = 64 << 10;
/// Lines kept for an error.
const LAST_LINES: usize = 20;
/// Bytes of each of these.
const LAST_LINE: usize = 500;

/// What a command writes.
pub struct Log<'a> {
    out: Box<dyn Write + 'a>,
    line: &'a dyn Fn(&str),
    mask: Mask,
    /// The unfinished lines of both streams.
    output: Vec<u8>,
    error: Vec<u8>,
    /// Lines that are written and not told yet.
    untold: Vec<String>,
    last: VecDeque<String>,
    failed: Option<io::Error>,
}

impl<'a> Log<'a> {
    /// Writes all to `out` and tells each line to `line`.
    pub fn new<'s>(
        out: impl Write + 'a,
        line: &'a dyn Fn(&str),
        secrets: impl Iterator<Item = &'s [u8]>,
    ) -> Log<'a> {
        Log {
            out: Box::new(out),
            line,
            mask: Mask::new(secrets),
            output: Vec::new(),
            error: Vec::new(),
            untold: Vec::new(),
            last: VecDeque::new(),
            failed: None,
        }
    }

    /// Takes what came. Fails where it can't be kept: [`Log::finish`] says why.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let buffer = match stream {
                Stream::Output => &mut self.output,
                Stream::Error => &mut self.error,
            };
            buffer.extend_from_slice(part);
            if buffer.ends_with(b"\n") {
                let line = std::mem::take(buffer);
                self.told(&line);
            } else if buffer.len() > LONGEST_LINE {
                // A secret may go on in what comes next.
                let begun = std::mem::take(buffer);
                let mut line = self.mask.apply(&begun);
                let longest = self.mask.longest().max(1);
                let rest = line.split_off((line.len() + 1).saturating_sub(longest));
                match stream {
                    Stream::Output => self.output = rest,
                    Stream::Error => self.error = rest,
                }
                self.told(&line);
            }
        }
        self.tell();
        match &self.failed {
            None => Ok(()),
            Some(error) => Err(error.kind().into()),
        }
    }

    fn told(&mut self, line: &[u8]) {
        let line = self.mask.apply(line);
        if let Err(error) = self.out.write_all(&line) {
            self.failed.get_or_insert(error);
        }
        let text = String::from_utf8_lossy(&line);
        // A bar that is drawn again over itself has its last state last.
        let text = text.trim_end_matches(['\n', '\r']);
        let text = shown(text.rsplit('\r').next().unwrap_or(text));
        // Sequences may have stood in the middle of a secret.
        let text = self.mask.apply(text.as_bytes());
        let text = String::from_utf8_lossy(&text);
        self.untold.push(text.clone().into_owned());
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        let end = (0..=LAST_LINE)
            .rev()
            .find(|&end| text.is_char_boundary(end));
        let shown = end.and_then(|end| text.get(..end)).unwrap_or(&text);
        self.last.push_back(shown.to_owned());
    }

    /// Tells what is on disk now, so that nobody saw what may be lost with this process.
    fn tell(&mut self) {
        if let Err(error) = self.out.flush() {
            self.failed.get_or_insert(error);
        }
        for line in self.untold.drain(..) {
            (self.line)(&line);
        }
    }

    /// Ends the log; gives the last lines.
    pub fn finish(mut self) -> io::Result<Vec<String>> {
        for buffer in [
            std::mem::take(&mut self.output),
            std::mem::take(&mut self.error),
        ] {
            if !buffer.is_empty() {
                self.told(&buffer);
            }
        }
        self.tell();
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.last.into()),
        }
    }
}

/// What a command wrote, fit to be shown: tabs stay, and of a terminal's sequences (colours,
/// titles, moves of the cursor: ECMA-48, section 5.4, and strings to OSC) nothing is left.
fn shown(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\t' => out.push('\t'),
            '\u{1b}' => match rest.next() {
                Some('[') => {
                    while rest.next_if(|next| matches!(next, ' '..='?')).is_some() {}
                    let _ = rest.next_if(|next| matches!(next, '@'..='~'));
                }
                // Up to the bell, or to the sequence that ends a string.
                Some(']') => {
                    while rest.next_if(|next| !next.is_control()).is_some() {}
                    if rest.next_if_eq(&'\u{7}').is_none() && rest.next_if_eq(&'\u{1b}').is_some() {
                        let _ = rest.next_if_eq(&'\\');
                    }
                }
                Some('(' | ')') => drop(rest.next()),
                Some(_) | None => {}
            },
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn lines_come_whole_and_secrets_not_at_all() {
        let lines = RefCell::new(Vec::new());
        let line = |text: &str| lines.borrow_mut().push(text.to_owned());
        let mut all = Vec::new();
        let secrets: [&[u8]; 2] = [b"hunter22\n", b"abc"];
        let mut log = Log::new(&mut all, &line, secrets.into_iter());
        log.write(Stream::Output, b"one\ntw").unwrap();
        log.write(Stream::Error, b"err\xff hun").unwrap();
        log.write(Stream::Output, b"o 10%\rtwo 100%\n").unwrap();
        log.write(Stream::Error, b"ter22 abc\nend").unwrap();
        let last = log.finish().unwrap();
        let expected = ["one", "two 100%", "err\u{fffd} *** abc", "end"];
        assert_eq!(*lines.borrow(), expected);
        assert_eq!(last, expected);
        assert_eq!(all, b"one\ntwo 10%\rtwo 100%\nerr\xff *** abc\nend");
    }

    #[test]
    fn an_endless_line_is_parted_and_hides_no_secret_at_the_seam() {
        let line = |_: &str| {};
        for before in LONGEST_LINE - 20..LONGEST_LINE + 20 {
            let mut all = Vec::new();
            let secrets: [&[u8]; 1] = [b"hunter22"];
            let mut log = Log::new(&mut all, &line, secrets.into_iter());
            log.write(Stream::Output, &vec![b'x'; before]).unwrap();
            log.write(Stream::Output, b"hunt").unwrap();
            log.write(Stream::Output, b"er22").unwrap();
            log.write(Stream::Output, &[b'y'; 100]).unwrap();
            log.finish().unwrap();
            let text = String::from_utf8(all).unwrap();
            assert!(
                !text.contains("hunter22") && text.len() == before + 103,
                "{before}"
            );
        }
    }

    #[test]
    fn tabs_stay_and_what_moves_a_terminal_goes() {
        let line = "\u{1b}[1;31merror\u{1b}[0m:\ta\u{1b}]0;title\u{7}b\u{1b}]8;;x\u{1b}\\c\u{8}\u{1b}(B\u{9b}2Jd";
        assert_eq!(shown(line), "error:\tabc2Jd");
        for cut in ["\u{1b}", "\u{1b}[", "\u{1b}]", "\u{1b}(", "\u{1b}[12"] {
            assert_eq!(shown(cut), "");
        }
    }
}
