//! Work beside a build.

use std::process::Child;

use super::programs::program;

/// Busy loops, for as long as the value lives.
pub struct Load(Vec<Child>);

impl Load {
    /// So many loops that keep a core busy, on the one that the build has.
    pub fn begin(loops: usize) -> Load {
        let busy = "while :; do :; done";
        let arguments = [
            "1500", "taskset", "-c", "0", "nice", "-n", "19", "sh", "-c", busy,
        ];
        let begin = |_| program("timeout", &arguments).spawn().unwrap();
        Load((0..loops).map(begin).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // By the signal that `timeout` hands on.
            let id = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }
}
