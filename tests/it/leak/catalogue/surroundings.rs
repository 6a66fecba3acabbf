//! What a command finds around itself.

use super::Shown::{By, Left, Same};
use super::{Row, row};

const CLOCK: &str = "tests/it/sandbox/clock.rs";
const FACTS: &str = "tests/it/facts.rs";
const RANDOM: &str = "tests/it/sandbox/random.rs";
const VERIFY: &str = "tests/it/verify/mod.rs";

/// In order.
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
                "ctime, new *",
                "ctime, set *",
                "atime, *",
                "birth, new *",
                "statx times, new *",
                "UDP with option *",
                "Unix pair with option *",
                "UDP with option *, SIOCGSTAMP",
            ]),
            Left(&["ctime, /input", "vvar page 0", "msgctl, times"]),
            By(&[
                (CLOCK, "every_program_has_it_however_it_begins"),
                (CLOCK, "programs_in_other_languages_have_it"),
                (CLOCK, "programs_of_32_bits_have_it"),
            ]),
        ],
    ),
    row(
        "B2",
        "the time since boot, and what was spent of processors",
        &[
            Same(&[
                "/proc/uptime",
                "sysinfo, up",
                "/proc/self/timens_offsets",
                "/proc/self/stat, word 22",
                "clock *_CPUTIME*",
                "clock()",
                "getrusage *",
                "times, spent",
            ]),
            Left(&[
                "clock MONOTONIC, libc",
                "clock BOOTTIME, vDSO",
                "times, since boot",
            ]),
            By(&[(
                "tests/it/sandbox/spent.rs",
                "what_was_spent_of_processors_is_the_same_in_every_run",
            )]),
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
            By(&[
                (FACTS, "commands_are_told_the_same_on_every_host"),
                (
                    "tests/it/determinism.rs",
                    "the_environment_changes_no_digest",
                ),
            ]),
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
                "/proc/devices",
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
];
