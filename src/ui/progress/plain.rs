//! Progress in plain lines, for logs and for standard errors that are no terminal.
//!
//! In: events. Out: a line when a piece of work has run for [`SOON`], one when it ends, and in
//! between one each [`EVERY`], so that nobody takes a long one for a dead one. There is no clock
//! behind it: a line comes with the next event, of whatever work.
//!
//! ```text
//! #3 copy src → /app
//! #3 12.3 MB of 45.0 MB, 4.1 MB/s
//! #3 done in 11.0s
//! #5 run make
//! #5 cc -c main.c
//! #4 cached: fetch https://example.org/tool
//! ```
//! A piece of work whose result is there within [`SOON`] has one line.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::{Event, Outcome, Show, Summary};
use crate::ui::diagnostic::painted;
use crate::ui::table::{duration, size};
use crate::ui::{diagnostic, printable};

/// How often a long piece of work is told of.
const EVERY: Duration = Duration::from_secs(5);
/// Work that ends this soon is told of once.
const SOON: Duration = Duration::from_millis(200);

/// Plain lines.
pub struct Plain<W> {
    out: W,
    colour: bool,
    is_quiet: bool,
    running: BTreeMap<u64, Running>,
    summary: Summary,
}

struct Running {
    name: String,
    start: Duration,
    /// When a line of it was last written.
    told: Option<Duration>,
    bytes: u64,
}

impl<W: Write> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W, colour: bool) -> Plain<W> {
        Plain {
            out,
            colour,
            is_quiet: false,
            running: BTreeMap::new(),
            summary: Summary::default(),
        }
    }

    /// Writes warnings and what was asked for with `--debug`, and nothing else.
    pub fn quiet(self) -> Plain<W> {
        Plain {
            is_quiet: true,
            ..self
        }
    }

    fn line(&mut self, line: &str) {
        if !self.is_quiet {
            self.text(&format!("{}\n", printable(line).replace('\n', " ")));
        }
    }

    fn text(&mut self, text: &str) {
        // Nobody may be there to read; the build goes on.
        let _ = self.out.write_all(text.as_bytes());
    }

    /// Writes the names of what is no longer soon done.
    fn name_the_slow(&mut self, elapsed: Duration) {
        let is_slow = |running: &Running| {
            running.told.is_none() && elapsed.saturating_sub(running.start) >= SOON
        };
        let slow = self
            .running
            .iter_mut()
            .filter(|(_, running)| is_slow(running));
        let mut lines = Vec::new();
        for (id, running) in slow {
            running.told = Some(elapsed);
            lines.push(format!("#{id} {}", running.name));
        }
        for line in lines {
            self.line(&line);
        }
    }

    /// Writes the name of a piece of work that something is told of.
    fn name(&mut self, id: u64, elapsed: Duration) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        if running.told.is_none() {
            running.told = Some(elapsed);
            let line = format!("#{id} {}", running.name);
            self.line(&line);
        }
    }

    fn finished(&mut self, id: u64, outcome: Outcome, elapsed: Duration) {
        self.summary.count(outcome);
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        let time = elapsed.saturating_sub(running.start);
        let how = match outcome {
            Outcome::Done => format!("done in {}", duration(time)),
            Outcome::Cached => "cached".to_owned(),
            Outcome::Failed => format!("failed after {}", duration(time)),
        };
        let bytes = match running.bytes {
            0 => String::new(),
            bytes => format!(", {}", size(bytes)),
        };
        self.line(&match running.told {
            Some(_) => format!("#{id} {how}{bytes}"),
            None => format!("#{id} {} ({how}{bytes})", running.name),
        });
    }
}

impl<W: Write + Send> Show for Plain<W> {
    fn event(&mut self, event: Event, elapsed: Duration) {
        match event {
            Event::Started { id, name } => {
                let running = Running {
                    name,
                    start: elapsed,
                    told: None,
                    bytes: 0,
                };
                self.running.insert(id, running);
            }
            Event::Progress { id, bytes, total } => {
                let Some(running) = self.running.get_mut(&id) else {
                    return;
                };
                running.bytes = bytes;
                let told = running.told;
                if told.is_some_and(|told| elapsed.saturating_sub(told) >= EVERY) {
                    running.told = Some(elapsed);
                    let time = elapsed.saturating_sub(running.start);
                    let of = total.map_or(String::new(), |total| format!(" of {}", size(total)));
                    let line = format!("#{id} {}{of}, {}", size(bytes), rate(bytes, time));
                    self.line(&line);
                }
            }
            Event::Output { id, line } => {
                self.name(id, elapsed);
                self.line(&format!("#{id} {line}"));
            }
            Event::Finished { id, outcome } => self.finished(id, outcome, elapsed),
            Event::Note { message } => self.line(&message),
            Event::Warning { message } => {
                let text = diagnostic::warning(&message, self.colour);
                self.text(&text);
            }
            Event::Debug { message } => {
                let word = painted("debug:", "2", self.colour);
                self.text(&format!("{word} {}\n", printable(&message)));
            }
        }
        self.name_the_slow(elapsed);
    }

    fn end(&mut self, elapsed: Duration) {
        if let Some(line) = self.summary.line(elapsed) {
            self.line(&line);
        }
    }
}

/// Bytes a second, as text.
pub fn rate(bytes: u64, time: Duration) -> String {
    let per_second = u128::from(bytes) * 1000 / time.as_millis().max(1);
    format!("{}/s", size(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn started(id: u64, name: &str) -> Event {
        let name = name.to_owned();
        Event::Started { id, name }
    }

    fn progress(id: u64, bytes: u64) -> Event {
        let total = Some(10_000_000);
        Event::Progress { id, bytes, total }
    }

    fn text(show: impl FnOnce(&mut Plain<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        show(&mut Plain::new(&mut out, false));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn short_work_has_one_line_and_long_work_more() {
        let text = text(|plain| {
            let finished = |id, outcome| Event::Finished { id, outcome };
            let message = "r.example doesn't answer".to_owned();
            plain.event(Event::Note { message }, at(0));
            plain.event(started(1, "scratch"), at(0));
            plain.event(started(2, "copy a → /\u{1b}b\n"), at(0));
            plain.event(finished(1, Outcome::Cached), at(10));
            plain.event(progress(2, 1_000_000), at(300));
            plain.event(progress(2, 2_000_000), at(400));
            plain.event(progress(2, 8_000_000), at(8000));
            plain.event(finished(2, Outcome::Done), at(9000));
            plain.event(finished(99, Outcome::Failed), at(9000));
            plain.end(at(9100));
        });
        assert_eq!(
            text,
            "r.example doesn't answer\n\
             #1 scratch (cached)\n\
             #2 copy a → /\\u{1b}b \n\
             #2 8.0 MB of 10.0 MB, 1.0 MB/s\n\
             #2 done in 9.0s, 8.0 MB\n\
             1 done, 1 cached, 1 failed in 9.1s\n"
        );
    }

    #[test]
    fn quiet_says_warnings_alone() {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, true).quiet();
        plain.event(started(1, "a"), at(0));
        let message = "r.example doesn't answer".to_owned();
        plain.event(Event::Note { message }, at(1));
        let message = "the base has no digest".to_owned();
        plain.event(Event::Warning { message }, at(900));
        plain.end(at(900));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\u{1b}[1;93mwarning:\u{1b}[0m the base has no digest\n"
        );
    }
}
