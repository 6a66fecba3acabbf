//! What goes on, on standard error.
//!
//! In: [`Event`]s. Out, by [`Mode`]: on a terminal a line for each running piece of work, with its
//! time, bytes and rate, drawn again and again, and one that stays for each that has ended; else
//! a plain line when something begins to take long or ends; or a JSON object a line. When the last
//! clone of the [`Events`] is gone, a summary line follows.
//!
//! # JSON lines
//! An object a line, in UTF-8, each with the seconds since the start (`time`) and `event`:
//!
//! ```text
//! {"time":0.012,"event":"started","id":3,"name":"copy src → /app"}
//! {"time":0.250,"event":"progress","id":3,"bytes":1048576,"total":4194304}
//! {"time":0.300,"event":"output","id":3,"line":"cc -c main.c"}
//! {"time":0.913,"event":"finished","id":3,"outcome":"done"}
//! {"time":0.913,"event":"note","message":"…"}
//! {"time":0.914,"event":"warning","message":"…"}
//! {"time":0.915,"event":"debug","message":"…"}
//! {"time":0.916,"event":"summary","done":4,"cached":12,"failed":0}
//! {"time":0.917,"event":"error","code":3,"message":"error: …\nhint: …"}
//! ```
//! `note` says why something takes its time, such as a registry that is asked again.
//! `outcome` is `done`, `cached` or `failed`; `total` is left out where it isn't known; `debug`
//! comes with `--debug` alone. Progress of one piece of work comes at most ten times a second.
//! A run that fails or is interrupted ends with `error`: its exit code, and what would stand there
//! as text; a command line that can't be understood is told as text. With `--quiet` only
//! `warning`, `debug` and `error` come. Readers should pass over events and members that they don't
//! know.

mod json;
mod plain;
mod terminal;

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::canon::event::{Event, Events, Outcome};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As [`Mode::Tty`] where standard error is a terminal, else as [`Mode::Plain`].
    #[default]
    Auto,
    /// Lines that are drawn again and again.
    Tty,
    /// A line for each thing that happens.
    Plain,
    /// Warnings alone.
    Quiet,
    /// JSON lines.
    Json,
    /// JSON lines for warnings and errors alone.
    QuietJson,
}

impl Mode {
    /// Whether what is written is for programs.
    pub fn is_json(self) -> bool {
        matches!(self, Mode::Json | Mode::QuietJson)
    }
}

/// How many pieces of work ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
struct Summary {
    done: u64,
    cached: u64,
    failed: u64,
}

impl Summary {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done => self.done += 1,
            Outcome::Cached => self.cached += 1,
            Outcome::Failed => self.failed += 1,
        }
    }

    /// `3 done, 12 cached in 1.4s`; nothing where nothing was done.
    fn line(&self, elapsed: Duration) -> Option<String> {
        let counts = [
            (self.done, "done"),
            (self.cached, "cached"),
            (self.failed, "failed"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let time = super::table::duration(elapsed);
        (!counts.is_empty()).then(|| format!("{} in {time}", counts.join(", ")))
    }
}

/// Whoever shows events. Calls come one at a time, with the time since the start.
trait Show: Send {
    fn event(&mut self, event: Event, elapsed: Duration);
    fn end(&mut self, elapsed: Duration);
}

/// The listener that shows events on standard error as `mode` says; `debug` shows those for
/// whoever looks for a fault, too. Times are counted from `start`.
pub fn listener(mode: Mode, colour: bool, debug: bool, start: Instant) -> Events {
    let stderr = std::io::stderr();
    let mode = match mode {
        Mode::Auto if stderr.is_terminal() => Mode::Tty,
        Mode::Auto => Mode::Plain,
        other => other,
    };
    match mode {
        Mode::Tty => listen(terminal::Terminal::new(colour), debug, start),
        Mode::Quiet => listen(plain::Plain::new(stderr, colour).quiet(), debug, start),
        Mode::Json => listen(json::Json::new(stderr), debug, start),
        Mode::QuietJson => listen(json::Json::new(stderr).quiet(), debug, start),
        Mode::Auto | Mode::Plain => listen(plain::Plain::new(stderr, colour), debug, start),
    }
}

/// The last words of a run that failed, as `mode` has them: `text` is what a person reads.
pub fn last_words(mode: Mode, start: Instant, code: u8, text: &str) -> String {
    if mode.is_json() {
        json::error(start.elapsed(), code, text)
    } else {
        text.to_owned()
    }
}

fn listen(show: impl Show + 'static, debug: bool, start: Instant) -> Events {
    struct Shown<S: Show> {
        show: Mutex<S>,
        start: Instant,
    }

    impl<S: Show> Drop for Shown<S> {
        fn drop(&mut self) {
            let show = self.show.get_mut().unwrap_or_else(PoisonError::into_inner);
            show.end(self.start.elapsed());
        }
    }

    let shown = Shown {
        show: Mutex::new(show),
        start,
    };
    Events::new(move |event| {
        // Named, so that the closure owns all of it and drops it as one.
        let shown = &shown;
        if debug || !matches!(event, Event::Debug { .. }) {
            // A thread that died while it showed an event must not silence the others.
            let mut show = shown.show.lock().unwrap_or_else(PoisonError::into_inner);
            show.event(event, shown.start.elapsed());
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    /// What was written, to read while the writer lives.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn summary_comes_when_the_last_listener_is_gone() {
        let sink = Sink::default();
        let read = || String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let events = listen(json::Json::new(sink.clone()), false, Instant::now());
        let clone = events.clone();
        clone.debug("not asked for");
        clone.start("a").finish(Outcome::Done);
        drop(events.start("b"));
        drop(clone);
        assert!(!read().contains("summary") && !read().contains("debug"));
        drop(events);
        let text = read();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "summary");
        assert_eq!((&last["done"], &last["failed"]), (&1.into(), &1.into()));
    }

    #[test]
    fn summary_names_what_there_was() {
        let summary = |done, cached, failed| {
            let counts = Summary {
                done,
                cached,
                failed,
            };
            counts.line(Duration::from_millis(1400))
        };
        assert_eq!(summary(0, 0, 0), None);
        assert_eq!(
            summary(3, 12, 0).as_deref(),
            Some("3 done, 12 cached in 1.4s")
        );
        assert_eq!(summary(0, 0, 1).as_deref(), Some("1 failed in 1.4s"));
    }
}
