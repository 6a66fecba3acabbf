//! Progress on a terminal, drawn by `indicatif`.
//!
//! In: events. Out: above, a line that stays for each piece of work that has ended; below, a line
//! for each running one, with its time, bytes and rate, drawn again until it ends. Of what a command
//! writes the last lines stand below its own, and go when it ends.
//!
//! ```text
//! ✓ copy src → /app  1.2s, 45.0 MB
//! = fetch https://example.org/tool
//! ✗ unpack vendor.tar.gz → /opt  0.1s
//! ⠹ copy node_modules → /app  3.1s  120 MB of 574 MB, 38.7 MB/s
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plain::rate;
use super::{Event, Outcome, Show, Summary};
use crate::ui::diagnostic::painted;
use crate::ui::table::{duration, size};
use crate::ui::{diagnostic, printable, shortened};

/// Most running pieces of work that have a line; the others run unseen until they end.
const MOST_LINES: usize = 16;

/// Lines that are drawn again.
pub struct Terminal {
    lines: MultiProgress,
    colour: bool,
    running: BTreeMap<u64, Running>,
    summary: Summary,
}

struct Running {
    name: String,
    start: Duration,
    bytes: u64,
    line: Option<ProgressBar>,
    tail: Tail,
}

/// What a command wrote last, below its line.
#[derive(Default)]
struct Tail {
    texts: VecDeque<String>,
    lines: Vec<ProgressBar>,
}

/// Lines of output that are shown of a running command.
const TAIL: usize = 4;
/// Most characters of a step's name in a line that is drawn again.
const MOST: usize = 50;

impl Terminal {
    /// Draws on standard error.
    pub fn new(colour: bool) -> Terminal {
        Terminal::on(ProgressDrawTarget::stderr(), colour)
    }

    fn on(target: ProgressDrawTarget, colour: bool) -> Terminal {
        Terminal {
            lines: MultiProgress::with_draw_target(target),
            colour,
            running: BTreeMap::new(),
            summary: Summary::default(),
        }
    }

    fn say(&self, line: &str) {
        // A terminal that is gone stops no build.
        let _ = self.lines.println(line);
    }

    fn started(&mut self, id: u64, name: &str, elapsed: Duration) {
        let name = printable(name).replace('\n', " ");
        let shown = self.running.values().filter(|r| r.line.is_some()).count();
        let line = (shown < MOST_LINES).then(|| {
            let line = self.lines.add(ProgressBar::no_length());
            line.set_style(style());
            line.set_prefix(shortened(&name, MOST));
            line.enable_steady_tick(Duration::from_millis(100));
            line
        });
        let running = Running {
            name,
            start: elapsed,
            bytes: 0,
            line,
            tail: Tail::default(),
        };
        self.running.insert(id, running);
    }

    fn progress(&mut self, id: u64, bytes: u64, total: Option<u64>, elapsed: Duration) {
        if let Some(running) = self.running.get_mut(&id) {
            running.bytes = bytes;
            if let Some(line) = &running.line {
                let time = elapsed.saturating_sub(running.start);
                let of = total.map_or(String::new(), |total| format!(" of {}", size(total)));
                line.set_message(format!("{}{of}, {}", size(bytes), rate(bytes, time)));
            }
        }
    }

    fn output(&mut self, id: u64, line: &str) {
        let Some(Running {
            line: Some(head),
            tail,
            ..
        }) = self.running.get_mut(&id)
        else {
            return;
        };
        let text = printable(line).replace('\n', " ");
        tail.texts.push_back(painted(&text, "2", self.colour));
        if tail.texts.len() > TAIL {
            tail.texts.pop_front();
        } else {
            let above = tail.lines.last().unwrap_or(head);
            let below = self.lines.insert_after(above, ProgressBar::no_length());
            below.set_style(tail_style());
            tail.lines.push(below);
        }
        for (line, text) in tail.lines.iter().zip(&tail.texts) {
            line.set_message(text.clone());
        }
    }

    fn finished(&mut self, id: u64, outcome: Outcome, elapsed: Duration) {
        self.summary.count(outcome);
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        for line in running.tail.lines.into_iter().chain(running.line) {
            line.finish_and_clear();
            self.lines.remove(&line);
        }
        let time = duration(elapsed.saturating_sub(running.start));
        let bytes = match running.bytes {
            0 => String::new(),
            bytes => format!(", {}", size(bytes)),
        };
        let name = running.name;
        let (mark, colour, how) = match outcome {
            Outcome::Done => ("✓", "32", format!("  {time}{bytes}")),
            Outcome::Cached => ("=", "36", String::new()),
            Outcome::Failed => ("✗", "31", format!("  {time}{bytes}")),
        };
        let mark = painted(mark, colour, self.colour);
        self.say(&format!("{mark} {name}{}", painted(&how, "2", self.colour)));
    }
}

fn style() -> ProgressStyle {
    // The template is a constant, so the default never stands in for it.
    ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A line of output, cut at the terminal's width.
fn tail_style() -> ProgressStyle {
    ProgressStyle::with_template("    {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Show for Terminal {
    fn event(&mut self, event: Event, elapsed: Duration) {
        match event {
            Event::Started { id, name } => self.started(id, &name, elapsed),
            Event::Progress { id, bytes, total } => self.progress(id, bytes, total, elapsed),
            Event::Output { id, line } => self.output(id, &line),
            Event::Finished { id, outcome } => self.finished(id, outcome, elapsed),
            Event::Note { message } => self.say(&printable(&message).replace('\n', " ")),
            Event::Warning { message } => {
                self.say(diagnostic::warning(&message, self.colour).trim_end());
            }
            Event::Debug { message } => {
                let word = painted("debug:", "2", self.colour);
                self.say(&format!("{word} {}", printable(&message)));
            }
        }
    }

    fn end(&mut self, elapsed: Duration) {
        for running in std::mem::take(&mut self.running).into_values() {
            for line in running.tail.lines.into_iter().chain(running.line) {
                line.finish_and_clear();
            }
        }
        if let Some(line) = self.summary.line(elapsed) {
            self.say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A terminal that keeps all that is written, and nothing of what is drawn over.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl indicatif::TermLike for Paper {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> std::io::Result<()> {
            self.write_str(&format!("{line}\n"))
        }
        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn ended_work_leaves_one_line() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let mut terminal = Terminal::on(target, false);
        let at = Duration::from_millis;
        for (id, name) in [(1, "copy a → /\u{1b}b"), (2, "scratch"), (3, "unpack c")] {
            let name = name.to_owned();
            terminal.event(Event::Started { id, name }, at(0));
        }
        let (bytes, total) = (2_000_000, None);
        terminal.event(
            Event::Progress {
                id: 1,
                bytes,
                total,
            },
            at(500),
        );
        for (id, outcome) in [
            (1, Outcome::Done),
            (2, Outcome::Cached),
            (3, Outcome::Failed),
        ] {
            terminal.event(Event::Finished { id, outcome }, at(1000));
        }
        terminal.end(at(1100));
        let text = paper.0.lock().unwrap().clone();
        for line in [
            "✓ copy a → /\\u{1b}b  1.0s, 2.0 MB",
            "= scratch",
            "✗ unpack c  1.0s",
            "1 done, 1 cached, 1 failed in 1.1s",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line} in {text:?}");
        }
    }
}
