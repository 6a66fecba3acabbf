//! Micro-benchmarks of the parts that a build's time goes to: `cargo bench --bench micro`.
//!
//! In: seeded data in memory, like the files of `tree.py`. Out: divan's table, with throughput.
//! Times beside other tools' are `compare.py`'s.

#![allow(clippy::unwrap_used, reason = "a bench that can't go on stops")]

use std::io::Write as _;

use cairn::canon::format::{CHUNK_SIZES, GZIP_LEVEL, ZSTD_LEVEL};
use cairn::canon::pattern::{Rules, Verdict, ignore};
use cairn::canon::{Digest, EntryPath};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// The same numbers in every run (Knuth's constants for a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// `size` bytes of text that deflate packs about 4:1.
fn text(size: usize) -> Vec<u8> {
    let mut numbers = Numbers(1);
    let word = |numbers: &mut Numbers| -> String {
        let length = 3 + numbers.below(6);
        (0..length)
            .map(|_| char::from(b'a' + numbers.below(26) as u8))
            .collect()
    };
    let words: Vec<_> = (0..400).map(|_| word(&mut numbers)).collect();
    let mut text = Vec::with_capacity(size + 64);
    while text.len() < size {
        let low = numbers.below(words.len());
        let [a, b] = [numbers.below(low + 1), numbers.below(low / 8 + 1)].map(|at| &words[at]);
        writeln!(text, "  const {a} = {b}.{a}({b}, {});", numbers.below(9)).unwrap();
    }
    text.truncate(size);
    text
}

const SIZE: usize = 16 << 20;

#[divan::bench]
fn sha256(bencher: Bencher) {
    let data = text(SIZE);
    bencher
        .counter(BytesCount::new(SIZE))
        .bench_local(|| Digest::of(black_box(&data)));
}

#[divan::bench]
fn cut_into_chunks(bencher: Bencher) {
    let data = text(SIZE);
    let (least, average, most) = CHUNK_SIZES;
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        fastcdc::v2020::FastCDC::new(black_box(&data), least, average, most).count()
    });
}

#[divan::bench]
fn gzip_in_chunks_of_1_mib(bencher: Bencher) {
    let data = text(SIZE);
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        let level = flate2::Compression::new(GZIP_LEVEL);
        let chunks = black_box(&data).chunks(1 << 20);
        chunks.fold(0, |total, chunk| {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(chunk).unwrap();
            total + encoder.finish().unwrap().len()
        })
    });
}

#[divan::bench]
fn zstd_in_chunks_of_1_mib(bencher: Bencher) {
    let data = text(SIZE);
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        let chunks = black_box(&data).chunks(1 << 20);
        chunks.fold(0, |total, chunk| {
            total + zstd::bulk::compress(chunk, ZSTD_LEVEL).unwrap().len()
        })
    });
}

/// Twenty lines of all kinds, of which few match: what most projects' files look like.
const IGNORE_FILE: &str = "\
.git
.env
*.log
Dockerfile*
docs
coverage/
**/*.md
**/*.test.js
**/.DS_Store
**/__tests__
**/fixtures/**
packages/*/dist
packages/**/tmp
build-[0-9]*
?.txt
/scripts/release
**/*.swp
!README.md
!**/LICENSE.md
!docs/api";

/// 80,000 paths, each with the place of the directory that holds it.
fn paths() -> (Vec<(EntryPath, usize)>, usize) {
    let mut numbers = Numbers(1);
    let mut paths = vec![(EntryPath::root(), 0)];
    let folders = [
        "lib",
        "dist",
        "src",
        "esm",
        "node_modules",
        "@scope",
        "internal",
    ];
    for number in 0..9_000 {
        let above = numbers.below(paths.len());
        let above = if paths[above].0.components().count() < 7 {
            above
        } else {
            0
        };
        let name = format!("{}{number}", folders[numbers.below(folders.len())]);
        let path = paths[above]
            .0
            .join(&EntryPath::new(name.as_bytes()).unwrap());
        paths.push((path.unwrap(), above));
    }
    let directories = paths.len();
    let endings = [".js", ".d.ts", ".js.map", ".json", ".md", ".test.js"];
    for number in 0..71_000 {
        let above = numbers.below(directories);
        let name = format!("module{number}{}", endings[numbers.below(endings.len())]);
        let path = paths[above]
            .0
            .join(&EntryPath::new(name.as_bytes()).unwrap());
        paths.push((path.unwrap(), above));
    }
    (paths, directories)
}

/// As a walk asks: directories hand their verdicts on.
#[divan::bench]
fn ignore_20_patterns_on_80000_paths(bencher: Bencher) {
    let rules: Rules = ignore::parse(IGNORE_FILE.as_bytes()).unwrap();
    let (paths, directories) = paths();
    bencher
        .counter(ItemsCount::new(paths.len()))
        .bench_local(|| {
            let mut verdicts: Vec<Verdict> = Vec::with_capacity(directories);
            let mut left_out = 0;
            for (at, (path, above)) in paths.iter().enumerate().skip(1) {
                if at == 1 {
                    verdicts.push(Verdict::default());
                }
                let verdict = rules.verdict(path, verdicts[*above]);
                left_out += usize::from(verdict.matches());
                if at < directories {
                    verdicts.push(verdict);
                }
            }
            left_out
        });
}
