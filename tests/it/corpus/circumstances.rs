//! In what circumstances a project is built, and where.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Workshop, data, text};
use crate::support::programs::program;
use crate::support::run;
use crate::support::users::User;

/// What is around a build, and must not reach its image.
pub struct Circumstances {
    name: &'static str,
    user: User,
    /// Where below the project's folder the context is.
    place: &'static str,
    /// Whether that is in memory: directories have another order there, and files other numbers.
    is_in_memory: bool,
    umask: &'static str,
    /// What runs it: other names, clocks and cores.
    prefix: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// When the context's files were last written, as `touch` has it.
    written: Option<&'static str>,
    pub memory: &'static str,
    /// Busy loops beside it.
    pub load: usize,
}

impl Circumstances {
    /// Those of whoever runs the test.
    pub fn plain() -> Circumstances {
        Circumstances {
            name: "plain",
            user: User::Me,
            place: "context",
            is_in_memory: true,
            umask: "022",
            prefix: &[],
            environment: &[],
            written: None,
            memory: "8g",
            load: 0,
        }
    }

    /// The same, for the lock.
    pub fn recorded() -> Circumstances {
        Circumstances {
            name: "recorded",
            ..Circumstances::plain()
        }
    }

    /// The same, for a build without measures.
    pub fn without() -> Circumstances {
        Circumstances {
            name: "without",
            ..Circumstances::plain()
        }
    }

    /// Whatever else can be. Of two projects side by side one is built by a user who has a range of
    /// others, the other by one who has none.
    pub fn other(at: usize) -> Circumstances {
        Circumstances {
            name: "other",
            user: [User::Ranged, User::Single][at % 2],
            place: "somewhere else/not too near/größer",
            is_in_memory: false,
            umask: "077",
            prefix: &[
                "unshare",
                "--uts",
                "--time",
                "--boottime=86400000",
                "--monotonic=86400000",
                "sh",
                "-c",
                "hostname builder-7.example.org; exec \"$0\" \"$@\"",
                "taskset",
                "-c",
                "0",
                "nice",
                // Another one, and no more: who has a machine to themselves waits for this.
                "-n",
                "1",
            ],
            environment: &[
                ("TZ", "Asia/Tokyo"),
                ("LANG", "tr_TR.UTF-8"),
                ("LC_ALL", "C"),
                ("USER", "somebody"),
                ("LOGNAME", "somebody"),
                ("TERM", "dumb"),
                ("COLUMNS", "40"),
                ("CI", "true"),
                ("MAKEFLAGS", "-j7"),
                ("CFLAGS", "-O0"),
                ("DEB_BUILD_OPTIONS", "parallel=9"),
                ("PYTHONHASHSEED", "7"),
            ],
            written: Some("2006-05-04 03:02:01"),
            memory: "3g",
            load: 1,
        }
    }
}

/// A project's copy for one build, with a store of its own.
pub struct Site {
    pub circumstances: Circumstances,
    pub folder: PathBuf,
    pub context: PathBuf,
    pub store: PathBuf,
    config: PathBuf,
    /// As whom the program is run: a prefix.
    user: Vec<String>,
}

impl Site {
    pub fn new(workshop: &Workshop, name: &str, circumstances: Circumstances) -> Site {
        let users = &workshop.users;
        let folder = format!("{name}-{}", circumstances.name);
        let folder = match circumstances.is_in_memory {
            true => workshop.memory.path().join(folder),
            false => users.path(&folder),
        };
        let (context, store) = (folder.join(circumstances.place), folder.join("store"));
        std::fs::create_dir_all(context.parent().unwrap()).unwrap();
        std::fs::create_dir(&store).unwrap();
        let copy = format!("umask {}; exec cp -r \"$0\" \"$1\"", circumstances.umask);
        let from = data().join(name);
        run(program("sh", &["-c", &copy]).arg(&from).arg(&context));
        if let Some(time) = circumstances.written {
            let touch = ["-depth", "-exec", "touch", "-h", "-d", time, "{}", "+"];
            run(program("find", &[text(&context)]).args(touch));
        }
        let program = users.path("cairn");
        let like = users.command(circumstances.user, text(&program));
        let user = std::iter::once(like.get_program()).chain(like.get_args());
        let user = user.map(|word| word.to_str().unwrap().to_owned()).collect();
        Site {
            circumstances,
            folder,
            context,
            store,
            config: workshop.bases.config(),
            user,
        }
    }

    /// Makes all of it the builder's.
    pub fn give(&self, workshop: &Workshop) {
        workshop.users.give(self.circumstances.user, &self.folder);
    }

    /// cairn there.
    pub fn cairn(&self, arguments: &[&str]) -> Command {
        let script = format!("umask {}; exec \"$0\" \"$@\"", self.circumstances.umask);
        // What hangs is ended: a corpus is built while nobody looks.
        let mut words = vec!["timeout", "--kill-after=10", "1500"];
        words.extend(self.circumstances.prefix);
        words.extend(["sh", "-c", &script]);
        words.extend(self.user.iter().map(String::as_str));
        let mut command = program(words[0], &words[1..]);
        let like = crate::support::cairn(&self.store);
        command.env_clear().stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("CONTAINERS_REGISTRIES_CONF", &self.config);
        command.envs(self.circumstances.environment.iter().copied());
        command.args(arguments).current_dir(&self.context);
        command
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What is left goes with the folder that it is in.
        let _ = program("rm", &["-rf"]).arg(&self.folder).status();
    }
}
