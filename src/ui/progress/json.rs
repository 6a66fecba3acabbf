//! Progress as JSON lines: the shape that [`crate::ui::progress`] documents.
//!
//! In: events. Out: an object a line.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use super::{Event, Show, Summary};

/// How often the progress of one piece of work is told.
const EVERY: Duration = Duration::from_millis(100);

/// JSON lines.
pub struct Json<W> {
    out: W,
    is_quiet: bool,
    summary: Summary,
    /// When progress of each running piece of work was last told.
    told: BTreeMap<u64, Duration>,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Json<W> {
        Json {
            out,
            is_quiet: false,
            summary: Summary::default(),
            told: BTreeMap::new(),
        }
    }

    /// Writes warnings and what was asked for with `--debug`, and nothing else.
    pub fn quiet(self) -> Json<W> {
        Json {
            is_quiet: true,
            ..self
        }
    }

    fn line(&mut self, value: &impl Serialize, elapsed: Duration) {
        let line = line(value, elapsed);
        // Nobody may be there to read; the build goes on.
        let written = self.out.write_all(line.as_bytes());
        let _ = written.and_then(|()| self.out.flush());
    }
}

fn line(value: &impl Serialize, elapsed: Duration) -> String {
    #[derive(Serialize)]
    struct Line<'a, T> {
        time: f64,
        #[serde(flatten)]
        value: &'a T,
    }
    let time = elapsed.as_millis() as f64 / 1000.0;
    let line = serde_json::to_string(&Line { time, value });
    line.map_or_else(|_| String::new(), |line| line + "\n")
}

/// The line that a run ends with when it fails.
pub fn error(elapsed: Duration, code: u8, message: &str) -> String {
    #[derive(Serialize)]
    struct Failed<'a> {
        event: &'static str,
        code: u8,
        message: &'a str,
    }
    let failed = Failed {
        event: "error",
        code,
        message: message.trim_end(),
    };
    line(&failed, elapsed)
}

impl<W: Write + Send> Show for Json<W> {
    fn event(&mut self, event: Event, elapsed: Duration) {
        match &event {
            Event::Progress { id, .. } => {
                let told = self.told.get(id);
                if told.is_some_and(|&told| elapsed.saturating_sub(told) < EVERY) {
                    return;
                }
                self.told.insert(*id, elapsed);
            }
            Event::Finished { id, outcome } => {
                self.told.remove(id);
                self.summary.count(*outcome);
            }
            _ => {}
        }
        if !self.is_quiet || matches!(event, Event::Warning { .. } | Event::Debug { .. }) {
            self.line(&event, elapsed);
        }
    }

    fn end(&mut self, elapsed: Duration) {
        #[derive(Serialize)]
        struct Ended {
            event: &'static str,
            #[serde(flatten)]
            summary: Summary,
        }
        if self.is_quiet {
            return;
        }
        let summary = self.summary;
        let event = "summary";
        self.line(&Ended { event, summary }, elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::event::Outcome;

    fn progress(bytes: u64) -> Event {
        let (id, total) = (1, Some(200));
        Event::Progress { id, bytes, total }
    }

    #[test]
    fn json_lines_have_the_documented_shape() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        let at = Duration::from_millis;
        let name = "copy a → /b\n".to_owned();
        json.event(Event::Started { id: 1, name }, at(1));
        json.event(progress(50), at(2));
        json.event(progress(60), at(50));
        json.event(progress(150), at(102));
        let outcome = Outcome::Cached;
        json.event(Event::Finished { id: 1, outcome }, at(1200));
        json.end(at(1250));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            [
                r#"{"time":0.001,"event":"started","id":1,"name":"copy a → /b\n"}"#,
                r#"{"time":0.002,"event":"progress","id":1,"bytes":50,"total":200}"#,
                r#"{"time":0.102,"event":"progress","id":1,"bytes":150,"total":200}"#,
                r#"{"time":1.2,"event":"finished","id":1,"outcome":"cached"}"#,
                r#"{"time":1.25,"event":"summary","done":0,"cached":1,"failed":0}"#,
                "",
            ]
            .join("\n")
        );
    }

    #[test]
    fn quiet_lines_are_warnings_and_an_error_is_one_line() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out).quiet();
        let at = Duration::from_millis;
        let name = "a".to_owned();
        json.event(Event::Started { id: 1, name }, at(1));
        let message = "beware".to_owned();
        json.event(Event::Warning { message }, at(2));
        json.end(at(3));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"time\":0.002,\"event\":\"warning\",\"message\":\"beware\"}\n"
        );
        assert_eq!(
            error(at(4), 3, "error: no\nhint: yes\n"),
            "{\"time\":0.004,\"event\":\"error\",\"code\":3,\"message\":\"error: no\\nhint: yes\"}\n"
        );
    }
}
