//! What tools write down.

use super::Shown::{By, Corpus, Nowhere, Same};
use super::{Row, row};

const CLOCK: &str = "tests/it/sandbox/clock.rs";
const NORMAL: &str = "tests/it/normalisers.rs";
const RANDOM: &str = "tests/it/sandbox/random.rs";
const DEBRIS: &str = "tests/it/run/debris.rs";
const VERIFY: &str = "tests/it/verify/mod.rs";

/// In order.
pub const ROWS: &[Row] = &[
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
            Same(&["clock REALTIME, libc", "time, libc"]),
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
