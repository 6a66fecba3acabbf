//! SIGINT and SIGTERM: what is unfinished goes, and so does the process.
//!
//! The store needs nothing: its unfinished files are locked by their writer and removed by the
//! next. Files beside an output are removed here, and programs that run are stopped.

use tokio::signal::unix::{self, Signal, SignalKind};

use super::exit::Code;
use crate::export::folder;
use crate::inputs::git;

/// Ends the process on a signal, from when this comes back.
pub fn install() {
    let (ready, is_ready) = std::sync::mpsc::sync_channel::<()>(1);
    let spawned = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let signals = Signals::listen();
                drop(ready);
                signals.first().await;
            });
            git::stop_running();
            folder::remove_unfinished();
            #[expect(
                clippy::exit,
                reason = "the other threads are in the middle of their work"
            )]
            std::process::exit(Code::Interrupted as i32);
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

    async fn first(self) {
        let Some((mut interrupt, mut terminate)) = self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
