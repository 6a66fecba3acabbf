//! Real recipes, spoiled in every way: reading them never panics, takes no time, and tells places
//! that are in them.
//!
//! `PROPTEST_CASES=1000000 cargo test --release --test it mutations` goes on for longer;
//! fuzz/ does the same led by coverage.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::recipes::{below, testdata};

#[path = "../../fuzz/survive.rs"]
mod survive;

/// A mutation that takes longer than this is a way to make cairn hang. Most take a thousandth.
const LONGEST: Duration = Duration::from_secs(10);

/// Files of testdata whose path ends so.
fn corpus(is_one: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let paths = below(&testdata()).into_iter();
    let paths = paths.filter(|path| is_one(&path.to_string_lossy()));
    let files = paths.map(|path| std::fs::read(testdata().join(path)).unwrap());
    files.filter(|bytes| !bytes.is_empty()).collect()
}

static DOCKERFILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut found = corpus(|path| path.ends_with("Dockerfile"));
    assert!(found.len() > 300, "{}", found.len());
    let everything = "../src/frontend/dockerfile/tests/everything.Dockerfile";
    found.push(std::fs::read(testdata().join(everything)).unwrap());
    found
});

static RECIPES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let found = corpus(|path| path.ends_with("cairn.toml"));
    assert!(found.len() > 2, "{}", found.len());
    found
});

static IGNORE_FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let texts = [
        "*.md\n!README.md\n",
        "**/node_modules\n/a/../b\n# c\n",
        "[a-z]?\\*\n!**/x/**\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
});

/// What means something somewhere.
const TOKENS: &[&str] = &[
    "\\\n",
    "`\n",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\u{a0}",
    "\u{feff}",
    "\u{202e}",
    "ß",
    "İ",
    "😀",
    "\0",
    "\u{1b}[",
    "\u{9b}",
    "\"",
    "'",
    "$",
    "${",
    "}",
    "${x:-",
    "${x#",
    "${x%%*",
    "${x//a/",
    "$$",
    "\\$",
    "[",
    "]",
    "[\"",
    "\"]",
    ",",
    "=",
    ":",
    "/",
    "/./",
    "..",
    "**",
    "--",
    "--from=0",
    "--from=",
    "--mount=type=bind,",
    "--mount=type=cache,target=",
    "--chmod=u+x",
    "--chown=a:b",
    "--link",
    "--parents",
    "--exclude=",
    "--checksum=sha256:",
    "--platform=$TARGETPLATFORM",
    "<<EOF",
    "<<-\"E F\"",
    "EOF\n",
    "#",
    "# check=skip=",
    "# escape=`\n",
    "# syntax=",
    "FROM a AS b\n",
    "FROM scratch\n",
    "ARG x\n",
    "ARG x=$x$x\n",
    "ENV x=y ",
    "ONBUILD ",
    "RUN ",
    "COPY ",
    "ADD ",
    "HEALTHCHECK ",
    "EXPOSE 1-65535",
    "SHELL []",
    "LABEL ",
    "USER ",
    "VOLUME ",
    "WORKDIR ",
    "http://h/",
    "git@h:a/b.git#",
    ".git#c:d",
    "sha256:",
    "scratch",
    "99999999999999999999",
    "-1",
    "0x",
    "1e9",
    "true",
    "{ ",
    " }",
    "[[steps]]\n",
    "\"\"\"",
    "copy = ",
    "from = ",
    "stages.a.",
];

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Insert(Index, &'static str),
    InsertBytes(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    /// Lines are moved, or doubled.
    Line {
        from: Index,
        to: Index,
        stays: bool,
    },
    /// A piece of another text comes in.
    Splice {
        other: Index,
        from: Index,
        length: usize,
        to: Index,
    },
    /// A piece is there many times.
    Repeat {
        at: Index,
        length: usize,
        times: usize,
    },
    Upper(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), select(TOKENS)).prop_map(|(at, token)| Change::Insert(at, token)),
        1 => (at(), proptest::collection::vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Change::InsertBytes(at, bytes)),
        4 => (at(), 1..12_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => at().prop_map(Change::Cut),
        2 => (at(), at(), any::<bool>()).prop_map(|(from, to, stays)| Change::Line { from, to, stays }),
        2 => (at(), at(), 1..80_usize, at()).prop_map(|(other, from, length, to)| Change::Splice { other, from, length, to }),
        1 => (at(), 1..30_usize, 2..60_usize).prop_map(|(at, length, times)| Change::Repeat { at, length, times }),
        1 => (at(), 1..12_usize).prop_map(|(at, length)| Change::Upper(at, length)),
    ]
}

fn insert(text: &mut Vec<u8>, at: usize, what: &[u8]) {
    text.splice(at..at, what.iter().copied());
}

fn apply(text: &mut Vec<u8>, change: &Change, corpus: &[Vec<u8>]) {
    let size = text.len();
    let place = |at: &Index| at.index(size + 1);
    let span = |at: &Index, length: usize| {
        let start = at.index(size + 1);
        start..size.min(start + length)
    };
    match change {
        Change::Insert(at, token) => insert(text, place(at), token.as_bytes()),
        Change::InsertBytes(at, bytes) => insert(text, place(at), bytes),
        Change::Remove(at, length) => drop(text.drain(span(at, *length))),
        Change::Cut(at) => text.truncate(place(at)),
        Change::Line { from, to, stays } => {
            let mut lines: Vec<Vec<u8>> = text
                .split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            if lines.is_empty() {
                return;
            }
            let from = from.index(lines.len());
            let line = if *stays {
                lines[from].clone()
            } else {
                lines.remove(from)
            };
            lines.insert(to.index(lines.len() + 1), line);
            *text = lines.concat();
        }
        Change::Splice {
            other,
            from,
            length,
            to,
        } => {
            let other = other.get(corpus);
            let start = from.index(other.len());
            let end = other.len().min(start + length);
            insert(text, place(to), &other[start..end]);
        }
        Change::Repeat { at, length, times } => {
            let piece = text[span(at, *length)].repeat(*times);
            insert(text, place(at), &piece);
        }
        Change::Upper(at, length) => text[span(at, *length)].make_ascii_uppercase(),
    }
}

/// A text of the corpus, spoiled.
fn spoiled(corpus: &'static LazyLock<Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec(change(), 1..7);
    (any::<Index>(), changes).prop_map(|(base, changes)| {
        let mut text = base.get(corpus).clone();
        for change in &changes {
            apply(&mut text, change, corpus);
        }
        // Most changes would end at "not UTF-8".
        String::from_utf8_lossy(&text).into_owned().into_bytes()
    })
}

#[track_caller]
fn quickly(work: impl FnOnce()) {
    let start = Instant::now();
    work();
    assert!(start.elapsed() < LONGEST, "it took {:?}", start.elapsed());
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn spoiled_dockerfiles_are_survived(text in spoiled(&DOCKERFILES)) {
        quickly(|| survive::dockerfile(&text));
    }

    #[test]
    fn spoiled_recipes_are_survived(text in spoiled(&RECIPES)) {
        quickly(|| survive::toml(&text));
    }

    #[test]
    fn spoiled_ignore_files_are_survived(text in spoiled(&IGNORE_FILES)) {
        quickly(|| survive::ignore(&text));
    }
}

#[test]
fn unspoiled_ones_are_survived() {
    DOCKERFILES
        .iter()
        .for_each(|text| survive::dockerfile(text));
    RECIPES.iter().for_each(|text| survive::toml(text));
    IGNORE_FILES.iter().for_each(|text| survive::ignore(text));
}
