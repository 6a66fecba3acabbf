//! Where it is shown that each known source of difference is gone, or that it is left.
//!
//! Rows B are what a command finds around itself, rows C what its tools write down (rows A, of an image's
//! own form, are `layers` and `golden`). Whether what is named here is there is a test's; whether
//! the ways are the same in all builds, that of [`super`].

use std::path::Path;

use super::known;

/// A source of difference.
pub struct Row {
    name: &'static str,
    what: &'static str,
    shown: &'static [Shown],
}

/// Where a row is shown.
pub enum Shown {
    /// Ways of the probe that are the same in all builds; `*` stands for anything.
    Same(&'static [&'static str]),
    /// Ways that are known to differ.
    Left(&'static [&'static str]),
    /// Tests, by their files and names.
    By(&'static [(&'static str, &'static str)]),
    /// Projects of the corpus.
    Corpus(&'static [&'static str]),
    /// Nowhere, for a reason.
    Nowhere(&'static str),
}

use Shown::{By, Corpus, Left, Nowhere, Same};

const fn row(name: &'static str, what: &'static str, shown: &'static [Shown]) -> Row {
    Row { name, what, shown }
}

const CLOCK: &str = "tests/it/sandbox/clock.rs";
const FACTS: &str = "tests/it/facts.rs";
const NORMAL: &str = "tests/it/normalisers.rs";
const RANDOM: &str = "tests/it/sandbox/random.rs";
const DEBRIS: &str = "tests/it/run/debris.rs";
const VERIFY: &str = "tests/it/verify.rs";

