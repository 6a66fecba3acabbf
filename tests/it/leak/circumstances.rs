//! In what circumstances the probe is run.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::programs::program;
use crate::support::users::{User, Users};

/// What is around a build, and must not be told to its commands.
pub struct Circumstances {
    pub name: &'static str,
    pub user: User,
    /// Whether the store is in memory: directories have another order there, and files other numbers.
    pub is_in_memory: bool,
    /// What runs it, in a shell: other names, clocks, processors, limits.
    begun: &'static str,
    environment: &'static [(&'static str, &'static str)],
    pub memory: &'static str,
    /// Busy loops beside it.
    pub load: usize,
}

impl Circumstances {
    /// Each differs from all others in something; that it comes later is something, too.
    pub fn all() -> [Circumstances; 4] {
        let plain = Circumstances {
            name: "plain",
            user: User::Me,
            is_in_memory: true,
            begun: "exec \"$@\"",
            environment: &[],
            memory: "8g",
            load: 0,
        };
        let later = Circumstances {
            name: "later",
            is_in_memory: false,
            begun: "umask 002; ulimit -Sn 256; exec taskset -c 1 \"$@\"",
            ..plain
        };
        let ranged = Circumstances {
            name: "ranged",
            user: User::Ranged,
            is_in_memory: false,
            begun: "umask 077; exec unshare --uts --ipc --time --boottime=86400000 --monotonic=86400000 \
                    sh -c 'hostname builder-7.example.org; exec \"$@\"' sh taskset -c 0 nice \"$@\"",
            environment: &[
                ("TZ", "Asia/Tokyo"),
                ("LANG", "tr_TR.UTF-8"),
                ("USER", "somebody"),
                ("TERM", "dumb"),
                ("MAKEFLAGS", "-j7"),
            ],
            memory: "3g",
            load: 1,
        };
        let single = Circumstances {
            name: "single",
            user: User::Single,
            begun: "ulimit -c 0; exec chrt --batch 0 setarch --uname-2.6 \"$@\"",
            memory: "2g",
            ..plain
        };
        [plain, later, ranged, single]
    }

    /// A program there, as its user.
    pub fn command(&self, users: &Users, path: &Path) -> Command {
        let like = users.command(self.user, path.to_str().unwrap());
        // What hangs is ended.
        let mut command = program("timeout", &["--kill-after=10", "300", "sh", "-c"]);
        command.args([self.begun, "sh"]).arg(like.get_program());
        command.args(like.get_args()).stdin(Stdio::null());
        command.envs(self.environment.iter().copied());
        command
    }
}
