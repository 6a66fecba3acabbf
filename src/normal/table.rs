//! Which normalisers there are.
//!
//! In: nothing. Out: [`TABLE`].

use super::{
    Does, Looks, Normaliser, ar, berkeley_db, fields, gem_makefile, git_index, go_cache, gzip,
    keystore_times, machine_id, ninja, png, pyc, shadow, sqlite, tar, zip,
};

/// All normalisers, sorted by name.
pub const TABLE: &[Normaliser] = &[
    Normaliser {
        name: "apt-caches",
        about: "apt's reading of its lists and of dpkg's status, with the time of each; it reads them again (apt.conf(5), `Dir::Cache`)",
        looks: Looks::At(&[
            "var/cache/apt/pkgcache.bin",
            "var/cache/apt/srcpkgcache.bin",
        ]),
        does: Does::Remove,
    },
    Normaliser {
        name: "ar",
        about: "times in libraries and other archives of ar(1): the moment in which it was made becomes the epoch",
        looks: Looks::Within(ar::begins),
        does: Does::Rewrite(ar::dated),
    },
    Normaliser {
        name: "backups",
        about: "dpkg's and debconf's state before the last change, which they write and never read",
        looks: Looks::At(&["var/cache/debconf/*-old", "var/lib/dpkg/*-old"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "berkeley-db",
        about: "the numbers of inode and device that a database of Berkeley DB is called by; a time and a counter tell it from others",
        looks: Looks::Within(berkeley_db::begins),
        does: Does::Rewrite(berkeley_db::unnumbered),
    },
    Normaliser {
        name: "cargo",
        about: "when cargo last used what it downloaded (Cargo Book, \"Cargo Home\")",
        looks: Looks::At(&["**/.cargo/.global-cache", "**/cargo/.global-cache"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "cmake-logs",
        about: "how CMake tried compilers out, in folders with random names, and how long CTest's tests took",
        looks: Looks::At(&[
            "**/CMakeFiles/CMakeConfigureLog.yaml",
            "**/CMakeFiles/CMakeError.log",
            "**/CMakeFiles/CMakeOutput.log",
            "**/Testing/Temporary/CTestCostData.txt",
            "**/Testing/Temporary/LastTest.log",
        ]),
        does: Does::Remove,
    },
    Normaliser {
        name: "gem-logs",
        about: "what compiling a gem's extension said, with names of temporary files",
        looks: Looks::At(&[
            "**/extensions/*/*/*/gem_make.out",
            "**/extensions/*/*/*/mkmf.log",
            "**/gems/*/ext/**/mkmf.log",
        ]),
        does: Does::Remove,
    },
    Normaliser {
        name: "gem-makefile",
        about: "the name of the folder, which is gone, that a gem's extension was first installed into",
        looks: Looks::At(&["**/gems/*/ext/**/Makefile"]),
        does: Does::Rewrite(gem_makefile::unnamed),
    },
    Normaliser {
        name: "git-index",
        about: "numbers of files and devices in git's index, and when what is told of the files last changed, by which git knows which it need not read again (gitformat-index(5))",
        looks: Looks::Within(git_index::begins),
        does: Does::Rewrite(git_index::cleared),
    },
    Normaliser {
        name: "go-cache",
        about: "when Go's cache of builds got what it has: the moment in which it was made becomes the epoch",
        looks: Looks::At(&["**/go-build/*/*-a"]),
        does: Does::Rewrite(go_cache::entry),
    },
    Normaliser {
        name: "gzip",
        about: "the time in a gzip's header: the moment in which it was made becomes the epoch",
        looks: Looks::Within(gzip::begins),
        does: Does::Rewrite(gzip::dated),
    },
    Normaliser {
        name: "java-counters",
        about: "what a virtual machine of Java counted about itself while it ran, left where it ended without cleaning up; only jps(1) and its kin read it, of those that run",
        looks: Looks::At(&["tmp/hsperfdata_*/*"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "java-keystore",
        about: "when certificates came into a keystore of Java's kind (`cacerts`): the moment in which it was made becomes the epoch",
        looks: Looks::Within(keystore_times::begins),
        does: Does::Rewrite(keystore_times::dated),
    },
    Normaliser {
        name: "ldconfig",
        about: "what ldconfig(8) need not read again, libraries by inode and time; `ld.so.cache` is another file",
        looks: Looks::At(&["var/cache/ldconfig/aux-cache"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "logs",
        about: "what package managers, who is called by them, and PostgreSQL wrote about what they did when",
        looks: Looks::At(&[
            "var/log/alternatives.log",
            "var/log/apt/history.log",
            "var/log/apt/term.log",
            "var/log/bootstrap.log",
            "var/log/dnf*.log",
            "var/log/dpkg.log",
            "var/log/fontconfig.log",
            "var/log/hawkey.log",
            "var/log/postgresql/*.log",
            "var/log/yum.log",
            "var/log/zypper.log",
        ]),
        does: Does::Empty,
    },
    Normaliser {
        name: "machine-id",
        about: "the machine's random name, which all that begin with the image would share; one is made where none is (machine-id(5))",
        looks: Looks::At(&["etc/machine-id"]),
        does: Does::Rewrite(machine_id::empty),
    },
    Normaliser {
        name: "machine-id-of-dbus",
        about: "the same in the place of D-Bus, which takes the other where there is none (dbus-uuidgen(1))",
        looks: Looks::At(&["var/lib/dbus/machine-id"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "ninja",
        about: "how long ninja's commands took, in the order in which they ended: nothing stays of the one, names are the other, and times are whole seconds; nothing is built again for it",
        looks: Looks::At(&["**/.ninja_log"]),
        does: Does::Rewrite(ninja::log),
    },
    Normaliser {
        name: "ninja-deps",
        about: "what ninja's outputs were made of, likewise",
        looks: Looks::At(&["**/.ninja_deps"]),
        does: Does::Rewrite(ninja::deps),
    },
    Normaliser {
        name: "npm-index",
        about: "when npm fetched what is in its cache: the moment in which it was made becomes the epoch",
        looks: Looks::At(&["**/_cacache/index-v5/*/*/*"]),
        does: Does::Rewrite(fields::npm),
    },
    Normaliser {
        name: "npm-logs",
        about: "what npm did when, in files that are named for the time",
        looks: Looks::At(&["**/.npm/_logs/*"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "png",
        about: "the time of an image's last change: the moment in which it was made becomes the epoch",
        looks: Looks::Within(png::begins),
        does: Does::Rewrite(png::dated),
    },
    Normaliser {
        name: "pnpm",
        about: "when pnpm last looked after its folders, and at the files of its store: the moment in which it was made becomes the epoch",
        looks: Looks::At(&[
            "**/node_modules/.modules.yaml",
            "**/node_modules/.pnpm-workspace-state*.json",
            "**/store/v*/files/*/*-index.json",
            "**/store/v*/index/*/*.json",
        ]),
        does: Does::Rewrite(fields::pnpm),
    },
    Normaliser {
        name: "postgresql-counters",
        about: "how often PostgreSQL read and wrote what, and how long that took; it counts from nothing, as after a crash",
        looks: Looks::At(&["**/pg_stat/*.stat"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "pyc",
        about: "compiled modules of Python whose source the command made get that source's time, the epoch, by which Python knows them for current (PEP 552)",
        looks: Looks::At(&["**/*.pyc"]),
        does: Does::Rewrite(pyc::dated),
    },
    Normaliser {
        name: "random-seed",
        about: "what a machine's random numbers begin with, which all that begin with the image would share (systemd-random-seed.service(8))",
        looks: Looks::At(&["var/lib/systemd/random-seed"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "rustc-queries",
        about: "results that rustc keeps for the next build of a debug profile, in the order in which its threads had them",
        looks: Looks::At(&["**/incremental/*/s-*/query-cache.bin"]),
        does: Does::Remove,
    },
    Normaliser {
        name: shadow::NAME,
        about: "the day on which a password was changed becomes the epoch's, in lines that are new and where no password grows old (shadow(5))",
        looks: Looks::At(&["etc/shadow", "etc/shadow-"]),
        does: Does::Rewrite(shadow::dated),
    },
    Normaliser {
        name: "sqlite-index",
        about: "the index of a WAL that a database of SQLite's left, which who opens it makes anew",
        looks: Looks::At(&["**/*-shm"]),
        does: Does::Rewrite(sqlite::emptied),
    },
    Normaliser {
        name: "systemd-catalog",
        about: "what journalctl says about messages, in an order that differs; systemd makes it when a machine begins (journalctl(1), `--update-catalog`)",
        looks: Looks::At(&["var/lib/systemd/catalog/database"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "tar",
        about: "times in a tar that isn't compressed: the moment in which it was made becomes the epoch",
        looks: Looks::Within(tar::begins),
        does: Does::Rewrite(tar::dated),
    },
    Normaliser {
        name: "wget-hsts",
        about: "when wget last saw which server and for how long to use TLS with it (wget(1), `--hsts-file`)",
        looks: Looks::At(&["**/.wget-hsts"]),
        does: Does::Remove,
    },
    Normaliser {
        name: "zip",
        about: "times in zips and jars, but for signed ones: the moment in which it was made becomes the epoch",
        looks: Looks::Within(zip::begins),
        does: Does::Rewrite(zip::dated),
    },
];