/// All of them.
pub const ROWS: &[Row] = &[
    row(
        "B1",
        "the time of day",
        &[
            Same(&[
                "clock REALTIME*, libc",
                "clock REALTIME*, call",
                "clock REALTIME*, vDSO",
                "clock TAI, *",
                "gettimeofday, *",
                "time, libc",
                "time, call",
                "time, vDSO",
                "time, vsyscall page",
                "adjtimex",
                "clock_adjtime",
                "mtime, *",
                "ctime, *",
                "atime, *",
                "birth, *",
                "statx times, *",
                "UDP with option *",
                "Unix pair with option *",
                "UDP with option *, SIOCGSTAMP",
            ]),
            Left(&["vvar page 0", "msgctl, times"]),
            By(&[
                (CLOCK, "every_program_has_it_however_it_begins"),
                (CLOCK, "programs_in_other_languages_have_it"),
                (CLOCK, "programs_of_32_bits_have_it"),
            ]),
        ],
    ),
    row(
        "B2",
        "the time since boot",
        &[
            Same(&[
                "/proc/uptime",
                "sysinfo, up",
                "/proc/self/timens_offsets",
                "/proc/self/stat, word 22",
            ]),
            Left(&[
                "clock MONOTONIC, libc",
                "clock BOOTTIME, vDSO",
                "times, since boot",
            ]),
        ],
    ),
    row("B3", "cycle counters", &[Left(&["rdtsc", "rdtscp"])]),
    row(
        "B4",
        "numbers of processes and threads",
        &[
            Same(&[
                "getpid",
                "processes begun",
                "threads begun",
                "/proc/self/status, Pid",
                "/proc/self/stat, word 1",
            ]),
            By(&[(
                "tests/it/sandbox/seen.rs",
                "the_world_is_the_same_everywhere",
            )]),
        ],
    ),
    row(
        "B5",
        "the machine's name",
        &[Same(&[
            "gethostname",
            "getdomainname",
            "gethostid",
            "getaddrinfo of itself",
            "/proc/sys/kernel/hostname",
            "/etc/hostname",
            "/etc/hosts",
        ])],
    ),
    row(
        "B6",
        "the kernel's version",
        &[Same(&[
            "uname",
            "/proc/version",
            "/proc/sys/kernel/osrelease",
            "/proc/sys/kernel/version",
        ])],
    ),
    row(
        "B7",
        "how many processors there are",
        &[
            Same(&[
                "sched_getaffinity",
                "processors online",
                "processors there",
                "getcpu, call",
                "rseq, processor",
                "/proc/cpuinfo",
                "/proc/stat",
                "/proc/softirqs",
                "/proc/self/status, Cpus_allowed*",
                "/sys/devices/system/cpu/online",
            ]),
            Left(&["getcpu, libc", "rdtscp, processor"]),
            By(&[(FACTS, "what_a_command_sets_it_is_told")]),
        ],
    ),
    row(
        "B8",
        "what the processor is able to do",
        &[
            Same(&["/proc/cpuinfo"]),
            Left(&["cpuid 1.0", "getauxval 16"]),
        ],
    ),
    row(
        "B9",
        "the processor's chance",
        &[Left(&["rdrand", "rdseed"])],
    ),
    row(
        "B10",
        "addresses",
        &[
            Same(&["address, *", "/proc/self/maps, addresses"]),
            By(&[(FACTS, "programs_lie_at_the_same_addresses")]),
        ],
    ),
    row(
        "B11",
        "the kernel's chance",
        &[
            Same(&[
                "getrandom 0",
                "getrandom 1",
                "getrandom 2",
                "getrandom of a thread",
                "getentropy",
                "/dev/random",
                "/dev/urandom",
                "/dev/*random, closed by exec",
                "/proc/sys/kernel/random/*",
            ]),
            Left(&["UDP, port that the kernel chose"]),
            By(&[(
                RANDOM,
                "what_a_program_takes_for_chance_follows_from_the_seed",
            )]),
        ],
    ),
    row(
        "B12",
        "chance that a program begins with",
        &[Same(&[
            "AT_RANDOM",
            "the stack's guard",
            "the pointers' guard",
        ])],
    ),
    row(
        "B13",
        "chance from the vDSO",
        &[Same(&["getrandom, vDSO*"])],
    ),
    row(
        "B14",
        "the order of directories",
        &[
            Same(&["names of *", "offsets of names of *"]),
            By(&[(FACTS, "directories_are_read_by_name")]),
        ],
    ),
    row(
        "B15",
        "numbers, sizes and room of files",
        &[
            Same(&["size, *", "blocks, *", "links, new *"]),
            Left(&["inode, new file", "device, new file"]),
            By(&[(
                CLOCK,
                "an_archive_that_holds_numbers_of_files_is_the_same_in_every_run",
            )]),
        ],
    ),
    row(
        "B16",
        "free room, memory, load",
        &[
            Same(&[
                "statfs *",
                "fstatfs *",
                "sysinfo, *",
                "getloadavg",
                "/proc/meminfo, *",
                "/proc/loadavg",
                "/proc/vmstat",
                "/proc/diskstats",
                "sysconf *",
            ]),
            Left(&["memory that is promised, MiB"]),
        ],
    ),
    row(
        "B17",
        "language and time zone",
        &[Same(&["local time", "environment *"])],
    ),
    row(
        "B18",
        "the umask",
        &[Same(&["umask", "mode and owner, new folder"])],
    ),
    row(
        "B19",
        "who builds, from where, how nicely",
        &[
            Same(&[
                "environment HOME",
                "environment PATH",
                "users",
                "groups",
                "getlogin",
                "nice",
                "terminal *",
                "controlling terminal",
                "signals",
                "limit 0",
                "limit 3",
                "limit 7",
                "/proc/self/uid_map",
                "/proc/self/gid_map",
            ]),
            Left(&["sched_getattr", "mode and owner, pipe"]),
            By(&[(
                "tests/it/determinism.rs",
                "the_environment_changes_no_digest",
            )]),
        ],
    ),
    row(
        "B20",
        "names of temporary files",
        &[
            Left(&["mkstemp"]),
            By(&[
                (
                    RANDOM,
                    "names_salts_hashes_and_passwords_are_the_same_in_every_run",
                ),
                (
                    RANDOM,
                    "what_compilers_and_mktemp_make_is_found_again_by_all",
                ),
            ]),
        ],
    ),
    row(
        "B21",
        "the rest of /proc and /sys",
        &[
            Same(&[
                "/proc/interrupts",
                "/proc/filesystems",
                "/proc/modules",
                "/proc/cmdline",
                "/proc/self/cgroup",
                "/proc/self/mountinfo",
                "names of /sys",
                "names of /proc",
                "names of /dev",
                "/proc/sys/*",
            ]),
            Left(&[
                "/proc/1/stat, word 24",
                "/proc/net/softnet_stat",
                "/proc/self/io, rchar",
            ]),
            By(&[(FACTS, "commands_are_told_the_same_on_every_host")]),
        ],
    ),
    row(
        "B22",
        "races",
        &[
            Left(&["order of two threads", "order in which processes end"]),
            By(&[
                (RANDOM, "what_runs_beside_it_changes_nothing_for_a_command"),
                (VERIFY, "the_ladder_is_never_blurred"),
            ]),
        ],
    ),
    row(
        "B23",
        "the network",
        &[
            Same(&["getifaddrs", "getaddrinfo *", "TCP, connect"]),
            By(&[
                (
                    "tests/it/proxy/inside.rs",
                    "commands_fetch_the_same_again_when_the_world_is_another",
                ),
                (
                    "tests/it/proxy/inside.rs",
                    "names_lead_to_the_record_and_to_nothing_else",
                ),
            ]),
        ],
    ),
    row(
        "B24",
        "where it is built",
        &[
            Same(&["getcwd", "link /proc/self/exe"]),
            By(&[(
                "tests/it/determinism.rs",
                "the_checkouts_place_and_order_change_no_digest",
            )]),
        ],
    ),
    row(
        "B25",
        "what the kernel and its file systems are able to do",
        &[
            Same(&[
                "ability, *",
                "FS_IOC_*",
                "FIBMAP, *",
                "name_to_handle_at, *",
                "call *",
                "landlock, version",
                "there, *",
                "refused, *",
            ]),
            By(&[("tests/it/determinism.rs", "file_systems_change_no_digest")]),
        ],
    ),
    row(
        "C1",
        "logs of dpkg and apt",
        &[
            By(&[
                (NORMAL, "debris_of_packages_goes_and_their_tools_work"),
                (
                    DEBRIS,
                    "a_log_keeps_its_owner_and_mode_and_what_was_not_written_stays",
                ),
            ]),
            Corpus(&["apt", "dpkg"]),
        ],
    ),
    row(
        "C2",
        "lists and caches of apt",
        &[
            By(&[(DEBRIS, "caches_of_inodes_and_times_are_in_no_layer")]),
            Corpus(&["apt"]),
        ],
    ),
    row(
        "C3",
        "apt's notes on the host's kernel",
        &[Same(&["uname"]), Corpus(&["apt"])],
    ),
    row(
        "C4",
        "versions of packages",
        &[By(&[
            (
                "tests/it/packages.rs",
                "a_snapshot_holds_for_its_own_instant",
            ),
            (
                "tests/it/run/packages.rs",
                "what_is_locked_stays_whatever_the_archive_has",
            ),
        ])],
    ),
    row(
        "C5",
        "the order in which packages are installed",
        &[By(&[
            (
                "tests/it/packages_real.rs",
                "debian_is_what_its_own_programs_make_whoever_builds",
            ),
            (
                "tests/it/packages_solved.rs",
                "the_same_packages_are_chosen_as_by_apt_get",
            ),
        ])],
    ),
    row(
        "C6",
        "ldconfig's notes on libraries",
        &[By(&[
            (DEBRIS, "caches_of_inodes_and_times_are_in_no_layer"),
            (NORMAL, "debris_of_packages_goes_and_their_tools_work"),
        ])],
    ),
    row(
        "C7",
        "apk's archive of scripts and names of virtual packages",
        &[
            Same(&["clock REALTIME, libc"]),
            Nowhere(
                "no Alpine is at hand: apk takes both from the clock, and the first from SOURCE_DATE_EPOCH",
            ),
        ],
    ),
    row(
        "C8",
        "versions of Alpine's packages",
        &[By(&[(
            "tests/it/proxy/inside.rs",
            "commands_fetch_the_same_again_when_the_world_is_another",
        )])],
    ),
    row(
        "C9",
        "rpm's database",
        &[
            Same(&["clock REALTIME, libc"]),
            By(&[(
                "src/normal/sqlite.rs",
                "an_index_goes_and_what_is_only_called_so_stays",
            )]),
            Nowhere("no Fedora is at hand: its times are the clock's"),
        ],
    ),
    row(
        "C10",
        "history of dnf 5",
        &[
            Same(&["clock REALTIME, libc"]),
            Nowhere("no Fedora is at hand: its times are the clock's"),
        ],
    ),
    row(
        "C11",
        "history of dnf 4",
        &[Nowhere(
            "no Fedora is at hand: rows come in an order of its own",
        )],
    ),
    row(
        "C12",
        "logs of dnf, machine-id, random-seed",
        &[By(&[
            (
                "src/normal/machine_id.rs",
                "a_machines_name_goes_and_nothing_else",
            ),
            ("src/normal/mod.rs", "a_file_is_known_by_its_place"),
        ])],
    ),
    row(
        "C13",
        "the day of a password's change",
        &[
            By(&[
                (
                    "src/normal/shadow.rs",
                    "the_day_of_what_was_written_today_is_the_epochs",
                ),
                (NORMAL, "debris_of_packages_goes_and_their_tools_work"),
            ]),
            Corpus(&["users"]),
        ],
    ),
    row(
        "C14",
        "Java's certificates",
        &[
            By(&[
                (NORMAL, "debris_of_packages_goes_and_their_tools_work"),
                (
                    "src/normal/keystore/jks.rs",
                    "times_change_and_nothing_else",
                ),
            ]),
            Corpus(&["certs", "java"]),
        ],
    ),
    row(
        "C15",
        "the order of certificates",
        &[Same(&["names of many"]), Corpus(&["certs"])],
    ),
    row(
        "C16",
        "machine-id",
        &[
            By(&[(
                "src/normal/machine_id.rs",
                "a_machines_name_goes_and_nothing_else",
            )]),
            Corpus(&["systemd"]),
        ],
    ),
    row(
        "C17",
        "fontconfig's cache",
        &[
            By(&[(NORMAL, "debris_of_packages_goes_and_their_tools_work")]),
            Corpus(&["fonts"]),
        ],
    ),
    row(
        "C18",
        "man-db's index",
        &[
            By(&[(NORMAL, "debris_of_packages_goes_and_their_tools_work")]),
            Corpus(&["man"]),
        ],
    ),
    row("C19", "systemd's catalog", &[Corpus(&["systemd"])]),
    row(
        "C20",
        "locales",
        &[Same(&["names of many"]), Corpus(&["locales"])],
    ),
    row(
        "C21",
        "initramfs",
        &[
            By(&[(
                CLOCK,
                "an_archive_that_holds_numbers_of_files_is_the_same_in_every_run",
            )]),
            Corpus(&["initramfs"]),
        ],
    ),
    row(
        "C22",
        "dates that scripts write (authselect)",
        &[
            Same(&["clock REALTIME, *", "time, *libc"]),
            By(&[(
                VERIFY,
                "a_step_without_network_is_identical_whatever_is_otherwise",
            )]),
        ],
    ),
    row(
        "C23",
        "wget's notes on servers",
        &[By(&[("src/normal/mod.rs", "a_file_is_known_by_its_place")])],
    ),
    row(
        "C24",
        "the source's time in Python's compiled modules",
        &[By(&[
            (
                "src/normal/pyc.rs",
                "the_time_of_a_source_that_was_made_becomes_the_epoch",
            ),
            (NORMAL, "debris_of_packages_goes_and_their_tools_work"),
        ])],
    ),
    row(
        "C25",
        "the order of sets in Python's compiled modules",
        &[
            Same(&["environment PYTHONHASHSEED", "getrandom 0"]),
            Corpus(&["pip", "venv"]),
        ],
    ),
    row("C26", "when uv installed what", &[Corpus(&["uv"])]),
    row(
        "C27",
        "wheels and source archives of Python",
        &[
            By(&[
                (
                    "src/normal/zip.rs",
                    "the_moment_becomes_the_epoch_and_other_times_stay",
                ),
                (
                    "src/normal/gzip.rs",
                    "the_moment_becomes_the_epoch_and_other_times_stay",
                ),
            ]),
            Corpus(&["wheels"]),
        ],
    ),
    row(
        "C28",
        "npm's cache and logs",
        &[
            By(&[("src/normal/fields.rs", "npms_index_keeps_its_sums")]),
            Corpus(&["npm"]),
        ],
    ),
    row(
        "C29",
        "pnpm's state",
        &[
            By(&[("src/normal/fields.rs", "pnpms_moments_become_the_epoch")]),
            Corpus(&["pnpm"]),
        ],
    ),
    row("C30", "yarn", &[Corpus(&["yarn"])]),
    row("C31", "when cargo last used what", &[Corpus(&["cargo"])]),
    row(
        "C32",
        "paths in what rustc makes",
        &[Same(&["getcwd"]), Corpus(&["cargo"])],
    ),
    row(
        "C33",
        "paths in what Go makes",
        &[Same(&["getcwd"]), Corpus(&["golang"])],
    ),
    row(
        "C34",
        "Maven's times",
        &[
            By(&[(
                "src/normal/zip.rs",
                "the_moment_becomes_the_epoch_and_other_times_stay",
            )]),
            Corpus(&["maven"]),
        ],
    ),
    row(
        "C35",
        "Gradle's archives",
        &[
            By(&[(
                "src/normal/zip.rs",
                "the_moment_becomes_the_epoch_and_other_times_stay",
            )]),
            Nowhere("Debian's is too old for this Java; its archives are zips"),
        ],
    ),
    row(
        "C36",
        "times in jars, zips, ar, gzip, PNG",
        &[
            By(&[
                (
                    "src/normal/ar.rs",
                    "the_moment_becomes_the_epoch_and_other_times_stay",
                ),
                (
                    "src/normal/gzip.rs",
                    "the_moment_becomes_the_epoch_and_other_times_stay",
                ),
                (
                    "src/normal/png.rs",
                    "the_moment_becomes_the_epoch_and_other_times_stay",
                ),
                (
                    "src/normal/zip.rs",
                    "the_moment_becomes_the_epoch_and_other_times_stay",
                ),
            ]),
            Corpus(&["archives", "doxygen", "sphinx"]),
        ],
    ),
    row(
        "C37",
        "logs of gems that were compiled",
        &[Corpus(&["gems"])],
    ),
    row(
        "C38",
        "the compiler's times and chance",
        &[
            Same(&["time, *libc", "getrandom 0"]),
            By(&[(
                RANDOM,
                "what_compilers_and_mktemp_make_is_found_again_by_all",
            )]),
            Corpus(&["autotools", "cmake", "make", "meson"]),
        ],
    ),
    row(
        "C39",
        "ccache",
        &[By(&[(
            "tests/it/run/mod.rs",
            "caches_outlive_the_build_and_no_cache",
        )])],
    ),
    row(
        "C40",
        "backups of debconf and dpkg",
        &[
            By(&[(NORMAL, "debris_of_packages_goes_and_their_tools_work")]),
            Corpus(&["dpkg"]),
        ],
    ),
];

