//! `cairn verify --explain`: of what differs the step, the program that wrote it, what varies there
//! and what mends it.

use super::Bench;
use crate::support::programs::program;
use crate::support::users::User;
use crate::support::{require, run};

/// What is told of a path.
#[derive(Debug, Default)]
struct Told(Vec<String>);

impl Told {
    /// What stands behind such a word.
    fn of(&self, name: &str) -> &str {
        let mut lines = self.0.iter().filter_map(|line| line.trim().split_once(' '));
        let found = lines.find(|(word, _)| *word == name);
        found.map_or("", |(_, rest)| rest.trim())
    }
}

impl Bench {
    /// A context on busybox, with a file and such further lines.
    fn with_file(&self, lines: &str) -> String {
        self.users.write("context/file", "given");
        self.on_busybox(lines)
    }

    fn build_app(&self, arguments: &[&str]) {
        self.build(&[&["-t", "app:1"], arguments].concat());
    }

    /// The exit code and all that was told.
    fn verify_app(&self, arguments: &[&str]) -> (i32, String) {
        let (code, out, err) = self.verify(&[&["app:1"], arguments].concat());
        (code, out + &err)
    }
}

/// What is said of `path`, which may stand together with others.
fn told(all: &str, path: &str) -> Told {
    let why = all.split_once("\nwhy\n").map_or("", |(_, why)| why);
    let mut lines = why.lines();
    assert!(
        lines.any(|line| line.trim() == format!("~ {path}")),
        "{path}: {all}"
    );
    let lines = lines.skip_while(|line| !line.starts_with("      "));
    let lines = lines.take_while(|line| line.starts_with("      "));
    Told(lines.map(str::to_owned).collect())
}

#[test]
fn who_wrote_what_a_processor_counts_and_what_races_is_named() {
    for user in User::ALL {
        if cfg!(not(target_arch = "x86_64")) || !require("cc") {
            return;
        }
        let Some(bench) = Bench::new(user) else {
            return;
        };
        let source = "#include <stdio.h>\n#include <x86intrin.h>\n\
            int main(void) { printf(\"%llu\\n\", (unsigned long long) __rdtsc()); return 0; }\n";
        let context = bench.with_file(
            "RUN --network=none mkdir -p /o; date > /o/date; head -c 9 /dev/urandom > /o/chance\n\
             COPY --chmod=755 count /bin/count\n\
             RUN --network=none mkdir -p /tmp; count > /o/own; count > /tmp/x; cp /tmp/x /o/copied; \
             count | tee /o/piped; (for i in 1 2 3 4 5 6 7 8 9; do count >> /o/.ninja_log & done; wait); \
             echo same > /o/same; cat /proc/self/smaps > /o/smaps\n\
             RUN --network=none head -c 9 /dev/urandom > /o/after",
        );
        bench.users.write("count.c", source);
        let (from, to) = (
            bench.users.text("count.c"),
            bench.users.text("context/count"),
        );
        run(&mut program("cc", &["-O1", "-static", "-o", &to, &from]));
        bench.build_app(&[&context]);
        let (code, all) = bench.verify_app(&[&context, "--explain"]);
        assert_eq!(code, 1, "{user:?}: {all}");
        assert!(all.starts_with("DIFFERENT\n"), "{user:?}: {all}");
        let first = "the first step that came out otherwise by the same inputs is ";
        let first = all.lines().find_map(|line| line.trim().strip_prefix(first));
        assert!(
            first.unwrap().contains("`run mkdir -p /tmp; count"),
            "{all}"
        );
        for (path, writer, from, varies) in [
            (
                "/o/own",
                "`count`, which has an instruction",
                "",
                "the processor's own counter",
            ),
            (
                "/o/copied",
                "`",
                "`count`, which has",
                "the processor's own counter",
            ),
            (
                "/o/piped",
                "`tee /o/piped`",
                "`count`, which has",
                "the processor's own counter",
            ),
            ("/o/.ninja_log", "`count`", "", "ninja's logs"),
            (
                "/o/smaps",
                "`cat /proc/self/smaps`, which read files of processes",
                "",
                "files of processes in /proc",
            ),
        ] {
            let it = told(&all, path);
            assert!(
                it.of("step").contains("by the same inputs something else"),
                "{all}"
            );
            assert!(it.of("writer").starts_with(writer), "{path}: {all}");
            assert!(it.of("from").starts_with(from), "{path}: {all}");
            assert!(it.of("varies").starts_with(varies), "{path}: {all}");
            assert_ne!(it.of("mend"), "", "{path}: {all}");
        }
        // What follows from that is no cause of its own.
        let it = told(&all, "/o/after");
        assert!(
            it.of("varies").starts_with("what it was given, as "),
            "{all}"
        );
        assert_eq!(it.of("writer"), "", "{all}");
        // What is the same in every run is not told of.
        let why = all.split_once("\nwhy\n").unwrap().1;
        for path in ["/o/same", "/o/date", "/o/chance"] {
            assert!(!why.contains(&format!("~ {path}\n")), "{path}: {all}");
        }
        // Without being asked it says the step, and what is known of such files.
        let (code, all) = bench.verify_app(&[&context]);
        assert_eq!(code, 1, "{all}");
        let it = told(&all, "/o/.ninja_log");
        assert!(it.of("varies").starts_with("ninja's logs"), "{all}");
        assert_eq!(it.of("writer"), "");
        assert!(
            all.contains("hint: `--explain` says which programs"),
            "{all}"
        );
    }
}

