//! SIGINT, SIGTERM and SIGHUP: what is unfinished goes, and so does the process.
//!
//! The store needs nothing: its unfinished files are locked by their writer and removed by the
//! next. Files beside an output are removed here, and programs that run are stopped. One line says
//! what happened.

use std::io::IsTerminal;
use std::task::Poll;
use std::time::Instant;

use tokio::signal::unix::{self, Signal, SignalKind};

use super::exit::Code;
use super::print;
use crate::export::folder;
use crate::inputs::git;
use crate::ui::progress::Mode;

/// Ends the process on a signal, from when this comes back, with a line as `mode` has it.
pub fn install(mode: Mode, start: Instant) {
    let (ready, is_ready) = std::sync::mpsc::sync_channel::<()>(1);
    let spawned = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let Ok(runtime) = runtime else { return };
            let code = runtime.block_on(async {
                let signals = Signals::listen();
                drop(ready);
                signals.first().await
            });
            git::stop_running();
            folder::remove_unfinished();
            if !mode.is_json() && std::io::stderr().is_terminal() {
                // After what is being drawn, and the terminal's `^C`.
                print::to_stderr("");
            }
            print::last_words(mode, start, code, "interrupted");
            #[expect(
                clippy::exit,
                reason = "the other threads are in the middle of their work"
            )]
            std::process::exit(code as i32);
        });
    // Without the thread a signal ends the process as ever. With it, this waits until `ready` is
    // gone, one way or another.
    if spawned.is_ok() {
        let _ = is_ready.recv();
    }
}

/// Comes back at the first signal that ends a process.
pub async fn signal() {
    Signals::listen().first().await;
}

/// What ends a process: SIGINT, SIGTERM, and SIGHUP, which is a terminal that was closed.
const ENDS: [(SignalKind, Code); 3] = [
    (SignalKind::interrupt(), Code::Interrupted),
    (SignalKind::terminate(), Code::Terminated),
    (SignalKind::hangup(), Code::HungUp),
];

/// Those of these signals that can be had.
struct Signals(Vec<(Signal, Code)>);

impl Signals {
    /// What the caller has this process ignore stays ignored, as `nohup` wants it.
    fn listen() -> Signals {
        let ignored = ignored();
        let heeded = ENDS.into_iter().filter(|(kind, _)| {
            let number = kind.as_raw_value() - 1;
            ignored >> number & 1 == 0
        });
        let listened = heeded.filter_map(|(kind, code)| Some((unix::signal(kind).ok()?, code)));
        Signals(listened.collect())
    }

    async fn first(mut self) -> Code {
        std::future::poll_fn(|context| {
            for (signal, code) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*code);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The signals that this process ignores, the lowest bit for the first (proc(5), `SigIgn`).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}
