//! Normalisers: what of a command's files tells when and where it ran, each kind by itself.
//!
//! In: the path and the bytes of a file that a command made, and when it ran. Out: whether the file
//! stays, goes, is emptied or has other bytes. Pure: nothing is read or written here.
//!
//! A normaliser keeps what a file means to the tool that owns it, and leaves what it doesn't know
//! byte for byte as it is. Which there are, and what each does, is a part of the format: a change
//! here is one of `plan::key::SURROUNDINGS`.
//!
//! Times inside of files are a second line of defence: where a command has a clock of its own, the
//! times that it writes are that clock's, and stay. Only those of the moment in which it really ran
//! are replaced ([`Times::leaked`]).

mod ar;
mod berkeley_db;
mod calendar;
mod fields;
mod gem_makefile;
mod git_index;
mod glance;
mod go_cache;
mod gzip;
pub mod keys;
pub mod keystore;
mod keystore_times;
mod machine_id;
mod ninja;
mod png;
mod pyc;
mod shadow;
mod sqlite;
mod table;
mod tar;
mod times;
mod zip;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use glance::Glance;
pub use table::TABLE;
pub use times::Times;

use crate::canon::EntryPath;
use crate::canon::pattern::Rules;

/// Largest file that is rewritten, in bytes: it is done in memory.
pub const LARGEST: u64 = 64 << 20;

/// The suffix of the record of what was done ([`Done`]), beside the result of a step in the store.
pub const RECORD: &str = ".normalised";

/// How many of a file's first bytes tell what kind of file it is.
pub const HEAD: usize = 512;

/// What looks at one kind of file.
pub struct Normaliser {
    /// By which it is turned off.
    pub name: &'static str,
    /// What it does, to which files and why, in a sentence.
    pub about: &'static str,
    looks: Looks,
    does: Does,
}

/// Which files are looked at.
enum Looks {
    /// Those with such a path from the root, by Docker's patterns.
    At(&'static [&'static str]),
    /// Those that begin so, of whatever name.
    Within(fn(&[u8]) -> bool),
}

/// What is done with them.
enum Does {
    /// They go: their tool does without, or makes them again.
    Remove,
    /// They stay without content.
    Empty,
    /// They get other bytes of the same meaning; none where they are as they should be, or are no
    /// such files.
    Rewrite(fn(&File<'_>) -> Option<Vec<u8>>),
}

/// A file that a command made.
pub struct File<'a> {
    /// All of it.
    pub content: &'a [u8],
    /// What stood before where [`Normaliser::reads_below`] says.
    pub below: Option<&'a [u8]>,
    /// When it ran.
    pub times: &'a Times,
}

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Keep,
    /// It goes.
    Remove,
    /// It has these bytes.
    Rewrite(Vec<u8>),
}

/// What was done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It isn't there any more.
    Removed,
    /// It has no content any more.
    Emptied,
    /// It has another content.
    Rewritten,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Removed => "removed",
            Action::Emptied => "emptied",
            Action::Rewritten => "rewritten",
        })
    }
}

/// What a normaliser did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Done {
    /// To which file, as [`EntryPath`] is shown.
    pub path: String,
    /// Its name.
    pub normaliser: String,
    /// What.
    pub action: Action,
}

impl Normaliser {
    /// What is done with its files, in a word.
    pub fn kind(&self) -> &'static str {
        match self.does {
            Does::Remove => "remove",
            Does::Empty => "empty",
            Does::Rewrite(_) => "rewrite",
        }
    }

    /// Which files it looks at: patterns of paths; none where it looks at what they hold.
    pub fn paths(&self) -> &'static [&'static str] {
        match self.looks {
            Looks::At(paths) => paths,
            Looks::Within(_) => &[],
        }
    }

    /// Whether it has to see the content.
    pub fn reads(&self) -> bool {
        matches!(self.does, Does::Rewrite(_))
    }

    /// Which file it has to see as it was before.
    pub fn reads_below(&self) -> Option<&'static str> {
        (self.name == shadow::NAME).then_some(shadow::BELOW)
    }

    /// What becomes of a file that it looks at. Where it doesn't read, the content doesn't matter.
    pub fn judge(&self, file: &File<'_>) -> Verdict {
        match self.does {
            Does::Remove => Verdict::Remove,
            Does::Empty => Verdict::Rewrite(Vec::new()),
            Does::Rewrite(rewrite) => match rewrite(file) {
                Some(bytes) if bytes != file.content => Verdict::Rewrite(bytes),
                _ => Verdict::Keep,
            },
        }
    }
}