#[test]
fn time_and_chance_of_the_machine_are_named_with_who_asked_for_them() {
    for user in User::ALL {
        let Some(bench) = Bench::new(user) else {
            return;
        };
        let context = bench.with_file(
            // busybox tells seconds: the next one begins in another.
            "RUN mkdir -p /o /tmp; date +%s%N > /o/own; echo \"$(date +%s%N)\" > /o/told; date +%s%N | tee /o/piped; \
             date +%s%N > /tmp/x; mv /tmp/x /o/moved; head -c 9 /dev/urandom > /o/chance; cat /etc/hostname > /o/same; \
             sleep 1",
        );
        bench.build_app(&[&context]);
        // Without a lock there is no verdict; but why it differs can be said.
        let (code, all) = bench.verify_app(&[&context]);
        assert_eq!(code, 2, "{all}");
        let hint = "of a recipe that has no lock `--explain` says why";
        assert!(all.contains(hint), "{all}");
        let (code, all) = bench.verify_app(&[&context, "--explain"]);
        assert_eq!(code, 2, "{user:?}: {all}");
        assert!(all.starts_with("CANNOT-REBUILD\n"), "{all}");
        assert!(all.contains("\nnot locked what `run mkdir"), "{all}");
        for (path, asked, varies) in [
            ("/o/own", "asked this machine's clock", "the time of day"),
            ("/o/told", "asked this machine's clock", "the time of day"),
            ("/o/piped", "asked this machine's clock", "the time of day"),
            ("/o/moved", "asked this machine's clock", "the time of day"),
            ("/o/chance", "asked this machine for chance", "chance"),
        ] {
            let it = told(&all, path);
            let who = format!("{} {}", it.of("writer"), it.of("from"));
            assert!(who.contains(asked), "{user:?} {path}: {all}");
            assert_eq!(it.of("varies"), varies, "{path}: {all}");
            assert!(it.of("mend").contains("`cairn lock`"), "{path}: {all}");
        }
        assert!(!all.contains("~ /o/same"), "{all}");
    }
}

#[test]
fn a_cache_and_changed_files_are_named_and_not_taken_for_each_other() {
    let Some(bench) = Bench::new(User::ALL[0]) else {
        return;
    };
    let context = bench.with_file(
        "COPY file /given\n\
         RUN --network=none --mount=type=cache,target=/c echo once >> /c/log; cat /c/log > /out",
    );
    for _ in 0..2 {
        bench.build_app(&[&context, "--no-cache"]);
    }
    let (code, all) = bench.verify_app(&[&context, "--explain"]);
    assert_eq!(code, 1, "{all}");
    let it = told(&all, "/out");
    assert!(
        it.of("writer").contains("`cat /c/log`, which read a cache"),
        "{all}"
    );
    assert!(
        it.of("varies")
            .starts_with("a cache that outlives the build"),
        "{all}"
    );

    bench.users.write("context/file", "changed");
    let (code, all) = bench.verify_app(&[&context, "--explain"]);
    assert_eq!(code, 1, "{all}");
    let it = told(&all, "/given");
    assert!(it.of("step").contains("`copy file → /given`"), "{all}");
    assert!(
        !it.of("step").contains("by the same inputs something else"),
        "{all}"
    );
    assert_eq!(it.of("varies"), "what the step was given");
}

#[test]
fn a_command_that_is_watched_leaves_what_it_always_does() {
    for user in User::ALL {
        let Some(bench) = Bench::new(user) else {
            return;
        };
        let context = bench.with_file(
            "RUN --network=none mkdir -p /tmp /o/a/b && date > /o/now && stat -c '%n %Y %Z' /o/* > /o/stat && \
             head -c 9 /dev/urandom > /o/chance && ln -s now /o/link && ln /o/now /o/hard && \
             mv /o/a /o/c && tar cf /o/tar /o/now && (sleep 0.1; date +%s%N) > /o/later && mkfifo /o/pipe && \
             cat /proc/self/mounts > /o/mounts; exec 5> /o/five; echo x >&5; readlink /proc/self/exe > /o/exe",
        );
        bench.build_app(&[&context]);
        let (code, all) = bench.verify_app(&[&context, "--explain"]);
        assert_eq!(code, 0, "{user:?}: {all}");
        assert!(all.starts_with("IDENTICAL\n"), "{user:?}: {all}");
    }
}
