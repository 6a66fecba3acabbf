//! What goes on, as values: how the rooms speak to whoever watches.
//!
//! In: calls from any room. Out: [`Event`]s to the one listener that `cli` hands down. No event
//! may change what is built.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// One thing that happened. In JSON (`--progress=json`) each is an object whose `event` names it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A piece of work began. `id` is unique within the run.
    Started {
        /// Names the work in later events.
        id: u64,
        /// For people: `copy . → /app`.
        name: String,
    },
    /// A piece of work has moved on.
    Progress {
        /// As in `started`.
        id: u64,
        /// Bytes done.
        bytes: u64,
        /// Bytes in all, where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
    },
    /// A command wrote a line.
    Output {
        /// As in `started`.
        id: u64,
        /// Without its end; what was no UTF-8 is shown as `\u{fffd}`.
        line: String,
    },
    /// A piece of work ended.
    Finished {
        /// As in `started`.
        id: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// Something that goes on and takes its time for a reason.
    Note {
        /// One line.
        message: String,
    },
    /// Something that the user should know and may want to change.
    Warning {
        /// One line.
        message: String,
    },
    /// Something that only somebody who looks for a fault wants to know (`--debug`).
    Debug {
        /// One line.
        message: String,
    },
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// The store had its result.
    Cached,
    /// It failed.
    Failed,
}

/// Where events go: cheap to clone, safe to call from any thread.
#[derive(Clone)]
pub struct Events {
    listener: Arc<dyn Fn(Event) + Send + Sync>,
    gate: Arc<RwLock<()>>,
    next_id: Arc<std::sync::atomic::AtomicU64>,
}

impl Events {
    /// Sends every event to `listener`.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Events {
        Events {
            listener: Arc::new(listener),
            gate: Arc::default(),
            next_id: Arc::default(),
        }
    }

    fn send(&self, event: Event) {
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        (self.listener)(event);
    }

    /// Nothing is told until what this gives is dropped: whoever has something to tell waits. The
    /// thread that holds it must tell nothing meanwhile.
    pub fn hold(&self) -> impl Drop {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody listens.
    pub fn none() -> Events {
        Events::new(|_| {})
    }

    /// Begins a piece of work; it counts as failed unless [`Work::finish`] is called.
    pub fn start(&self, name: impl Into<String>) -> Work {
        let id = self
            .next_id
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(Event::Started {
            id,
            name: name.into(),
        });
        Work {
            events: self.clone(),
            id,
            outcome: Outcome::Failed,
        }
    }

    /// Tells the user why it takes its time.
    pub fn note(&self, message: impl Into<String>) {
        self.send(Event::Note {
            message: message.into(),
        });
    }

    /// Tells the user something.
    pub fn warn(&self, message: impl Into<String>) {
        self.send(Event::Warning {
            message: message.into(),
        });
    }

    /// Tells whoever looks for a fault something.
    pub fn debug(&self, message: impl Into<String>) {
        self.send(Event::Debug {
            message: message.into(),
        });
    }
}

/// A piece of work under way.
pub struct Work {
    events: Events,
    id: u64,
    outcome: Outcome,
}

impl Work {
    /// Says how many bytes are done, of how many.
    pub fn progress(&self, bytes: u64, total: Option<u64>) {
        self.events.send(Event::Progress {
            id: self.id,
            bytes,
            total,
        });
    }

    /// Passes on a line that a command wrote.
    pub fn output(&self, line: impl Into<String>) {
        self.events.send(Event::Output {
            id: self.id,
            line: line.into(),
        });
    }

    /// Ends the work.
    pub fn finish(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.events.send(Event::Finished {
            id: self.id,
            outcome: self.outcome,
        });
    }
}