/// The normaliser for the file at `path`, whose first [`HEAD`] bytes, or all of them, are `head`.
pub fn find(path: &EntryPath, head: &[u8], without: &Without) -> Option<&'static Normaliser> {
    static PATTERNS: LazyLock<(Rules, Vec<&Normaliser>)> = LazyLock::new(patterns);
    let (rules, owners) = &*PATTERNS;
    // What is below a path of that name is something else.
    let rule = rules.explain(rules.verdict(path, Default::default()));
    let by_path = rule.and_then(|rule| owners.get(rule.line - 1).copied());
    let within = || {
        TABLE.iter().find(|normaliser| match normaliser.looks {
            Looks::At(_) => false,
            Looks::Within(begins) => begins(head),
        })
    };
    let found = by_path.or_else(within);
    found.filter(|normaliser| !without.has(normaliser.name))
}

/// The normaliser after which both files at `path` are the same, where there is one: after it, every time
/// that it knows is the epoch.
pub fn same_after(path: &EntryPath, [one, other]: [&[u8]; 2]) -> Option<&'static str> {
    let times = Times {
        epoch: 0,
        ran: i64::MIN..=i64::MAX,
        own: None,
    };
    let after = |content: &[u8]| {
        let head = &content[..content.len().min(HEAD)];
        let normaliser = find(path, head, &Without::default())?;
        let below = None;
        let verdict = normaliser.judge(&File {
            content,
            below,
            times: &times,
        });
        let verdict = match verdict {
            Verdict::Keep => Verdict::Rewrite(content.to_vec()),
            other => other,
        };
        Some((normaliser.name, verdict))
    };
    let (one, other) = (after(one)?, after(other)?);
    (one == other).then_some(one.0)
}

/// The normaliser that removes whatever file is at `path`, where there is one.
pub fn removing(path: &EntryPath) -> Option<&'static str> {
    let found = find(path, b"", &Without::default());
    let found = found.filter(|normaliser| matches!(normaliser.does, Does::Remove));
    found.map(|normaliser| normaliser.name)
}

/// All patterns of paths, and whose each is.
fn patterns() -> (Rules, Vec<&'static Normaliser>) {
    let all = TABLE.iter().flat_map(|normaliser| {
        normaliser
            .paths()
            .iter()
            .map(move |path| (*path, normaliser))
    });
    let (paths, owners): (Vec<&str>, Vec<&Normaliser>) = all.unzip();
    // A test says that they are patterns.
    (Rules::new(&paths).unwrap_or_default(), owners)
}

/// Which normalisers are turned off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Without(BTreeSet<&'static str>);

impl Without {
    /// The one of that name turned off, or all.
    pub fn named(name: &str) -> Result<Without, Unknown> {
        let is_meant = |normaliser: &&Normaliser| name == ALL || normaliser.name == name;
        let meant = TABLE.iter().filter(is_meant).map(|one| one.name);
        let meant: BTreeSet<_> = meant.collect();
        match meant.is_empty() {
            true => Err(Unknown(name.to_owned())),
            false => Ok(Without(meant)),
        }
    }

