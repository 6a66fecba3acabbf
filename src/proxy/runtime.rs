//! The threads that proxies run on: one set for all steps of the process.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The threads, begun when the first asks for them.
pub fn get() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = Builder::new_multi_thread();
    let made = builder.enable_all().thread_name("proxy").build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Runs something there. A proxy that has started has made sure that they are there.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = get() {
        runtime.spawn(task);
    }
}
