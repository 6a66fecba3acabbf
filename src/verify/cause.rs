//! Why two runs of one command leave different files, and what mends it.
//!
//! In: a path, and what the program that wrote it asked for. Out: a [`Row`]: what varies there, and
//! what to do about it in the recipe. Pure.

use std::sync::LazyLock;

use crate::canon::EntryPath;
use crate::canon::pattern::Rules;
use crate::sandbox::Asked;

/// Something that varies, and what mends it.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// What varies, for people.
    pub name: &'static str,
    /// What to do, in a sentence without its end.
    pub mend: &'static str,
}

/// What varies in files of a kind, whatever wrote them.
struct OfFiles {
    /// Docker's patterns, from the root.
    paths: &'static [&'static str],
    row: Row,
}

const fn of(paths: &'static [&'static str], name: &'static str, mend: &'static str) -> OfFiles {
    OfFiles {
        paths,
        row: Row { name, mend },
    }
}

const FILES: [OfFiles; 16] = [
    of(
        &["**/.ninja_log", "**/.ninja_deps"],
        "ninja's logs: when each of its processes began and ended, and times of files to the nanosecond",
        "remove .ninja_log and .ninja_deps in the same RUN",
    ),
    of(
        &[
            "**/Testing/Temporary/**",
            "**/LastTest.log",
            "**/CTestCostData.txt",
        ],
        "ctest's notes: how long each test took",
        "remove the folder Testing in the same RUN",
    ),
    of(
        &[
            "**/CMakeFiles/CMakeScratch/**",
            "**/CMakeConfigureLog.yaml",
            "**/CMakeFiles/CMakeOutput.log",
        ],
        "cmake's log of its trials: folders whose names are made up",
        "build in a folder that isn't kept: remove the build folder in the same RUN",
    ),
    of(
        &["**/.ccache/**", "**/ccache/**"],
        "ccache's folder: counters by process numbers",
        "mount it with RUN --mount=type=cache, so that it is in no layer",
    ),
    of(
        &["**/_logs/*-debug-*.log", "**/npm-debug.log*"],
        "npm's debug logs: what goes on beside each other, in the order in which it ends",
        "remove ~/.npm/_logs in the same RUN, or set npm_config_logs_max=0",
    ),
    of(
        &["**/pnpm/store/**", "**/.pnpm-store/**"],
        "pnpm's store: when it checked each file, to the millisecond",
        "mount the store with RUN --mount=type=cache, so that it is in no layer",
    ),
    of(
        &[
            "**/vendor/composer/autoload_*.php",
            "**/vendor/autoload.php",
        ],
        "composer's autoloader: a name made up by the clock",
        "set config.autoloader-suffix in composer.json",
    ),
    of(
        &["**/*.jsa"],
        "Java's archive of classes: an order that threads decide",
        "leave it out: remove the .jsa files in the same RUN, Java does without",
    ),
    of(
        &["**/.git/index", "**/.git/modules/**/index"],
        "git's index: numbers of inodes and devices, and times of files",
        "remove .git in the same RUN",
    ),
    of(
        &["**/*.cpio", "**/initrd*", "**/initramfs*"],
        "cpio's archives: numbers of inodes and devices",
        "make it with `cpio --reproducible`",
    ),
    of(
        &["**/*.db", "**/*.dir", "**/*.dat", "**/*.pag"],
        "a small database (Berkeley DB, GDBM): it begins with its own inode number, or holds memory that nobody set",
        "make it when the container begins, or write it in a format that is text",
    ),
    of(
        &[
            "**/target/**/.fingerprint/**",
            "**/target/**/*.d",
            "**/target/**/incremental/**",
        ],
        "cargo's notes: times of files, and folders whose names are made up",
        "copy what was built elsewhere and remove the folder target in the same RUN",
    ),
    of(
        &[
            "**/.gradle/**",
            "**/.m2/**/resolver-status.properties",
            "**/.m2/**/*.lastUpdated",
            "**/_remote.repositories",
        ],
        "gradle's and maven's notes: when something was asked for",
        "mount the folder with RUN --mount=type=cache, so that it is in no layer",
    ),
    of(
        &["**/__pycache__/**", "**/*.pyc"],
        "Python's compiled modules: in the order of sets, and references by who else held a constant",
        "set PYTHONDONTWRITEBYTECODE=1, or compile them with one process: `python3 -m compileall -j 1`",
    ),
    of(
        &["var/lib/postgresql/**", "var/lib/mysql/**"],
        "a database that ran: its identity, transactions and the order of its processes",
        "make it when the container begins",
    ),
    of(
        &["**/*.log", "**/log/**", "**/logs/**"],
        "a log: what goes on beside each other, and how long it took",
        "remove it in the same RUN",
    ),
];