    /// Whether it is turned off.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

impl FromIterator<Without> for Without {
    fn from_iter<T: IntoIterator<Item = Without>>(all: T) -> Without {
        Without(all.into_iter().flat_map(|one| one.0).collect())
    }
}

/// What means every normaliser.
const ALL: &str = "all";

/// A name that none has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no normaliser `{0}`; `cairn explain --normalisers` lists them, and `{ALL}` is all of them"
)]
pub struct Unknown(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    fn found(at: &str) -> Option<&'static str> {
        find(&path(at), b"", &Without::default()).map(|normaliser| normaliser.name)
    }

    #[test]
    fn the_table_is_sorted_and_its_patterns_are_patterns() {
        assert!(TABLE.is_sorted_by_key(|normaliser| normaliser.name));
        assert!(!patterns().0.is_empty());
    }

    #[test]
    fn a_file_is_known_by_its_place() {
        for (at, expected) in [
            ("var/cache/apt/pkgcache.bin", Some("apt-caches")),
            ("var/cache/apt/srcpkgcache.bin", Some("apt-caches")),
            ("var/cache/apt/other.bin", None),
            ("srv/var/cache/apt/pkgcache.bin", None),
            ("var/cache/ldconfig/aux-cache", Some("ldconfig")),
            ("etc/ld.so.cache", None),
            ("var/log/dpkg.log", Some("logs")),
            ("var/log/apt/term.log", Some("logs")),
            ("var/log/apt", None),
            ("var/log/mine.log", None),
            ("var/log/dpkg.log/mine", None),
            ("var/log/dnf.librepo.log", Some("logs")),
            ("var/cache/man/de/index.db", None),
            ("tmp/hsperfdata_root/31", Some("java-counters")),
            ("tmp/hsperfdata_root", None),
            ("var/log/postgresql/postgresql-15-main.log", Some("logs")),
            (
                "var/lib/postgresql/15/main/pg_stat/pgstat.stat",
                Some("postgresql-counters"),
            ),
            ("pnpm/store/v3/files/ed/d4b3-index.json", Some("pnpm")),
            ("b/CMakeFiles/CMakeOutput.log", Some("cmake-logs")),
            ("b/CMakeFiles/Makefile.cmake", None),
            ("b/Testing/Temporary/LastTest.log", Some("cmake-logs")),
            ("root/.cache/go-build/01/0144-a", Some("go-cache")),
            ("root/.cache/go-build/01/0144-d", None),
            ("root/.npm/_cacache/index-v5/a3/0f/abc", Some("npm-index")),
            (
                "root/.npm/_logs/2026-01-01T00_00_00_000Z-debug-0.log",
                Some("npm-logs"),
            ),
            (
                "app/node_modules/.pnpm-workspace-state-v1.json",
                Some("pnpm"),
            ),
            ("usr/lib/python3/__pycache__/a.cpython-311.pyc", Some("pyc")),
            (".wget-hsts", Some("wget-hsts")),
            ("root/.wget-hsts", Some("wget-hsts")),
            ("usr/local/cargo/.global-cache", Some("cargo")),
            (
                "src/target/debug/incremental/a-1/s-b-c-d/query-cache.bin",
                Some("rustc-queries"),
            ),
            (
                "src/target/debug/incremental/a-1/s-b-c-d/dep-graph.bin",
                None,
            ),
            (
                "var/lib/gems/3.1.0/extensions/x86_64-linux/3.1.0/a-1/gem_make.out",
                Some("gem-logs"),
            ),
            (
                "var/lib/gems/3.1.0/gems/a-1/ext/a/mkmf.log",
                Some("gem-logs"),
            ),
            (
                "app/vendor/bundle/ruby/3.1.0/gems/a-1/ext/a/Makefile",
                Some("gem-makefile"),
            ),
            ("app/ext/a/Makefile", None),
            ("app/mkmf.log", None),
            ("var/lib/dpkg/status-old", Some("backups")),
            ("var/lib/dpkg/status", None),
            ("var/lib/dpkg/info/a-old", None),
            ("etc/passwd-old", None),
            ("etc/machine-id", Some("machine-id")),
        ] {
            assert_eq!(found(at), expected, "{at}");
        }
    }

    #[test]
    fn two_files_are_the_same_after_the_one_that_is_theirs() {
        let member = |time: &str| {
            format!("!<arch>\na/              {time:<12}0     0     100644  1         `\nx\n")
        };
        let [early, late] = ["7", "1790000000"].map(member);
        let same = |at: &str, one: &str, other: &str| {
            same_after(&path(at), [one.as_bytes(), other.as_bytes()])
        };
        assert_eq!(same("usr/lib/a.a", &early, &late), Some("ar"));
        assert_eq!(same("usr/lib/a.a", &early, &late.replace('x', "y")), None);
        assert_eq!(same("usr/lib/a.a", &early, "x"), None);
        assert_eq!(same("var/log/dpkg.log", "one", "other"), Some("logs"));
        assert_eq!(same("var/log/mine.log", "one", "other"), None);
        assert_eq!(
            removing(&path("var/cache/ldconfig/aux-cache")),
            Some("ldconfig")
        );
        assert_eq!(removing(&path("var/log/dpkg.log")), None);
    }

    #[test]
    fn what_is_turned_off_is_not_found() {
        let at = path("var/log/dpkg.log");
        let without = |names: &[&str]| -> Without {
            names
                .iter()
                .map(|name| Without::named(name).unwrap())
                .collect()
        };
        assert!(find(&at, b"", &without(&["ldconfig"])).is_some());
        assert!(find(&at, b"", &without(&["ldconfig", "logs"])).is_none());
        assert!(find(&at, b"", &without(&["all"])).is_none());
        let names: Vec<_> = without(&["logs", "backups", "logs"]).names().collect();
        assert_eq!(names, ["backups", "logs"]);
        assert_eq!(without(&["all"]).names().count(), TABLE.len());
        assert!(Without::named("log").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_normaliser_or_the_search_for_keys_panic(
            begin in 0..9_usize,
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..700),
        ) {
            let begins: [&[u8]; 9] = [
                b"PK\x03\x04",
                b"!<arch>\n",
                b"\x1f\x8b\x08",
                b"\x89PNG\r\n\x1a\n",
                b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01",
                b"\x30\x82\x01\x00\x02\x01\x03",
                b"-----BEGIN PRIVATE KEY-----\n",
                b"DIRC\0\0\0\x02\0\0\0\x01",
                b"",
            ];
            let content = [begins[begin], &bytes].concat();
            let times = super::times::tests::times();
            let file = File { content: &content, below: None, times: &times };
            for normaliser in TABLE {
                if let (true, Verdict::Rewrite(bytes)) = (normaliser.reads(), normaliser.judge(&file)) {
                    assert!(bytes != content);
                }
            }
            keys::find(&content);
            keys::may_begin(&content);
        }
    }
}