impl Row {
    /// What of the row doesn't hold, where these ways are there and those differ.
    pub fn problems<'a>(
        &self,
        ways: impl Iterator<Item = &'a str> + Clone,
        differs: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for pattern in self.shown.iter().flat_map(Shown::same) {
            let mut of_it = ways.clone().filter(|way| known::is_like(way, pattern));
            let is_any = of_it.clone().next().is_some();
            if !is_any {
                problems.push(format!("{}: no way is like `{pattern}`", self.name));
            }
            // What only one user alone sees is left elsewhere.
            if let Some(way) = of_it.find(|way| differs(way)) {
                problems.push(format!("{} ({}): `{way}` differs", self.name, self.what));
            }
        }
        problems
    }
}

impl Shown {
    fn same(&self) -> &'static [&'static str] {
        match self {
            Same(patterns) => patterns,
            _ => &[],
        }
    }
}

/// Rows are in order, none is missing, and what they name is there.
#[test]
fn every_row_names_what_shows_it() {
    let names = ROWS.iter().map(|row| row.name.to_owned());
    let numbered = |letter, count| (1..=count).map(move |number| format!("{letter}{number}"));
    let expected: Vec<_> = numbered('B', 25).chain(numbered('C', 40)).collect();
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for row in ROWS {
        assert!(!row.shown.is_empty(), "{}", row.name);
        for shown in row.shown {
            match shown {
                Same(ways) => assert!(!ways.is_empty()),
                Left(ways) => {
                    for way in *ways {
                        assert!(known::of(way).is_some(), "{}: {way}", row.name);
                    }
                }
                By(tests) => {
                    for (file, test) in *tests {
                        let text = std::fs::read_to_string(root.join(file)).unwrap();
                        let is_there = text.contains(&format!("fn {test}()"));
                        assert!(is_there, "{}: {file}: {test}", row.name);
                    }
                }
                Corpus(projects) => {
                    for project in *projects {
                        let recipe = format!("testdata/corpus/{project}/Dockerfile");
                        assert!(root.join(&recipe).is_file(), "{}: {recipe}", row.name);
                    }
                }
                Nowhere(why) => assert!(!why.is_empty()),
            }
        }
    }
}