const CLOCK: Row = Row {
    name: "the time of day",
    mend: "let the command have a clock of its own: `cairn lock` records what it fetches, and RUN --network=none is for one that fetches nothing",
};
const CHANCE: Row = Row {
    name: "chance",
    mend: "let the command have chance of its own: `cairn lock` records what it fetches, and RUN --network=none is for one that fetches nothing",
};
const NETWORK: Row = Row {
    name: "what the network answers",
    mend: "`cairn lock` records what it fetches, and replays it from then on",
};
const CACHE: Row = Row {
    name: "a cache that outlives the build (RUN --mount=type=cache)",
    mend: "let nothing of the cache decide what comes into the layer: have the tool check what it takes from there, or go without",
};
const COUNTER: Row = Row {
    name: "the processor's own counter (rdtsc), which counts from the machine's begin",
    mend: "have the program not write down what it counts, or read a clock in its place, which is the command's own",
};
const PROCESS: Row = Row {
    name: "files of processes in /proc",
    mend: "have the program not write down what they say, or remove the file in the same RUN",
};
const DURATION: Row = Row {
    name: "how long something takes (clocks that count from the machine's begin)",
    mend: "have the program not write down how long it took, or remove the file in the same RUN",
};
const RACE: Row = Row {
    name: "a race: several programs wrote it, side by side or in turn",
    mend: "run them one after another: `make -j1`, `xargs -P1`, `wait` between them",
};
const UNSEEN: Row = Row {
    name: "nothing that was seen: threads of one program side by side, the processor's own counter or chance in a library (rdtsc, rdrand), or numbers of inodes",
    mend: "run it again with one thread; where that is the same, have the program leave such numbers out, or remove the file in the same RUN",
};

/// What varies at `path`, whose writer has `asked` from itself or others, and which `has_several`
/// writers that don't follow from each other.
pub fn row(path: &EntryPath, asked: Option<Asked>, has_several: bool) -> &'static Row {
    match asked {
        Some(Asked::Clock) => &CLOCK,
        Some(Asked::Chance) => &CHANCE,
        Some(Asked::Network) => &NETWORK,
        Some(Asked::Cache) => &CACHE,
        // What many ask for that write nothing of it.
        weak => of_file(path).unwrap_or(match (weak, has_several) {
            (Some(Asked::Counter), _) => &COUNTER,
            (_, true) => &RACE,
            (Some(Asked::Process), _) => &PROCESS,
            (Some(Asked::Duration), _) => &DURATION,
            _ => &UNSEEN,
        }),
    }
}

/// What varies in files of that kind, if that is known.
pub fn of_file(path: &EntryPath) -> Option<&'static Row> {
    static RULES: LazyLock<Vec<(Rules, &Row)>> = LazyLock::new(|| {
        let rules = FILES
            .iter()
            .map(|it| (Rules::new(it.paths).unwrap_or_default(), &it.row));
        rules.collect()
    });
    let matches = |rules: &Rules| rules.verdict_alone(path).matches();
    let mut rows = RULES.iter();
    rows.find(|(rules, _)| matches(rules)).map(|(_, row)| *row)
}

/// What a program asked for, as the end of a sentence that begins with it.
pub fn asked(asked: Asked) -> &'static str {
    match asked {
        Asked::Clock => "asked this machine's clock for the time of day",
        Asked::Chance => "asked this machine for chance",
        Asked::Network => "reached the network",
        Asked::Cache => "read a cache that outlives the build",
        Asked::Counter => "has an instruction that reads the processor's counter",
        Asked::Process => "read files of processes in /proc",
        Asked::Duration => "asked a clock that counts from the machine's begin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_pattern_is_one_and_finds_its_row() {
        for of in &FILES {
            assert!(Rules::new(of.paths).is_ok(), "{:?}", of.paths);
        }
        for (at, begins) in [
            ("src/build/.ninja_log", "ninja's logs"),
            ("root/.npm/_logs/2026-debug-0.log", "npm's debug logs"),
            ("opt/java/lib/server/classes.jsa", "Java's archive"),
            ("src/.git/index", "git's index"),
            ("usr/lib/python3/__pycache__/a.cpython-311.pyc", "Python's"),
            ("var/log/some/where.log", "a log"),
        ] {
            let row = of_file(&path(at)).unwrap();
            assert!(row.name.starts_with(begins), "{at}: {}", row.name);
        }
        assert_eq!(of_file(&path("usr/bin/tool")), None);
    }

    #[test]
    fn what_surely_varies_goes_before_what_files_are_known_for() {
        let log = path("var/log/a.log");
        assert_eq!(row(&log, Some(Asked::Clock), false), &CLOCK);
        assert_eq!(
            row(&log, Some(Asked::Duration), true),
            of_file(&log).unwrap()
        );
        let plain = path("a");
        assert_eq!(row(&plain, Some(Asked::Duration), false), &DURATION);
        assert_eq!(row(&plain, Some(Asked::Duration), true), &RACE);
        assert_eq!(row(&plain, None, false), &UNSEEN);
    }
}
