//! SIGINT and SIGTERM: what is unfinished goes, and so does the process.
//!
//! The store needs nothing: its unfinished files are locked by their writer and removed by the
//! next. Files beside an output are removed here, and programs that run are stopped. One line says
//! what happened.

use std::io::IsTerminal;
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

/// Comes back at the first SIGINT or SIGTERM.
pub async fn signal() {
    Signals::listen().first().await;
}

/// The signals that end a process, where they can be had.
struct Signals(Option<(Signal, Signal)>);

impl Signals {
    fn listen() -> Signals {
        let interrupt = unix::signal(SignalKind::interrupt());
        let terminate = unix::signal(SignalKind::terminate());
        Signals(interrupt.ok().zip(terminate.ok()))
    }

    async fn first(self) -> Code {
        let Some((mut interrupt, mut terminate)) = self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => Code::Interrupted,
            _ = terminate.recv() => Code::Terminated,
        }
    }
}
