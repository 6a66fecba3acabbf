//! SIGINT and SIGTERM: what is unfinished goes, and so does the process.
//!
//! The store needs nothing: its unfinished files are locked by their writer and removed by the
//! next. Files beside an output are removed here.

use super::exit::Code;
use crate::export::folder;

/// Ends the process on a signal, from now on.
pub fn install() {
    let spawned = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(signal());
            folder::remove_unfinished();
            #[expect(
                clippy::exit,
                reason = "the other threads are in the middle of their work"
            )]
            std::process::exit(Code::Interrupted as i32);
        });
    // Without the thread a signal ends the process as ever.
    drop(spawned);
}

/// Comes back at the first SIGINT or SIGTERM.
pub async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
